"""Eye behaviour as things that can be drawn: curves by pixel column, the trail of the gaze, the map as an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annotation.evidence.eyes import EyeEvidence

#: How much of the past the trail of the gaze shows.
TRAIL_US = 300_000


@dataclass
class Span:
    """The stretch of a clip that the traces show: all of it, or a page that turns with the time.

    Parameters
    ----------
    duration_us : int
        Of the clip.
    length_us : int
        Of a page; 0 for the whole clip.
    """

    duration_us: int
    length_us: int = 0
    start_us: int = 0

    @property
    def shown_us(self) -> int:
        """Length of what is shown."""
        return min(self.length_us, self.duration_us) if self.length_us else self.duration_us

    def follow(self, time_us: int) -> bool:
        """Turn to the page on which a time lies; tells whether it turned."""
        if self.holds(time_us):
            return False
        before = self.start_us
        page = max(0, min(time_us, self.duration_us)) // max(1, self.shown_us)
        self.start_us = min(page * self.shown_us, max(0, self.duration_us - self.shown_us))
        return self.start_us != before

    def holds(self, time_us: int) -> bool:
        """Tell whether a time lies on this page."""
        return self.start_us <= time_us <= self.start_us + self.shown_us

    def share(self, time_us: float) -> float:
        """Return where a time lies on the page, 0 at its left and 1 at its right end."""
        return (time_us - self.start_us) / max(1, self.shown_us)

    def time_at(self, share: float) -> int:
        """Return the time at a place of the page."""
        return round(self.start_us + max(0.0, min(1.0, share)) * self.shown_us)


def column_ranges(t_us: np.ndarray, values: np.ndarray, span: Span, n_columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest value in each column of pixels, NaN where there is none.

    All samples count, so that a jump between two columns is seen whatever the width.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
        Increasing.
    values : ndarray of float64, shape (n,)
    span : Span
    n_columns : int

    Returns
    -------
    low, high : ndarray of float64, shape (n_columns,)
    """
    low, high = np.full(n_columns, np.nan), np.full(n_columns, np.nan)
    inside = np.isfinite(values) & (t_us >= span.start_us) & (t_us <= span.start_us + span.shown_us)
    if n_columns < 1 or not inside.any():
        return low, high
    kept = values[inside]
    column = ((t_us[inside] - span.start_us) * n_columns // max(1, span.shown_us)).clip(0, n_columns - 1)
    starts = np.flatnonzero(np.diff(column, prepend=-1))
    low[column[starts]] = np.minimum.reduceat(kept, starts)
    high[column[starts]] = np.maximum.reduceat(kept, starts)
    return low, high


def bridged(low: np.ndarray, high: np.ndarray, n_most: int) -> tuple[np.ndarray, np.ndarray]:
    """Fill columns between two samples that lie further apart than columns, such as on a short page.

    Gaps of more than `n_most` columns stay: there the eyes were lost.
    """
    known = np.flatnonzero(np.isfinite(low))
    filled_low, filled_high = low.copy(), high.copy()
    for before, after in zip(known[:-1].tolist(), known[1:].tolist(), strict=True):
        if 1 < after - before <= n_most + 1:
            between = np.arange(before + 1, after)
            share = (between - before) / (after - before)
            middle = (low[before] + high[before]) / 2 * (1 - share) + (low[after] + high[after]) / 2 * share
            filled_low[between] = filled_high[between] = middle
    return filled_low, filled_high


def gaze_trail(eyes: EyeEvidence, time_us: int, length_us: int = TRAIL_US) -> tuple[np.ndarray, np.ndarray]:
    """Return where the gaze was just before a time.

    Returns
    -------
    points : ndarray of float64, shape (k, 2)
        Shares of the screen, oldest first, NaN where gaze was lost.
    age : ndarray of float64, shape (k,)
        1 at the oldest end of the trail, 0 now.
    """
    first, last = np.searchsorted(eyes.gaze_t_us, [time_us - length_us, time_us], side="right")
    age = (time_us - eyes.gaze_t_us[first:last]) / max(1, length_us)
    return eyes.gaze_norm[first:last], age


def fixations_until(eyes: EyeEvidence, time_us: int) -> np.ndarray:
    """Return the fixations that began by a time, each cut to it, shape (k, 4)."""
    begun = eyes.fixations[eyes.fixations[:, 0] <= time_us].copy()
    begun[:, 1] = np.minimum(begun[:, 1], time_us)
    return begun


def value_range(values: np.ndarray, smallest: float) -> tuple[float, float]:
    """Return the ends of an axis: the 1st to 99th percentile with some air, at least `smallest` wide."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, smallest
    low, high = (float(end) for end in np.percentile(finite, [1, 99]))
    middle, half = (low + high) / 2, max(smallest, (high - low) * 1.2) / 2
    return middle - half, middle + half
