"""Entries as cells of their table, checked: what cannot be said never reaches the log."""

from __future__ import annotations

import json
import math
import re
from dataclasses import fields
from typing import Any

import numpy as np

from data_schema.labels.checks import (
    CLIP_ID,
    CREATED_UTC,
    ROW_ID,
    SHA256,
    VIEW,
    LabelValueError,
    check_comment,
    check_count,
    check_pattern,
    check_pts,
    check_scale,
    check_word,
)
from data_schema.labels.entries import Decision, Judged, Mark, ShownGuess, Step, Trace
from data_schema.labels.models import (
    GUESS_OUTCOMES,
    MARK_KINDS,
    TRACE_MODES,
    TRACE_SAMPLE,
    Base,
    DecisionRow,
    GuessRow,
    MarkRow,
    StepRow,
    TraceRow,
)
from data_schema.vocabularies import AROUSAL, EMOTIONS, INTENSITY, POLARITIES, TASKS, VALENCE

SAMPLE_DTYPE = np.dtype(list(TRACE_SAMPLE))
TRACED: tuple[str, ...] = ("valence", "arousal", "both")
_STEP_KIND = re.compile(r"[a-z][a-z_]{0,15}\Z")
_ROW = "the row_id of a row: 32 lower-case hexadecimal digits"


def cells_of(entry: Mark | Trace | ShownGuess | Step | Decision) -> tuple[type[Base], dict[str, Any]]:
    """Return the table of an entry and its cells, without who and when.

    Raises
    ------
    LabelValueError
        Naming the field, what it got and what it takes.
    """
    cells = {field.name: getattr(entry, field.name) for field in fields(entry) if field.name != "about"}
    judged = _judged_cells(entry.about)
    table: type[Base]
    if isinstance(entry, Mark):
        table, checked = MarkRow, _mark(entry)
    elif isinstance(entry, Trace):
        table, checked = TraceRow, _trace(entry)
    elif isinstance(entry, ShownGuess):
        table, checked = GuessRow, _guess(entry)
    elif isinstance(entry, Step):
        table, checked = StepRow, _step(entry)
    elif isinstance(entry, Decision):
        table, checked = DecisionRow, _decision(entry)
    else:
        raise TypeError(f"{type(entry).__name__} is no entry of a label file")
    return table, {**cells, **judged, **checked}


def sample_bytes(samples: np.ndarray) -> bytes:
    """Return samples of a trace as they are stored.

    Raises
    ------
    LabelValueError
        If they are not structured as `TRACE_SAMPLE`, or their times run backwards.
    """
    expected = ", ".join(name for name, _ in TRACE_SAMPLE)
    if samples.dtype.names != SAMPLE_DTYPE.names or samples.ndim != 1:
        raise LabelValueError("samples", samples.dtype, f"a structured array with the fields {expected}")
    stored = samples.astype(SAMPLE_DTYPE)
    if (np.diff(stored["t_work_us"]) < 0).any():
        raise LabelValueError("samples", "times that run backwards", "t_work_us that never falls")
    return stored.tobytes()


def _judged_cells(about: Judged) -> dict[str, Any]:
    repetition = check_count("repetition", about.repetition)
    if repetition is None:
        raise LabelValueError("repetition", None, "an integer of 0 or more")
    return {
        "clip_id": check_pattern("clip_id", about.clip_id, CLIP_ID, "1 to 128 letters, digits, - _ or ."),
        "clip_sha256": check_pattern("clip_sha256", about.clip_sha256, SHA256, "64 lower-case hexadecimal digits"),
        "task": check_word("task", about.task, TASKS),
        "repetition": repetition,
    }


def _mark(mark: Mark) -> dict[str, Any]:
    kind = check_word("kind", mark.kind, MARK_KINDS)
    index, pts = check_count("frame_index", mark.frame_index), check_pts(mark.frame_pts)
    if kind == "flag" and index is not None:
        raise LabelValueError("frame_index", index, "nothing for a flag, which is of the whole clip")
    if kind != "flag" and index is None:
        raise LabelValueError("frame_index", None, f"the frame of the {kind}")
    return {
        "kind": kind,
        "frame_index": index,
        "frame_pts": pts,
        "comment": check_comment(mark.comment),
        "removes": _row_or_none("removes", mark.removes),
    }


def _trace(trace: Trace) -> dict[str, Any]:
    if not (isinstance(trace.speed, (int, float)) and math.isfinite(trace.speed) and trace.speed > 0):
        raise LabelValueError("speed", trace.speed, "a speed above 0, such as 0.5")
    return {
        "mode": check_word("mode", trace.mode, TRACE_MODES),
        "traced": check_word("traced", trace.traced, TRACED),
        "speed": float(trace.speed),
        "supersedes": _row_or_none("supersedes", trace.supersedes),
    }


def _guess(guess: ShownGuess) -> dict[str, Any]:
    if guess.shown_utc is not None:
        check_pattern("shown_utc", guess.shown_utc, CREATED_UTC, "UTC such as 2026-01-31T12:00:00.000000Z, or nothing")
    if guess.outcome == "control" and guess.shown_utc is not None:
        raise LabelValueError("shown_utc", guess.shown_utc, "nothing for a clip of the blind control share")
    return {
        "model_sha256": check_pattern("model_sha256", guess.model_sha256, SHA256, "64 lower-case hexadecimal digits"),
        "guess": _json("guess", guess.guess, dict),
        "outcome": check_word("outcome", guess.outcome, GUESS_OUTCOMES),
        "label_row_id": _row_or_none("label_row_id", guess.label_row_id),
        "label_ms": check_count("label_ms", guess.label_ms),
    }


def _step(step: Step) -> dict[str, Any]:
    kind = check_pattern("kind", step.kind, _STEP_KIND, "up to 16 lower-case letters, such as set or undo")
    if step.of is None and kind in ("undo", "redo"):
        raise LabelValueError("of", step.of, f"the step that this {kind} is about")
    return {
        "item_id": check_pattern("item_id", step.item_id, VIEW, "at most 64 letters, digits or _ . : + -"),
        "kind": kind,
        "of": _row_or_none("of", step.of),
        "before": _json("before", step.before),
        "after": _json("after", step.after),
    }


def _decision(decision: Decision) -> dict[str, Any]:
    reason = check_comment(decision.reason)
    if not reason.strip():
        raise LabelValueError("reason", reason, "why it was decided so, in a few words")
    cells: dict[str, Any] = {
        "reason": reason,
        "seen": _json("seen", decision.seen, list),
        "supersedes": _row_or_none("supersedes", decision.supersedes),
    }
    for name, words in (("emotion", EMOTIONS), ("polarity", POLARITIES)):
        value = getattr(decision, name)
        cells[name] = None if value is None else check_word(name, value, words)
    for scale in (VALENCE, AROUSAL, INTENSITY):
        cells[scale.name] = check_scale(scale, getattr(decision, scale.name))
    if cells["intensity"] is not None and decision.about.task != "fer":
        raise LabelValueError("intensity", cells["intensity"], "nothing for the task er")
    return cells


def _row_or_none(field: str, value: str | None) -> str | None:
    return None if value is None else check_pattern(field, value, ROW_ID, f"{_ROW}, or nothing")


def _json(field: str, text: str, kind: type | None = None) -> str:
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise LabelValueError(field, str(text)[:80], "JSON") from None
    if kind is not None and not isinstance(value, kind):
        raise LabelValueError(field, text, f"a JSON {'object' if kind is dict else 'list'}")
    return text
