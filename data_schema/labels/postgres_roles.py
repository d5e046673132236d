"""Make a study's label tables in PostgreSQL, and let annotators in and out.

The lab's role owns everything. Each annotator is a login role that can do two
things: add rows that carry the annotator's own id, and read those. The server
enforces it: row level security by who logged in, no right to change or remove a
row, none to make anything, and triggers that refuse changes to the lab's role too.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

import data_schema
from data_schema.errors import LabelError
from data_schema.labels.checks import check_annotator_id, check_word
from data_schema.labels.models import ANNOTATOR_KINDS, APPEND_ONLY, SCHEMA_VERSION, Base
from data_schema.labels.postgres import (
    SCHEMA,
    check_database,
    engine_for,
    explained,
    own_annotator,
    parse_address,
    place_of,
    protected_tables,
    read_meta,
    role_of,
)

_log = logging.getLogger(__name__)
#: More windows than anybody has open; the server's connections (100 by default) are for all.
_CONNECTIONS = 10


@dataclass(frozen=True)
class Access:
    """What an annotator needs to log in; the password is nowhere else."""

    role: str
    password: str
    pgpass_line: str


def init_database(address: str, *, study_id: str = "", study_title: str = "") -> bool:
    """Make the label tables of a study, whole or not at all.

    Parameters
    ----------
    address : str
        ``postgresql://HOST/DATABASE``; the role that connects becomes the owner.
    study_id, study_title : str
        Stored; an annotator of another `study_id` is refused.

    Returns
    -------
    bool
        False if they are there already.

    Raises
    ------
    LabelError
        If the server cannot be reached, the role may not make tables or roles,
        or the tables there belong to another study.
    """
    url = parse_address(address)
    with _connected(url) as connection:
        here = text("SELECT to_regclass(:name) IS NOT NULL")
        if connection.execute(here, {"name": f"{SCHEMA}.meta"}).scalar_one():
            check_database(connection, place_of(url))
            found = read_meta(connection)
            if study_id and found.get("study_id") and found["study_id"] != study_id:
                raise LabelError(
                    f"{place_of(url)}: holds the labels of another study ('{found.get('study_title', '')}'). "
                    "Give each study a database of its own."
                )
            return False
        meta = {
            "schema_version": str(SCHEMA_VERSION),
            "study_id": study_id,
            "study_title": study_title,
            "created_utc": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "toolkit_version": data_schema.__version__,
        }
        _make_tables(connection, meta)
        _protect(connection, _group(url))
        _close_database(connection, url)
    return True


def add_annotator(
    address: str, annotator_id: str, annotator_kind: str = "human", *, new_password: bool = False
) -> Access:
    """Make the login role of an annotator, with a password that is returned and kept nowhere.

    Parameters
    ----------
    address : str
        ``postgresql://HOST/DATABASE``; the lab's role connects.
    annotator_id : str
        Whose role.
    annotator_kind : {'human', 'simulated', 'model'}
        What the annotator is.
    new_password : bool
        Give a role that is there a new password; the old one is no longer good.

    Raises
    ------
    LabelError
        If the annotator has a role already, or is of another kind.
    """
    check_annotator_id(annotator_id)
    check_word("annotator_kind", annotator_kind, ANNOTATOR_KINDS)
    url = parse_address(address)
    role, password = role_of(url, annotator_id), secrets.token_urlsafe(18)
    with _connected(url) as connection:
        _check_lab(connection, url)
        query = text("SELECT annotator_kind, role_name FROM annotators WHERE annotator_id = :annotator")
        known = connection.execute(query, {"annotator": annotator_id}).first()
        if known is not None and known.annotator_kind != annotator_kind:
            raise LabelError(
                f"'{annotator_id}' is a {known.annotator_kind} annotator, not a {annotator_kind} one. "
                "Give the other an id of its own."
            )
        has_role = known is not None and known.role_name is not None
        if has_role and not new_password:
            raise LabelError(
                f"'{annotator_id}' can log in already, as {role}. A lost password is replaced with --new-password."
            )
        # Where a role could only be locked (see `_end_role`), it is let in again.
        is_locked = text("SELECT 1 FROM pg_roles WHERE rolname = :role AND NOT rolcanlogin AND NOT rolsuper")
        is_there = has_role or connection.execute(is_locked, {"role": role}).first() is not None
        verb = "ALTER ROLE" if is_there else "CREATE ROLE"
        _run(
            connection,
            f"{verb} {_quoted(role)} LOGIN CONNECTION LIMIT {_CONNECTIONS} "
            f"PASSWORD '{_hashed(connection, role, password)}'",
        )
        if not has_role:
            _run(connection, f"GRANT {_quoted(_group(url))} TO {_quoted(role)}")
        connection.execute(
            text(
                "INSERT INTO annotators (annotator_id, annotator_kind, role_name) VALUES (:annotator, :kind, :role) "
                "ON CONFLICT (annotator_id) DO UPDATE SET role_name = EXCLUDED.role_name"
            ),
            {"annotator": annotator_id, "kind": annotator_kind, "role": role},
        )
    host = url.host or "localhost"
    line = f"{host}:{url.port or 5432}:{url.database}:{role}:{password}"
    return Access(role, password, line)


def drop_access(address: str, annotator_id: str | None = None) -> list[str]:
    """Remove the login roles of all annotators, or of one; every row stays.

    Returns
    -------
    list of str
        Whose role was removed. Also who is connected at the moment can read and write nothing more.
    """
    url = parse_address(address)
    with _connected(url) as connection:
        _check_lab(connection, url)
        query = text(
            "SELECT annotator_id, role_name FROM annotators WHERE role_name IS NOT NULL "
            "AND (CAST(:annotator AS text) IS NULL OR annotator_id = :annotator) ORDER BY annotator_id"
        )
        found = connection.execute(query, {"annotator": annotator_id}).all()
        if annotator_id is not None and not found:
            raise LabelError(f"{place_of(url)}: '{annotator_id}' has no role here. Check the name.")
        for row in found:
            _end_role(connection, str(row.role_name), _group(url))
            connection.execute(
                text("UPDATE annotators SET role_name = NULL WHERE annotator_id = :annotator"),
                {"annotator": row.annotator_id},
            )
    return [str(row.annotator_id) for row in found]


def _end_role(connection: Connection, role: str, group: str) -> None:
    """Remove a role with what it owns, or else shut it out: nobody may stay by leaving something behind.

    Everyone who logs in may make large objects, and things in other databases of the server.
    """
    if connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}).first() is None:
        return
    try:
        with connection.begin_nested():
            _run(connection, f"GRANT {_quoted(role)} TO CURRENT_USER", f"DROP OWNED BY {_quoted(role)}")
            _run(connection, f"DROP ROLE {_quoted(role)}")
    except DBAPIError as error:
        _log.warning(
            "the role %s owns something elsewhere on the server; it is locked, not removed: %s", role, error.orig
        )
        _run(connection, f"ALTER ROLE {_quoted(role)} NOLOGIN PASSWORD NULL")
        _run(connection, f"REVOKE {_quoted(group)} FROM {_quoted(role)}")


@contextlib.contextmanager
def _connected(url: URL) -> Iterator[Connection]:
    """Begin a transaction of the lab's role; errors come out in words."""
    with explained(place_of(url)), engine_for(url, None).connect() as connection, connection.begin():
        yield connection


def _check_lab(connection: Connection, url: URL) -> None:
    check_database(connection, place_of(url))
    annotator = own_annotator(connection)
    if annotator is not None:
        raise LabelError(
            f"{place_of(url)}: you are logged in as the annotator '{annotator}'. Set PGUSER to the lab's role."
        )


def _make_tables(connection: Connection, meta: Mapping[str, str]) -> None:
    _run(connection, f"CREATE SCHEMA {SCHEMA}")
    Base.metadata.create_all(connection)
    for table in protected_tables():
        if "seq" in Base.metadata.tables[table].columns:
            _number_rows(connection, table)
    kinds = ", ".join(f"'{kind}'" for kind in ANNOTATOR_KINDS)
    _run(
        connection,
        f"CREATE TABLE annotators (annotator_id varchar(64) PRIMARY KEY, annotator_kind varchar(16) NOT NULL "
        f"CHECK (annotator_kind IN ({kinds})), role_name varchar(63) UNIQUE)",
    )
    for key, value in meta.items():
        connection.execute(text("INSERT INTO meta VALUES (:key, :value)"), {"key": key, "value": value})
    # SECURITY DEFINER: an annotator may ask who they are, and not read the table of all. session_user,
    # not current_user, since SET ROLE does not change it.
    for name, column in (("own_annotator", "annotator_id"), ("own_kind", "annotator_kind")):
        _run(
            connection,
            f"CREATE FUNCTION {name}() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER "
            f"SET search_path = {SCHEMA}, pg_temp AS "
            f"'SELECT {column}::text FROM {SCHEMA}.annotators WHERE role_name = session_user'",
        )
    _run(
        connection,
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_ARGV[0]; END $$",
    )


def _number_rows(connection: Connection, table: str) -> None:
    """Let the server alone draw the numbers of a table's rows.

    Whoever may use the sequence of a serial column can also use up its numbers, after which nobody could label.
    """
    _run(
        connection,
        f"ALTER TABLE {table} ALTER seq DROP DEFAULT",
        f"DROP SEQUENCE {table}_seq_seq",
        f"ALTER TABLE {table} ALTER seq TYPE bigint",
        f"ALTER TABLE {table} ALTER seq ADD GENERATED BY DEFAULT AS IDENTITY",
    )


def _protect(connection: Connection, group: str) -> None:
    """Let the annotators' group do what it needs to and no more, and nobody change what was said."""
    for table, refusal in APPEND_ONLY.items():
        refuse = f"EXECUTE FUNCTION refuse_change('{refusal}')"
        _run(
            connection,
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {refuse}",
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {refuse}",
        )
    group_there = text("SELECT 1 FROM pg_roles WHERE rolname = :name")
    if connection.execute(group_there, {"name": group}).first() is None:
        _run(connection, f"CREATE ROLE {_quoted(group)} NOLOGIN")
    to = f"TO {_quoted(group)}"
    _run(
        connection,
        f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {SCHEMA} FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA {SCHEMA} {to}",
        f"GRANT EXECUTE ON FUNCTION own_annotator(), own_kind() {to}",
        f"GRANT SELECT ON meta {to}",
    )
    for table in protected_tables():
        columns = Base.metadata.tables[table].columns.keys()
        # A seq of one's own choice could take a number before another annotator's row gets it.
        given = ", ".join(_quoted(name) for name in columns if name != "seq")
        mine = "annotator_id = (SELECT own_annotator())"
        new = mine
        if "annotator_kind" in columns:
            new += " AND annotator_kind = (SELECT own_kind())"
        if table == "trace_samples":
            new += " AND EXISTS (SELECT 1 FROM traces WHERE traces.row_id = trace_samples.trace_id)"
        _run(
            connection,
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"GRANT SELECT, INSERT ({given}) ON {table} {to}",
            f"CREATE POLICY own_read ON {table} FOR SELECT {to} USING ({mine})",
            f"CREATE POLICY own_write ON {table} FOR INSERT {to} WITH CHECK ({new})",
        )
    _run(
        connection,
        f"GRANT UPDATE (value) ON desk {to}",
        "CREATE POLICY own_change ON desk FOR UPDATE "
        f"{to} USING (annotator_id = (SELECT own_annotator())) WITH CHECK (annotator_id = (SELECT own_annotator()))",
    )


def _close_database(connection: Connection, url: URL) -> None:
    """Take from everyone what PostgreSQL gives to everyone: temporary tables, functions in ``public``.

    Raises
    ------
    LabelError
        If the lab's role does not own the database and something stays open.
    """
    database, group = _quoted(str(url.database)), _quoted(_group(url))
    statements = [
        f"REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {database} TO {group}",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    ]
    _run(connection, *statements[:2])
    query = "SELECT has_database_privilege(:group, :database, 'TEMP') OR has_database_privilege(:group, :database, 'CREATE')"
    names = {"group": _group(url), "database": url.database}
    is_open = connection.execute(text(query), names).scalar_one()
    # In PostgreSQL before 15 everyone may make functions in public, and the server's administrator owns it.
    query = "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'public' AND has_schema_privilege(:group, oid, 'CREATE'))"
    if connection.execute(text(query), {"group": _group(url)}).scalar_one():
        _run(connection, statements[2])
        is_open |= connection.execute(text(query), {"group": _group(url)}).scalar_one()
    if is_open:
        raise LabelError(
            f"{place_of(url)}: annotators could make tables or functions of their own here, since the lab's role does "
            "not own the database. Nothing was made. Let the server's administrator run this, then try again:\n  "
            + "\n  ".join(f"{statement};" for statement in (statements[0], statements[2]))
        )


def _group(url: URL) -> str:
    return role_of(url, "annotators")


def _hashed(connection: Connection, role: str, password: str) -> str:
    """Return what the server keeps of a password, so that it stands in no log of statements."""
    driver = connection.connection.driver_connection
    if driver is None:
        raise TypeError("the connection is closed")
    hashed: bytes = driver.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
    return hashed.decode()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _run(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)
