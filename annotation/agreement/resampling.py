"""Bootstrap over clips, of all figures at once.

Every coefficient of agreement is a function of sums over clips. So a resample is
a row of weights (how often each clip was drawn), and the sums of all resamples
are one matrix product. The first row holds ones: it gives the figure itself.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Sums = npt.NDArray[np.float64]
#: Resamples that are multiplied at a time: bounds the memory whatever the number of clips.
_CHUNK = 256
#: A figure that is undefined in more than this share of the resamples (a class that so few clips have that many
#: resamples hold none of them) gets no interval: one of the others alone would be too narrow. Chosen.
MAX_UNDEFINED_SHARE = 0.05


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; None where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def as_json(self) -> dict[str, float | None]:
        """Return value, low and high."""
        return {"value": self.value, "low": self.low, "high": self.high}


class Resamples:
    """Clips drawn with replacement, the same draws for all figures of a pass.

    Parameters
    ----------
    n_clips : int
    n_resamples : int
        0 for no intervals.
    seed : int
    """

    def __init__(self, n_clips: int, n_resamples: int, seed: int) -> None:
        self.n_clips = n_clips
        self.n_resamples = n_resamples
        # Two bytes a cell: 2,000 resamples of 10,000 clips take 40 MB.
        self._weights = np.ones((n_resamples + 1, n_clips), dtype=np.uint16)
        rng = np.random.default_rng(seed)
        for start in range(1, n_resamples + 1, _CHUNK):
            rows = self._weights[start : start + _CHUNK]
            if not n_clips:
                break
            drawn = rng.integers(0, n_clips, rows.shape)
            # One count for all rows: each row's clips get numbers of their own.
            drawn += np.arange(len(rows))[:, None] * n_clips
            rows[:] = np.bincount(drawn.ravel(), minlength=rows.size).reshape(rows.shape)

    def sums(self, per_clip: npt.NDArray[np.float64]) -> Sums:
        """Sum over the clips of each resample.

        Parameters
        ----------
        per_clip : ndarray of float64, shape (n_clips, ...)

        Returns
        -------
        ndarray of float64, shape (n_resamples + 1, ...)
            The first row is of all clips, each once.
        """
        flat = per_clip.reshape(self.n_clips, -1)
        result = np.empty((self.n_resamples + 1, flat.shape[1]))
        for start in range(0, self.n_resamples + 1, _CHUNK):
            part = slice(start, start + _CHUNK)
            result[part] = self._weights[part].astype(np.float64) @ flat
        return result.reshape((self.n_resamples + 1, *per_clip.shape[1:]))


def one_blas_thread() -> AbstractContextManager[object]:
    """Return a context in which matrix products use one thread.

    The products are small and many. Where another program holds the cores, the threads of one product wait for each
    other longer than they work: 2.6 times the processor time on two busy cores, and far more time on the clock.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:  # of the extra `agreement`; without it everything is right, and slower on a busy machine
        return nullcontext()
    return threadpool_limits(limits=1, user_api="blas")


def estimate(figures: Sums, level: float = 0.95) -> Estimate:
    """Return the first figure with the percentile interval of the others.

    Parameters
    ----------
    figures : ndarray of float64, shape (n_resamples + 1,)
        NaN where not defined.
    level : float
        Share of the resamples between the bounds.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, section 13.3.
    """
    value = float(figures[0])
    if not np.isfinite(value):
        return Estimate(None)
    drawn = figures[1:]
    defined = drawn[np.isfinite(drawn)]
    if not len(drawn) or len(defined) < (1 - MAX_UNDEFINED_SHARE) * len(drawn):
        return Estimate(value)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high))


def divided(above: Sums, below: Sums) -> Sums:
    """Divide; NaN where there is nothing to divide by.

    Sums that vanish by calculation may leave a remainder of rounding, hence the small bound.
    """
    safe = np.abs(below) > 1e-12
    result = np.full(np.broadcast(above, below).shape, np.nan)
    np.divide(above, below, out=result, where=safe)
    return result
