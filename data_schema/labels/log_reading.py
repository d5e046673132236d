"""What a label store says when it is asked: labels, marks, traces, guesses, steps, decisions."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from typing import Any, TypeVar, cast

import numpy as np
from sqlalchemy import Connection, select
from sqlalchemy.orm import aliased

from data_schema.labels.label import LabelRecord
from data_schema.labels.models import Base, DeskRow, LabelRow, MarkRow, StepRow, TraceSamplesRow
from data_schema.labels.records import (
    LOGS,
    DecisionRecord,
    GuessRecord,
    MarkRecord,
    StepRecord,
    TraceRecord,
    TraceSamples,
)

_Row = TypeVar("_Row")


class LogReading(ABC):
    """The reading half of `LabelStore`; all rows are those of its annotator."""

    annotator_id: str

    @abstractmethod
    def _transaction(self) -> contextlib.AbstractContextManager[Connection]:
        """Begin a transaction on an open connection; errors come out as `LabelError`."""

    def current(self, task: str | None = None) -> list[LabelRecord]:
        """Return the labels that hold now, in the order of their commit."""
        later = aliased(LabelRow)
        superseded = select(later.seq).where(
            later.supersedes == LabelRow.row_id, later.annotator_id == LabelRow.annotator_id
        )
        tips = self._labels(~superseded.exists(), _is(LabelRow.task, task))
        # Copies that went on apart and were merged leave several: the newer one holds, as in `current_labels`.
        newest = {row.key: row for row in sorted(tips, key=lambda row: (row.created_utc, row.row_id))}
        return [row for row in tips if row is newest[row.key] and not row.takes_back]

    def history(self, clip_id: str | None = None, task: str | None = None) -> list[LabelRecord]:
        """Return all rows of the labels, those of one clip or those of one task, in the order of their commit."""
        return self._labels(_is(LabelRow.clip_id, clip_id), _is(LabelRow.task, task))

    def marks(self, task: str | None = None, clip_id: str | None = None) -> list[MarkRecord]:
        """Return the marks that hold now, in the order of their commit."""
        rows = self._log("marks", MarkRecord, _is(MarkRow.task, task), _is(MarkRow.clip_id, clip_id))
        removed = {row.removes for row in rows}
        return [row for row in rows if row.removes is None and row.row_id not in removed]

    def traces(self, task: str | None = None, clip_id: str | None = None) -> list[TraceRecord]:
        """Return the traces that no later one replaces, in the order of their commit."""
        rows = self._log("traces", TraceRecord, *_about("traces", task, clip_id))
        replaced = {row.supersedes for row in rows}
        return [row for row in rows if row.row_id not in replaced]

    def samples(self, trace_id: str) -> np.ndarray:
        """Return the raw samples of a trace, all chunks in order.

        Returns
        -------
        ndarray
            Structured as `data_schema.labels.models.TRACE_SAMPLE`; empty if there are none.
        """
        chunks = self._log("trace_samples", TraceSamples, TraceSamplesRow.trace_id == trace_id)
        ordered = sorted(chunks, key=lambda chunk: chunk.chunk)
        return TraceSamples(self.annotator_id, trace_id, 0, b"".join(chunk.samples for chunk in ordered)).values

    def guesses(self, task: str | None = None) -> list[GuessRecord]:
        """Return what became of the model's guesses, in the order of their commit."""
        return self._log("guesses", GuessRecord, *_about("guesses", task, None))

    def decisions(self, task: str | None = None) -> list[DecisionRecord]:
        """Return the decisions that no later one replaces, in the order of their commit."""
        rows = self._log("decisions", DecisionRecord, *_about("decisions", task, None))
        replaced = {row.supersedes for row in rows}
        return [row for row in rows if row.row_id not in replaced]

    def steps(self, task: str, limit: int | None = None) -> list[StepRecord]:
        """Return the steps of a pass, oldest first; with `limit` the last ones."""
        return self._log("steps", StepRecord, StepRow.task == task, limit=limit)

    def steps_of(self, item_id: str) -> list[StepRecord]:
        """Return the steps at one place of the queue, oldest first."""
        return self._log("steps", StepRecord, StepRow.item_id == item_id)

    def log(self, name: str) -> list[Any]:
        """Return all rows of a log of `data_schema.labels.records.LOGS`, in the order of their commit."""
        return self._log(name, LOGS[name][1])

    def desk_value(self, key: str) -> str | None:
        """Return what `LabelStore.set_desk_value` was told last; None if nothing."""
        with self._transaction() as connection:
            return self._desk_value(connection, key)

    def _desk_value(self, connection: Connection, key: str) -> str | None:
        query = select(DeskRow.value).where(DeskRow.annotator_id == self.annotator_id, DeskRow.key == key)
        return connection.execute(query).scalar_one_or_none()

    def _labels(self, *conditions: Any) -> list[LabelRecord]:
        return self._log("labels", LabelRecord, *conditions)

    def _log(self, name: str, kind: type[_Row], *conditions: Any, limit: int | None = None) -> list[_Row]:
        with self._transaction() as connection:
            return cast("list[_Row]", select_rows(connection, name, self.annotator_id, *conditions, limit=limit))


def select_rows(
    connection: Connection, name: str, annotator_id: str | None, *conditions: Any, limit: int | None = None
) -> list[Any]:
    """Return the rows of a log in the order of their commit, as values.

    Parameters
    ----------
    connection : Connection
        In a transaction.
    name : str
        One of `data_schema.labels.records.LOGS`.
    annotator_id : str or None
        Whose rows; None for everyone's.
    *conditions
        SQL conditions; None is passed over.
    limit : int, optional
        Only the last so many.
    """
    table, record = LOGS[name]
    columns = [column for column in table.__table__.columns if column.name != "seq"]
    seq = table.__table__.columns["seq"]
    query = select(*columns).order_by(seq if limit is None else seq.desc())
    if annotator_id is not None:
        query = query.where(table.__table__.columns["annotator_id"] == annotator_id)
    for condition in conditions:
        if condition is not None:
            query = query.where(condition)
    if limit is not None:
        query = query.limit(limit)
    names = [column.name for column in columns]
    rows = [record(**dict(zip(names, row, strict=True))) for row in connection.execute(query)]
    return rows if limit is None else rows[::-1]


def _is(column: Any, value: object) -> Any:
    return None if value is None else column == value


def _about(name: str, task: str | None, clip_id: str | None) -> tuple[Any, Any]:
    table: type[Base] = LOGS[name][0]
    columns = table.__table__.columns
    return _is(columns["task"], task), _is(columns["clip_id"], clip_id)
