"""Open label files: connections, checks, and SQLite's errors in words.

Used by the store (writing) and by the merge (reading); no label logic here.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

import data_schema
from data_schema.atomic import partial_path, sync_folder
from data_schema.errors import LabelError
from data_schema.labels.journal import journal_mode_for
from data_schema.labels.models import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    SQLITE_TRIGGERS,
    TABLES_V1,
    Base,
    MetaRow,
)
from data_schema.labels.side_files import SIDE_FILES, LogWatch, refuse_foreign_journal

#: How long a commit waits for another process that is writing. Longer than any
#: commit here takes; a network drive may hold a lock for seconds.
BUSY_TIMEOUT_S = 30.0
#: A crafted file's own views, triggers and columns may then call nothing that reaches outside of it
#: (https://www.sqlite.org/security.html).
_DISTRUST = "PRAGMA trusted_schema=OFF"
#: What SQLite's check says of a row that can be read but holds what its table does not take.
_FOREIGN_VALUE = re.compile(r"CHECK constraint failed in \w+|(NULL|NUMERIC|TEXT|non-\w+) value in \w+\.\w+")


def resolve_label_path(path_or_url: Path | str) -> Path:
    """Return the file that a path or a ``sqlite:///`` URL names.

    Raises
    ------
    LabelError
        If the URL is of something else.
    """
    if isinstance(path_or_url, str) and "://" in path_or_url:
        scheme, _, rest = path_or_url.partition("://")
        if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
            return Path(rest[1:])
        raise LabelError(
            f"labels cannot be kept at a {scheme} address. Give a file, such as labels/a01.sqlite or "
            "sqlite:////full/path/a01.sqlite, or a database: postgresql://HOST/DATABASE."
        )
    return Path(path_or_url)


def _uri(path: Path, query: str) -> str:
    text = path.resolve().as_posix()
    # Windows drives lack the leading slash; a UNC path has two and keeps them after an empty authority.
    return f"file://{quote(text if text.startswith('/') else '/' + text)}?{query}"


def _engine(connect: Callable[[], sqlite3.Connection], begin: str, watch: LogWatch | None = None) -> Engine:
    """Return an engine whose transactions start with `begin`; `watch` looks after the file's log.

    The sqlite3 module would start them itself, deferred, so that two writers
    could both read and then both try to write; it is told not to.
    """
    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if watch is not None:
            watch.before(_raw(connection))
        connection.exec_driver_sql(begin)
        if watch is not None:
            watch.after()

    return engine


def open_for_writing(path: Path, timeout_s: float = BUSY_TIMEOUT_S) -> Connection:
    """Open an existing label file, check it, bring it up to date and set its journal for where it lies.

    Raises
    ------
    LabelError
        If it is empty, damaged, foreign, newer, not writable, or lacks its triggers.
    """
    refuse_if_empty(path)
    with explained(path):
        refuse_foreign_journal(path)

    def connect() -> sqlite3.Connection:
        raw = sqlite3.connect(
            _uri(path, "mode=rw"), uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            raw.execute("PRAGMA synchronous=FULL")
            raw.execute("PRAGMA fullfsync=ON")  # macOS: fsync alone leaves data in the drive's cache
            raw.execute(_DISTRUST)
        except sqlite3.Error:
            raw.close()
            raise
        return raw

    with explained(path):
        connection = _engine(connect, "BEGIN IMMEDIATE", LogWatch(path)).connect()
    try:
        with explained(path):
            # The transaction asks for the right to write: a read-only file is found out
            # now, not at the first label.
            with connection.begin():
                check_label_file(connection, path, triggers=True)
                _bring_up_to_date(connection)
            _set_journal(connection, path, timeout_s)
    except LabelError:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def opened_for_reading(path: Path, *, foreign_rows: bool = False) -> Iterator[Connection]:
    """Open a label file to read it, also while it is being written and on a read-only drive.

    Parameters
    ----------
    path : Path
    foreign_rows : bool
        True for whoever checks each row and leaves out those that hold what no label file takes, such as a word outside the
        vocabulary that another program wrote.

    Raises
    ------
    LabelError
        If it is missing, empty, damaged, foreign or newer.
    """
    with explained(path):
        if not path.is_file():
            raise LabelError(f"{path}: there is no such label file. Check the name.")
    refuse_if_empty(path)
    with explained(path):
        refuse_foreign_journal(path)
    wal = path.with_name(path.name + "-wal")

    def connect() -> sqlite3.Connection:
        # Not "mode=ro": such a connection cannot tidy up and leaves the log's files behind.
        # A file that may not be written to is opened for reading all the same.
        raw = sqlite3.connect(_uri(path, "mode=rw"), uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            raw.execute("PRAGMA query_only=ON")
            raw.execute(_DISTRUST)
            raw.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            raw.close()
            if wal.exists() and wal.stat().st_size > 0:
                raise
            # In a read-only folder the shared memory of a WAL file cannot be made. Nothing can
            # write there either, and the log is empty, so the file may be read as it lies.
            raw = sqlite3.connect(_uri(path, "mode=ro&immutable=1"), uri=True, isolation_level=None)
        except sqlite3.Error:
            raw.close()
            raise
        return raw

    with explained(path):
        connection = _engine(connect, "BEGIN").connect()
    try:
        with explained(path), connection.begin():
            check_label_file(connection, path, triggers=False, foreign_rows=foreign_rows)
            yield connection
    finally:
        connection.close()


def refuse_if_empty(path: Path) -> None:
    """Raise if the file has no bytes: SQLite would take it for a new database."""
    with explained(path):
        if path.stat().st_size == 0:
            raise LabelError(
                f"{path}: the file is empty; a copy probably broke off. "
                "Bring it from the backup, or delete it to start anew."
            )


def check_label_file(connection: Connection, path: Path, *, triggers: bool, foreign_rows: bool = False) -> None:
    """Check that an open database is a whole label file of a version we know; for the options see `opened_for_reading`.

    Raises
    ------
    LabelError
        With what is wrong and the next step.
    """
    application_id = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    if application_id != APPLICATION_ID:
        raise LabelError(
            f"{path}: a database of another program (application id {application_id:#010x}, "
            f"expected {APPLICATION_ID:#010x}). Name a label file made by this toolkit."
        )
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version > SCHEMA_VERSION:
        raise LabelError(
            f"{path}: label file of version {version}, but this toolkit reads up to {SCHEMA_VERSION}. "
            "Update the toolkit: pip install --upgrade emer-toolkit"
        )
    damage, unfit = _problems(connection)
    expected = set(TABLES_V1) if version < 2 else set(Base.metadata.tables)
    if damage or not expected <= tables_of(connection):
        raise LabelError(f"{path}: the label file is damaged ({damage or 'a table is missing'}). {_DAMAGED}")
    if unfit and not foreign_rows:
        raise LabelError(
            f"{path}: another program wrote what no label file takes ({unfit}); the file is whole otherwise. Bring it "
            "from the backup; or move it elsewhere and bring its other rows home, which names the bad ones: "
            "emer annotate merge STUDY FILE"
        )
    if triggers:
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        present: dict[str, str] = {str(name): str(sql) for name, sql in connection.exec_driver_sql(query)}
        wanted = {
            name: f"CREATE TRIGGER {name} {body}"
            for name, body in SQLITE_TRIGGERS.items()
            if name.rpartition("_no_")[0] in expected
        }
        altered = sorted(name for name, sql in wanted.items() if present.get(name) != sql)
        if altered:
            raise LabelError(
                f"{path}: another program removed the file's protection against changes "
                f"({', '.join(altered)}), so its labels may have been altered. Compare it with the backup."
            )
        # One that answers RAISE(IGNORE) would swallow labels that are shown as saved.
        foreign = sorted(set(present) - set(SQLITE_TRIGGERS))
        if foreign:
            raise LabelError(
                f"{path}: another program put triggers of its own into the file ({', '.join(foreign)}), so labels might "
                "not be kept as they are given. Compare it with the backup, and take the triggers out."
            )


def _problems(connection: Connection) -> tuple[str, str]:
    """Return the first sign of damage, and the first value that a whole file has no place for; empty if there is none."""
    damage = unfit = ""
    # All of them: damage may come after many such values.
    for problem in connection.exec_driver_sql(f"PRAGMA quick_check({2**31 - 1})").scalars():
        if _FOREIGN_VALUE.fullmatch(problem):
            unfit = unfit or problem
        elif problem != "ok":
            damage = damage or problem
    return damage, unfit


def tables_of(connection: Connection) -> set[str]:
    """Return the names of the tables; a file of version 1 lacks most logs."""
    return set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())


def _bring_up_to_date(connection: Connection) -> None:
    """Add to a file of an older version the tables that it lacks; its rows stay as they are."""
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version >= SCHEMA_VERSION:
        return
    Base.metadata.create_all(connection)
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    said = f"from version {version} at {now} by {data_schema.__version__}"
    connection.execute(insert(MetaRow), {"key": f"upgraded_to_{SCHEMA_VERSION}", "value": said})
    # Part of the transaction, as all of a database's header is.
    connection.exec_driver_sql(f"PRAGMA user_version={SCHEMA_VERSION}")


def read_meta(connection: Connection) -> dict[str, str]:
    """Return the description of the file."""
    return {str(key): str(value) for key, value in connection.execute(select(MetaRow.key, MetaRow.value))}


def create_label_file(path: Path, meta: Mapping[str, str]) -> bool:
    """Make an empty label file, whole or not at all.

    It is built beside its place and then given its name, so that a kill leaves
    no half-made file and of two processes that create it at once one wins.

    Returns
    -------
    bool
        False if another process made the file in the meantime.

    Raises
    ------
    LabelError
        If the folder cannot be written to, or holds the journal of a lost label file.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for rest in (path.with_name(path.name + suffix) for suffix in ("-wal", "-journal")):
            # Left of a file that was deleted: SQLite would write its pages into the new one.
            if rest.exists() and rest.stat().st_size > 0 and not path.exists():
                raise LabelError(
                    f"{rest} lies here without {path.name}, and may hold labels. "
                    f"Bring {path.name} back, or move {rest.name} elsewhere to start anew."
                )
        partial = partial_path(path)
        try:
            engine = _engine(lambda: _connect_new(partial, journal_mode_for(path)), "BEGIN IMMEDIATE")
            with contextlib.closing(engine.connect()) as connection, connection.begin():
                Base.metadata.create_all(connection)
                connection.execute(insert(MetaRow), [{"key": k, "value": v} for k, v in meta.items()])
            return _give_name(partial, path)
        finally:
            for suffix in ("", *SIDE_FILES):
                partial.with_name(partial.name + suffix).unlink(missing_ok=True)


def _connect_new(path: Path, journal_mode: str) -> sqlite3.Connection:
    raw = sqlite3.connect(_uri(path, "mode=rwc"), uri=True, isolation_level=None)
    try:
        raw.execute(f"PRAGMA journal_mode={journal_mode}")
        raw.execute("PRAGMA synchronous=FULL")
        raw.execute(f"PRAGMA application_id={APPLICATION_ID}")
        raw.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    except sqlite3.Error:
        raw.close()
        raise
    return raw


def _give_name(partial: Path, path: Path) -> bool:
    """Name `partial` `path` unless that exists; tell whether it was done."""
    try:
        if os.name == "nt":
            partial.rename(path)  # Windows refuses to replace
        else:
            os.link(partial, path)
            sync_folder(path.parent)
    except FileExistsError:
        return False
    except OSError:
        # No hard links on this drive (some network shares): the check and the move are two steps there.
        if path.exists():
            return False
        partial.replace(path)
    return True


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        raise TypeError(f"expected a connection of sqlite3, got {type(raw).__name__}")
    return raw


def _set_journal(connection: Connection, path: Path, timeout_s: float) -> None:
    """Give a file that was moved between a local and a network drive the journal for its place."""
    wanted = journal_mode_for(path)
    raw = _raw(connection)
    deadline = time.monotonic() + timeout_s
    while raw.execute("PRAGMA journal_mode").fetchone()[0] != wanted:
        try:
            raw.execute(f"PRAGMA journal_mode={wanted}").fetchone()
            continue
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
        if wanted == "wal":
            return  # another process holds the file; its rollback journal is safe here too
        if time.monotonic() > deadline:
            raise LabelError(
                f"{path}: the file lies on a network drive but another process keeps it in write-ahead mode, "
                "which is not safe there. Close the other program and try again."
            )
        time.sleep(0.05)


_DAMAGED = (
    "Its labels before the damage may still be saved: keep the file, bring the backup, "
    "or run `sqlite3 FILE .recover` on a copy."
)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and the operating system into a `LabelError` with the next step."""
    try:
        yield
    except DBAPIError as error:
        raise _explain(path, error.orig or error) from error
    except sqlite3.Error as error:
        raise _explain(path, error) from error
    except OSError as error:
        raise LabelError(
            f"{path}: {error.strerror or error}. Check that the folder exists and can be written to, "
            "and that its drive is connected."
        ) from error


def _explain(path: Path, error: BaseException) -> LabelError:
    text = str(error)
    low = text.lower()
    if "append-only" in low or "never changes" in low:
        return LabelError(f"{path}: {text}.")
    if "not a database" in low:
        return LabelError(f"{path}: not a label file (no SQLite database). Name a file such as labels/a01.sqlite.")
    if "malformed" in low or "corrupt" in low:
        return LabelError(f"{path}: the label file is damaged ({text}). {_DAMAGED}")
    if "disk i/o" in low:
        return LabelError(
            f"{path}: the drive did not take it ({text}): it is full, was taken away or fails. This was not saved, all "
            "earlier labels are. Free some space or connect the drive again, then give it again."
        )
    if "full" in low:
        return LabelError(
            f"{path}: the disk is full; this label was not saved, all earlier ones are. "
            "Free some space and give it again."
        )
    if "readonly" in low or "read-only" in low or "unable to open" in low:
        return LabelError(
            f"{path}: cannot be opened for this ({text}). Check that the file and its folder exist and may be "
            "written to; to read a file with a -wal file beside it, copy both into a folder of your own."
        )
    if "locked" in low or "busy" in low:
        return LabelError(
            f"{path}: another program has kept the file locked for {BUSY_TIMEOUT_S:g} s. Close it and try again."
        )
    return LabelError(f"{path}: the database refused ({text}). Nothing was saved by this step.")
