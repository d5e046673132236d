"""Saccades: their times, how far the eye turned and how fast."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from data_schema.signals.gaze import Bool, Float, Int, contiguous_runs
from data_schema.signals.velocity import angle_of_unit_vectors_deg, unit_vectors

#: One saccade: its samples, its times, the visual angle between its ends, its highest velocity.
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


def saccade_table(
    fast: Bool, t_us: Int, direction: Float, velocity_deg_s: Float, interval_us: float
) -> npt.NDArray[np.void]:
    """Describe runs of fast samples; a hole in time ends one.

    Parameters
    ----------
    fast : ndarray of bool, shape (n,)
        Samples that belong to saccades; each has a direction and a velocity.
    t_us : ndarray of int64, shape (n,)
    direction : ndarray of float64, shape (n, 3)
        From the eye to what it looks at.
    velocity_deg_s : ndarray of float64, shape (n,)
    interval_us : float
        A sample stands for the interval after it.

    Returns
    -------
    structured ndarray of SACCADE_DTYPE
        The amplitude is the angle between gaze at the first and at the last sample: the straight way, not the path.
        The peak is that of the window's mean velocity; a window longer than the saccade flattens it.
    """
    starts, ends = contiguous_runs(t_us, fast)
    table = np.zeros(len(starts), dtype=SACCADE_DTYPE)
    if not len(starts):
        return table
    unit = unit_vectors(direction)
    table["first"], table["last"] = starts, ends
    table["t_start_us"], table["t_end_us"] = t_us[starts], t_us[ends] + round(interval_us)
    table["amplitude_deg"] = angle_of_unit_vectors_deg(unit[starts], unit[ends])
    # Maxima between each start and the next one; what lies outside of saccades does not count.
    table["peak_velocity_deg_s"] = np.maximum.reduceat(np.where(fast, velocity_deg_s, -np.inf), starts)
    return table
