"""The steps of a session, as plain data: what happens, for how long, in which trial."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from data_schema.vocabularies import SAM_POINTS, sam_to_unit

#: Scale of an item with a prescribed answer, and what its stored text begins with.
ATTENTION_CHECK = "attention_check"
EXPECTED = "expected "


class ItemKind(str, Enum):
    """How an answer is given."""

    RATING = "rating"
    SAM = "sam"
    YES_NO = "yes_no"
    #: One of `Item.labels`; the rating is its number, from `low`.
    CHOICE = "choice"
    #: Free text; stored in ``/responses/texts``.
    TEXT = "text"


@dataclass(frozen=True)
class Item:
    """One question of a self-report.

    Parameters
    ----------
    scale : str
        Name under which the answer is stored in ``/responses/items``.
    kind : ItemKind
        How it is asked.
    low, high : int
        Inclusive bounds of the rating.
    prompt : str
        What the participant reads.
    labels : tuple of str
        Words under the scale: its two ends, or one for each point; empty for none.
    expected : int or None
        The prescribed answer of an attention check.
    """

    scale: str
    kind: ItemKind
    low: int
    high: int
    prompt: str
    labels: tuple[str, ...] = ()
    expected: int | None = None

    def stored_value(self, rating: int) -> tuple[float, str]:
        """Return value and text of ``/responses/items`` for a rating.

        A SAM rating is stored on [-1, 1]; the text keeps the rating itself. The text of
        a choice is its label, that of an attention check the answer that was prescribed.

        Raises
        ------
        ValueError
            If the rating is not on the scale.
        """
        if not self.low <= rating <= self.high:
            raise ValueError(f"{self.scale}: a rating lies between {self.low} and {self.high}, got {rating}")
        if self.kind is ItemKind.SAM:
            return sam_to_unit(rating), f"SAM {rating} of {SAM_POINTS}"
        if self.expected is not None:
            return float(rating), f"{EXPECTED}{self.expected}"
        if self.kind is ItemKind.CHOICE and len(self.labels) == self.high - self.low + 1:
            return float(rating), self.labels[rating - self.low]
        return float(rating), ""


@dataclass(frozen=True)
class Step:
    """What all steps have.

    Parameters
    ----------
    name : str
        Stable name, written into the markers.
    planned_s : float
        Planned length; for steps that wait for the participant, an estimate.
    trial_id : int
        Number of the trial; 0 outside trials, negative in practice trials.
    """

    name: str
    planned_s: float
    trial_id: int = 0


@dataclass(frozen=True)
class ShowText(Step):
    """A page of text; ends when the participant goes on (or after its time, unattended)."""

    text: str = ""


@dataclass(frozen=True)
class Consent(Step):
    """The participant decides on each scope; comes before the recorder starts.

    `texts` maps a scope (video, gaze, sharing) to its question.
    """

    text: str = ""
    texts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Positioning(Step):
    """The head is brought into the track box, with feedback; ends when the participant or the operator goes on."""

    text: str = ""


@dataclass(frozen=True)
class Calibration(Step):
    """Calibrate and validate until the gate lets the session pass; the study's [calibration] decides how."""


@dataclass(frozen=True)
class Recheck(Step):
    """A quick validation between trials, in which drift shows."""


@dataclass(frozen=True)
class Baseline(Step):
    """A grey screen: pupil and face at rest."""


@dataclass(frozen=True)
class BeginTrial(Step):
    """A trial begins; nothing is shown. `lead_s` is the time until the clip's planned onset."""

    stimulus_id: str = ""
    target_emotion: str = "neutral"
    lead_s: float = 0.0


@dataclass(frozen=True)
class Fixation(Step):
    """A fixation cross of fixed length."""


@dataclass(frozen=True)
class PlayClip(Step):
    """A stimulus, from its first to its last frame. `sha256` is that of its file, taken before the session."""

    stimulus_id: str = ""
    target_emotion: str = "neutral"
    file: Path = field(default_factory=Path)
    sha256: str = ""


@dataclass(frozen=True)
class AskItems(Step):
    """A page of questions: a self-report (in a trial), or a questionnaire with its identifier and occasion."""

    items: tuple[Item, ...] = ()
    title: str = ""
    text: str = ""
    questionnaire: str = ""
    occasion: str = ""


@dataclass(frozen=True)
class Washout(Step):
    """A neutral pause in which a feeling fades."""


@dataclass(frozen=True)
class EndTrial(Step):
    """A trial ends; nothing is shown."""


@dataclass(frozen=True)
class Break(Step):
    """A pause that the participant ends."""

    text: str = ""
