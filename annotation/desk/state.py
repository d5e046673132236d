"""What the desk knows, as plain values that views draw and tests compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from annotation.source import GoldAnswer
from data_schema.labels import LabelRecord

# Topics that views subscribe to.
ITEM, DRAFT, FRAME, PLAYBACK, MARKS, PROGRESS, GUESS, TRACE, NOTICE, PAGE, SAVING = (
    "item", "draft", "frame", "playback", "marks", "progress", "guess", "trace", "notice", "page", "saving",
)  # fmt: skip


class Page(str, Enum):
    """Which page the window shows."""

    CLIP = "clip"
    FEEDBACK = "feedback"
    """After a training label: what was said beside what experts agreed on."""
    BREAK = "break"
    ADMISSION = "admission"
    """The admission test is over: passed, not passed, or waiting for the lab's code."""
    FINISHED = "finished"


@dataclass(frozen=True)
class Draft:
    """What is said about the clip so far. A field is None until it is said; skipping empties the others."""

    emotion: str | None = None
    polarity: str | None = None
    polarity_suggested: bool = False
    """True while the polarity is only what the emotion suggests; it is stored all the same unless it is changed."""
    valence: float | None = None
    arousal: float | None = None
    intensity: float | None = None
    confidence: float | None = None
    skip_reason: str | None = None
    comment: str = ""


#: Order in which the focus moves; intensity is in the FER pass alone. Polarity is passed over once it is suggested.
FIELDS: tuple[str, ...] = ("emotion", "polarity", "valence", "arousal", "intensity", "confidence")


@dataclass(frozen=True)
class MarkedFrame:
    """A mark that holds now; `index` counts in the clip."""

    row_id: str
    kind: str
    index: int | None


@dataclass(frozen=True)
class Option:
    """One answer that a field offers; `digit` is the key that gives it."""

    value: str | float
    digit: int


@dataclass(frozen=True)
class Feedback:
    """A training label beside what experts agreed on.

    Parameters
    ----------
    label : LabelRecord
        What the annotator said.
    gold : GoldAnswer
    agrees : mapping
        By field that the experts answered: whether both say the same (words), or lie within 0.25 (valence,
        arousal) or 0.5 (intensity) of each other.
    """

    label: LabelRecord
    gold: GoldAnswer
    agrees: Mapping[str, bool]


class Saving(str, Enum):
    """Whether what is shown as done is on the disk."""

    SAVED = "saved"
    FAILED = "failed"
    """The last step was not saved and is not shown as done; all earlier ones are. `Notice` says what to do."""
    READ_ONLY = "read_only"


@dataclass(frozen=True)
class Notice:
    """One line for the user.

    Parameters
    ----------
    level : {'info', 'warning', 'error'}
    text_id : str
        Key in the texts (``notices.ID``); empty if `detail` stands alone.
    detail : str
        What came from below, such as an error's message.
    values : mapping
        To be put into the text.
    """

    level: str
    text_id: str
    detail: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
