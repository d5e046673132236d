"""What stands in an annotator's queue."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Block(str, Enum):
    """Part of an annotator's work. Each has to be finished before the next begins."""

    TRAINING = "training"
    """Gold clips with feedback after each label."""
    ADMISSION = "admission"
    """Gold clips without feedback; their labels say whether the annotator goes on."""
    MAIN = "main"
    """The study's clips, gold clips and hidden repeats among them; nothing tells which."""


@dataclass(frozen=True)
class Item:
    """One clip at one place of one annotator's queue, in one pass.

    Parameters
    ----------
    item_id : str
        Names the place; unique in the queue. Says nothing about clip or role.
    clip_id : str
        What is written into the log: the study's name of the clip, or in a bundle an opaque one.
    clip_sha256 : str
        SHA-256 of the session file, or in a bundle of the clip's own video file.
    task : {'er', 'fer'}
        The pass.
    repetition : int
        0 for the first showing, 1 and up for a repeat. Always 0 in a bundle, where a repeat has a name of its own.
    block : Block
    position : int
        0 and up, the order in which the annotator meets the items.
    """

    item_id: str
    clip_id: str
    clip_sha256: str
    task: str
    repetition: int
    block: Block
    position: int

    @property
    def key(self) -> tuple[str, str, int]:
        """What is judged, as in `data_schema.labels.Label.key`."""
        return (self.clip_id, self.task, self.repetition)
