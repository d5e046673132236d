"""Summaries of a clip for models that take no sequences.

The export's own summaries (formats since 1.2) stand first; what the chunks and the fixations say beside
them is computed here, for exports of every format.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Chunks with a value that a slope over the clip needs at least. Ours.
MIN_CHUNKS_FOR_SLOPE = 3
#: Parts of the clip over which the course of a feature is averaged.
N_QUARTERS = 4


def chunk_summaries(
    eye: np.ndarray, mask: np.ndarray, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Summarise each feature over the chunks of a clip: mean, spread, slope and the mean of each quarter.

    Parameters
    ----------
    eye : ndarray of float32, shape (n_clips, n_chunks, n_features)
    mask : ndarray of bool, shape (n_clips, n_chunks, n_features)
    names : sequence of str
        Of the features.

    Returns
    -------
    values : ndarray of float32, shape (n_clips, n_features * 7)
        Zero where masked; slopes per clip length.
    mask : ndarray of bool, the same shape
    names : tuple of str
        Such as ``chunks/pupil_change_mean/quarter_3``.
    """
    exact = np.where(mask, eye, 0.0).astype(np.float64)
    n_chunks = eye.shape[1]
    count, mean = _mean(exact, mask)
    spread = np.sqrt(_mean(np.where(mask, (exact - mean[:, None]) ** 2, 0.0), mask)[1])
    time = ((np.arange(n_chunks) + 0.5) / n_chunks)[None, :, None]
    centred = np.where(mask, time - _mean(np.where(mask, time, 0.0), mask)[1][:, None], 0.0)
    slope = (centred * exact).sum(axis=1) / np.maximum((centred**2).sum(axis=1), 1e-12)
    parts = [("mean", mean, count > 0), ("spread", spread, count > 1), ("slope", slope, count >= MIN_CHUNKS_FOR_SLOPE)]
    for number, chunks in enumerate(np.array_split(np.arange(n_chunks), N_QUARTERS), start=1):
        there, average = _mean(exact[:, chunks], mask[:, chunks])
        parts.append((f"quarter_{number}", average, there > 0))
    values = np.concatenate([np.where(valid, value, 0.0) for _, value, valid in parts], axis=1)
    valid = np.concatenate([valid for _, _, valid in parts], axis=1)
    return values.astype(np.float32), valid, tuple(f"chunks/{name}/{part}" for part, _, _ in parts for name in names)


def fixation_summaries(
    fixations: np.ndarray, mask: np.ndarray, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Summarise the fixations of a clip: their number, and mean and spread of each feature.

    Parameters
    ----------
    fixations : ndarray of float32, shape (n_clips, n_fixations, n_features)
    mask : ndarray of bool, shape (n_clips, n_fixations)
    names : sequence of str

    Returns
    -------
    values, mask, names
        As of `chunk_summaries`, shape (n_clips, 1 + n_features * 2).
    """
    each = np.broadcast_to(mask[:, :, None], fixations.shape)
    exact = np.where(each, fixations, 0.0).astype(np.float64)
    count, mean = _mean(exact, each)
    spread = np.sqrt(_mean(np.where(each, (exact - mean[:, None]) ** 2, 0.0), each)[1])
    number = mask.sum(axis=1, keepdims=True).astype(np.float64)
    values = np.concatenate([number, np.where(count > 0, mean, 0.0), np.where(count > 1, spread, 0.0)], axis=1)
    valid = np.concatenate([number > 0, count > 0, count > 1], axis=1)
    words = [f"fixations/{name}/{part}" for part in ("mean", "spread") for name in names]
    return values.astype(np.float32), valid, ("fixations/count", *words)


def face_summaries(features: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Average face features over the frames with a face, and take their spread.

    Parameters
    ----------
    features : ndarray of float32, shape (n_clips, n_frames, n_features)
    mask : ndarray of bool, shape (n_clips, n_frames)

    Returns
    -------
    ndarray of float32, shape (n_clips, 2 * n_features)
        Zero without a face.
    """
    weight = mask[:, :, None].astype(np.float32)
    count = np.maximum(weight.sum(axis=1), 1.0)
    mean = (features * weight).sum(axis=1) / count
    spread = np.sqrt((((features - mean[:, None]) * weight) ** 2).sum(axis=1) / count)
    return np.concatenate([mean, spread], axis=1)


def _mean(exact: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count and average over the second axis what was measured; zero where nothing was."""
    count = mask.sum(axis=1)
    return count, exact.sum(axis=1) / np.maximum(count, 1)
