"""Rows of the logs beside the labels, as values.

Each class has the columns of its table in `data_schema.labels.models` but `seq`.
A row keeps its `row_id` wherever it goes, so that merging twice changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from data_schema.labels.checks import (
    CREATED_UTC,
    ROW_ID,
    VIEW,
    LabelValueError,
    check_annotator_id,
    check_pattern,
    check_word,
)
from data_schema.labels.entries import Decision, Judged, Mark, ShownGuess, Step, Trace
from data_schema.labels.entry_cells import SAMPLE_DTYPE, cells_of
from data_schema.labels.label import LabelRecord
from data_schema.labels.models import (
    ANNOTATOR_KINDS,
    Base,
    DecisionRow,
    GuessRow,
    LabelRow,
    MarkRow,
    StepRow,
    TraceRow,
    TraceSamplesRow,
)


@dataclass(frozen=True)
class _Logged:
    """What each row of a log has: who, about what, when, written by which version."""

    row_id: str
    annotator_id: str
    annotator_kind: str
    clip_id: str
    clip_sha256: str
    task: str
    repetition: int
    created_utc: str
    toolkit_version: str

    @property
    def about(self) -> Judged:
        """Clip, recording, pass and repetition."""
        return Judged(self.clip_id, self.clip_sha256, self.task, self.repetition)

    @property
    def key(self) -> tuple[str, str, int]:
        """What the row is about, as `Label.key`."""
        return (self.clip_id, self.task, self.repetition)

    def cells(self) -> dict[str, Any]:
        """Return the cells by column."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def check(self) -> None:
        """Check a row that comes from outside.

        Raises
        ------
        LabelValueError
            If any cell holds what the log may not hold.
        """
        check_pattern("row_id", self.row_id, ROW_ID, "32 lower-case hexadecimal digits")
        check_annotator_id(self.annotator_id)
        check_word("annotator_kind", self.annotator_kind, ANNOTATOR_KINDS)
        check_pattern("created_utc", self.created_utc, CREATED_UTC, "UTC such as 2026-01-31T12:00:00.000000Z")
        check_pattern("toolkit_version", self.toolkit_version, VIEW, "a version such as 0.1.0")
        entry = _ENTRIES[type(self)]
        given = {field.name: getattr(self, field.name) for field in fields(entry) if field.name != "about"}
        cells_of(entry(about=self.about, **given))


@dataclass(frozen=True)
class MarkRecord(_Logged):
    """A mark, or the taking back of one."""

    kind: str
    removes: str | None
    frame_index: int | None
    frame_pts: int | None
    comment: str


@dataclass(frozen=True)
class TraceRecord(_Logged):
    """A continuous trace; `LabelStore.samples` has its samples."""

    mode: str
    traced: str
    speed: float
    supersedes: str | None


@dataclass(frozen=True)
class GuessRecord(_Logged):
    """What became of a model's guess."""

    model_sha256: str
    guess: str
    shown_utc: str | None
    outcome: str
    label_row_id: str | None
    label_ms: int | None


@dataclass(frozen=True)
class StepRecord(_Logged):
    """One step at the desk."""

    item_id: str
    kind: str
    of: str | None
    before: str
    after: str


@dataclass(frozen=True)
class DecisionRecord(_Logged):
    """An adjudicator's decision."""

    supersedes: str | None
    emotion: str | None
    polarity: str | None
    valence: float | None
    arousal: float | None
    intensity: float | None
    reason: str
    seen: str


@dataclass(frozen=True)
class TraceSamples:
    """One chunk of a trace's raw samples; trace and chunk number name it."""

    annotator_id: str
    trace_id: str
    chunk: int
    samples: bytes

    def cells(self) -> dict[str, Any]:
        """Return the cells by column."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def check(self) -> None:
        """Check a chunk that comes from outside.

        Raises
        ------
        LabelValueError
            If it is no whole number of samples, or names no trace.
        """
        check_annotator_id(self.annotator_id)
        check_pattern("trace_id", self.trace_id, ROW_ID, "32 lower-case hexadecimal digits")
        if self.chunk < 0:
            raise LabelValueError("chunk", self.chunk, "an integer of 0 or more")
        if len(self.samples) % SAMPLE_DTYPE.itemsize:
            raise LabelValueError(
                "samples", f"{len(self.samples)} bytes", f"a multiple of {SAMPLE_DTYPE.itemsize} bytes"
            )

    @property
    def values(self) -> np.ndarray:
        """The samples, structured as `TRACE_SAMPLE`."""
        return np.frombuffer(self.samples, dtype=SAMPLE_DTYPE)


LogRecord = MarkRecord | TraceRecord | GuessRecord | StepRecord | DecisionRecord
Record = LabelRecord | LogRecord | TraceSamples

_ENTRIES: dict[type, Any] = {
    MarkRecord: Mark,
    TraceRecord: Trace,
    GuessRecord: ShownGuess,
    StepRecord: Step,
    DecisionRecord: Decision,
}
#: Table and row class of each log, by the name that `read_log` takes.
LOGS: dict[str, tuple[type[Base], type[Any]]] = {
    "labels": (LabelRow, LabelRecord),
    "marks": (MarkRow, MarkRecord),
    "traces": (TraceRow, TraceRecord),
    "trace_samples": (TraceSamplesRow, TraceSamples),
    "guesses": (GuessRow, GuessRecord),
    "steps": (StepRow, StepRecord),
    "decisions": (DecisionRow, DecisionRecord),
}
TABLE_OF: dict[type[Any], type[Base]] = {record: table for table, record in LOGS.values()}
