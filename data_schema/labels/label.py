"""A label, and a label as it stands in the log.

`Label` is what an annotator says about a clip. It checks itself: a value outside
the vocabulary or the scale never becomes a Label. `LabelRecord` is a row of the
log: a label (or the taking back of one) with who, when and which row it replaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from data_schema.labels.checks import (
    CLIP_ID,
    CREATED_UTC,
    ROW_ID,
    SHA256,
    VIEW,
    LabelValueError,
    check_annotator_id,
    check_comment,
    check_count,
    check_pattern,
    check_pts,
    check_scale,
    check_word,
)
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
)


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
        check_pattern("clip_id", self.clip_id, CLIP_ID, "1 to 128 letters, digits, - _ or .")
        check_pattern("clip_sha256", self.clip_sha256, SHA256, "64 lower-case hexadecimal digits")
        put(self, "task", check_word("task", self.task, TASKS))
        if (self.emotion is None) == (self.skip_reason is None):
            got = "nothing" if self.emotion is None else f"both '{self.emotion}' and a skip reason"
            raise LabelValueError("emotion", got, "exactly one of an emotion and a skip_reason")
        if self.emotion is not None:
            put(self, "emotion", check_word("emotion", self.emotion, EMOTIONS))
        if self.skip_reason is not None:
            put(self, "skip_reason", check_word("skip_reason", self.skip_reason, SKIP_REASONS))
        if self.polarity is not None:
            put(self, "polarity", check_word("polarity", self.polarity, POLARITIES))
        for scale in (VALENCE, AROUSAL, INTENSITY, CONFIDENCE):
            put(self, scale.name, check_scale(scale, getattr(self, scale.name)))
        if self.intensity is not None and self.task != "fer":
            raise LabelValueError(
                "intensity", self.intensity, "nothing for the task er", "Intensity is of the expression: FER only."
            )
        if self.skip_reason is not None:
            for name in ("polarity", "valence", "arousal", "intensity"):
                if getattr(self, name) is not None:
                    raise LabelValueError(name, getattr(self, name), "nothing where the clip was skipped")
        put(self, "comment", check_comment(self.comment))
        check_pattern("view", self.view, VIEW, "at most 64 letters, digits or _ . : + -")
        repetition = check_count("repetition", self.repetition)
        if repetition is None:
            raise LabelValueError("repetition", None, "an integer of 0 or more")
        put(self, "repetition", repetition)
        for name in ("frame_index", "duration_ms"):
            put(self, name, check_count(name, getattr(self, name)))
        put(self, "frame_pts", check_pts(self.frame_pts))

    def check_emotions(self, emotions: Sequence[str]) -> None:
        """Raise `LabelValueError` if the study offers other emotions only."""
        if self.emotion is not None:
            check_word("emotion", self.emotion, emotions)

    @property
    def key(self) -> tuple[str, str, int]:
        """What is judged: clip, task and repetition. One label of it is current at a time."""
        return (self.clip_id, self.task, self.repetition)


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

    def cells(self) -> dict[str, Any]:
        """Return the cells by column."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def check(self) -> None:
        """Check a row that comes from outside (a CSV file).

        Raises
        ------
        LabelValueError
            If any cell holds what the log may not hold.
        """
        check_pattern("row_id", self.row_id, ROW_ID, "32 lower-case hexadecimal digits")
        check_word("action", self.action, ACTIONS)
        if self.supersedes is not None:
            check_pattern("supersedes", self.supersedes, ROW_ID, "32 lower-case hexadecimal digits, or nothing")
        elif self.action != "label":
            raise LabelValueError("supersedes", None, f"the row that this {self.action} replaces")
        check_annotator_id(self.annotator_id)
        check_word("annotator_kind", self.annotator_kind, ANNOTATOR_KINDS)
        check_pattern("created_utc", self.created_utc, CREATED_UTC, "UTC such as 2026-01-31T12:00:00.000000Z")
        check_pattern("toolkit_version", self.toolkit_version, VIEW, "a version such as 0.1.0")
        cells = {name: getattr(self, name) for name in LABEL_FIELDS}
        if self.takes_back and self.action == "undo":
            # Says nothing, so it is checked as the label that says least.
            cells["skip_reason"] = SKIP_REASONS[0]
        if Label(**cells).comment != self.comment:
            raise LabelValueError("comment", self.comment[:40], "line ends written as a single line feed")
