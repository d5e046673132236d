"""A label store in the study's PostgreSQL, where annotators work at once."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from data_schema.errors import LabelError
from data_schema.labels.postgres import (
    check_database,
    engine_for,
    explained,
    own_annotator,
    parse_address,
    place_of,
    read_meta,
    role_of,
)
from data_schema.labels.store import LabelStore

_log = logging.getLogger(__name__)
#: The desk row that a writer locks. A lock on a row of one's own, since nobody else can take that one.
_WRITER_KEY = "writer"


class PostgresLabelStore(LabelStore):
    """The logs of one annotator in the study's database; get one from `LabelStore.open`."""

    def __init__(
        self, engine: Engine, connection: Connection, place: str, meta: Mapping[str, str], emotions: Sequence[str]
    ) -> None:
        super().__init__(place, meta, emotions)
        self._engine = engine
        self._connection = connection
        self._is_open = True
        self._is_broken = False

    @classmethod
    def connect(
        cls, address: str, annotator_id: str, annotator_kind: str, *, study_id: str, emotions: Sequence[str]
    ) -> PostgresLabelStore:
        """Connect as the annotator, or as the lab's role for an annotator; see `LabelStore.open`."""
        url = parse_address(address)
        place = place_of(url)
        engine = engine_for(url, role_of(url, annotator_id))
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
            self._is_open = False
            with contextlib.suppress(SQLAlchemyError):
                self._connection.close()

    def _find_server(self) -> None:
        """Connect again if the last transaction broke off."""
        if not self._is_open:
            raise LabelError(f"{self.place}: this label store was closed. Open it again to go on.")
        if self._is_broken:
            with contextlib.suppress(SQLAlchemyError):
                self._connection.close()
            self._connection = self._engine.connect()
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
