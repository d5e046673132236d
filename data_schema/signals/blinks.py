"""Blinks, from eye openness where the tracker gives it, else from the loss of both eyes.

From openness a blink begins where the lids begin to move and ends where they come to rest, found by their speed: a mark
on the openness alone finds the middle of a blink and misses a third of it. Loss of both eyes is the second choice: it has
other causes too, and it lasts as long as the pupil is covered, some 60 ms less than the blink.

References
----------
Nyström, Andersson, Niehorster, Hessels and Hooge (2024), "What is a blink? Classifying and characterizing blinks in eye
openness signals", Behavior Research Methods 56: smoothing over 25 ms, ends of a blink where the lids' speed falls below
3 MAD (closing) and 1 MAD (opening) of all speeds.
Savitzky and Golay (1964), "Smoothing and differentiation of data by simplified least squares procedures", Analytical
Chemistry 36.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_schema.signals.gaze import Bool, Float, Int, contiguous_runs, fill_gaps, sample_interval_us, true_runs
from data_schema.signals.velocity import nominal_interval_us


@dataclass(frozen=True)
class BlinkParameters:
    """Parameters of the blink detector; they are stored with the result.

    Parameters
    ----------
    closed_share : float
        An eye is closed while its openness is below this share of its own median: half open is the usual mark.
    min_ms, max_ms : float
        Shorter blinks are noise, longer ones are looking away or closed eyes. Chosen by us.
    merge_ms : float
        Closures separated by less are one blink (the openness signal flickers at the lids' turning point). Chosen by us.
    smooth_ms : float
        Window of the speed of the lids (Nyström et al. 2024: 25).
    edge_speed_mad : float
        A blink begins where the closing speed exceeds this many MAD of all speeds, and ends where the opening speed
        falls below a third of that (Nyström et al. 2024: 3).
    bridge_ms : float
        Longest loss of openness that is bridged before the speed is computed (Nyström et al. 2024: 40).
    """

    closed_share: float = 0.5
    min_ms: float = 50.0
    max_ms: float = 600.0
    merge_ms: float = 50.0
    smooth_ms: float = 25.0
    edge_speed_mad: float = 3.0
    bridge_ms: float = 40.0


#: One blink; speeds (both positive) and openness are NaN where they are not known, as in blinks found by loss.
BLINK_DTYPE = np.dtype(
    [
        ("t_start_us", "<i8"),
        ("t_end_us", "<i8"),
        ("closing_peak_mm_s", "<f8"),
        ("opening_peak_mm_s", "<f8"),
        ("min_openness_mm", "<f8"),
    ]
)
#: How far from a closure its fastest closing and opening is looked for: lids close within 100 ms and open within 250 ms
#: (Nyström et al. 2024, figures 9 and 10).
_CLOSING_MS, _OPENING_MS = 150.0, 300.0
#: Lids slower than this share of their own fastest are still, however little the signal's noise is (simulated openness
#: has none). Chosen by us; in recordings the noise decides.
_STILL_SHARE = 0.02


def closed_by_openness(left_mm: Float, right_mm: Float, closed_share: float) -> Bool:
    """Tell for each sample whether the lids are closed.

    Parameters
    ----------
    left_mm, right_mm : ndarray of float64, shape (n,)
        Openness; NaN where invalid. An eye without any value is left out.
    closed_share : float
        See :class:`BlinkParameters`.

    Returns
    -------
    ndarray of bool, shape (n,)
        True where every eye that has values is below its mark or gives none.
    """
    closed = np.ones(len(left_mm), dtype=np.bool_)
    usable = False
    for side in (left_mm, right_mm):
        finite = np.isfinite(side)
        if not finite.any():
            continue
        usable = True
        mark = closed_share * float(np.median(side[finite]))
        closed &= ~finite | (np.where(finite, side, 0.0) < mark)
    return closed if usable else np.zeros(len(left_mm), dtype=np.bool_)


def closed_by_loss(t_us: Int, left_valid: Bool, right_valid: Bool, max_ms: float = BlinkParameters.max_ms) -> Bool:
    """Tell for each sample whether the eyes may be closed: both are lost, or one of them just before or after that.

    The trackers of the two eyes give up a little apart. A loss of one eye that overlaps with a loss of the other belongs
    to the blink as long as it is no longer than a blink; an eye that is away for long says nothing, so that only the
    time without either eye counts.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
        Microseconds, increasing.
    left_valid, right_valid : ndarray of bool, shape (n,)
        Whether each eye had a valid gaze point.
    max_ms : float
        Longest loss of one eye that is taken as part of a blink.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    starts, ends = true_runs(~left_valid & ~right_valid)
    first, last = starts.copy(), ends.copy()
    for valid in (left_valid, right_valid):
        lost_from, lost_to = true_runs(~valid)
        if not len(lost_from):
            continue
        own = np.searchsorted(lost_from, starts, side="right") - 1
        short = t_us[lost_to[own]] - t_us[lost_from[own]] <= max_ms * 1000.0
        first = np.where(short, np.minimum(first, lost_from[own]), first)
        last = np.where(short, np.maximum(last, lost_to[own]), last)
    change = np.zeros(len(t_us) + 1, dtype=np.int64)
    np.add.at(change, first, 1)
    np.add.at(change, last + 1, -1)
    return np.asarray(np.cumsum(change[:-1]) > 0, dtype=np.bool_)


def _closures(t_us: Int, closed: Bool, parameters: BlinkParameters) -> list[tuple[int, int]]:
    """Return first and last sample of each closure, joined where they are close. A hole in time ends a closure."""
    joined: list[tuple[int, int]] = []
    interval_us = sample_interval_us(t_us) if len(t_us) > 1 else 0.0
    starts, ends = contiguous_runs(t_us, closed)
    for first, last in zip(starts.tolist(), ends.tolist(), strict=True):
        if joined and t_us[first] - t_us[joined[-1][1]] - interval_us < parameters.merge_ms * 1000.0:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


def find_blinks(t_us: Int, closed: Bool, parameters: BlinkParameters | None = None) -> npt.NDArray[np.void]:
    """Find blinks in a closed-or-open signal.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
    closed : ndarray of bool, shape (n,)
        From :func:`closed_by_loss` or :func:`closed_by_openness`.
    parameters : BlinkParameters, optional

    Returns
    -------
    structured ndarray of BLINK_DTYPE
    """
    parameters = parameters or BlinkParameters()
    interval_us = sample_interval_us(t_us) if len(t_us) > 1 else 0.0
    blinks = [
        (int(t_us[first]), int(t_us[last]) + round(interval_us), np.nan, np.nan, np.nan)
        for first, last in _closures(t_us, closed, parameters)
    ]
    return _of_blink_length(blinks, parameters)


def find_openness_blinks(
    t_us: Int, left_mm: Float, right_mm: Float, parameters: BlinkParameters | None = None
) -> npt.NDArray[np.void]:
    """Find blinks in the openness of both eyes.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
    left_mm, right_mm : ndarray of float64, shape (n,)
        Openness; NaN where invalid.
    parameters : BlinkParameters, optional

    Returns
    -------
    structured ndarray of BLINK_DTYPE
        A closure below the mark makes a blink; its ends are where the lids begin to close and come to rest. Where the
        openness is lost around a closure, or the lids do not move faster than the signal's noise, the closure itself is
        the blink and the speeds are NaN.
    """
    parameters = parameters or BlinkParameters()
    closures = _closures(t_us, closed_by_openness(left_mm, right_mm, parameters.closed_share), parameters)
    if not closures:
        return np.zeros(0, dtype=BLINK_DTYPE)
    openness, speed = lid_speed(t_us, _mean_openness(left_mm, right_mm), parameters)
    finite = np.isfinite(speed)
    noise = float(np.median(np.abs(speed[finite] - np.median(speed[finite])))) if finite.any() else float("nan")
    threshold = parameters.edge_speed_mad * noise
    mark = parameters.closed_share * float(np.nanmedian(openness)) if np.isfinite(openness).any() else float("nan")
    interval_us = sample_interval_us(t_us) if len(t_us) > 1 else 0.0
    blinks: list[tuple[int, int, float, float, float]] = []
    for place, (first, last) in enumerate(closures):
        low = closures[place - 1][1] + 1 if place else 0
        high = closures[place + 1][0] - 1 if place + 1 < len(closures) else len(t_us) - 1
        closing, opening = np.nan, np.nan
        start, end = first, last
        inside = openness[first : last + 1]
        lowest = float(np.nanmin(inside)) if np.isfinite(inside).any() else float("nan")
        # A loss of openness alone has no ends to look for: the lids were not seen to close.
        found = _edges(t_us, openness, speed, (low, first, last, high), threshold) if lowest < mark else None
        if found is not None:
            start, end, closing, opening = found
        blinks.append((int(t_us[start]), int(t_us[end]) + round(interval_us), closing, opening, lowest))
    return _of_blink_length(blinks, parameters)


def _of_blink_length(
    blinks: list[tuple[int, int, float, float, float]], parameters: BlinkParameters
) -> npt.NDArray[np.void]:
    kept = [b for b in blinks if parameters.min_ms * 1000.0 <= b[1] - b[0] <= parameters.max_ms * 1000.0]
    return np.array(kept, dtype=BLINK_DTYPE)


def _mean_openness(left_mm: Float, right_mm: Float) -> Float:
    """Return the mean of both eyes; of one eye where the other is lost, brought to the mean's level so that it does not jump."""
    shares, medians = [], []
    for side in (left_mm, right_mm):
        finite = np.isfinite(side)
        median = float(np.median(side[finite])) if finite.any() else 0.0
        if median > 0:
            shares.append(side / median)
            medians.append(median)
    if not shares:
        return np.full(len(left_mm), np.nan)
    if len(shares) == 1:
        return np.asarray(shares[0] * medians[0], dtype=np.float64)
    one, other = shares
    mean = np.where(np.isnan(one), other, np.where(np.isnan(other), one, (one + other) / 2.0))
    return np.asarray(mean * (medians[0] + medians[1]) / 2.0, dtype=np.float64)


def lid_speed(t_us: Int, openness_mm: Float, parameters: BlinkParameters | None = None) -> tuple[Float, Float]:
    """Return smoothed openness and how fast it changes, by a parabola fitted to each window.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
    openness_mm : ndarray of float64, shape (n,)
        NaN where missing.
    parameters : BlinkParameters, optional

    Returns
    -------
    openness_mm : ndarray of float64, shape (n,)
    speed_mm_s : ndarray of float64, shape (n,)
        Negative while closing. Both NaN where a window is not complete.
    """
    parameters = parameters or BlinkParameters()
    n = len(openness_mm)
    interval_us = nominal_interval_us(t_us)
    if not interval_us > 0:
        return np.full(n, np.nan), np.full(n, np.nan)
    bridged = fill_gaps(t_us, openness_mm[:, None], parameters.bridge_ms)[:, 0]
    half = max(1, round(parameters.smooth_ms * 1000.0 / interval_us / 2.0 - 0.5))
    if n < 2 * half + 1:
        return np.full(n, np.nan), np.full(n, np.nan)
    steps = np.arange(-half, half + 1, dtype=np.float64)
    # Rows of the pseudo-inverse: value and slope at the middle of the fitted parabola.
    weights = np.linalg.pinv(np.stack([np.ones_like(steps), steps, steps**2], axis=1))
    missing = ~np.isfinite(bridged)
    signal = np.where(missing, 0.0, bridged)
    incomplete = np.convolve(missing.astype(np.float64), np.ones(2 * half + 1), mode="same") > 0.5
    incomplete[:half] = incomplete[n - half :] = True
    smooth = np.convolve(signal, weights[0][::-1], mode="same")
    speed = np.convolve(signal, weights[1][::-1], mode="same") / (interval_us / 1e6)
    return np.where(incomplete, np.nan, smooth), np.where(incomplete, np.nan, speed)


def _edges(
    t_us: Int, openness: Float, speed: Float, where: tuple[int, int, int, int], threshold: float
) -> tuple[int, int, float, float] | None:
    """Return first and last sample of a blink and its fastest closing and opening, from its closure.

    `where` has the earliest sample that may belong to it, the closure's first and last, and the latest. None if the
    openness around it is lost or moves no faster than its noise.
    """
    low, first, last, high = where
    # Integers among integers: for a fraction all stamps would be converted, blink by blink.
    low = max(low, int(np.searchsorted(t_us, t_us[first] - round(_CLOSING_MS * 1000.0))))
    high = min(high, int(np.searchsorted(t_us, t_us[last] + round(_OPENING_MS * 1000.0), side="right")) - 1)
    inside = openness[first : last + 1]
    turn = first + int(np.nanargmin(inside)) if np.isfinite(inside).any() else first
    before, after = speed[low : turn + 1], speed[turn : high + 1]
    if not np.isfinite(before).any() or not np.isfinite(after).any():
        return None
    fastest_closing, fastest_opening = low + int(np.nanargmin(before)), turn + int(np.nanargmax(after))
    closing, opening = -float(speed[fastest_closing]), float(speed[fastest_opening])
    if not (closing > threshold and opening > threshold):
        return None
    # Not faster than the limit, or lost: the lids are still, or nothing is known of them.
    begun, over = max(threshold, _STILL_SHARE * closing), max(threshold / 3.0, _STILL_SHARE * opening)
    still = np.flatnonzero(~(speed[low:fastest_closing] < -begun))
    start = low + int(still[-1]) + 1 if len(still) else low
    rest = np.flatnonzero(~(speed[fastest_opening : high + 1] > over))
    end = fastest_opening + int(rest[0]) - 1 if len(rest) else high
    return min(start, first), max(end, last), closing, opening


def blink_mask(t_us: Int, blinks: npt.NDArray[np.void], padding_ms: float = 0.0) -> Bool:
    """Mark the samples that lie in a blink.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
        Increasing.
    blinks : structured ndarray of BLINK_DTYPE
    padding_ms : float
        Time added before and after each blink.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    padding_us = round(padding_ms * 1000.0)
    first = np.searchsorted(t_us, blinks["t_start_us"] - padding_us, side="left")
    last = np.searchsorted(t_us, blinks["t_end_us"] + padding_us, side="left")
    change = np.zeros(len(t_us) + 1, dtype=np.int64)
    np.add.at(change, first, 1)
    np.add.at(change, last, -1)
    return np.asarray(np.cumsum(change[:-1]) > 0, dtype=np.bool_)
