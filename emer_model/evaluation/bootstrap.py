"""How much a figure would move with other participants.

Clips of one person resemble each other, so whole participants are drawn with
replacement. Every figure of `emer_model.evaluation.metrics` is a function of sums over
clips: counts of a confusion matrix for classes, eight moments for continuous targets.
These sums are taken once for each participant; a resample then is a weighted sum of
participants, and all resamples are one matrix product.

References
----------
Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13: percentile intervals.
Field and Welsh (2007), "Bootstrapping clustered data", Journal of the Royal Statistical
Society B 69: drawing whole clusters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from data_schema.exports.protocols import CLASS_METRICS, CONTINUOUS_METRICS

#: Resamples: ours. The bounds of a 95 % interval then move by about a tenth of its width.
RESAMPLES = 2000

#: Coverage aimed at, unless another is asked for.
LEVEL = 0.95

#: Share of resamples in which a figure may be undefined before its interval is: ours.
_MOST_UNDEFINED = 0.5

#: Sums over the clips of a continuous target, in the order of `moment_sums`.
_N, _TRUE, _PREDICTED, _TRUE2, _PREDICTED2, _PRODUCT, _ABSOLUTE, _SQUARED = range(8)

#: Variance below this share of the mean square is rounding of a constant: sums of
#: float64 are exact to about 1e-15 of their size.
_CONSTANT = 1e-12


@dataclass(frozen=True)
class Interval:
    """A percentile interval.

    Parameters
    ----------
    low, high : float
        Bounds; NaN with fewer than two participants, and where the figure is undefined
        in most resamples.
    level : float
        Coverage aimed at.
    """

    low: float
    high: float
    level: float = LEVEL

    def as_json(self) -> dict[str, float]:
        """Return the bounds and the level by name."""
        return {"low": self.low, "high": self.high, "level": self.level}


@dataclass(frozen=True)
class Draws:
    """How many times each participant is in each resample.

    Figures that are to be compared, of two runs or of parts of the clips, use the same draws.

    Parameters
    ----------
    participants : ndarray of str, shape (S,)
        Sorted, without repetition.
    times : ndarray of float64, shape (R, S)
        Each row sums to S.
    """

    participants: np.ndarray
    times: np.ndarray

    @classmethod
    def of(cls, participants: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0) -> Draws:
        """Draw as many participants as there are, with replacement.

        Parameters
        ----------
        participants : ndarray of str
            Whose clip each is; repetitions are allowed.
        resamples, seed : int
            How often, and the seed of the draws.
        """
        codes = np.unique(np.asarray(participants, dtype=str))
        rng = np.random.default_rng(seed)
        shares = np.full(len(codes), 1.0 / max(len(codes), 1))
        times = rng.multinomial(len(codes), shares, size=resamples) if len(codes) else np.zeros((resamples, 0))
        return cls(codes, times.astype(np.float64))

    def places(self, participants: np.ndarray) -> np.ndarray:
        """Return the column of each participant, shape (n_clips,)."""
        return np.searchsorted(self.participants, np.asarray(participants, dtype=str))


def confusion_sums(
    true: np.ndarray, predicted: np.ndarray, groups: np.ndarray, n_groups: int, n_classes: int
) -> np.ndarray:
    """Count clips by group, true and predicted class.

    Parameters
    ----------
    true, predicted : ndarray of int, shape (n_clips,)
    groups : ndarray of int, shape (n_clips,)
        Such as the place of the participant.
    n_groups, n_classes : int

    Returns
    -------
    ndarray of float64, shape (n_groups, n_classes, n_classes)
    """
    flat = (groups.astype(np.int64) * n_classes + true) * n_classes + predicted
    counts = np.bincount(flat, minlength=n_groups * n_classes * n_classes)
    return counts.reshape(n_groups, n_classes, n_classes).astype(np.float64)


def moment_sums(
    true: np.ndarray, predicted: np.ndarray, groups: np.ndarray, n_groups: int, centre: float
) -> np.ndarray:
    """Sum what the figures of a continuous target are made of, by group.

    Parameters
    ----------
    true, predicted : ndarray of float, shape (n_clips,)
    groups : ndarray of int, shape (n_clips,)
    n_groups : int
    centre : float
        Subtracted from both sides, which changes no figure and keeps squares small.

    Returns
    -------
    ndarray of float64, shape (n_groups, 8)
        Number, true, predicted, their squares, product, absolute and squared errors.
    """
    t, p = np.asarray(true, dtype=np.float64) - centre, np.asarray(predicted, dtype=np.float64) - centre
    columns = (np.ones_like(t), t, p, t * t, p * p, t * p, np.abs(t - p), (t - p) ** 2)
    return np.stack([np.bincount(groups, weights=column, minlength=n_groups) for column in columns], axis=1)


def figures_of_confusions(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Compute `CLASS_METRICS` of many confusion matrices at once.

    Parameters
    ----------
    counts : ndarray, shape (..., K, K)
        Clips by true (rows) and predicted class.

    Returns
    -------
    dict of ndarray, shape (...)
        As `emer_model.evaluation.metrics.classification_metrics`; NaN without clips.
    """
    right = np.einsum("...ii->...i", counts)  # (..., K)
    rows, columns = counts.sum(axis=-1), counts.sum(axis=-2)  # (..., K)
    n, n_present = rows.sum(axis=-1), (rows > 0).sum(axis=-1)
    recall = np.divide(right, rows, out=np.zeros_like(rows), where=rows > 0)
    f1 = np.divide(2.0 * right, rows + columns, out=np.zeros_like(rows), where=rows > 0)
    return {
        "war": _ratio(right.sum(axis=-1), n),
        "uar": _ratio(recall.sum(axis=-1), n_present),
        "weighted_f1": _ratio((f1 * rows).sum(axis=-1), n),
        "macro_f1": _ratio(f1.sum(axis=-1), n_present),
    }


def figures_of_moments(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Compute `CONTINUOUS_METRICS` of many sums at once.

    Parameters
    ----------
    sums : ndarray, shape (..., 8)
        Of `moment_sums`.

    Returns
    -------
    dict of ndarray, shape (...)
        As `emer_model.evaluation.metrics.continuous_metrics`; NaN where undefined.
    """
    n = sums[..., _N]
    mean = {name: _ratio(sums[..., place], n) for name, place in (("t", _TRUE), ("p", _PREDICTED))}
    square = {name: _ratio(sums[..., place], n) for name, place in (("t", _TRUE2), ("p", _PREDICTED2))}
    variance = {name: np.maximum(square[name] - mean[name] ** 2, 0.0) for name in mean}
    varies = {name: variance[name] > _CONSTANT * np.maximum(square[name], 1e-300) for name in mean}
    covariance = _ratio(sums[..., _PRODUCT], n) - mean["t"] * mean["p"]
    scatter = variance["t"] + variance["p"] + (mean["t"] - mean["p"]) ** 2
    mse = _ratio(sums[..., _SQUARED], n)
    spread = np.sqrt(variance["t"] * variance["p"])
    defined = (n >= 2) & varies["t"]
    return {
        "mae": _ratio(sums[..., _ABSOLUTE], n),
        "mse": mse,
        "rmse": np.sqrt(mse),
        "ccc": np.where(defined, _ratio(2.0 * covariance, np.where(defined, scatter, 0.0)), math.nan),
        "pearson": np.clip(_ratio(covariance, np.where(defined & varies["p"], spread, 0.0)), -1.0, 1.0),
    }


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide; NaN where the denominator is not positive."""
    denominator = np.asarray(denominator, dtype=np.float64)
    return np.divide(numerator, denominator, out=np.full(denominator.shape, math.nan), where=denominator > 0)


@dataclass(frozen=True)
class SubjectSums:
    """What one run's figures on some clips of one target are made of, by participant.

    Parameters
    ----------
    sums : ndarray of float64, shape (S, K, K) or (S, 8)
        Of `confusion_sums` or `moment_sums`, in the order of ``Draws.participants``.
    """

    sums: np.ndarray

    @classmethod
    def of(
        cls,
        true: np.ndarray,
        predicted: np.ndarray,
        places: np.ndarray,
        n_participants: int,
        n_classes: int,
        centre: float = 0.0,
    ) -> SubjectSums:
        """Sum over the clips of each participant.

        Parameters
        ----------
        true, predicted : ndarray, shape (n_clips,)
            Class indices, or values.
        places : ndarray of int, shape (n_clips,)
            Of `Draws.places`.
        n_participants : int
        n_classes : int
            0 for a continuous target.
        centre : float
            See `moment_sums`.
        """
        if n_classes:
            return cls(confusion_sums(true, predicted, places, n_participants, n_classes))
        return cls(moment_sums(true, predicted, places, n_participants, centre))

    @property
    def n_with_clips(self) -> int:
        """Participants that have a clip here."""
        of_each = self.sums.sum(axis=(1, 2)) if self.sums.ndim == 3 else self.sums[:, _N]
        return int((of_each > 0).sum())

    def figures(self, times: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Compute the figures of the clips, or of each resample.

        Parameters
        ----------
        times : ndarray, shape (R, S), optional
            Weights of the participants.

        Returns
        -------
        dict of ndarray, shape () or (R,)
        """
        flat = self.sums.reshape(len(self.sums), -1)
        whole = flat.sum(axis=0) if times is None else times @ flat
        return self.figures_of(whole)

    def figures_of(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Compute the figures of sums over participants, shape (..., K * K) or (..., 8)."""
        whole = flat.reshape(*flat.shape[:-1], *self.sums.shape[1:])
        return figures_of_confusions(whole) if self.sums.ndim == 3 else figures_of_moments(whole)


def interval(values: np.ndarray, level: float = LEVEL) -> Interval:
    """Return the percentile interval of a figure's resamples, shape (R,)."""
    defined = values[np.isfinite(values)]
    if len(defined) == 0 or len(defined) < (1.0 - _MOST_UNDEFINED) * len(values):
        return Interval(math.nan, math.nan, level)
    low, high = np.percentile(defined, (50.0 * (1.0 - level), 50.0 * (1.0 + level)))
    return Interval(float(low), float(high), level)


def intervals(resampled: Mapping[str, np.ndarray], level: float = LEVEL) -> dict[str, Interval]:
    """Return the interval of each of some figures."""
    return {name: interval(values, level) for name, values in resampled.items()}


def subject_bootstrap(
    true: np.ndarray,
    predicted: np.ndarray,
    participants: np.ndarray,
    n_classes: int = 0,
    *,
    draws: Draws | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Interval]:
    """Compute intervals for all figures of one target by drawing participants.

    Parameters
    ----------
    true, predicted : ndarray, shape (n_clips,)
        Class indices, or values of a continuous target.
    participants : ndarray of str, shape (n_clips,)
        Whose clip it is.
    n_classes : int
        Classes of the protocol; 0 for a continuous target.
    draws : Draws, optional
        Those of all participants, where these clips are a part of theirs.
    resamples, level, seed
        Number of draws, coverage, seed of the draws.

    Returns
    -------
    dict of Interval
        For `CLASS_METRICS` or `CONTINUOUS_METRICS`. A resample in which a figure is
        undefined does not count.
    """
    names = CLASS_METRICS if n_classes else CONTINUOUS_METRICS
    if len(np.unique(participants)) < 2:
        return {name: Interval(math.nan, math.nan, level) for name in names}
    draws = draws or Draws.of(participants, resamples=resamples, seed=seed)
    centre = 0.0 if n_classes else float(np.mean(true))
    sums = SubjectSums.of(true, predicted, draws.places(participants), len(draws.participants), n_classes, centre)
    return intervals(sums.figures(draws.times), level)
