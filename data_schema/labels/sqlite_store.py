"""A label store in a SQLite file."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from filelock import FileLock
from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

import data_schema
from data_schema.errors import LabelError
from data_schema.labels.models import SCHEMA_VERSION
from data_schema.labels.seat import SEAT_KEY, SeatTakenError, Sitting, lock_file
from data_schema.labels.sqlite_file import (
    create_label_file,
    explained,
    open_for_writing,
    read_meta,
    resolve_label_path,
)
from data_schema.labels.store import LabelStore, utc_now

_log = logging.getLogger(__name__)


class SqliteLabelStore(LabelStore):
    """The logs of one annotator in one file; get one from `LabelStore.open`."""

    def __init__(self, path: Path, connection: Connection, meta: Mapping[str, str], emotions: Sequence[str]) -> None:
        super().__init__(path.name, meta, emotions)
        self.path = path
        self._connection = connection
        self._is_open = True
        self._seat_lock: FileLock | None = None
        self._identity = _identity(path)

    @classmethod
    def open_file(
        cls,
        path_or_url: Path | str,
        annotator_id: str,
        annotator_kind: str,
        details: Mapping[str, str],
        *,
        emotions: Sequence[str],
        create: bool,
    ) -> SqliteLabelStore:
        """Open a label file, or make it; see `LabelStore.open`. `details` describe a new file."""
        path = resolve_label_path(path_or_url)
        with explained(path):
            is_new = not path.exists()
        if is_new:
            if not create:
                raise LabelError(f"{path}: there is no such label file. Check the annotator's name.")
            meta = {
                **details,
                "schema_version": str(SCHEMA_VERSION),
                "annotator_id": annotator_id,
                "annotator_kind": annotator_kind,
                "created_utc": utc_now(),
                "toolkit_version": data_schema.__version__,
            }
            create_label_file(path, meta)
        connection = open_for_writing(path)
        try:
            with explained(path), connection.begin():
                found = read_meta(connection)
            _check_owner(path, found, annotator_id, annotator_kind, details["study_id"])
        except LabelError:
            connection.close()
            raise
        title = details["study_title"]
        if title and found.get("study_title") and found["study_title"] != title:
            _log.warning("%s was made in the study '%s', not '%s'", path.name, found["study_title"], title)
        return cls(path, connection, found, emotions)

    @property
    def journal_mode(self) -> str:
        """SQLite's journal: ``wal`` on a local disk, ``delete`` (rollback) elsewhere."""
        with self._transaction() as connection:
            return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one())

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._lock:
            try:
                with explained(self.path):
                    self._find_file()
                    with self._connection.begin():
                        yield self._connection
            except LabelError as error:
                if _drive_failed(error.__cause__):
                    self._is_broken = True
                raise

    def close(self) -> None:
        """Close the file; may be called again."""
        with self._lock:
            self._leave_seat()
            self._is_open = False
            self._connection.close()

    def _occupy(self, sitting: Sitting) -> bool:
        with explained(self.path):
            self._seat_lock = lock_file(self.path)
        if self._seat_lock is None:
            return False
        try:
            self.set_desk_value(SEAT_KEY, sitting.text)
        except LabelError:
            self._vacate()
            raise
        return True

    def _vacate(self) -> None:
        if self._seat_lock is not None:
            self._seat_lock.release(force=True)
            self._seat_lock = None

    def _find_file(self) -> None:
        """Open the file again if its drive failed, or if its place holds another file than the open one.

        An open file can be written to after its folder was renamed or its share came
        back at another mount; rows would then go where nobody looks for them.
        """
        if not self._is_open:
            raise LabelError(f"{self.path}: this label store was closed. Open it again to go on.")
        try:
            identity = _identity(self.path)
        except FileNotFoundError as error:
            raise LabelError(
                f"{self.path}: the file is no longer in its place; its drive was probably taken away. This was not saved, "
                "all earlier labels are, in that file. Connect the drive again, then give it again."
            ) from error
        if not self._is_broken and identity == self._identity:
            return
        self._is_broken = True
        connection = open_for_writing(self.path)
        try:
            with connection.begin():
                found = read_meta(connection)
                self._check_same_log(connection, found)
                self._sit_again(connection)
        except BaseException:
            connection.close()
            raise
        with contextlib.suppress(SQLAlchemyError, sqlite3.Error):
            self._connection.close()
        self._connection, self._identity, self._is_broken = connection, _identity(self.path), False
        _log.warning("%s was away and is back; it holds all that was saved", self.path)

    def _sit_again(self, connection: Connection) -> None:
        """Take the seat at the file that is there now: the old lock may lie on a drive that is gone."""
        if self._sitting is None:
            return
        self._vacate()
        self._seat_lock = lock_file(self.path)
        if self._seat_lock is None:
            there = Sitting.read(self._desk_value(connection, SEAT_KEY))
            raise SeatTakenError(self.place, self.annotator_id, there)
        self._put_desk_value(connection, SEAT_KEY, self._sitting.text)

    def _check_same_log(self, connection: Connection, found: Mapping[str, str]) -> None:
        _check_owner(self.path, found, self.annotator_id, self.annotator_kind, self.meta.get("study_id", ""))
        if self._last is None:
            return
        table, row_id = self._last
        row_ids = table.__table__.columns["row_id"]
        if connection.execute(select(row_ids).where(row_ids == row_id)).first() is None:
            raise LabelError(
                f"{self.path}: another file was put in this place; it lacks the last rows that were saved. "
                "Bring the file back that was open, or close the program and name the right one."
            )


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _drive_failed(cause: BaseException | None) -> bool:
    """Tell whether the open file can no longer be trusted to be the one at its place."""
    if isinstance(cause, DBAPIError):
        low = str(cause.orig).lower()
        return not isinstance(cause, IntegrityError) and not any(word in low for word in ("full", "locked", "busy"))
    return isinstance(cause, OSError)


def _check_owner(path: Path, meta: Mapping[str, str], annotator_id: str, kind: str, study_id: str) -> None:
    owner, owner_kind = meta.get("annotator_id", ""), meta.get("annotator_kind", "")
    if owner != annotator_id:
        raise LabelError(
            f"{path}: holds the labels of '{owner}', not of '{annotator_id}'. "
            "Each annotator has a file: name theirs, or a new one."
        )
    if owner_kind != kind:
        raise LabelError(
            f"{path}: '{owner}' is a {owner_kind} annotator, not a {kind} one. Give the other an id of its own."
        )
    if study_id and meta.get("study_id") and meta["study_id"] != study_id:
        raise LabelError(f"{path}: belongs to another study ('{meta.get('study_title', '')}'). Name the right file.")
