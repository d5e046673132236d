"""Fixations and saccades by velocity threshold (I-VT), as Tobii's white paper describes.

Steps, in this order: fill short gaps (a setting), velocity, threshold, merge
adjacent fixations, discard short fixations. All parameters are explicit and are
stored with whatever is computed from them.

References
----------
Olsen (2012), "The Tobii I-VT Fixation Filter: Algorithm description", Tobii
Technology.
Komogortsev et al. (2010), "Standardization of automated analyses of oculomotor
fixation and saccadic behaviors", IEEE Trans. Biomed. Eng. 57 (the threshold).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from data_schema.signals.gaze import (
    Float,
    Int,
    angle_between_deg,
    angular_velocity,
    finite_rows,
    sample_interval_us,
    true_runs,
)


class SampleKind(IntEnum):
    """What the eye does at one sample."""

    UNCLASSIFIED = 0
    FIXATION = 1
    SACCADE = 2
    NO_EYES = 3


@dataclass(frozen=True)
class IVTParameters:
    """Parameters of the I-VT filter; the defaults are Tobii Pro Lab's preset "Tobii I-VT (Fixation)".

    Parameters
    ----------
    eye : str
        Eye selection, see :func:`data_schema.signals.gaze.combine_eyes`.
    max_gap_ms : float
        Longest loss that is bridged by a straight line; 0 bridges none (the
        preset; the white paper's default is 75 ms).
    velocity_window_ms : float
        Length of the velocity window.
    velocity_threshold_deg_s : float
        A sample below it belongs to a fixation.
    merge_max_time_ms, merge_max_angle_deg : float
        Fixations that are no further apart in time and in visual angle become one.
    min_fixation_ms : float
        Shorter fixations are discarded (their samples become unclassified).
    """

    eye: str = "average"
    max_gap_ms: float = 0.0
    velocity_window_ms: float = 20.0
    velocity_threshold_deg_s: float = 30.0
    merge_max_time_ms: float = 75.0
    merge_max_angle_deg: float = 0.5
    min_fixation_ms: float = 60.0


#: One fixation: indices of its first and last sample, its times and the mean gaze.
FIXATION_DTYPE = np.dtype(
    [
        ("first", "<i8"),
        ("last", "<i8"),
        ("t_start_us", "<i8"),
        ("t_end_us", "<i8"),
        ("x_norm", "<f8"),
        ("y_norm", "<f8"),
    ]
)
#: One saccade: samples, times, visual angle between its ends, highest velocity.
SACCADE_DTYPE = np.dtype(
    [
        ("first", "<i8"),
        ("last", "<i8"),
        ("t_start_us", "<i8"),
        ("t_end_us", "<i8"),
        ("amplitude_deg", "<f8"),
        ("peak_velocity_deg_s", "<f8"),
    ]
)


@dataclass(frozen=True)
class EyeMovements:
    """What I-VT found.

    Parameters
    ----------
    kind : ndarray of int8, shape (n,)
        :class:`SampleKind` of each sample.
    velocity_deg_s : ndarray of float64, shape (n,)
        Angular velocity; NaN where unknown.
    fixations : structured ndarray of FIXATION_DTYPE
    saccades : structured ndarray of SACCADE_DTYPE
    parameters : IVTParameters
    """

    kind: npt.NDArray[np.int8]
    velocity_deg_s: Float
    fixations: npt.NDArray[np.void]
    saccades: npt.NDArray[np.void]
    parameters: IVTParameters


def fill_gaps(t_us: Int, values: Float, max_gap_ms: float) -> Float:
    """Bridge short losses by straight lines.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
    values : ndarray of float64, shape (n, k)
        NaN where missing.
    max_gap_ms : float
        Losses longer than this, from the last valid to the next valid sample,
        stay; 0 fills nothing.

    Returns
    -------
    ndarray of float64, shape (n, k)

    References
    ----------
    Olsen (2012), section "Gap fill-in".
    """
    filled: Float = values.copy()
    if max_gap_ms <= 0:
        return filled
    starts, ends = true_runs(~finite_rows(values))
    for start, end in zip(starts, ends, strict=True):
        before, after = start - 1, end + 1
        if before < 0 or after >= len(t_us) or t_us[after] - t_us[before] > max_gap_ms * 1000.0:
            continue
        share = (t_us[start : end + 1] - t_us[before]) / (t_us[after] - t_us[before])
        filled[start : end + 1] = values[before] + share[:, None] * (values[after] - values[before])
    return filled


def _merge(
    starts: Int, ends: Int, t_us: Int, gaze_mm: Float, eye_mm: Float, parameters: IVTParameters
) -> list[tuple[int, int]]:
    """Join fixations that are close in time and angle, from left to right.

    Time is from the last sample of one to the first of the next; the angle is
    that between those two samples, seen from the mean of their eye positions.
    """
    merged: list[tuple[int, int]] = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if merged:
            last = merged[-1][1]
            gap_ms = (t_us[start] - t_us[last]) / 1000.0
            eye = (eye_mm[last] + eye_mm[start]) / 2.0
            angle = float(angle_between_deg(gaze_mm[last], gaze_mm[start], eye))
            if gap_ms <= parameters.merge_max_time_ms and angle <= parameters.merge_max_angle_deg:
                merged[-1] = (merged[-1][0], end)
                continue
        merged.append((start, end))
    return merged


def classify(
    t_us: Int,
    gaze_mm: Float,
    eye_mm: Float,
    gaze_norm: Float | None = None,
    parameters: IVTParameters | None = None,
) -> EyeMovements:
    """Classify gaze samples into fixations and saccades.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
        Microseconds, increasing.
    gaze_mm, eye_mm : ndarray of float64, shape (n, 3)
        Gaze point and eye position, mm; NaN where missing.
    gaze_norm : ndarray of float64, shape (n, 2), optional
        Share of the display area, for the fixations' positions.
    parameters : IVTParameters, optional

    Returns
    -------
    EyeMovements

    References
    ----------
    Olsen (2012).
    """
    parameters = parameters or IVTParameters()
    n = len(t_us)
    both = fill_gaps(t_us, np.concatenate([gaze_mm, eye_mm], axis=1), parameters.max_gap_ms)
    gaze_mm, eye_mm = both[:, :3], both[:, 3:]
    seen = finite_rows(both)
    velocity = angular_velocity(t_us, gaze_mm, eye_mm, parameters.velocity_window_ms)
    known = np.isfinite(velocity)
    slow = np.zeros(n, dtype=np.bool_)
    slow[known] = velocity[known] < parameters.velocity_threshold_deg_s
    kind = np.full(n, SampleKind.UNCLASSIFIED, dtype=np.int8)
    kind[known & ~slow] = SampleKind.SACCADE
    kind[~seen] = SampleKind.NO_EYES

    starts, ends = true_runs(slow)
    interval_us = sample_interval_us(t_us) if n > 1 else 0.0
    kept: list[tuple[int, int]] = []
    for start, end in _merge(starts, ends, t_us, gaze_mm, eye_mm, parameters):
        # A sample stands for the interval after it, so one sample lasts one interval.
        if (t_us[end] - t_us[start] + interval_us) / 1000.0 < parameters.min_fixation_ms:
            kind[start : end + 1][seen[start : end + 1]] = SampleKind.UNCLASSIFIED
            continue
        kind[start : end + 1][seen[start : end + 1]] = SampleKind.FIXATION
        kept.append((start, end))
    return EyeMovements(
        kind=kind,
        velocity_deg_s=velocity,
        fixations=_fixation_table(kept, t_us, gaze_norm, interval_us),
        saccades=_saccade_table(kind, t_us, gaze_mm, eye_mm, velocity, interval_us),
        parameters=parameters,
    )


def _fixation_table(
    spans: list[tuple[int, int]], t_us: Int, gaze_norm: Float | None, interval_us: float
) -> npt.NDArray[np.void]:
    table = np.zeros(len(spans), dtype=FIXATION_DTYPE)
    for i, (start, end) in enumerate(spans):
        x, y = np.nan, np.nan
        if gaze_norm is not None:
            part = gaze_norm[start : end + 1]
            part = part[finite_rows(part)]
            if len(part):
                x, y = part.mean(axis=0)
        table[i] = (start, end, t_us[start], t_us[end] + round(interval_us), x, y)
    return table


def _saccade_table(
    kind: npt.NDArray[np.int8], t_us: Int, gaze_mm: Float, eye_mm: Float, velocity: Float, interval_us: float
) -> npt.NDArray[np.void]:
    starts, ends = true_runs(kind == SampleKind.SACCADE)
    table = np.zeros(len(starts), dtype=SACCADE_DTYPE)
    for i, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        eye = (eye_mm[start] + eye_mm[end]) / 2.0
        amplitude = float(angle_between_deg(gaze_mm[start], gaze_mm[end], eye))
        peak = float(np.max(velocity[start : end + 1]))
        table[i] = (start, end, t_us[start], t_us[end] + round(interval_us), amplitude, peak)
    return table
