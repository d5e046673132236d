"""One annotator's label file, open for writing.

What `add` returns is on the disk: each call is one transaction, committed with a
full sync. Nothing is changed afterwards; a new label of the same clip supersedes
the old one, and so do undo and redo. Several processes may write one file: each
transaction first takes the right to write, then looks at what is current.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from sqlalchemy import Connection, and_, insert, select
from sqlalchemy.orm import aliased

import data_schema
from data_schema.errors import LabelError
from data_schema.labels.database import (
    create_label_file,
    explained,
    open_for_writing,
    read_meta,
    resolve_label_path,
)
from data_schema.labels.label import LABEL_FIELDS, Label, LabelRecord, check_annotator_id
from data_schema.labels.models import ANNOTATOR_KINDS, COLUMN_NAMES, SCHEMA_VERSION, LabelRow
from data_schema.vocabularies import EMOTIONS, AnnotatorKind

_log = logging.getLogger(__name__)
_COLUMNS = tuple(getattr(LabelRow, name) for name in COLUMN_NAMES)
_CONTENT = tuple(name for name in LABEL_FIELDS if name not in ("clip_id", "task", "repetition"))


@dataclass(frozen=True)
class AddedRows:
    """How many rows an import brought."""

    n_added: int
    n_present: int


class LabelStore:
    """The label log of one annotator; get one from `LabelStore.open`."""

    def __init__(self, path: Path, connection: Connection, meta: Mapping[str, str], emotions: Sequence[str]) -> None:
        self.path = path
        self.meta = dict(meta)
        self.emotions = tuple(emotions)
        self._connection = connection
        self._lock = threading.RLock()

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
    ) -> LabelStore:
        """Open a label file, or make it.

        Parameters
        ----------
        path_or_url : Path or str
            The file, or its ``sqlite:///`` URL.
        annotator_id : str
            Who labels; a file belongs to one annotator.
        annotator_kind : {'human', 'simulated', 'model'}
            Stored in every row.
        study_title, study_id : str
            Stored in a new file; a file of another `study_id` is refused.
        emotions : sequence of str
            Emotions that the study offers.
        details : mapping, optional
            Further facts for the description of a new file.
        create : bool
            Make the file if there is none.

        Raises
        ------
        LabelError
            If the file is damaged, foreign, newer, of another annotator or
            study, or cannot be written.
        """
        path = resolve_label_path(path_or_url)
        check_annotator_id(annotator_id)
        kind = annotator_kind.value if isinstance(annotator_kind, AnnotatorKind) else annotator_kind
        if kind not in ANNOTATOR_KINDS:
            raise LabelError(f"annotator_kind is '{kind}', expected one of {', '.join(ANNOTATOR_KINDS)}.")
        with explained(path):
            is_new = not path.exists()
        if is_new:
            if not create:
                raise LabelError(f"{path}: there is no such label file. Check the annotator's name.")
            meta = {
                **(details or {}),
                "schema_version": str(SCHEMA_VERSION),
                "study_title": study_title,
                "study_id": study_id,
                "annotator_id": annotator_id,
                "annotator_kind": kind,
                "created_utc": utc_now(),
                "toolkit_version": data_schema.__version__,
            }
            create_label_file(path, meta)
        connection = open_for_writing(path)
        try:
            with explained(path), connection.begin():
                found = read_meta(connection)
            _check_owner(path, found, annotator_id, kind, study_id)
            if study_title and found.get("study_title") and found["study_title"] != study_title:
                _log.warning("%s was made in the study '%s', not '%s'", path.name, found["study_title"], study_title)
        except LabelError:
            connection.close()
            raise
        return cls(path, connection, found, emotions)

    @property
    def annotator_id(self) -> str:
        """Who labels in this file."""
        return self.meta["annotator_id"]

    @property
    def annotator_kind(self) -> str:
        """human, simulated or model."""
        return self.meta["annotator_kind"]

    @property
    def journal_mode(self) -> str:
        """SQLite's journal: ``wal`` on a local disk, ``delete`` (rollback) elsewhere."""
        with self._lock, explained(self.path), self._connection.begin():
            return str(self._connection.exec_driver_sql("PRAGMA journal_mode").scalar_one())

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
        return self.add_many([label])[0]

    def add_many(self, labels: Iterable[Label]) -> list[str]:
        """Commit several labels in one transaction: all of them or none."""
        batch = list(labels)
        for label in batch:
            label.check_emotions(self.emotions)
        row_ids = []
        with self._lock, explained(self.path), self._connection.begin():
            for label in batch:
                tip = self._tip(label.key)
                cells = {name: getattr(label, name) for name in LABEL_FIELDS}
                row_ids.append(self._insert("label", tip.row_id if tip else None, cells))
        return row_ids

    def add_records(self, records: Iterable[LabelRecord]) -> AddedRows:
        """Commit rows that were written elsewhere, as they are: all of them or none.

        Rows that are here already, with the same content, are counted and left.

        Raises
        ------
        LabelError
            If a row belongs to another annotator, or has the id of a row with
            other content.
        """
        n_added = n_present = 0
        with self._lock, explained(self.path), self._connection.begin():
            for record in records:
                record.check()
                if (record.annotator_id, record.annotator_kind) != (self.annotator_id, self.annotator_kind):
                    raise LabelError(
                        f"row {record.row_id} is by {record.annotator_id} ({record.annotator_kind}), but "
                        f"{self.path.name} holds labels of {self.annotator_id} ({self.annotator_kind}) only."
                    )
                present = self._select(LabelRow.row_id == record.row_id)
                if not present:
                    self._connection.execute(insert(LabelRow), dict(zip(COLUMN_NAMES, record.values(), strict=True)))
                    n_added += 1
                elif present[0] == record:
                    n_present += 1
                else:
                    raise LabelError(
                        f"row {record.row_id} is in {self.path.name} with other content. One of the two was altered "
                        "outside the toolkit: compare both with a backup."
                    )
        return AddedRows(n_added, n_present)

    def current(self, task: str | None = None) -> list[LabelRecord]:
        """Return the labels that hold now, in the order of their commit."""
        later = aliased(LabelRow)
        rows = self._read(~select(later.seq).where(later.supersedes == LabelRow.row_id).exists(), _of_task(task))
        return [row for row in rows if not row.takes_back]

    def history(self, clip_id: str | None = None, task: str | None = None) -> list[LabelRecord]:
        """Return all rows, those of one clip or those of one task, in the order of their commit."""
        return self._read(LabelRow.clip_id == clip_id if clip_id is not None else None, _of_task(task))

    def undo(self, task: str | None = None) -> str | None:
        """Take back the last label that has not been taken back yet (of `task`).

        A row is added that says what held before. The log itself is the stack
        of commands, so undo goes on after a restart.

        Returns
        -------
        str or None
            The new row's id; None if there is nothing to undo.
        """
        with self._lock, explained(self.path), self._connection.begin():
            done, _ = self._stacks(task)
            if not done:
                return None
            last = done[-1]
            before = self._select(LabelRow.row_id == last.supersedes) if last.supersedes else []
            cells = {name: getattr(last, name) for name in LABEL_FIELDS}
            if before:
                cells.update({name: getattr(before[0], name) for name in _CONTENT})
            else:
                cells.update(dict.fromkeys(_CONTENT), clip_sha256=last.clip_sha256, view=last.view, comment="")
            return self._insert("undo", self._tip_id(last), cells)

    def redo(self, task: str | None = None) -> str | None:
        """Say again what was undone last (of `task`), unless something new was said since in the same task."""
        with self._lock, explained(self.path), self._connection.begin():
            _, undone = self._stacks(task)
            if not undone:
                return None
            cells = {name: getattr(undone[-1], name) for name in LABEL_FIELDS}
            return self._insert("redo", self._tip_id(undone[-1]), cells)

    def close(self) -> None:
        """Close the file; may be called again."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> LabelStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"LabelStore({str(self.path)!r}, {self.annotator_id!r})"

    def _read(self, *conditions: object) -> list[LabelRecord]:
        with self._lock, explained(self.path), self._connection.begin():
            return self._select(*conditions)

    def _select(self, *conditions: object) -> list[LabelRecord]:
        query = select(*_COLUMNS).order_by(LabelRow.seq)
        for condition in conditions:
            if condition is not None:
                query = query.where(condition)  # type: ignore[arg-type]
        return [LabelRecord(*row) for row in self._connection.execute(query)]

    def _tip(self, key: tuple[str, str, int]) -> LabelRecord | None:
        """Return the last row of a clip, task and repetition that no row supersedes."""
        clip_id, task, repetition = key
        same = and_(LabelRow.clip_id == clip_id, LabelRow.task == task, LabelRow.repetition == repetition)
        rows = self._select(same)
        superseded = {row.supersedes for row in rows}
        tips = [row for row in rows if row.row_id not in superseded]
        return tips[-1] if tips else None

    def _tip_id(self, record: LabelRecord) -> str:
        tip = self._tip(record.key)
        return (tip or record).row_id

    def _stacks(self, task: str | None) -> tuple[list[LabelRecord], list[LabelRecord]]:
        """Replay the log into what is done and what is undone.

        The two tasks are separate passes: an undo or redo row belongs to the last
        row of its own task.
        """
        done: list[LabelRecord] = []
        undone: list[LabelRecord] = []
        for row in self._select(_of_task(task)):
            if row.action == "label":
                done.append(row)
                undone = [other for other in undone if other.task != row.task]
            else:
                source, target = (done, undone) if row.action == "undo" else (undone, done)
                last = next((i for i in reversed(range(len(source))) if source[i].task == row.task), None)
                if last is not None:
                    target.append(source.pop(last))
        return done, undone

    def _insert(self, action: str, supersedes: str | None, cells: Mapping[str, object]) -> str:
        row_id = uuid.uuid4().hex
        self._connection.execute(
            insert(LabelRow),
            {
                **cells,
                "row_id": row_id,
                "action": action,
                "supersedes": supersedes,
                "annotator_id": self.annotator_id,
                "annotator_kind": self.annotator_kind,
                "created_utc": utc_now(),
                "toolkit_version": data_schema.__version__,
            },
        )
        return row_id


def utc_now() -> str:
    """Return the time as the log writes it: ISO 8601, microseconds, UTC."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _of_task(task: str | None) -> object:
    return LabelRow.task == task if task is not None else None


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
