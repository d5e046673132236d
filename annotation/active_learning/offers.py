"""Which guess is offered to whom, and which stays unseen."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from annotation.active_learning.ordering import clip_uncertainty, query_order
from annotation.items import Block, Item
from annotation.source import Guess
from data_schema.labels.guess_table import guess_table_path, read_guesses
from data_schema.study.sections import AnnotationSection, LabelsSection

_log = logging.getLogger(__name__)
_SCALES = ("valence", "arousal", "intensity")


@dataclass(frozen=True)
class StudyGuesses:
    """A model's guesses for one pass, and the study's rules about them.

    Parameters
    ----------
    table : DataFrame
        From `data_schema.labels.guess_table.read_guesses`, indexed by clip.
    rules : AnnotationSection
    labels : LabelsSection
        Guesses of emotions that the study does not offer are left out.
    seed : int
        Of the study; draws the control share.
    """

    table: pd.DataFrame
    rules: AnnotationSection
    labels: LabelsSection
    seed: int

    @classmethod
    def of_study(
        cls, annotation_dir: Path, task: str, rules: AnnotationSection, labels: LabelsSection, seed: int
    ) -> StudyGuesses | None:
        """Read a study's guesses; None where there are none.

        Raises
        ------
        LabelError
            If the table is damaged, or of the other pass.
        """
        path = guess_table_path(annotation_dir, task)
        if not path.exists():
            return None
        table = read_guesses(path, task)
        return cls(table.set_index("clip_id", drop=False), rules, labels, seed)

    def guess(self, item: Item, annotator_id: str, clip_sha256: str | None = None) -> Guess | None:
        """Return the guess for an item.

        Only first showings of the main block have one: training and admission measure
        the annotator, and a repeat measures them against themselves. A guess that the
        model is not sure of orders the queue and is neither shown nor logged.

        Parameters
        ----------
        item : Item
        annotator_id : str
        clip_sha256 : str, optional
            Of the recording, where the item does not carry it (a bundle has its own files).
        """
        if item.block is not Block.MAIN or item.repetition or item.clip_id not in self.table.index:
            return None
        row = self.table.loc[item.clip_id]
        if row["clip_sha256"] not in ("", clip_sha256 or item.clip_sha256):
            _log.warning("%s: the recording changed since the model guessed; run `emer predict` again", item.clip_id)
            return None
        confidence = float(row["confidence"])
        if confidence < self.rules.guess_min_confidence or row["emotion"] not in self.labels.emotions:
            return None
        return Guess(
            model_sha256=str(row["model_sha256"]),
            emotion=str(row["emotion"]),
            confidence=confidence,
            scales={name: float(row[name]) for name in _SCALES if np.isfinite(row[name])},
            offered=not self.is_control(item.clip_id, item.task, annotator_id),
        )

    def is_control(self, clip_id: str, task: str, annotator_id: str) -> bool:
        """Tell whether an annotator judges a clip blind. It stays so with every later model."""
        drawn = hashlib.sha256(f"control:{self.seed}:{task}:{annotator_id}:{clip_id}".encode()).digest()
        return int.from_bytes(drawn[:8], "big") / 2**64 < self.rules.control_share

    def order(self, items: Sequence[Item], done: Collection[str] = ()) -> tuple[Item, ...]:
        """Return a queue with what the model is least sure of first, among what is still open.

        Parameters
        ----------
        items : sequence of Item
            In the order that was drawn for the annotator.
        done : collection of str
            `item_id` of what is labelled already; these keep their places at the front.
        """
        if self.rules.query_strategy == "random":
            return tuple(items)
        known = self.table.loc[self.table.index.isin({item.clip_id for item in items})]
        scores = clip_uncertainty(known, self.rules.query_strategy)
        return query_order(items, scores, distance=self.rules.repeats_distance, done=done)
