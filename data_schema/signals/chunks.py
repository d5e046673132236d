"""Statistics of a signal over equal chunks of time, with masks, in one pass.

Deterministic: every sample of a clip counts once, whatever the sampling rate, and
a chunk without data is masked instead of being filled with an invented number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_schema.signals.gaze import Float, Int


@dataclass(frozen=True)
class ChunkStatistics:
    """Statistics per chunk, all of shape (n_chunks,); NaN where undefined.

    Parameters
    ----------
    mean, sd : ndarray of float64
        Of the valid samples; sd is the population's and needs two of them.
    slope : ndarray of float64
        Least-squares change per second; needs three valid samples.
    valid_share : ndarray of float64
        Valid samples of all samples; NaN in a chunk without samples.
    """

    mean: Float
    sd: Float
    slope: Float
    valid_share: Float


def chunk_index(t_us: Int, t_start_us: int, t_end_us: int, n_chunks: int) -> Int:
    """Return the chunk of each sample, -1 outside the clip.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
    t_start_us, t_end_us : int
        The clip, start included and end excluded, microseconds.
    n_chunks : int
        The clip is cut into this many parts of equal duration.

    Raises
    ------
    ValueError
        If the clip has no duration.
    """
    duration_us = t_end_us - t_start_us
    if duration_us <= 0:
        raise ValueError(f"a clip ends after it starts, got {t_start_us} to {t_end_us} us")
    index = (t_us - t_start_us) * n_chunks // duration_us
    return np.where((t_us >= t_start_us) & (t_us < t_end_us), index, -1).astype(np.int64)


def divide(numerator: npt.NDArray[Any], denominator: npt.NDArray[Any]) -> Float:
    """Divide, with NaN where the denominator is 0."""
    quotient: Float = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient


def chunk_statistics(t_us: Int, values: Float, index: Int, n_chunks: int) -> ChunkStatistics:
    """Compute mean, spread, slope and valid share of a signal per chunk.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
    values : ndarray of float64, shape (n,)
        NaN where invalid.
    index : ndarray of int64, shape (n,)
        From :func:`chunk_index`.
    n_chunks : int

    Returns
    -------
    ChunkStatistics
    """
    if np.any(index[1:] < index[:-1]):
        # Samples come in the order of time, but those after the clip are -1 as are those before it.
        order = np.argsort(index, kind="stable")
        t_us, values, index = t_us[order], values[order], index[order]
    edges = np.searchsorted(index, np.arange(n_chunks + 1))
    sizes, begin, end = np.diff(edges), edges[0], edges[-1]
    filled = sizes > 0

    def total(numbers: npt.NDArray[Any]) -> Float:
        sums: Float = np.zeros(n_chunks)
        if filled.any():
            sums[filled] = np.add.reduceat(numbers, (edges[:-1] - begin)[filled])
        return sums

    t_s = (t_us[begin:end] - (t_us[begin] if end > begin else 0)) / 1e6
    y = values[begin:end]
    known = np.isfinite(y)
    count = total(known.astype(np.float64))
    mean = divide(total(np.where(known, y, 0.0)), count)
    t_mean = divide(total(np.where(known, t_s, 0.0)), count)
    # Deviations from the chunk's own mean keep the sums small, so nothing cancels.
    dy = np.where(known, y - np.repeat(mean, sizes), 0.0)
    dt = np.where(known, t_s - np.repeat(t_mean, sizes), 0.0)
    variance = divide(total(dy * dy), count)
    slope = divide(total(dt * dy), total(dt * dt))
    return ChunkStatistics(
        mean=mean,
        sd=np.where(count >= 2, np.sqrt(variance), np.nan),
        slope=np.where(count >= 3, slope, np.nan),
        valid_share=divide(count, sizes.astype(np.float64)),
    )


def overlap_per_chunk(starts_us: Int, ends_us: Int, t_start_us: int, t_end_us: int, n_chunks: int) -> Float:
    """Return how many microseconds of some (disjoint) events fall into each chunk, shape (n_chunks,)."""
    edges = np.linspace(t_start_us, t_end_us, n_chunks + 1)
    if not len(starts_us):
        return np.zeros(n_chunks)
    low = np.maximum(edges[:-1, None], starts_us[None, :])
    high = np.minimum(edges[1:, None], ends_us[None, :])
    return np.asarray(np.clip(high - low, 0.0, None).sum(axis=1))


def mean_over_events(values: Float, index: Int, n_chunks: int) -> Float:
    """Return the mean of one number per event over the events of each chunk; NaN where there is none.

    Parameters
    ----------
    values : ndarray of float64, shape (m,)
    index : ndarray of int64, shape (m,)
        Chunk of each event, -1 outside.
    n_chunks : int
    """
    used = (index >= 0) & np.isfinite(values)
    count = np.bincount(index[used], minlength=n_chunks).astype(np.float64)
    return divide(np.bincount(index[used], weights=values[used], minlength=n_chunks), count)


def entropy_per_chunk(cells: Int, n_cells: int, index: Int, n_chunks: int, min_samples: int) -> Float:
    """Return the entropy of how samples are spread over cells, per chunk, bits.

    Parameters
    ----------
    cells : ndarray of int64, shape (n,)
        Cell of each sample, -1 where unknown.
    n_cells : int
    index : ndarray of int64, shape (n,)
        From :func:`chunk_index`.
    n_chunks : int
    min_samples : int
        A chunk with fewer samples in cells is NaN.

    Returns
    -------
    ndarray of float64, shape (n_chunks,)
    """
    used = (index >= 0) & (cells >= 0)
    counts = np.bincount(index[used] * n_cells + cells[used], minlength=n_chunks * n_cells).reshape(n_chunks, n_cells)
    total = counts.sum(axis=1)
    share = counts / np.maximum(total, 1)[:, None]
    logarithm = np.log2(share, out=np.zeros_like(share), where=share > 0)
    return np.where(total >= min_samples, -(share * logarithm).sum(axis=1) + 0.0, np.nan)
