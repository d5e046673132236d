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

from dataclasses import dataclass, replace
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
    # A sum is finite only where all its parts are, and takes a fifth of the time that asking each takes.
    return np.asarray(np.isfinite(np.einsum("ij->i", values)), dtype=np.bool_)


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
        mean = (a + b) / 2.0
        missing = np.isnan(mean)
        mean[missing] = np.where(np.isnan(a[missing]), b[missing], a[missing])
        return mean
    raise ValueError(f"eye must be one of {', '.join(EYE_SELECTIONS)}, got '{eye}'")


@dataclass(frozen=True)
class OneEye:
    """What the tracker says of one eye; NaN where it is not valid.

    Parameters
    ----------
    gaze_norm : ndarray of float64, shape (n, 2)
        Share of the display area.
    gaze_mm, eye_mm : ndarray of float64, shape (n, 3)
        Gaze point and eye position, mm, in one coordinate system.
    pupil_mm : ndarray of float64, shape (n,)
        Pupil diameter.
    """

    gaze_norm: Float
    gaze_mm: Float
    eye_mm: Float
    pupil_mm: Float

    @property
    def direction(self) -> Float:
        """Unit vectors from the eye to its gaze point, shape (n, 3); NaN where either is missing."""
        ray = self.gaze_mm - self.eye_mm
        length = np.sqrt(np.einsum("ni,ni->n", ray, ray))
        return np.asarray(ray / np.where(length > 0, length, np.nan)[:, None], dtype=np.float64)

    def filled(self, t_us: Int, max_gap_ms: float) -> OneEye:
        """Return the eye with its short losses bridged, gaze and position alike; the pupil is left as it is."""
        if max_gap_ms <= 0:
            return self
        columns = np.concatenate([self.gaze_norm, self.gaze_mm, self.eye_mm], axis=1)
        # A value that the tracker gave beside a loss of another is kept: only what is missing is bridged.
        bridged = np.where(np.isfinite(columns), columns, fill_gaps(t_us, columns, max_gap_ms))
        return replace(self, gaze_norm=bridged[:, :2], gaze_mm=bridged[:, 2:5], eye_mm=bridged[:, 5:])


def _masked(rows: npt.NDArray[Any], value: str, valid: str) -> Float:
    out = rows[value].astype(np.float64)
    out[rows[valid] != 1] = np.nan
    return out


def both_eyes(rows: npt.NDArray[Any], screen: ScreenGeometry | None = None) -> tuple[OneEye, OneEye]:
    """Take the left and the right eye out of rows of ``/eye/gaze``.

    Parameters
    ----------
    rows : structured ndarray, shape (n,)
        Rows with the columns of ``data_schema.session.layout.GAZE``.
    screen : ScreenGeometry, optional
        Where the tracker gave three-dimensional gaze points or eye positions for less than half of its gaze, all of
        them are computed from the gaze on the display area, for an eye straight in front of the screen's centre.
        The two are never mixed within a recording: their coordinate systems differ.
    """
    eyes: list[OneEye] = []
    n_seen = n_solid = 0
    for side in ("left", "right"):
        gaze_norm = _masked(rows, f"{side}_gaze_norm", f"{side}_gaze_valid")
        gaze_norm[~finite_rows(gaze_norm)] = np.nan
        gaze_mm = _masked(rows, f"{side}_gaze_user_mm", f"{side}_gaze_valid")
        eye_mm = _masked(rows, f"{side}_origin_user_mm", f"{side}_origin_valid")
        seen = finite_rows(gaze_norm)
        n_seen += int(seen.sum())
        n_solid += int((seen & finite_rows(gaze_mm) & finite_rows(eye_mm)).sum())
        eyes.append(OneEye(gaze_norm, gaze_mm, eye_mm, _masked(rows, f"{side}_pupil_mm", f"{side}_pupil_valid")))
    if screen is not None and 2 * n_solid < n_seen:
        before_mm = np.array([0.0, 0.0, screen.distance_mm])
        eyes = [
            replace(
                eye,
                gaze_mm=screen.gaze_3d_mm(eye.gaze_norm),
                eye_mm=np.where(finite_rows(eye.gaze_norm)[:, None], before_mm, np.nan),
            )
            for eye in eyes
        ]
    return eyes[0], eyes[1]


def stand_in(left: OneEye, right: OneEye) -> tuple[OneEye, OneEye]:
    """Let each eye stand in for the other where that is lost, as far from it as when both were last seen.

    The eyes look in directions some degrees apart. A mean that falls back on the direction of one eye jumps by half of
    that, which looks like a saccade; so the lost eye's gaze point and position are told from the other's and from how far
    apart the two were last (before both were seen for the first time: how far they are then).

    Parameters
    ----------
    left, right : OneEye

    Returns
    -------
    tuple of OneEye
        The same with stand-ins where one eye alone is there; unchanged where both were never seen together.
    """
    left_there = finite_rows(left.gaze_mm) & finite_rows(left.eye_mm)
    right_there = finite_rows(right.gaze_mm) & finite_rows(right.eye_mm)
    both = np.flatnonzero(left_there & right_there)
    if not len(both):
        return left, right
    return (
        _told_from(left, right, np.flatnonzero(~left_there & right_there), both),
        _told_from(right, left, np.flatnonzero(left_there & ~right_there), both),
    )


def _told_from(own: OneEye, other: OneEye, lost: npt.NDArray[np.intp], both: npt.NDArray[np.intp]) -> OneEye:
    """Fill in the `lost` samples of one eye from the other's; `both` has the samples at which both were seen."""
    last = both[np.maximum(np.searchsorted(both, lost) - 1, 0)]
    gaze_mm, eye_mm = own.gaze_mm.copy(), own.eye_mm.copy()
    gaze_mm[lost] = other.gaze_mm[lost] + (own.gaze_mm[last] - other.gaze_mm[last])
    eye_mm[lost] = other.eye_mm[lost] + (own.eye_mm[last] - other.eye_mm[last])
    return replace(own, gaze_mm=gaze_mm, eye_mm=eye_mm)


def select_eye(rows: npt.NDArray[Any], eye: str = "average", screen: ScreenGeometry | None = None) -> GazeSignal:
    """Make one gaze signal from rows of ``/eye/gaze``.

    Parameters
    ----------
    rows : structured ndarray, shape (n,)
        Rows with the columns of ``data_schema.session.layout.GAZE``.
    eye : str
        See :func:`combine_eyes`.
    screen : ScreenGeometry, optional
        Stands in for three-dimensional fields that are missing, see :func:`both_eyes`.

    Returns
    -------
    GazeSignal
    """
    return combine_gaze(rows, *both_eyes(rows, screen), eye)


def combine_gaze(rows: npt.NDArray[Any], left: OneEye, right: OneEye, eye: str) -> GazeSignal:
    """Make one gaze signal of two eyes that were taken out of `rows` by :func:`both_eyes`."""
    return GazeSignal(
        t_us=rows["t_system_us"].astype(np.int64),
        gaze_norm=combine_eyes(left.gaze_norm, right.gaze_norm, eye),
        gaze_mm=combine_eyes(left.gaze_mm, right.gaze_mm, eye),
        eye_mm=combine_eyes(left.eye_mm, right.eye_mm, eye),
        pupil_mm=combine_eyes(left.pupil_mm, right.pupil_mm, eye),
        left_valid=rows["left_gaze_valid"] == 1,
        right_valid=rows["right_gaze_valid"] == 1,
    )


def sample_interval_us(t_us: Int) -> float:
    """Return the median interval between samples in microseconds (NaN for fewer than two).

    Of stamps that were rounded so coarsely that most are that of the sample before, the mean without holes.
    """
    if len(t_us) < 2:
        return float("nan")
    steps = np.diff(t_us)
    middle = float(np.median(steps))
    if middle > 0:
        return middle
    return float(steps[steps <= 2.5 * usual_step_us(steps)].mean())


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


def usual_step_us(steps: Int) -> float:
    """Return the median step; of those that rise, where most do not (milliseconds at 2,000 Hz)."""
    middle = float(np.median(steps))
    rising = steps[steps > 0]
    return middle if middle > 0 or not len(rising) else float(np.median(rising))


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
    starts, ends = true_runs(valid)
    steps = np.diff(t_us)
    # Where no step is that much longer than the shortest, none is than the median, which takes longer to find.
    if not len(starts) or not len(steps) or steps.max() <= max_step * steps.min():
        return starts, ends
    holes = np.flatnonzero((steps > max_step * usual_step_us(steps)) & valid[:-1] & valid[1:]).astype(np.int64)
    return np.sort(np.concatenate([starts, holes + 1])), np.sort(np.concatenate([ends, holes]))


def fill_gaps(t_us: Int, values: Float, max_gap_ms: float) -> Float:
    """Bridge short losses by straight lines.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
        Microseconds, increasing.
    values : ndarray of float64, shape (n, k)
        NaN where missing.
    max_gap_ms : float
        Losses longer than this, from the last valid to the next valid sample, stay; 0 fills nothing.

    Returns
    -------
    ndarray of float64, shape (n, k)

    References
    ----------
    Olsen (2012), section 3.1.1 "Gap fill-in interpolation": each lost sample lies on the line between the samples before
    and after the gap, where its own time stands between theirs.
    """
    filled: Float = values.copy()
    missing = ~finite_rows(values)
    starts, ends = true_runs(missing)
    if max_gap_ms <= 0 or not len(starts):
        return filled
    inside = (starts > 0) & (ends < len(t_us) - 1)
    starts, ends = starts[inside], ends[inside]
    short = t_us[ends + 1] - t_us[starts - 1] <= max_gap_ms * 1000.0
    starts, ends = starts[short], ends[short]
    lengths = ends - starts + 1
    before, after = np.repeat(starts - 1, lengths), np.repeat(ends + 1, lengths)
    index = before + 1 + np.arange(len(before)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    share = (t_us[index] - t_us[before]) / (t_us[after] - t_us[before])
    filled[index] = values[before] + share[:, None] * (values[after] - values[before])
    return filled
