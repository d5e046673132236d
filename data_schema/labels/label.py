"""A label, and a label as it stands in the log.

`Label` is what an annotator says about a clip. It checks itself: a value outside
the vocabulary or the scale never becomes a Label. `LabelRecord` is a row of the
log: a label (or the taking back of one) with who, when and which row it replaces.
"""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from data_schema.errors import LabelError
from data_schema.labels.models import ACTIONS, ANNOTATOR_KINDS
from data_schema.vocabularies import (
    AROUSAL,
    CONFIDENCE,
    EMOTIONS,
    INTENSITY,
    POLARITIES,
    SKIP_REASONS,
    TASKS,
    VALENCE,
    Scale,
)

_CLIP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_VIEW = re.compile(r"[A-Za-z0-9_.:+-]{0,64}\Z")
_ANNOTATOR_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_ROW_ID = re.compile(r"[0-9a-f]{32}\Z")
_CREATED_UTC = re.compile(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d\.\d{6}Z\Z")
#: Longest comment: about a page. Longer text is a pasted file, not a comment.
MAX_COMMENT_CHARACTERS = 2000
#: Largest integer that SQLite, PostgreSQL and Parquet hold exactly.
_MAX_INTEGER = 2**63 - 1


class LabelValueError(LabelError):
    """A value that no label may have.

    Parameters
    ----------
    field : str
        Name of the field.
    got : object
        The value found.
    expected : str
        What the field takes.
    suggestion : str, optional
        The nearest value that would be right, or the next step.
    """

    def __init__(self, field: str, got: object, expected: str, suggestion: str = "") -> None:
        self.field = field
        self.got = got
        self.expected = expected
        self.suggestion = suggestion
        message = f"{field} is {got!r}, expected {expected}."
        super().__init__(f"{message} {suggestion}" if suggestion else message)


def _check_word(field: str, value: object, words: Sequence[str]) -> str:
    """Return `value` as one of `words`, or say which word was probably meant."""
    text = getattr(value, "value", value)
    if isinstance(text, str) and text in words:
        return str(text)
    near = difflib.get_close_matches(text.strip().lower(), words, n=1, cutoff=0.6) if isinstance(text, str) else []
    raise LabelValueError(field, text, f"one of {', '.join(words)}", f"Did you mean '{near[0]}'?" if near else "")


def _check_scale(scale: Scale, value: object) -> float | None:
    """Return `value` as a float on the scale, or None for no answer."""
    if value is None:
        return None
    expected = f"a number from {scale.low:g} to {scale.high:g} ({scale.meaning}), or nothing"
    if isinstance(value, (bool, str)):
        raise LabelValueError(scale.name, value, expected)
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise LabelValueError(scale.name, value, expected) from None
    if not scale.contains(number):
        hint = "" if math.isnan(number) else f"The nearest is {min(max(number, scale.low), scale.high):g}."
        raise LabelValueError(scale.name, number, expected, hint)
    return number + 0.0  # turns -0.0 into 0.0, so that equal labels are equal as text


def _check_count(field: str, value: object) -> int | None:
    """Return `value` as an integer of 0 or more, or None."""
    if value is None:
        return None
    expected = "an integer of 0 or more, or nothing"
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise LabelValueError(field, value, expected)
    number = int(value.__index__())
    if not 0 <= number <= _MAX_INTEGER:
        raise LabelValueError(field, number, expected)
    return number


def _check_pattern(field: str, value: object, pattern: re.Pattern[str], expected: str) -> str:
    if not isinstance(value, str) or not pattern.match(value):
        raise LabelValueError(field, value, expected)
    return value


def _check_comment(value: object) -> str:
    if not isinstance(value, str):
        raise LabelValueError("comment", value, "text")
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > MAX_COMMENT_CHARACTERS:
        raise LabelValueError("comment", f"{len(text)} characters", f"at most {MAX_COMMENT_CHARACTERS} characters")
    for character in text:
        if character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cs"):
            raise LabelValueError("comment", text[:40], "text without control characters")
    return text


def check_annotator_id(annotator_id: object) -> str:
    """Return `annotator_id` if it can name an annotator and a file.

    Raises
    ------
    LabelValueError
        If it is not made of letters, digits, ``-`` and ``_``.
    """
    return _check_pattern("annotator_id", annotator_id, _ANNOTATOR_ID, "1 to 64 letters, digits, - or _, such as 'a01'")


@dataclass(frozen=True)
class Label:
    """What one annotator says about one clip: an emotion, or why there is none.

    Parameters
    ----------
    clip_id : str
        The clip.
    clip_sha256 : str
        SHA-256 of the file that the clip was cut from, 64 hexadecimal digits.
    task : str
        ``er`` or ``fer``.
    emotion : str, optional
        One of the seven; exactly one of `emotion` and `skip_reason` is given.
    polarity : str, optional
        Not a function of the emotion: an annotator may leave it out or disagree.
    valence, arousal : float, optional
        -1 to 1.
    intensity : float, optional
        0 to 3, FER only.
    confidence : float, optional
        0 to 1.
    skip_reason : str, optional
        Why no label was given.
    comment : str
        Free text; line ends become ``\\n``.
    view : str
        What the annotator could see, such as ``face`` or ``face+stimulus+gaze``.
    repetition : int
        0 for the first showing, 1 and up for repeats.
    frame_index, frame_pts : int, optional
        A frame, where one is meant.
    duration_ms : int, optional
        Milliseconds from showing the clip to the label.

    Raises
    ------
    LabelValueError
        At construction, naming the field, what it got, what it takes and the
        nearest right value.
    """

    clip_id: str
    clip_sha256: str
    task: str
    emotion: str | None = None
    polarity: str | None = None
    valence: float | None = None
    arousal: float | None = None
    intensity: float | None = None
    confidence: float | None = None
    skip_reason: str | None = None
    comment: str = ""
    view: str = ""
    repetition: int = 0
    frame_index: int | None = None
    frame_pts: int | None = None
    duration_ms: int | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        _check_pattern("clip_id", self.clip_id, _CLIP_ID, "1 to 128 letters, digits, - _ or .")
        _check_pattern("clip_sha256", self.clip_sha256, _SHA256, "64 lower-case hexadecimal digits")
        put(self, "task", _check_word("task", self.task, TASKS))
        if (self.emotion is None) == (self.skip_reason is None):
            got = "nothing" if self.emotion is None else f"both '{self.emotion}' and a skip reason"
            raise LabelValueError("emotion", got, "exactly one of an emotion and a skip_reason")
        if self.emotion is not None:
            put(self, "emotion", _check_word("emotion", self.emotion, EMOTIONS))
        if self.skip_reason is not None:
            put(self, "skip_reason", _check_word("skip_reason", self.skip_reason, SKIP_REASONS))
        if self.polarity is not None:
            put(self, "polarity", _check_word("polarity", self.polarity, POLARITIES))
        for scale in (VALENCE, AROUSAL, INTENSITY, CONFIDENCE):
            put(self, scale.name, _check_scale(scale, getattr(self, scale.name)))
        if self.intensity is not None and self.task != "fer":
            raise LabelValueError(
                "intensity", self.intensity, "nothing for the task er", "Intensity is of the expression: FER only."
            )
        if self.skip_reason is not None:
            for name in ("polarity", "valence", "arousal", "intensity"):
                if getattr(self, name) is not None:
                    raise LabelValueError(name, getattr(self, name), "nothing where the clip was skipped")
        put(self, "comment", _check_comment(self.comment))
        _check_pattern("view", self.view, _VIEW, "at most 64 letters, digits or _ . : + -")
        repetition = _check_count("repetition", self.repetition)
        if repetition is None:
            raise LabelValueError("repetition", None, "an integer of 0 or more")
        put(self, "repetition", repetition)
        for name in ("frame_index", "duration_ms"):
            put(self, name, _check_count(name, getattr(self, name)))
        put(self, "frame_pts", _check_pts(self.frame_pts))

    def check_emotions(self, emotions: Sequence[str]) -> None:
        """Raise `LabelValueError` if the study offers other emotions only."""
        if self.emotion is not None:
            _check_word("emotion", self.emotion, emotions)

    @property
    def key(self) -> tuple[str, str, int]:
        """What is judged: clip, task and repetition. One label of it is current at a time."""
        return (self.clip_id, self.task, self.repetition)


def _check_pts(value: object) -> int | None:
    """Return a presentation time stamp, which may be negative, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__") or abs(int(value.__index__())) > _MAX_INTEGER:
        raise LabelValueError("frame_pts", value, "an integer, or nothing")
    return int(value.__index__())


LABEL_FIELDS: tuple[str, ...] = tuple(field.name for field in fields(Label))


@dataclass(frozen=True)
class LabelRecord:
    """One row of the log, all columns of `data_schema.labels.models.LabelRow` but `seq`."""

    row_id: str
    action: str
    supersedes: str | None
    annotator_id: str
    annotator_kind: str
    clip_id: str
    clip_sha256: str
    task: str
    view: str
    repetition: int
    emotion: str | None
    polarity: str | None
    valence: float | None
    arousal: float | None
    intensity: float | None
    confidence: float | None
    skip_reason: str | None
    comment: str
    frame_index: int | None
    frame_pts: int | None
    duration_ms: int | None
    created_utc: str
    toolkit_version: str

    @property
    def takes_back(self) -> bool:
        """True if the row says that there is no label any more (an undo of the first one)."""
        return self.emotion is None and self.skip_reason is None

    @property
    def key(self) -> tuple[str, str, int]:
        """What is judged: clip, task and repetition."""
        return (self.clip_id, self.task, self.repetition)

    @property
    def label(self) -> Label:
        """The label in this row.

        Raises
        ------
        LabelValueError
            If the row takes a label back, or holds what no label may hold.
        """
        return Label(**{name: getattr(self, name) for name in LABEL_FIELDS})

    def values(self) -> tuple[Any, ...]:
        """Return the cells in the order of the columns."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def check(self) -> None:
        """Check a row that comes from outside (a CSV file).

        Raises
        ------
        LabelValueError
            If any cell holds what the log may not hold.
        """
        _check_pattern("row_id", self.row_id, _ROW_ID, "32 lower-case hexadecimal digits")
        _check_word("action", self.action, ACTIONS)
        if self.supersedes is not None:
            _check_pattern("supersedes", self.supersedes, _ROW_ID, "32 lower-case hexadecimal digits, or nothing")
        elif self.action != "label":
            raise LabelValueError("supersedes", None, f"the row that this {self.action} replaces")
        check_annotator_id(self.annotator_id)
        _check_word("annotator_kind", self.annotator_kind, ANNOTATOR_KINDS)
        _check_pattern("created_utc", self.created_utc, _CREATED_UTC, "UTC such as 2026-01-31T12:00:00.000000Z")
        _check_pattern("toolkit_version", self.toolkit_version, _VIEW, "a version such as 0.1.0")
        cells = {name: getattr(self, name) for name in LABEL_FIELDS}
        if self.takes_back and self.action == "undo":
            # Says nothing, so it is checked as the label that says least.
            cells["skip_reason"] = SKIP_REASONS[0]
        if Label(**cells).comment != self.comment:
            raise LabelValueError("comment", self.comment[:40], "line ends written as a single line feed")
