"""One annotator's labels, open for writing.

What `write` returns is on the disk: each call is one transaction, committed with a
full sync. Nothing is changed afterwards; a new label of the same clip supersedes
the old one, and so do undo and redo. Several processes may write one log: each
transaction first takes the right to write, then looks at what is current. Who
shows the log to an annotator takes the seat as well: there is one (`take_seat`).

If a call fails, nothing of it is stored and all earlier calls stay. Calling it
again is always safe: a store finds its file or server again by itself, and where
a commit broke off with its outcome unknown, the same entries are not stored twice.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from sqlalchemy import Connection, insert, select, update

import data_schema
from data_schema.errors import LabelError
from data_schema.labels.checks import ROW_ID, check_annotator_id, check_pattern
from data_schema.labels.entries import Entry, Restored, ShownGuess, TakenBack
from data_schema.labels.entry_cells import cells_of, sample_bytes
from data_schema.labels.label import LABEL_FIELDS, Label, LabelRecord
from data_schema.labels.log_reading import LogReading, select_rows
from data_schema.labels.models import ANNOTATOR_KINDS, Base, DeskRow, LabelRow
from data_schema.labels.records import LOGS, TABLE_OF, Record, TraceSamples
from data_schema.labels.seat import SEAT_KEY, SeatTakenError, Sitting
from data_schema.vocabularies import EMOTIONS, AnnotatorKind

_CONTENT = tuple(name for name in LABEL_FIELDS if name not in ("clip_id", "task", "repetition"))
_LATER = timedelta(microseconds=1)


@dataclass(frozen=True)
class AddedRows:
    """How many rows an import brought."""

    n_added: int
    n_present: int


class LabelStore(LogReading):
    """The logs of one annotator, in a file or in a database; get one from `LabelStore.open`."""

    def __init__(self, place: str, meta: Mapping[str, str], emotions: Sequence[str]) -> None:
        self.place = place
        self.meta = dict(meta)
        self.annotator_id = self.meta["annotator_id"]
        self.annotator_kind = self.meta["annotator_kind"]
        self.emotions = tuple(emotions)
        self._lock = threading.RLock()
        self._last_stamp = datetime.min.replace(tzinfo=timezone.utc)
        # What was on its way when a transaction broke off; see `_stored_already`.
        self._unsure: tuple[tuple[Entry, ...], list[str]] | None = None
        self._last: tuple[type[Base], str] | None = None
        self._sitting: Sitting | None = None
        self._is_broken = False

    @classmethod
    def open(
        cls,
        path_or_url: Path | str,
        annotator_id: str,
        annotator_kind: str = "human",
        *,
        study_title: str = "",
        study_id: str = "",
        emotions: Sequence[str] = EMOTIONS,
        details: Mapping[str, str] | None = None,
        create: bool = True,
        by_lab: bool = False,
    ) -> LabelStore:
        """Open a label file, or make it; or go to the study's database.

        Parameters
        ----------
        path_or_url : Path or str
            The file, its ``sqlite:///`` URL, or ``postgresql://HOST/DATABASE``.
        annotator_id : str
            Who labels; a file belongs to one annotator.
        annotator_kind : {'human', 'simulated', 'model'}
            Stored in every row.
        study_title, study_id : str
            Stored in a new file; a file or a database of another `study_id` is refused.
        emotions : sequence of str
            Emotions that the study offers.
        details : mapping, optional
            Further facts for the description of a new file.
        create : bool
            Make the file if there is none. A database is made by ``emer annotate database init``.
        by_lab : bool
            Go to a database as whoever is logged in, who has to be the lab, and not as the annotator.

        Raises
        ------
        LabelError
            If the file or the database is damaged, foreign, newer, of another
            annotator or study, or cannot be written.
        """
        check_annotator_id(annotator_id)
        kind = annotator_kind.value if isinstance(annotator_kind, AnnotatorKind) else annotator_kind
        if kind not in ANNOTATOR_KINDS:
            raise LabelError(f"annotator_kind is '{kind}', expected one of {', '.join(ANNOTATOR_KINDS)}.")
        if is_server(path_or_url):
            from data_schema.labels.postgres_store import PostgresLabelStore

            return PostgresLabelStore.connect(
                str(path_or_url), annotator_id, kind, study_id=study_id, emotions=emotions, by_lab=by_lab
            )
        from data_schema.labels.sqlite_store import SqliteLabelStore

        return SqliteLabelStore.open_file(
            path_or_url,
            annotator_id,
            kind,
            {"study_title": study_title, "study_id": study_id, **(details or {})},
            emotions=emotions,
            create=create,
        )

    def add(self, label: Label) -> str:
        """Commit one label; it supersedes the current one of the same clip, task and repetition.

        Returns
        -------
        str
            The new row's id. When the call returns, the row is on the disk.

        Raises
        ------
        LabelError
            If the study does not offer the emotion, or the file cannot be
            written (disk full, read-only, locked). Earlier labels stay.
        """
        return self.write([label])[0]

    def add_many(self, labels: Iterable[Label]) -> list[str]:
        """Commit several labels in one transaction: all of them or none."""
        return self.write(labels)

    def write(self, entries: Iterable[Entry]) -> list[str]:
        """Commit entries of any kind in one transaction: all of them or none.

        Returns
        -------
        list of str
            The new rows' ids, one an entry. When the call returns, they are on the disk.

        Raises
        ------
        LabelError
            If an entry says what the study does not offer or names a row that
            is not there, or nothing can be written. Earlier rows stay.
        """
        batch = tuple(entries)
        for entry in batch:
            self._check(entry)
        if not batch:
            return []
        with self._transaction() as connection:
            known = self._stored_already(connection, batch)
            if known is None:
                row_ids = [uuid.uuid4().hex for _ in batch]
                self._unsure = (batch, row_ids)
                for entry, row_id in zip(_with_labels(batch, row_ids), row_ids, strict=True):
                    self._write_one(connection, entry, row_id)
            else:
                row_ids = known
            last = (_table_of(batch[-1]), row_ids[-1])
        self._unsure, self._last = None, last
        return row_ids

    def add_samples(self, trace_id: str, chunk: int, samples: np.ndarray) -> None:
        """Commit a chunk of a trace's raw samples; the same chunk again changes nothing.

        Parameters
        ----------
        trace_id : str
            From `write` of the `Trace`.
        chunk : int
            0 and up.
        samples : ndarray
            Structured as `data_schema.labels.models.TRACE_SAMPLE`.

        Raises
        ------
        LabelError
            If there is no such trace, the chunk is there with other samples, or
            nothing can be written.
        """
        self.add_records([TraceSamples(self.annotator_id, trace_id, chunk, sample_bytes(samples))])

    def add_records(self, records: Iterable[Record]) -> AddedRows:
        """Commit rows of any log that were written elsewhere, as they are: all of them or none.

        Rows that are here already, with the same content, are counted and left.

        Raises
        ------
        LabelError
            If a row belongs to another annotator, or has the id of a row with
            other content.
        """
        n_added = n_present = 0
        with self._transaction() as connection:
            for record in records:
                record.check()
                self._refuse_foreign(record)
                present = self._same_row(connection, record)
                if present is None:
                    connection.execute(insert(TABLE_OF[type(record)]), record.cells())
                    n_added += 1
                elif present == record:
                    n_present += 1
                else:
                    raise LabelError(
                        f"{_name(record)} is in {self.place} with other content. One of the two was altered "
                        "outside the toolkit: compare both with a backup."
                    )
        return AddedRows(n_added, n_present)

    def undo(self, task: str | None = None) -> str | None:
        """Take back the last label that has not been taken back yet (of `task`).

        A row is added that says what held before. The log itself is the stack
        of commands, so undo goes on after a restart.

        Returns
        -------
        str or None
            The new row's id; None if there is nothing to undo.
        """
        with self._transaction() as connection:
            done, _ = self._stacks(connection, task)
            return self._take_back(connection, done[-1], uuid.uuid4().hex) if done else None

    def redo(self, task: str | None = None) -> str | None:
        """Say again what was undone last (of `task`), unless something new was said since in the same task."""
        with self._transaction() as connection:
            _, undone = self._stacks(connection, task)
            return self._restore(connection, undone[-1], uuid.uuid4().hex) if undone else None

    def set_desk_value(self, key: str, text: str) -> None:
        """Commit where the annotator's window stands; the one thing that is overwritten."""
        with self._transaction() as connection:
            self._put_desk_value(connection, key, text)

    def _put_desk_value(self, connection: Connection, key: str, text: str) -> None:
        own = (DeskRow.annotator_id == self.annotator_id, DeskRow.key == key)
        if connection.execute(update(DeskRow).where(*own).values(value=text)).rowcount == 0:
            connection.execute(insert(DeskRow), {"annotator_id": self.annotator_id, "key": key, "value": text})

    def take_seat(self) -> None:
        """Be the one window or process in which the annotator works, until the store is closed or the process ends.

        Others can still read the log, and bring rows home into it.

        Raises
        ------
        SeatTakenError
            If another has the seat; it names the computer, the process and since when.
        LabelError
            If the seat cannot be taken for another reason, such as a folder that cannot be written to.
        """
        with self._lock:
            if self._sitting is not None:
                return
            sitting = Sitting.here(utc_now())
            if not self._occupy(sitting):
                raise SeatTakenError(self.place, self.annotator_id, Sitting.read(self.desk_value(SEAT_KEY)))
            self._sitting = sitting

    def _leave_seat(self) -> None:
        """Give the seat to whoever comes next; part of `close`."""
        if self._sitting is None:
            return
        self._sitting = None
        if not self._is_broken:
            with contextlib.suppress(LabelError):
                self.set_desk_value(SEAT_KEY, "")
        self._vacate()

    @abstractmethod
    def _occupy(self, sitting: Sitting) -> bool:
        """Take the lock of the seat and write down who has it; False if another has."""

    @abstractmethod
    def _vacate(self) -> None:
        """Give the lock back; may be called again."""

    @abstractmethod
    def close(self) -> None:
        """Close the file or the connection; may be called again."""

    def __enter__(self) -> LabelStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.place!r}, {self.annotator_id!r})"

    def _check(self, entry: Entry) -> None:
        if isinstance(entry, Label):
            entry.check_emotions(self.emotions)
        elif isinstance(entry, (TakenBack, Restored)):
            check_pattern("row_id", entry.row_id, ROW_ID, "the row_id of a label")
        else:
            cells_of(entry)

    def _stored_already(self, connection: Connection, batch: tuple[Entry, ...]) -> list[str] | None:
        """Return the row ids if `batch` is what broke off last time and it reached the disk all the same.

        When a drive or a connection fails while a commit is on its way, nobody can
        tell whether it was carried out until the log can be read again.
        """
        if self._unsure is None or self._unsure[0] != batch:
            return None
        entry, row_id = self._unsure[0][0], self._unsure[1][0]
        row_ids = _table_of(entry).__table__.columns["row_id"]
        found = connection.execute(select(row_ids).where(row_ids == row_id)).first()
        return None if found is None else self._unsure[1]

    def _write_one(self, connection: Connection, entry: Entry, row_id: str) -> None:
        if isinstance(entry, Label):
            tip = self._tip(connection, entry.key)
            cells = {name: getattr(entry, name) for name in LABEL_FIELDS}
            self._insert_label(connection, row_id, "label", tip.row_id if tip else None, cells)
        elif isinstance(entry, TakenBack):
            self._take_back(connection, self._label_row(connection, entry.row_id), row_id)
        elif isinstance(entry, Restored):
            self._restore(connection, self._label_row(connection, entry.row_id), row_id)
        else:
            table, cells = cells_of(entry)
            self._insert(connection, table, row_id, cells)

    def _label_row(self, connection: Connection, row_id: str) -> LabelRecord:
        found = self._select(connection, LabelRow.row_id == row_id)
        if not found:
            raise LabelError(
                f"{self.place}: there is no label {row_id} of {self.annotator_id} to take back or restore."
            )
        return found[0]

    def _take_back(self, connection: Connection, row: LabelRecord, row_id: str) -> str:
        before = self._select(connection, LabelRow.row_id == row.supersedes) if row.supersedes else []
        cells = {name: getattr(row, name) for name in LABEL_FIELDS}
        if before:
            cells.update({name: getattr(before[0], name) for name in _CONTENT})
        else:
            cells.update(dict.fromkeys(_CONTENT), clip_sha256=row.clip_sha256, view=row.view, comment="")
        return self._insert_label(connection, row_id, "undo", self._tip_id(connection, row), cells)

    def _restore(self, connection: Connection, row: LabelRecord, row_id: str) -> str:
        cells = {name: getattr(row, name) for name in LABEL_FIELDS}
        return self._insert_label(connection, row_id, "redo", self._tip_id(connection, row), cells)

    def _select(self, connection: Connection, *conditions: Any) -> list[LabelRecord]:
        return select_rows(connection, "labels", self.annotator_id, *conditions)

    def _tip(self, connection: Connection, key: tuple[str, str, int]) -> LabelRecord | None:
        """Return the last row of a clip, task and repetition that no row supersedes."""
        clip_id, task, repetition = key
        rows = self._select(
            connection, LabelRow.clip_id == clip_id, LabelRow.task == task, LabelRow.repetition == repetition
        )
        superseded = {row.supersedes for row in rows}
        tips = [row for row in rows if row.row_id not in superseded]
        return tips[-1] if tips else None

    def _tip_id(self, connection: Connection, record: LabelRecord) -> str:
        return (self._tip(connection, record.key) or record).row_id

    def _stacks(self, connection: Connection, task: str | None) -> tuple[list[LabelRecord], list[LabelRecord]]:
        """Replay the log into what is done and what is undone.

        The two tasks are separate passes: an undo or redo row belongs to the last
        row of its own task.
        """
        done: list[LabelRecord] = []
        undone: list[LabelRecord] = []
        for row in self._select(connection, None if task is None else LabelRow.task == task):
            if row.action == "label":
                done.append(row)
                undone = [other for other in undone if other.task != row.task]
            else:
                source, target = (done, undone) if row.action == "undo" else (undone, done)
                last = next((i for i in reversed(range(len(source))) if source[i].task == row.task), None)
                if last is not None:
                    target.append(source.pop(last))
        return done, undone

    def _insert_label(
        self, connection: Connection, row_id: str, action: str, supersedes: str | None, cells: Mapping[str, Any]
    ) -> str:
        return self._insert(connection, LabelRow, row_id, {**cells, "action": action, "supersedes": supersedes})

    def _insert(self, connection: Connection, table: type[Base], row_id: str, cells: Mapping[str, Any]) -> str:
        who_and_when = {
            "row_id": row_id,
            "annotator_id": self.annotator_id,
            "annotator_kind": self.annotator_kind,
            "created_utc": self._stamp(),
            "toolkit_version": data_schema.__version__,
        }
        connection.execute(insert(table), {**cells, **who_and_when})
        return row_id

    def _stamp(self) -> str:
        """Return the time of a row; each is later than the one before, also where a clock is coarse or set back."""
        self._last_stamp = max(datetime.now(timezone.utc), self._last_stamp + _LATER)
        return _written(self._last_stamp)

    def _refuse_foreign(self, record: Record) -> None:
        kind = self.annotator_kind if isinstance(record, TraceSamples) else record.annotator_kind
        if (record.annotator_id, kind) != (self.annotator_id, self.annotator_kind):
            raise LabelError(
                f"{_name(record)} is by {record.annotator_id} ({kind}), but "
                f"{self.place} holds labels of {self.annotator_id} ({self.annotator_kind}) only."
            )

    def _same_row(self, connection: Connection, record: Record) -> Record | None:
        """Return the row that has the identity of `record`, if there is one."""
        name = next(name for name, (_, kind) in LOGS.items() if kind is type(record))
        columns = TABLE_OF[type(record)].__table__.columns
        if isinstance(record, TraceSamples):
            traces = LOGS["traces"][0].__table__.columns["row_id"]
            if connection.execute(select(traces).where(traces == record.trace_id)).first() is None:
                raise LabelError(f"{self.place}: there is no trace {record.trace_id} to add samples to.")
            same = [columns["trace_id"] == record.trace_id, columns["chunk"] == record.chunk]
        else:
            same = [columns["row_id"] == record.row_id]
        found: list[Record] = select_rows(connection, name, None, *same)
        return found[0] if found else None


def is_server(path_or_url: Path | str) -> bool:
    """Tell whether labels are kept at a database server rather than in a file."""
    return isinstance(path_or_url, str) and path_or_url.startswith("postgresql://")


def utc_now() -> str:
    """Return the time as the log writes it: ISO 8601, microseconds, UTC."""
    return _written(datetime.now(timezone.utc))


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _with_labels(batch: tuple[Entry, ...], row_ids: list[str]) -> list[Entry]:
    """Let each guess name the label that is committed with it."""
    named: list[Entry] = []
    label_row_id: str | None = None
    for entry, row_id in zip(batch, row_ids, strict=True):
        if isinstance(entry, Label):
            label_row_id = row_id
        elif isinstance(entry, ShownGuess) and entry.label_row_id is None:
            entry = replace(entry, label_row_id=label_row_id)
        named.append(entry)
    return named


def _table_of(entry: Entry) -> type[Base]:
    return LabelRow if isinstance(entry, (Label, TakenBack, Restored)) else cells_of(entry)[0]


def _name(record: Record) -> str:
    if isinstance(record, TraceSamples):
        return f"chunk {record.chunk} of trace {record.trace_id}"
    return f"row {record.row_id}"
