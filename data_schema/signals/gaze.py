"""Gaze: which eye, in which unit, how fast.

Everything here is a pure function of arrays. Gaze points and eye positions are
three-dimensional, in millimetres, in one common coordinate system (the tracker's
user coordinate system, or the display's): an angle between two gaze points is
the angle between the two lines from the eye to them, so no small-angle
approximation and no nominal viewing distance is needed.

References
----------
Olsen (2012), "The Tobii I-VT Fixation Filter: Algorithm description", Tobii
Technology.
Tobii, "Tobii Pro SDK: coordinate systems": user coordinates in mm, origin at the
tracker; display area from (0, 0) at the top left to (1, 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

#: Ways to make one signal of two eyes (Olsen 2012, "Eye selection").
EYE_SELECTIONS: tuple[str, ...] = ("average", "strict_average", "left", "right")


def finite_rows(values: Float) -> Bool:
    """Tell for each row of a two-dimensional array whether all its numbers are finite."""
    return np.asarray(np.isfinite(values).all(axis=1), dtype=np.bool_)


@dataclass(frozen=True)
class ScreenGeometry:
    """Size and distance of the screen.

    Parameters
    ----------
    width_px, height_px : int
        Resolution.
    width_mm, height_mm : float
        Visible area.
    distance_mm : float
        From the eyes to the screen's centre.
    """

    width_px: int
    height_px: int
    width_mm: float
    height_mm: float
    distance_mm: float

    def norm_to_mm(self, gaze_norm: npt.ArrayLike) -> Float:
        """Convert shares of the display area to mm from the screen's centre, x right, y down, shape (..., 2)."""
        centred: Float = np.asarray(gaze_norm, dtype=np.float64) - 0.5
        size_mm: Float = np.array([self.width_mm, self.height_mm])
        return np.multiply(centred, size_mm)

    def norm_to_deg(self, gaze_norm: npt.ArrayLike) -> Float:
        """Convert shares of the display area to Fick angles from the screen's centre, x right, y down, shape (..., 2).

        Azimuth and elevation in degrees, of an eye straight in front of the
        centre at the nominal distance, as ETDQualitizer (Niehorster et al.) does.
        """
        flat = self.norm_to_mm(gaze_norm)
        x, y = flat[..., 0], flat[..., 1]
        azimuth = np.arctan2(x, self.distance_mm)
        elevation = np.arctan2(y, np.hypot(x, self.distance_mm))
        angles: Float = np.degrees(np.stack([azimuth, elevation], axis=-1))
        return angles

    def deg_to_norm(self, angle_deg: float) -> tuple[float, float]:
        """Convert a visual angle at the screen's centre to shares of its width and height."""
        size_mm = 2.0 * self.distance_mm * float(np.tan(np.radians(angle_deg) / 2.0))
        return size_mm / self.width_mm, size_mm / self.height_mm

    def gaze_3d_mm(self, gaze_norm: npt.ArrayLike) -> Float:
        """Place gaze points on the screen's plane (z = 0, origin at its centre), shape (n, 3), mm."""
        flat = self.norm_to_mm(gaze_norm)
        return np.concatenate([flat, np.zeros((*flat.shape[:-1], 1))], axis=-1)


@dataclass(frozen=True)
class GazeSignal:
    """One gaze signal made of two eyes; NaN where there is none.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
        Host clock, microseconds.
    gaze_norm : ndarray of float64, shape (n, 2)
        Share of the display area.
    gaze_mm, eye_mm : ndarray of float64, shape (n, 3)
        Gaze point and eye position, mm, in the same coordinate system.
    pupil_mm : ndarray of float64, shape (n,)
        Pupil diameter.
    left_valid, right_valid : ndarray of bool, shape (n,)
        Whether each eye had a valid gaze point.
    """

    t_us: Int
    gaze_norm: Float
    gaze_mm: Float
    eye_mm: Float
    pupil_mm: Float
    left_valid: Bool
    right_valid: Bool

    @property
    def valid(self) -> Bool:
        """Tell for each sample whether there is a gaze point."""
        return np.isfinite(self.gaze_norm[:, 0])

    def __len__(self) -> int:
        return len(self.t_us)


def combine_eyes(left: npt.ArrayLike, right: npt.ArrayLike, eye: str) -> Float:
    """Make one signal of two.

    Parameters
    ----------
    left, right : array_like, shape (n,) or (n, k)
        NaN where the eye gave nothing.
    eye : {"average", "strict_average", "left", "right"}
        ``average`` uses the one eye that is there where the other is missing;
        ``strict_average`` drops samples where either is missing.

    Returns
    -------
    ndarray of float64, shape as `left`

    Raises
    ------
    ValueError
        If `eye` is not one of :data:`EYE_SELECTIONS`.

    References
    ----------
    Olsen (2012), section "Eye selection".
    """
    a: Float = np.array(left, dtype=np.float64)
    b: Float = np.array(right, dtype=np.float64)
    if eye == "left":
        return a
    if eye == "right":
        return b
    if eye == "strict_average":
        return (a + b) / 2.0
    if eye == "average":
        return np.where(np.isnan(a), b, np.where(np.isnan(b), a, (a + b) / 2.0))
    raise ValueError(f"eye must be one of {', '.join(EYE_SELECTIONS)}, got '{eye}'")


def _masked(rows: npt.NDArray[Any], value: str, valid: str) -> Float:
    out = rows[value].astype(np.float64)
    out[rows[valid] != 1] = np.nan
    return out


def select_eye(rows: npt.NDArray[Any], eye: str = "average", screen: ScreenGeometry | None = None) -> GazeSignal:
    """Make one gaze signal from rows of ``/eye/gaze``.

    Parameters
    ----------
    rows : structured ndarray, shape (n,)
        Rows with the columns of ``data_schema.session.layout.GAZE``.
    eye : str
        See :func:`combine_eyes`.
    screen : ScreenGeometry, optional
        Where the tracker gave no three-dimensional gaze points or eye positions
        at all, they are computed from the gaze on the display area, for an eye
        straight in front of the screen's centre.

    Returns
    -------
    GazeSignal
    """
    parts: dict[str, Float] = {}
    for name, column, valid in (
        ("gaze_norm", "gaze_norm", "gaze_valid"),
        ("gaze_mm", "gaze_user_mm", "gaze_valid"),
        ("eye_mm", "origin_user_mm", "origin_valid"),
        ("pupil_mm", "pupil_mm", "pupil_valid"),
    ):
        sides = [_masked(rows, f"{side}_{column}", f"{side}_{valid}") for side in ("left", "right")]
        parts[name] = combine_eyes(sides[0], sides[1], eye)
    seen = finite_rows(parts["gaze_norm"])
    parts["gaze_norm"][~seen] = np.nan
    has_3d = finite_rows(parts["gaze_mm"]) & finite_rows(parts["eye_mm"])
    if screen is not None and seen.any() and not has_3d.any():
        parts["gaze_mm"] = screen.gaze_3d_mm(parts["gaze_norm"])
        parts["eye_mm"] = np.where(seen[:, None], np.array([0.0, 0.0, screen.distance_mm]), np.nan)
    return GazeSignal(
        t_us=rows["t_system_us"].astype(np.int64),
        left_valid=rows["left_gaze_valid"] == 1,
        right_valid=rows["right_gaze_valid"] == 1,
        **parts,
    )


def sample_interval_us(t_us: Int) -> float:
    """Return the median interval between samples in microseconds (NaN for fewer than two)."""
    return float(np.median(np.diff(t_us))) if len(t_us) > 1 else float("nan")


def angle_between_deg(first_mm: Float, second_mm: Float, eye_mm: Float) -> Float:
    """Return the visual angle between two points seen from the eye.

    Parameters
    ----------
    first_mm, second_mm, eye_mm : ndarray of float64, shape (..., 3)
        Points and eye position, mm.

    Returns
    -------
    ndarray of float64, shape (...)
        Degrees, by atan2 of cross and dot product (exact for small angles, where
        the arc cosine loses digits).
    """
    a, b = first_mm - eye_mm, second_mm - eye_mm
    cross = np.linalg.norm(np.cross(a, b), axis=-1)
    return np.asarray(np.degrees(np.arctan2(cross, np.sum(a * b, axis=-1))), dtype=np.float64)


def true_runs(mask: Bool) -> tuple[Int, Int]:
    """Return the first and last index of each run of True (both inclusive)."""
    edges = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    return np.flatnonzero(edges == 1).astype(np.int64), (np.flatnonzero(edges == -1) - 1).astype(np.int64)


def contiguous_runs(t_us: Int, valid: Bool, max_step: float = 2.0) -> tuple[Int, Int]:
    """Return first and last index of each run of valid samples without a hole in time.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
    valid : ndarray of bool, shape (n,)
    max_step : float
        A step of more than this many median intervals is a hole (samples that
        the tracker never sent). Chosen by us: trackers jitter by less than one
        interval.
    """
    interval_us = sample_interval_us(t_us)
    starts, ends = true_runs(valid)
    if len(t_us) < 2 or not len(starts):
        return starts, ends
    holes = np.flatnonzero((np.diff(t_us) > max_step * interval_us) & valid[:-1] & valid[1:]).astype(np.int64)
    return np.sort(np.concatenate([starts, holes + 1])), np.sort(np.concatenate([ends, holes]))


def angular_velocity(t_us: Int, gaze_mm: Float, eye_mm: Float, window_ms: float = 20.0) -> Float:
    """Compute the angular velocity of gaze at each sample.

    The velocity at a sample is the angle between the gaze points at both ends of
    a window centred on it, seen from the eye position of the sample itself,
    divided by the time between the ends. At an end of the data or beside a loss
    the window is cut to the samples that are there.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
        Microseconds, increasing.
    gaze_mm, eye_mm : ndarray of float64, shape (n, 3)
        NaN where missing.
    window_ms : float
        Length of the window; at least one sample on each side is used.

    Returns
    -------
    ndarray of float64, shape (n,)
        Degrees per second; NaN where there is no gaze or no neighbour.

    References
    ----------
    Olsen (2012), section "Velocity calculator" (default window 20 ms).
    """
    n = len(t_us)
    velocity = np.full(n, np.nan)
    if n < 2:
        return velocity
    half = max(1, int(np.floor(window_ms * 1000.0 / (2.0 * sample_interval_us(t_us)) + 0.5)))
    valid = finite_rows(gaze_mm) & finite_rows(eye_mm)
    starts, ends = contiguous_runs(t_us, valid)
    if not len(starts):
        return velocity
    lengths = ends - starts + 1
    index = np.flatnonzero(valid)
    first = np.maximum(index - half, np.repeat(starts, lengths))
    last = np.minimum(index + half, np.repeat(ends, lengths))
    index, first, last = index[last > first], first[last > first], last[last > first]
    angle = angle_between_deg(gaze_mm[first], gaze_mm[last], eye_mm[index])
    seconds = (t_us[last] - t_us[first]) / 1e6
    velocity[index] = np.where(seconds > 0, angle / np.where(seconds > 0, seconds, 1.0), np.nan)
    return velocity
