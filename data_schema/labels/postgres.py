"""Connections to a PostgreSQL that holds the labels of a study, and its errors in words.

The address in ``study.toml`` names host and database alone. Who connects comes from
the address, else ``PGUSER``, else it is the annotator's role, or for the lab
whoever is logged in; the password comes from ``~/.pgpass`` or ``PGPASSWORD``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from data_schema.errors import LabelError, MissingExtraError
from data_schema.labels.models import APPEND_ONLY, SCHEMA_VERSION, Base

#: All tables lie in a schema of their own: nobody but the lab's role may make anything in it.
SCHEMA = "emer"
#: As long as a writer waits for a locked file.
_LOCK_TIMEOUT_S = 30
_CONNECT_TIMEOUT_S = 10
#: A server that went away is given up after this time, instead of the minutes that TCP would wait.
_DEAD_AFTER_MS = 15000
#: The longest name that PostgreSQL keeps whole.
_MAX_NAME_BYTES = 63


def parse_address(address: str) -> URL:
    """Return the parts of ``postgresql://HOST/DATABASE``.

    Raises
    ------
    LabelError
        If no database is named, or a password stands in the address.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        raise LabelError(f"'{address}' is no address of a database. Expected postgresql://HOST/DATABASE.") from error
    if url.password is not None:
        raise LabelError(
            "the database's address holds a password, and study.toml is read by many. Take it out, and write it into "
            "~/.pgpass (HOST:PORT:DATABASE:ROLE:PASSWORD) or set PGPASSWORD."
        )
    if not url.database:
        raise LabelError(f"'{address}' names no database. Expected postgresql://HOST/DATABASE.")
    return url.set(drivername="postgresql+psycopg")


def place_of(url: URL) -> str:
    """Return the address as it is shown."""
    return f"postgresql://{url.host or url.query.get('host') or ''}/{url.database}"


def role_of(url: URL, annotator_id: str) -> str:
    """Return the login role of an annotator. Roles belong to the server, so the database is in the name.

    Raises
    ------
    LabelError
        If the name would be too long.
    """
    name = f"{url.database}_{annotator_id}"
    if len(name.encode()) > _MAX_NAME_BYTES:
        raise LabelError(
            f"the role '{name}' is longer than PostgreSQL's {_MAX_NAME_BYTES} bytes. Give the annotator a shorter id."
        )
    return name


def engine_for(url: URL, role: str | None) -> Engine:
    """Return an engine that connects as `role`, unless the address or ``PGUSER`` names another.

    Raises
    ------
    MissingExtraError
        If the driver is not installed.
    """
    if url.username is None and role is not None and not os.environ.get("PGUSER"):
        url = url.set(username=role)
    arguments = {
        "options": f"-c search_path={SCHEMA},pg_temp -c lock_timeout={_LOCK_TIMEOUT_S}s -c synchronous_commit=on",
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        "tcp_user_timeout": _DEAD_AFTER_MS,
        "application_name": "emer",
    }
    try:
        return create_engine(url, poolclass=NullPool, connect_args=arguments)
    except ModuleNotFoundError as error:
        raise MissingExtraError("postgres", "psycopg", "Labels in PostgreSQL") from error


@contextlib.contextmanager
def opened_by_lab(address: str) -> Iterator[tuple[Connection, dict[str, str]]]:
    """Open the database to read everybody's rows; also give the kind of each annotator.

    Raises
    ------
    LabelError
        If it cannot be reached, holds no labels of this toolkit, or is asked by an annotator.
    """
    url = parse_address(address)
    place = place_of(url)
    engine = engine_for(url, None).execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with explained(place):
        connection = engine.connect()
    try:
        with explained(place), connection.begin():
            check_database(connection, place)
            annotator = own_annotator(connection)
            if annotator is not None:
                raise LabelError(
                    f"{place}: you are logged in as the annotator '{annotator}', who reads nobody else's labels. "
                    "Set PGUSER to the lab's role."
                )
            rows = connection.execute(text("SELECT annotator_id, annotator_kind FROM annotators"))
            yield connection, {str(annotator_id): str(kind) for annotator_id, kind in rows}
    finally:
        connection.close()


def check_database(connection: Connection, place: str) -> None:
    """Check that an open database holds labels of a version we know, and still has its protection.

    Raises
    ------
    LabelError
        With what is wrong and the next step.
    """
    if not connection.execute(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": f"{SCHEMA}.meta"}).scalar_one():
        raise LabelError(
            f"{place}: the database has no label tables. The lab makes them with: emer annotate database init STUDY"
        )
    version = int(read_meta(connection).get("schema_version", "0"))
    if version != SCHEMA_VERSION:
        newer = "Update the toolkit: pip install --upgrade emer-toolkit"
        older = "Read it with the version that made it."
        raise LabelError(
            f"{place}: label tables of version {version}, but this toolkit knows {SCHEMA_VERSION}. "
            f"{newer if version > SCHEMA_VERSION else older}"
        )
    query = text(
        "SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n "
        "ON n.oid = c.relnamespace WHERE n.nspname = :schema AND t.tgenabled IN ('O', 'A')"
    )
    missing = trigger_names() - set(connection.execute(query, {"schema": SCHEMA}).scalars())
    query = text(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = :schema AND c.relkind = 'r' AND c.relrowsecurity"
    )
    missing |= {
        f"row security of {name}"
        for name in set(protected_tables()) - set(connection.execute(query, {"schema": SCHEMA}).scalars())
    }
    if missing:
        raise LabelError(
            f"{place}: someone removed the protection against changes ({', '.join(sorted(missing))}), so labels may "
            "have been altered. Compare them with the backup."
        )


def trigger_names() -> set[str]:
    """Return the names of the triggers that refuse changes."""
    return {f"{table}_{name}" for table in APPEND_ONLY for name in ("no_change", "no_truncate")}


def protected_tables() -> tuple[str, ...]:
    """Return the tables of which an annotator sees own rows alone."""
    return tuple(sorted(name for name in Base.metadata.tables if name != "meta"))


def own_annotator(connection: Connection) -> str | None:
    """Return whose role is logged in; None for the lab's."""
    found = connection.execute(text(f"SELECT {SCHEMA}.own_annotator()")).scalar_one()
    return None if found is None else str(found)


def read_meta(connection: Connection) -> dict[str, str]:
    """Return the description of the study's tables."""
    rows: Any = connection.execute(text(f"SELECT key, value FROM {SCHEMA}.meta"))
    return {str(key): str(value) for key, value in rows}


@contextlib.contextmanager
def explained(place: str) -> Iterator[None]:
    """Turn errors of PostgreSQL into a `LabelError` with the next step."""
    try:
        yield
    except DBAPIError as error:
        raise LabelError(f"{place}: {_in_words(error)}") from error


#: By SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_WORDS: Mapping[str, str] = {
    "28P01": "the password is not right. Look into ~/.pgpass, or ask the lab for a new one.",
    "28000": "this role may not log in. Ask the lab: emer annotate database add STUDY ANNOTATOR",
    "3D000": "there is no such database. The server's administrator makes it with: createdb DATABASE",
    # Also what a role is told that was dropped while it was connected.
    "42P01": "the database has no label tables that this role may see. The lab makes them with "
    "`emer annotate database init STUDY`, and lets an annotator in with `emer annotate database add STUDY ANNOTATOR`.",
    "53100": "the server's disk is full; this was not saved, all earlier labels are. "
    "Tell the lab, and give it again when there is space.",
    "55P03": f"another program has kept your labels locked for {_LOCK_TIMEOUT_S} s. Close it and try again.",
    "25006": "the server takes no changes at the moment; this was not saved, all earlier labels are. Tell the lab.",
}


def _in_words(error: DBAPIError) -> str:
    code = str(getattr(error.orig, "sqlstate", None) or "")
    said = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
    if code in _WORDS:
        return _WORDS[code]
    if "password authentication failed" in said:
        return _WORDS["28P01"]
    if "does not exist" in said and "database" in said and not code:
        return _WORDS["3D000"]
    if "no password supplied" in said:
        return "no password was found. Write it into ~/.pgpass (HOST:PORT:DATABASE:ROLE:PASSWORD), or set PGPASSWORD."
    if code == "42501":
        return (
            f"this role may not do that ({said}). An annotator writes and reads own rows alone; "
            "the lab's role has to own the database and may make roles (ALTER ROLE ... CREATEROLE)."
        )
    if code == "P0001":
        return f"{said}."
    if (
        error.connection_invalidated
        or code.startswith(("08", "57P"))
        or (not code and isinstance(error, OperationalError))
    ):
        return (
            f"the server cannot be reached ({said}). What was not saved yet can be given again once it answers; "
            "check the network, or ask the lab whether the server runs."
        )
    return f"the database refused ({said}). Nothing was saved by this step."
