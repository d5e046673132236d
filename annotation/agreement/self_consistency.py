"""How far each annotator agrees with themselves: the hidden repeats against the first showing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from annotation.agreement.classes import class_sums, cohen_kappas, observed_agreement
from annotation.agreement.ratings import PassRatings, Rater, pass_ratings
from annotation.agreement.resampling import Estimate, Resamples, estimate
from annotation.agreement.scales import concordances, mean_absolute_difference
from data_schema.vocabularies import EMOTIONS


@dataclass(frozen=True)
class Consistency:
    """One annotator on one field, first showing against repeat.

    Parameters
    ----------
    rater : Rater
    field : str
    n_clips : int
        Repeated clips with a label at both showings.
    same : Estimate
        Share of equal classes; not defined for scales.
    kappa : Estimate
        Cohen's kappa of the two showings, weighted by squared distance where the classes are ordered.
    ccc, mean_difference : Estimate
        For scales.
    """

    rater: Rater
    field: str
    n_clips: int
    same: Estimate
    kappa: Estimate
    ccc: Estimate
    mean_difference: Estimate

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "annotator_id": self.rater.annotator_id,
            "annotator_kind": self.rater.kind,
            "field": self.field,
            "n_clips": self.n_clips,
            "same": self.same.as_json(),
            "cohen_kappa": self.kappa.as_json(),
            "ccc": self.ccc.as_json(),
            "mean_difference": self.mean_difference.as_json(),
        }


def self_consistency(
    labels: pd.DataFrame,
    task: str,
    *,
    kinds: Sequence[str],
    emotions: Sequence[str] = EMOTIONS,
    n_resamples: int = 2000,
    seed: int = 0,
) -> tuple[Consistency, ...]:
    """Compare each annotator's last repeat of a clip with the first showing.

    Clips without a repeat, and repeats that were skipped, say nothing here.

    Parameters
    ----------
    labels : DataFrame
        From `data_schema.labels.read_labels`.
    task : {'er', 'fer'}
    kinds : sequence of str
        Kinds of annotators that count.
    emotions : sequence of str
        Emotions that the study offers.
    n_resamples, seed : int
        Bootstrap over the repeated clips.
    """
    mine = labels[labels["task"] == task]
    repeats = mine[mine["repetition"] > 0]
    if repeats.empty:
        return ()
    first = pass_ratings(mine, task, kinds=kinds, emotions=emotions)
    # A later repeat of a clip takes the place of an earlier one.
    last = repeats.groupby(["annotator_id", "clip_id"])["repetition"].transform("max")
    newest = repeats[repeats["repetition"] == last].assign(repetition=1)
    again = pass_ratings(newest, task, kinds=kinds, emotions=emotions, repetition=1)
    found: list[Consistency] = []
    for rater in first.raters:
        found += _of_rater(rater, first, again, n_resamples, seed)
    return tuple(found)


def _of_rater(rater: Rater, first: PassRatings, again: PassRatings, n_resamples: int, seed: int) -> list[Consistency]:
    places = {other.annotator_id: i for i, other in enumerate(again.raters)}
    if rater.annotator_id not in places:
        return []
    rows = {clip: i for i, clip in enumerate(again.clip_ids)}
    shared = [(i, rows[clip]) for i, clip in enumerate(first.clip_ids) if clip in rows]
    here, there = np.array([a for a, _ in shared], dtype=int), np.array([b for _, b in shared], dtype=int)
    column, other = first.raters.index(rater), places[rater.annotator_id]
    none = Estimate(None)
    found = []
    # Both tables list the fields in the same order; an emotion outside the study's may stand in one of them alone.
    classes = {field.name: field for field in again.classes}
    for field in first.classes:
        second = classes[field.name]
        words = tuple(dict.fromkeys((*field.classes, *second.classes)))
        recoded = np.array([*(words.index(word) for word in second.classes), -1], dtype=np.int16)
        codes = np.stack([field.codes[here, column], recoded[second.codes[there, other]]], axis=1)
        codes = codes[(codes >= 0).all(axis=1)]
        if len(codes) and field.name != "intensity":
            resamples = Resamples(len(codes), n_resamples, seed)
            sums = class_sums(codes, len(words), resamples)
            kappa = cohen_kappas(sums, power=2 if field.ordered else 0)[0]
            same = estimate(observed_agreement(sums))
            found.append(Consistency(rater, field.name, len(codes), same, estimate(kappa), none, none))
    for scale, repeat in zip(first.scales, again.scales, strict=True):
        values = np.stack([scale.values[here, column], repeat.values[there, other]], axis=1)
        values = values[~np.isnan(values).any(axis=1)]
        if len(values):
            resamples = Resamples(len(values), n_resamples, seed)
            ccc = estimate(concordances(values, resamples)[0])
            gap = estimate(mean_absolute_difference(values, resamples))
            found.append(Consistency(rater, scale.name, len(values), none, none, ccc, gap))
    return found
