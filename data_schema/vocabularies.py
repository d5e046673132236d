"""The words and the scales of a study, declared once.

Label forms, validators, exports, model heads and the reference page read these
declarations. Order matters: it is the order of class indices everywhere.

References
----------
Liu et al., "Smile on the Face, Sadness in the Eyes", arXiv 2512.16485: seven
emotions, three polarities, valence and arousal in [-1, 1], expression intensity
from 0 to 3.
Bradley and Lang (1994), "Measuring emotion: the Self-Assessment Manikin", J.
Behav. Ther. Exp. Psychiatry 25: the 9-point SAM scales.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Emotion(str, Enum):
    """Seven discrete emotions."""

    HAPPINESS = "happiness"
    SADNESS = "sadness"
    FEAR = "fear"
    SURPRISE = "surprise"
    DISGUST = "disgust"
    ANGER = "anger"
    NEUTRAL = "neutral"


class Polarity(str, Enum):
    """Three emotional polarities. Not a function of the emotion: surprise may be positive."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    NEUTRAL = "neutral"


class Task(str, Enum):
    """What is judged: the felt emotion (ER) or what the face shows (FER)."""

    ER = "er"
    FER = "fer"


class SkipReason(str, Enum):
    """Why an annotator gave no label."""

    NO_FACE = "no_face"
    FACE_COVERED = "face_covered"
    TOO_DARK = "too_dark"
    DOES_NOT_PLAY = "does_not_play"
    NOT_ENGAGED = "not_engaged"
    CANNOT_DECIDE = "cannot_decide"
    KNOWS_PARTICIPANT = "knows_participant"


class AnnotatorKind(str, Enum):
    """Who made a label. Simulated annotators are always named as such."""

    HUMAN = "human"
    SIMULATED = "simulated"
    MODEL = "model"


@dataclass(frozen=True)
class Scale:
    """A bounded continuous scale.

    Parameters
    ----------
    name : str
        Name of the scale.
    low, high : float
        Inclusive bounds.
    meaning : str
        What the ends mean.
    """

    name: str
    low: float
    high: float
    meaning: str

    def contains(self, value: float) -> bool:
        """Tell whether `value` lies on the scale (NaN does not)."""
        return self.low <= value <= self.high


VALENCE = Scale("valence", -1.0, 1.0, "unpleasant to pleasant")
AROUSAL = Scale("arousal", -1.0, 1.0, "calm to excited")
INTENSITY = Scale("intensity", 0.0, 3.0, "no visible expression to a very strong one")
CONFIDENCE = Scale("confidence", 0.0, 1.0, "guessing to certain")
SCALES: tuple[Scale, ...] = (VALENCE, AROUSAL, INTENSITY, CONFIDENCE)

EMOTIONS: tuple[str, ...] = tuple(e.value for e in Emotion)
POLARITIES: tuple[str, ...] = tuple(p.value for p in Polarity)
TASKS: tuple[str, ...] = tuple(t.value for t in Task)
SKIP_REASONS: tuple[str, ...] = tuple(s.value for s in SkipReason)

#: Suggested polarity of an emotion. A suggestion only: annotators may disagree,
#: and surprise has none because it goes either way.
SUGGESTED_POLARITY: dict[str, str | None] = {
    "happiness": "positive",
    "sadness": "negative",
    "fear": "negative",
    "surprise": None,
    "disgust": "negative",
    "anger": "negative",
    "neutral": "neutral",
}

SAM_POINTS = 9


def sam_to_unit(rating: int) -> float:
    """Map a 9-point SAM rating to [-1, 1] in steps of 0.25.

    Parameters
    ----------
    rating : int
        1 to 9.

    Returns
    -------
    float
        -1.0 for 1, 0.0 for 5, 1.0 for 9.

    Raises
    ------
    ValueError
        If the rating is not on the scale.

    References
    ----------
    Bradley and Lang (1994).
    """
    if not 1 <= rating <= SAM_POINTS:
        raise ValueError(f"a SAM rating lies between 1 and {SAM_POINTS}, got {rating}")
    return (rating - 5) / 4.0


#: What every participant decides on, in the order in which it is asked.
#: gaze: eye movements and answers; without it there is no session. video: the camera; without it the session goes on
#: without one. sharing: data for other researchers.
CONSENT_SCOPES: tuple[str, ...] = ("gaze", "video", "sharing")
#: Asked too where a study says so: whether the video of the face may go to other researchers. A face is no pseudonym.
FACE_SHARING = "face_sharing"
