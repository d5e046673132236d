"""How fast gaze turns: angular velocity over a window of samples, as Tobii's I-VT filter computes it.

References
----------
Olsen (2012), "The Tobii I-VT Fixation Filter: Algorithm description", section 3.1.4 "Velocity calculator". The number of
samples that a window has at each rate is not said there in full; docs/signals.md tells what is inferred and how sure.
"""

from __future__ import annotations

import numpy as np

from data_schema.signals.gaze import Float, Int, contiguous_runs, finite_rows, usual_step_us

#: A window is taken to hold one sample more if it lacks less than a hundredth: stamps jitter, and 20 ms hold six
#: intervals of 300 Hz even where the stamps say 3.34 ms.
_TOLERANCE = 1.01


def nominal_interval_us(t_us: Int) -> float:
    """Return the tracker's sampling interval in microseconds; NaN for fewer than two samples.

    The mean of all intervals that are no holes, which is right for stamps rounded to milliseconds too (at 600 Hz their
    median would be 2 ms).
    """
    if len(t_us) < 2:
        return float("nan")
    steps = np.diff(t_us)
    return float(np.mean(steps[steps <= 1.5 * max(usual_step_us(steps), 1.0)]))


def window_size(window_ms: float, interval_us: float) -> int:
    """Return how many samples a velocity window has: as many intervals as fit into it, and one; at least two.

    At 20 ms: 2 samples at 30 and 60 Hz, 3 at 120 Hz, 6 at 250 Hz, 7 at 300 Hz, 13 at 600 Hz, 25 at 1200 Hz.
    """
    return max(1, int(window_ms * 1000.0 / interval_us * _TOLERANCE)) + 1


def angle_of_unit_vectors_deg(first: Float, second: Float) -> Float:
    """Return the angle between unit vectors, exact for small angles too.

    Parameters
    ----------
    first, second : ndarray of float64, shape (..., 3)

    Returns
    -------
    ndarray of float64, shape (...)
        Degrees.
    """
    # Twice the angle whose tangent is half the difference over half the sum (Kahan): no digits are lost at either end.
    difference, total = first - second, first + second
    apart = np.sqrt(np.einsum("...i,...i->...", difference, difference))
    together = np.sqrt(np.einsum("...i,...i->...", total, total))
    return np.asarray(np.degrees(2.0 * np.arctan2(apart, together)), dtype=np.float64)


def unit_vectors(vectors: Float) -> Float:
    """Return vectors of length 1, shape (n, 3); NaN where there is none."""
    length = np.sqrt(np.einsum("ni,ni->n", vectors, vectors))
    unit: Float = vectors / np.where(length > 0, length, np.nan)[:, None]
    return unit


def velocity_of_directions(t_us: Int, direction: Float, window_ms: float = 20.0) -> Float:
    """Compute the angular velocity of gaze at each sample.

    The angle between the directions at both ends of a window around the sample, divided by the time between them. With
    an odd number of samples the window is centred; with an even one it reaches one sample further back. Beside a loss
    or a hole in time it is cut to the samples that are there; it never looks across, and it never holds fewer than two.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
        Microseconds, increasing.
    direction : ndarray of float64, shape (n, 3)
        From the eye to what it looks at, any length; NaN where missing.
    window_ms : float
        Length of the window.

    Returns
    -------
    ndarray of float64, shape (n,)
        Degrees per second; NaN where there is no gaze or no neighbour.
    """
    n = len(t_us)
    velocity = np.full(n, np.nan)
    valid = finite_rows(direction)
    interval_us = nominal_interval_us(t_us)
    if n < 2 or not valid.any() or not interval_us > 0:
        return velocity
    size = window_size(window_ms, interval_us)
    starts, ends = contiguous_runs(t_us, valid)
    lengths = ends - starts + 1
    index, run_start, run_end = np.flatnonzero(valid), np.repeat(starts, lengths), np.repeat(ends, lengths)
    first = index - size // 2
    last = first + size - 1
    first, last = np.maximum(first, run_start), np.minimum(last, run_end)
    # Two samples make a window at low rates; the first sample after a loss has nothing before it, so it looks ahead.
    last = np.where(last == first, np.minimum(first + 1, run_end), last)
    used = last > first
    index, first, last = index[used], first[used], last[used]
    unit = unit_vectors(direction)
    seconds = (t_us[last] - t_us[first]) / 1e6
    angle = angle_of_unit_vectors_deg(unit[first], unit[last])
    velocity[index] = np.where(seconds > 0, angle / np.where(seconds > 0, seconds, 1.0), np.nan)
    return velocity


def angular_velocity(t_us: Int, gaze_mm: Float, eye_mm: Float, window_ms: float = 20.0) -> Float:
    """Compute the angular velocity of gaze from gaze points and eye positions.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
        Microseconds, increasing.
    gaze_mm, eye_mm : ndarray of float64, shape (n, 3)
        Gaze point and eye position in one coordinate system, mm; NaN where missing.
    window_ms : float
        See :func:`velocity_of_directions`.

    Returns
    -------
    ndarray of float64, shape (n,)
        Degrees per second; NaN where there is no gaze or no neighbour.
    """
    return velocity_of_directions(t_us, gaze_mm - eye_mm, window_ms)
