"""Bring features to a common scale, from the training participants alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Normalised values are cut here: ours, so that one wild sample cannot move a batch.
LIMIT = 8.0

#: Clips' worth of belief in the training average when a participant's own baseline is
#: taken. Ours: two clips, so that a participant with few clips is hardly moved.
PRIOR_CLIPS = 2.0

_FEATURES_AT_ONCE = 64


@dataclass(frozen=True)
class FeatureNormalisation:
    """Mean and spread of each feature over the training fold.

    Parameters
    ----------
    mean, spread : ndarray of float32, shape (n_features,)
        In the feature's unit; a spread is 1 where the feature does not vary.
    """

    mean: np.ndarray
    spread: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray, mask: np.ndarray) -> FeatureNormalisation:
        """Fit to the values that were measured.

        Parameters
        ----------
        values : ndarray, shape (n_clips, n_steps, n_features)
            Of training participants only.
        mask : ndarray of bool, shape (n_clips, n_steps, n_features)
            True where a value was measured.
        """
        mean, spread, _ = _moments(values, mask)
        return cls(mean.astype(np.float32), np.where(spread > 1e-6, spread, 1.0).astype(np.float32))

    def apply(self, values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Normalise; zero (the training mean) where nothing was measured. Shapes as in `fit`."""
        normalised = (values - self.mean).astype(np.float32, copy=False)
        normalised /= self.spread
        np.clip(normalised, -LIMIT, LIMIT, out=normalised)
        normalised[~mask] = 0.0
        return normalised


def subtract_subject_baseline(values: np.ndarray, mask: np.ndarray, participants: Sequence[str]) -> np.ndarray:
    """Standardise each participant's features by that participant's own clips.

    Uses no label, but all clips of the participant that are at hand, so the result for
    a clip depends on its siblings. Each participant's mean and variance are drawn
    towards 0 and 1 (the training fold's) with the weight of `PRIOR_CLIPS` clips.
    This takes away what stays the same about a person, such as the resting pupil size.

    Parameters
    ----------
    values : ndarray of float32, shape (n_clips, n_steps, n_features)
        Already normalised by the training fold.
    mask : ndarray of bool, shape (n_clips, n_steps, n_features)
    participants : sequence of str, length n_clips

    Returns
    -------
    ndarray of float32, shape (n_clips, n_steps, n_features)
    """
    result = np.zeros_like(values)
    codes = np.asarray(participants)
    for code in np.unique(codes):
        own = codes == code
        mean, spread, clips = _moments(values[own], mask[own])
        weight = clips / (clips + PRIOR_CLIPS)  # (n_features,)
        baseline = weight * mean
        scale = np.sqrt(weight * spread**2 + (1.0 - weight))
        adjusted = np.clip((values[own] - baseline) / np.maximum(scale, 1e-3), -LIMIT, LIMIT)
        result[own] = np.where(mask[own], adjusted, 0.0)
    return result


def _moments(values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, spread and number of clips with data of each feature; 0, 0, 0 where there are none."""
    # Some features at a time: twice the precision of all face features at once would double a small run's memory.
    blocks = [slice(start, start + _FEATURES_AT_ONCE) for start in range(0, values.shape[2], _FEATURES_AT_ONCE)]
    parts = [_block_moments(values[:, :, block], mask[:, :, block]) for block in blocks]
    if not parts:
        return np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64)
    mean, spread, clips = (np.concatenate(part) for part in zip(*parts, strict=True))
    return mean, spread, clips


def _block_moments(values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    exact = np.where(mask, values, 0.0).astype(np.float64)
    count = np.maximum(mask.sum(axis=(0, 1)), 1)
    mean = exact.sum(axis=(0, 1)) / count
    variance = np.where(mask, (exact - mean) ** 2, 0.0).sum(axis=(0, 1)) / count
    return mean, np.sqrt(variance), mask.any(axis=1).sum(axis=0)
