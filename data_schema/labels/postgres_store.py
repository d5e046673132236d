"""A label store in the study's PostgreSQL, where annotators work at once."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from data_schema.errors import LabelError
from data_schema.labels.postgres import (
    SCHEMA,
    check_database,
    engine_for,
    explained,
    own_annotator,
    parse_address,
    place_of,
    read_meta,
    role_of,
)
from data_schema.labels.seat import SEAT_KEY, SeatTakenError, Sitting
from data_schema.labels.store import LabelStore

_log = logging.getLogger(__name__)
#: The desk row that a writer locks. A lock on a row of one's own, since nobody else can take that one.
_WRITER_KEY = "writer"
#: Whether an advisory lock is held by the annotator, the lab (who owns the schema) or the server's administrator.
#: PostgreSQL shows its 64 bits in halves; objsubid 1 says that it is one number and not two.
_HELD = f"""
SELECT EXISTS (
    SELECT 1 FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_roles r ON r.oid = a.usesysid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.classid = CAST(CAST(:high AS bigint) AS oid) AND l.objid = CAST(CAST(:low AS bigint) AS oid)
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (r.rolsuper OR r.rolname IN (session_user, :own_role)
         OR r.oid = (SELECT nspowner FROM pg_namespace WHERE nspname = '{SCHEMA}'))
)"""


class PostgresLabelStore(LabelStore):
    """The logs of one annotator in the study's database; get one from `LabelStore.open`."""

    def __init__(
        self, engine: Engine, connection: Connection, place: str, meta: Mapping[str, str], emotions: Sequence[str]
    ) -> None:
        super().__init__(place, meta, emotions)
        self._engine = engine
        self._connection = connection
        self._is_open = True
        #: Number and start of the server's process that holds the seat for us.
        self._backend: tuple[int, datetime] | None = None

    @classmethod
    def connect(
        cls,
        address: str,
        annotator_id: str,
        annotator_kind: str,
        *,
        study_id: str,
        emotions: Sequence[str],
        by_lab: bool = False,
    ) -> PostgresLabelStore:
        """Connect as the annotator, or as the lab's role for an annotator; see `LabelStore.open`."""
        url = parse_address(address)
        place = place_of(url)
        engine = engine_for(url, None if by_lab else role_of(url, annotator_id))
        with explained(place):
            connection = engine.connect()
        try:
            with explained(place), connection.begin():
                check_database(connection, place)
                meta = read_meta(connection)
                _check_study(place, meta, study_id)
                _check_annotator(connection, place, annotator_id, annotator_kind)
                connection.execute(
                    text(
                        "INSERT INTO desk (annotator_id, key, value) VALUES (:annotator, :key, '') ON CONFLICT DO NOTHING"
                    ),
                    {"annotator": annotator_id, "key": _WRITER_KEY},
                )
        except LabelError:
            connection.close()
            raise
        _lock_at_begin(engine, annotator_id)
        meta = {**meta, "annotator_id": annotator_id, "annotator_kind": annotator_kind}
        return cls(engine, connection, place, meta, emotions)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._lock:
            try:
                with explained(self.place):
                    self._find_server()
                    with self._connection.begin():
                        yield self._connection
            except LabelError as error:
                cause = error.__cause__
                self._is_broken |= isinstance(cause, DBAPIError) and not isinstance(cause, IntegrityError)
                raise

    def close(self) -> None:
        """Close the connection; may be called again."""
        with self._lock:
            self._leave_seat()
            self._is_open = False
            with contextlib.suppress(SQLAlchemyError):
                self._connection.close()

    def _occupy(self, sitting: Sitting) -> bool:
        with self._transaction() as connection:
            return self._sit(connection, sitting)

    def _vacate(self) -> None:
        """Nothing: the lock ends with the connection, which is closed now."""

    def _sit(self, connection: Connection, sitting: Sitting) -> bool:
        """Take the seat for as long as the connection lasts, unless another window has it.

        The row that each transaction locks lets one window of the annotator in here at a time, and the desk row
        says which lock to look for. Anyone could take a lock whose number was fixed; this one is drawn anew each time, and
        counts as taken only where the annotator or the lab holds it.
        """
        there = Sitting.read(self._desk_value(connection, SEAT_KEY))
        if there is not None and there != self._sitting and self._holds(connection, there):
            return False
        connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": sitting.number})
        self._put_desk_value(connection, SEAT_KEY, sitting.text)
        mine = text("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        row = connection.execute(mine).one()
        self._backend = (int(row.pid), row.backend_start)
        return True

    def _holds(self, connection: Connection, sitting: Sitting) -> bool:
        """Tell whether the lock of a sitting is held by one of those who may write the annotator's rows."""
        high, low = divmod(sitting.number % 2**64, 2**32)
        own_role = role_of(self._engine.url, self.annotator_id)
        return bool(connection.execute(text(_HELD), {"high": high, "low": low, "own_role": own_role}).scalar_one())

    def _sit_again(self, sitting: Sitting) -> None:
        """Take the seat on a new connection. The server may not have noticed yet that the old one is gone."""
        if self._backend is not None:
            # The start as well: the number may be another's by now.
            end = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid = %s AND backend_start = %s AND usename = session_user"
            )
            # Past `_lock_at_begin`: the old connection may hold that row too. Where it fails, the wait for it decides.
            failed = self._engine.dialect.loaded_dbapi.Error
            with contextlib.suppress(failed), contextlib.closing(self._engine.raw_connection()) as raw:
                raw.cursor().execute(end, self._backend)
                raw.commit()
        again = Sitting.here(sitting.since_utc)
        with self._connection.begin():
            is_ours = self._sit(self._connection, again)
            there = Sitting.read(self._desk_value(self._connection, SEAT_KEY))
        if not is_ours:
            raise SeatTakenError(self.place, self.annotator_id, there)
        self._sitting = again

    def _find_server(self) -> None:
        """Connect again if the last transaction broke off."""
        if not self._is_open:
            raise LabelError(f"{self.place}: this label store was closed. Open it again to go on.")
        if self._is_broken:
            with contextlib.suppress(SQLAlchemyError):
                self._connection.close()
            self._connection = self._engine.connect()
            if self._sitting is not None:
                self._sit_again(self._sitting)
            self._is_broken = False
            _log.warning("connected to %s again", self.place)


def _lock_at_begin(engine: Engine, annotator_id: str) -> None:
    """Let each transaction first take the right to write this annotator's rows, so that chains stay unbroken."""

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.execute(
            text("SELECT 1 FROM desk WHERE annotator_id = :annotator AND key = :key FOR UPDATE"),
            {"annotator": annotator_id, "key": _WRITER_KEY},
        )


def _check_study(place: str, meta: Mapping[str, str], study_id: str) -> None:
    if study_id and meta.get("study_id") and meta["study_id"] != study_id:
        raise LabelError(
            f"{place}: belongs to another study ('{meta.get('study_title', '')}'). "
            "Name the right database in study.toml, [labels]."
        )


def _check_annotator(connection: Connection, place: str, annotator_id: str, kind: str) -> None:
    """Check that the role may write for the annotator; the lab's may for all, and enters who is new."""
    own = own_annotator(connection)
    if own is not None:
        known_kind = str(connection.execute(text("SELECT own_kind()")).scalar_one())
        if own != annotator_id:
            raise LabelError(
                f"{place}: you are logged in as the annotator '{own}', not as '{annotator_id}'. "
                "Each annotator has a role: unset PGUSER, or name your own."
            )
    else:
        query = text("SELECT annotator_kind FROM annotators WHERE annotator_id = :annotator")
        known_kind = str(connection.execute(query, {"annotator": annotator_id}).scalar() or "")
        if not known_kind:
            known_kind = kind
            connection.execute(
                text("INSERT INTO annotators (annotator_id, annotator_kind) VALUES (:annotator, :kind)"),
                {"annotator": annotator_id, "kind": kind},
            )
    if known_kind != kind:
        raise LabelError(
            f"{place}: '{annotator_id}' is a {known_kind} annotator, not a {kind} one. Give the other an id of its own."
        )
