"""Where the tool gets its clips from: a study on the lab's PC, or a bundle on the annotator's own.

Both hand out the same things, and each hands out only what the pass may see: in
the FER pass there is no stimulus and there are no eyes to ask for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from annotation.evidence.eyes import EyeEvidence, StimulusTrack
from annotation.items import Item
from annotation.playback.frames import FrameSource
from data_schema.labels import LabelStore
from data_schema.study.sections import AnnotationSection, LabelsSection


@dataclass(frozen=True)
class Guess:
    """What a model thinks of a clip.

    Parameters
    ----------
    model_sha256 : str
        Which model.
    emotion : str
    confidence : float
        0 to 1: the probability that it gives to `emotion`.
    scales : mapping
        Guessed valence, arousal and intensity, where the model gives them.
    offered : bool
        False for a clip of the blind control share: the guess is logged and never shown.
    """

    model_sha256: str
    emotion: str
    confidence: float
    scales: Mapping[str, float]
    offered: bool


@dataclass(frozen=True)
class GoldAnswer:
    """What experts agreed on for a clip of the training block, with the words that explain it."""

    emotion: str
    polarity: str | None
    valence: float | None
    arousal: float | None
    intensity: float | None
    explanation: str


class ClipSource(Protocol):
    """One annotator's work in one pass."""

    title: str
    """Title of the study."""
    study_id: str
    task: str
    annotator_id: str
    labels: LabelsSection
    """The vocabulary that the study offers."""
    rules: AnnotationSection

    def items(self) -> Sequence[Item]:
        """Return the queue in its order. With a model's predictions it may change between starts, never in between."""
        ...

    def open_face(self, item: Item) -> FrameSource:
        """Open the face video of an item. A new source at each call; it may be called from any thread.

        Raises
        ------
        MediaError
            If the video is missing, changed since the queue was made (hash) or cannot be decoded.
        """
        ...

    def open_stimulus(self, item: Item) -> StimulusTrack | None:
        """Open the stimulus of an item; None in the FER pass, or where the study has no such file."""
        ...

    def eyes(self, item: Item) -> EyeEvidence | None:
        """Return the eye behaviour of an item; None in the FER pass, or where nothing was recorded."""
        ...

    def gold(self, item: Item) -> GoldAnswer | None:
        """Return the answer that feedback is given by; None outside the training block."""
        ...

    def guess(self, item: Item) -> Guess | None:
        """Return a model's guess, if there is one for the item."""
        ...

    def admission(self, emotions: Mapping[str, str]) -> bool | None:
        """Say whether the admission test is passed.

        Parameters
        ----------
        emotions : mapping
            The emotion given, by `item_id` of the admission block.

        Returns
        -------
        bool or None
            None where only the lab can tell (a bundle, until its code was entered).
        """
        ...

    def unlock(self, code: str) -> bool:
        """Take the code by which the lab admits the annotator; False if it is not the right one."""
        ...

    def open_store(self) -> LabelStore:
        """Open the annotator's label log."""
        ...

    def close(self) -> None:
        """Close all files; may be called again."""
        ...
