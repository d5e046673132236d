"""How much a figure would move with other participants."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from emer_model.evaluation.metrics import confusion

#: Resamples: ours. The bounds of a 95 % interval then move by about a tenth of its width.
RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A percentile interval.

    Parameters
    ----------
    low, high : float
        Bounds; NaN with fewer than two participants.
    level : float
        Coverage aimed at.
    """

    low: float
    high: float
    level: float = 0.95


def subject_bootstrap(
    true: np.ndarray,
    predicted: np.ndarray,
    participants: np.ndarray,
    n_classes: int,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Compute intervals for WAR and UAR by drawing participants with replacement.

    Clips of one participant resemble each other, so whole participants are drawn.

    Parameters
    ----------
    true, predicted : ndarray of int, shape (n_clips,)
        Class indices.
    participants : ndarray of str, shape (n_clips,)
        Whose clip it is.
    n_classes : int
        Classes of the protocol.
    resamples, level, seed
        Number of draws, coverage, seed of the draws.

    Returns
    -------
    dict of Interval
        For ``war`` and ``uar``.

    References
    ----------
    Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13.
    """
    codes = np.unique(participants)
    if len(codes) < 2:
        return {name: Interval(math.nan, math.nan, level) for name in ("war", "uar")}
    per_subject = np.stack(
        [confusion(true[participants == code], predicted[participants == code], n_classes) for code in codes]
    )  # (S, K, K)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(codes), np.full(len(codes), 1.0 / len(codes)), size=resamples)  # (R, S)
    counts = np.einsum("rs,sij->rij", draws, per_subject)  # (R, K, K)
    right, row_sums = np.einsum("rii->ri", counts), counts.sum(axis=2)  # (R, K)
    war = right.sum(axis=1) / row_sums.sum(axis=1)
    recall = np.where(row_sums > 0, right / np.maximum(row_sums, 1), 0.0)
    uar = recall.sum(axis=1) / (row_sums > 0).sum(axis=1)
    edges = (50.0 * (1.0 - level), 50.0 * (1.0 + level))
    return {
        name: Interval(*(float(x) for x in np.percentile(values, edges)), level)
        for name, values in (("war", war), ("uar", uar))
    }
