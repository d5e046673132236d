"""Pupil: remove what is no pupil, make one signal of two eyes, bridge short losses, subtract a baseline.

References
----------
Kret and Sjak-Shie (2019), "Preprocessing pupil size data: Guidelines and code", Behavior Research Methods 51: range,
dilation speed outliers by median absolute deviation, padding of gaps, islands of few samples, mean of both eyes with
their changing difference where one is lost, linear interpolation of short gaps.
Mathôt, Fabius, Van Heusden and Van der Stigchel (2018), "Safe and sensible preprocessing and baseline correction of
pupil-size data", Behavior Research Methods 50: subtract the baseline, do not divide by it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_schema.signals.gaze import Bool, Float, Int, combine_eyes, fill_gaps, sample_interval_us, true_runs


@dataclass(frozen=True)
class PupilParameters:
    """Parameters of the pupil cleaning.

    Parameters
    ----------
    min_mm, max_mm : float
        Diameters outside are no human pupil (Kret and Sjak-Shie 2019: 1.5 to 9).
    speed_mad : float
        Samples whose dilation speed exceeds median + speed_mad * MAD are dropped (Kret and Sjak-Shie 2019 use 16).
    blink_padding_ms : float
        Dropped on both sides of each blink and of each longer loss (Kret and Sjak-Shie 2019: 50).
    gap_min_ms : float
        Losses shorter than this are not padded (Kret and Sjak-Shie 2019: 75).
    island_ms, island_gap_ms : float
        A stretch shorter than the first between losses longer than the second is dropped (Kret and Sjak-Shie 2019: 50
        and 40).
    max_gap_ms : float
        Longest loss that is interpolated by a straight line at the end; 0 fills none (Kret and Sjak-Shie 2019: 250).
    """

    min_mm: float = 1.5
    max_mm: float = 9.0
    speed_mad: float = 16.0
    blink_padding_ms: float = 50.0
    gap_min_ms: float = 75.0
    island_ms: float = 50.0
    island_gap_ms: float = 40.0
    max_gap_ms: float = 0.0


def dilation_speed(t_us: Int, pupil_mm: Float) -> Float:
    """Return the larger of the speeds to the previous and to the next sample, mm/s, shape (n,).

    References
    ----------
    Kret and Sjak-Shie (2019), equation 1.
    """
    n = len(t_us)
    speed = np.full(n, np.nan)
    if n < 2:
        return speed
    step = np.abs(np.diff(pupil_mm)) / np.maximum(np.diff(t_us), 1) * 1e6
    speed[1:] = step
    speed[:-1] = np.fmax(speed[:-1], step)
    return speed


def clean_pupil(
    t_us: Int, pupil_mm: Float, blinking: Bool | None = None, parameters: PupilParameters | None = None
) -> Float:
    """Set to NaN what is not a trustworthy diameter of one pupil.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
    pupil_mm : ndarray of float64, shape (n,)
        NaN where the tracker gave none.
    blinking : ndarray of bool, shape (n,), optional
        True inside blinks.
    parameters : PupilParameters, optional

    Returns
    -------
    ndarray of float64, shape (n,)
        Nothing is interpolated here.
    """
    parameters = parameters or PupilParameters()
    clean: Float = pupil_mm.copy()
    with np.errstate(invalid="ignore"):
        clean[(clean < parameters.min_mm) | (clean > parameters.max_mm)] = np.nan
    if blinking is not None:
        clean[blinking] = np.nan
    speed = dilation_speed(t_us, clean)
    finite = np.isfinite(speed)
    if finite.any():
        median = float(np.median(speed[finite]))
        mad = float(np.median(np.abs(speed[finite] - median)))
        if mad > 0:
            outlier = np.zeros(len(clean), dtype=np.bool_)
            outlier[finite] = speed[finite] > median + parameters.speed_mad * mad
            clean[outlier] = np.nan
    clean[_beside_gaps(t_us, ~np.isfinite(clean), blinking, parameters)] = np.nan
    clean[_islands(t_us, np.asarray(np.isfinite(clean), dtype=np.bool_), parameters)] = np.nan
    return clean


def _beside_gaps(t_us: Int, missing: Bool, blinking: Bool | None, parameters: PupilParameters) -> Bool:
    """Mark what lies beside a longer loss or beside a blink."""
    padding_us = parameters.blink_padding_ms * 1000.0
    starts, ends = true_runs(missing)
    longer = t_us[ends] - t_us[starts] >= parameters.gap_min_ms * 1000.0
    if blinking is not None and len(starts):
        # Blinks are padded however short they are.
        held = np.concatenate([[0], np.cumsum(blinking)])
        longer |= held[ends + 1] > held[starts]
    starts, ends = starts[longer], ends[longer]
    change = np.zeros(len(t_us) + 1, dtype=np.int64)
    np.add.at(change, np.searchsorted(t_us, t_us[starts] - padding_us, side="left"), 1)
    np.add.at(change, np.searchsorted(t_us, t_us[ends] + padding_us, side="right"), -1)
    return np.asarray(np.cumsum(change[:-1]) > 0, dtype=np.bool_)


def _islands(t_us: Int, there: Bool, parameters: PupilParameters) -> Bool:
    """Mark short stretches between longer losses."""
    marked = np.zeros(len(t_us), dtype=np.bool_)
    starts, ends = true_runs(there)
    if len(starts) < 2:
        return marked
    interval_us = sample_interval_us(t_us)
    gap_us = (t_us[starts[1:]] - t_us[ends[:-1]]).astype(np.float64)
    alone_before = np.concatenate([[True], gap_us > parameters.island_gap_ms * 1000.0])
    alone_after = np.concatenate([gap_us > parameters.island_gap_ms * 1000.0, [True]])
    short = t_us[ends] - t_us[starts] + interval_us < parameters.island_ms * 1000.0
    for first, last in zip(
        starts[alone_before & alone_after & short], ends[alone_before & alone_after & short], strict=True
    ):
        marked[first : last + 1] = True
    return marked


def combine_pupils(t_us: Int, left_mm: Float, right_mm: Float, eye: str = "average") -> Float:
    """Make one diameter of two cleaned ones.

    Where one eye is lost, the mean of both is told from the other and from how much the two differ around that time:
    pupils differ by some tenths of a millimetre, and a jump to the other eye's diameter would look like a response.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
        Microseconds, increasing.
    left_mm, right_mm : ndarray of float64, shape (n,)
        NaN where missing.
    eye : str
        As for gaze; only "average" looks at the difference.

    Returns
    -------
    ndarray of float64, shape (n,)

    References
    ----------
    Kret and Sjak-Shie (2019), "Calculating mean pupil size and smoothing".
    """
    if eye != "average":
        return combine_eyes(left_mm, right_mm, eye)
    both = np.flatnonzero(np.isfinite(left_mm) & np.isfinite(right_mm))
    if not len(both):
        return combine_eyes(left_mm, right_mm, eye)
    difference = np.interp(t_us, t_us[both], left_mm[both] - right_mm[both])
    return combine_eyes(left_mm - difference / 2.0, right_mm + difference / 2.0, eye)


def clean_pupils(
    t_us: Int,
    left_mm: Float,
    right_mm: Float,
    blinking: Bool | None = None,
    eye: str = "average",
    parameters: PupilParameters | None = None,
) -> Float:
    """Clean both pupils, make one signal of them and bridge its short losses.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
    left_mm, right_mm : ndarray of float64, shape (n,)
        NaN where the tracker gave none.
    blinking : ndarray of bool, shape (n,), optional
        True inside blinks.
    eye : str
        Eye selection, see :func:`combine_pupils`.
    parameters : PupilParameters, optional

    Returns
    -------
    ndarray of float64, shape (n,)
        Millimetres; NaN where nothing is to be trusted.
    """
    parameters = parameters or PupilParameters()
    left, right = (clean_pupil(t_us, side, blinking, parameters) for side in (left_mm, right_mm))
    pupil = combine_pupils(t_us, left, right, eye)
    return np.asarray(fill_gaps(t_us, pupil[:, None], parameters.max_gap_ms)[:, 0], dtype=np.float64)


def baseline_mm(pupil_mm: Float, min_valid_share: float = 0.2) -> float:
    """Return the median diameter of a baseline window, to be subtracted.

    Parameters
    ----------
    pupil_mm : ndarray of float64, shape (n,)
        Cleaned diameters of the window.
    min_valid_share : float
        With less of the window valid there is no baseline (our choice).

    Returns
    -------
    float
        Millimetres; NaN if there is no baseline.
    """
    finite = np.isfinite(pupil_mm)
    if not len(pupil_mm) or finite.mean() < min_valid_share:
        return float("nan")
    return float(np.median(pupil_mm[finite]))
