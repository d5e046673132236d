"""Take a participant's rows out of label logs, which are append-only for everybody else.

The triggers that refuse changes are taken off and put back within the transaction that removes the rows, so that no other
program ever meets a file without them. What was removed is overwritten in the file, and the file is packed.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from sqlalchemy import text

from data_schema.errors import LabelError
from data_schema.labels.models import APPEND_ONLY, Base
from data_schema.labels.postgres import (
    SCHEMA,
    check_database,
    engine_for,
    explained,
    own_annotator,
    parse_address,
    place_of,
)
from data_schema.labels.sqlite_file import explained as explained_file
from data_schema.withdrawal.traces import GONE, Traces

#: Tables of a label file whose rows belong to a row of another one.
_SAMPLES = ("trace_samples", "trace_id", "traces")
_BUSY_MS = 10_000


def clean_sqlite(path: Path, traces: Traces) -> int:
    """Remove the participant's rows from an SQLite file and overwrite where they stood; return how many.

    Raises
    ------
    LabelError
        If the file is in use, damaged or cannot be written.
    """
    with explained_file(path), contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        # Removed rows are overwritten with zeros (https://www.sqlite.org/pragma.html#pragma_secure_delete).
        raw.execute("PRAGMA secure_delete=ON")
        mode = str(raw.execute("PRAGMA journal_mode").fetchone()[0])
        raw.execute("BEGIN IMMEDIATE")
        try:
            n_removed = _remove(raw, traces)
            raw.execute("COMMIT")
        except BaseException:
            raw.execute("ROLLBACK")
            raise
        if mode == "wal":
            # Empties the log, in which the rows stand, too.
            busy = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            if busy:
                raise LabelError(
                    f"{path}: another program reads the file, so that its log cannot be emptied. Close it and try again."
                )
        raw.execute("VACUUM")
        if mode == "wal":
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return n_removed


def _remove(raw: sqlite3.Connection, traces: Traces) -> int:
    triggers = raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        raw.execute(f"DROP TRIGGER {_quoted(name)}")
    raw.create_function("names", 2, lambda key, cell: isinstance(cell, str) and traces.means(key, cell))
    raw.create_function("mentions", 1, lambda cell: isinstance(cell, str) and traces.mentioned(cell))
    raw.create_function("without", 1, traces.without)
    tables = [str(name) for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    tables = [name for name in tables if not name.startswith("sqlite_")]
    n_removed = 0
    for table in tables:
        columns = [str(row[1]) for row in raw.execute(f"PRAGMA table_info({_quoted(table)})")]
        about = [name for name in columns if name != "annotator_id"]
        if table == _SAMPLES[0] and _SAMPLES[2] in tables:
            continue
        gone = " OR ".join(f"names('{name}', {_quoted(name)})" for name in about if _quotable(name))
        if table == _SAMPLES[2] and _SAMPLES[0] in tables:
            samples = f"DELETE FROM {_SAMPLES[0]} WHERE {_SAMPLES[1]} IN (SELECT row_id FROM {table} WHERE {gone})"
            n_removed += raw.execute(samples).rowcount
        n_removed += raw.execute(f"DELETE FROM {_quoted(table)} WHERE {gone}").rowcount
        for name in columns:
            column = _quoted(name)
            if table == "desk":
                # Where a window stood: of no worth once the clip is gone.
                n_removed += raw.execute(f"DELETE FROM desk WHERE mentions({column})").rowcount
            else:
                raw.execute(f"UPDATE {_quoted(table)} SET {column} = without({column}) WHERE mentions({column})")
    for _, sql in triggers:
        raw.execute(sql)
    return n_removed


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quotable(name: str) -> bool:
    return "'" not in name


def clean_postgres(address: str, traces: Traces) -> int:
    """Remove the participant's rows from a study's PostgreSQL, and write its tables anew without them; return how many.

    Raises
    ------
    LabelError
        If it cannot be reached, holds no labels of this toolkit, or is asked by an annotator.
    """
    url = parse_address(address)
    place = place_of(url)
    engine = engine_for(url, None)
    tables = {name: table for name, table in Base.metadata.tables.items() if name != "meta"}
    mine = {"mine": traces.postgres_pattern, "gone": rf"\1{GONE}\2"}
    n_removed = 0
    try:
        with explained(place), contextlib.closing(engine.connect()) as connection:
            with connection.begin():
                check_database(connection, place)
                annotator = own_annotator(connection)
                if annotator is not None:
                    raise LabelError(
                        f"{place}: you are logged in as the annotator '{annotator}'. Set PGUSER to the lab's role."
                    )
                for name in APPEND_ONLY:
                    connection.execute(text(f"ALTER TABLE {SCHEMA}.{name} DISABLE TRIGGER USER"))
                samples = "trace_id IN (SELECT row_id FROM traces WHERE clip_id ~* :mine)"
                n_removed += connection.execute(text(f"DELETE FROM trace_samples WHERE {samples}"), mine).rowcount
                for name, table in tables.items():
                    about = [column.name for column in table.columns if column.name in ("clip_id", "item_id")]
                    about += ["value"] if name == "desk" else []
                    if about:
                        where = " OR ".join(f"{column} ~* :mine" for column in about)
                        n_removed += connection.execute(text(f"DELETE FROM {name} WHERE {where}"), mine).rowcount
                    for column in table.columns:
                        if column.type.python_type is str and column.name not in about:
                            replaced = f"regexp_replace({column.name}, :mine, :gone, 'gi')"
                            update = f"UPDATE {name} SET {column.name} = {replaced} WHERE {column.name} ~* :mine"
                            connection.execute(text(update), mine)
                for name in APPEND_ONLY:
                    connection.execute(text(f"ALTER TABLE {SCHEMA}.{name} ENABLE TRIGGER USER"))
            # Removed rows stay in the server's files until a table is written anew.
            outside = connection.execution_options(isolation_level="AUTOCOMMIT")
            for name in tables:
                outside.execute(text(f"VACUUM FULL {SCHEMA}.{name}"))
    finally:
        engine.dispose()
    return n_removed
