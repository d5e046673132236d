"""Pupil: remove what is no pupil, subtract a baseline.

References
----------
Kret and Sjak-Shie (2019), "Preprocessing pupil size data: Guidelines and code",
Behavior Research Methods 51: range, dilation speed outliers by median absolute
deviation, padding of gaps.
Mathôt, Fabius, Van Heusden and Van der Stigchel (2018), "Safe and sensible
preprocessing and baseline correction of pupil-size data", Behavior Research
Methods 50: subtract the baseline, do not divide by it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_schema.signals.gaze import Bool, Float, Int, true_runs


@dataclass(frozen=True)
class PupilParameters:
    """Parameters of the pupil cleaning.

    Parameters
    ----------
    min_mm, max_mm : float
        Diameters outside are no human pupil (Kret and Sjak-Shie 2019: 1.5 to 9).
    speed_mad : float
        Samples whose dilation speed exceeds median + speed_mad * MAD are dropped
        (Kret and Sjak-Shie 2019 use 16).
    blink_padding_ms : float
        Dropped on both sides of each longer loss (Kret and Sjak-Shie 2019: 50).
    gap_min_ms : float
        Losses shorter than this are not padded (Kret and Sjak-Shie 2019: 75).
    """

    min_mm: float = 1.5
    max_mm: float = 9.0
    speed_mad: float = 16.0
    blink_padding_ms: float = 50.0
    gap_min_ms: float = 75.0


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
    """Set to NaN what is not a trustworthy pupil diameter.

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
    return _pad_gaps(t_us, clean, parameters)


def _pad_gaps(t_us: Int, clean: Float, parameters: PupilParameters) -> Float:
    padded: Float = clean.copy()
    padding_us = parameters.blink_padding_ms * 1000.0
    starts, ends = true_runs(~np.isfinite(clean))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if t_us[end] - t_us[start] < parameters.gap_min_ms * 1000.0:
            continue
        first = int(np.searchsorted(t_us, t_us[start] - padding_us, side="left"))
        last = int(np.searchsorted(t_us, t_us[end] + padding_us, side="right"))
        padded[first:last] = np.nan
    return padded


def baseline_mm(pupil_mm: Float, min_valid_share: float = 0.2) -> float:
    """Return the median diameter of a baseline window.

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
