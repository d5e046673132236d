"""Fixations and saccades by velocity threshold (I-VT), as Tobii Pro Lab finds them.

Steps, in this order: bridge short losses of each eye (a setting), make one direction of gaze of two eyes, reduce noise,
velocity, threshold, join adjacent fixations, discard short ones. All parameters are explicit and are stored with whatever
is computed from them. docs/signals.md tells which step Tobii documents, which is inferred from recordings, and how well
the result agrees with Tobii's own labels.

References
----------
Olsen (2012), "The Tobii I-VT Fixation Filter: Algorithm description", Tobii Technology.
Komogortsev et al. (2010), "Standardization of automated analyses of oculomotor fixation and saccadic behaviors", IEEE
Trans. Biomed. Eng. 57 (threshold, joining and shortest fixation).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from data_schema.signals.gaze import (
    EYE_SELECTIONS,
    Bool,
    Float,
    Int,
    OneEye,
    ScreenGeometry,
    both_eyes,
    combine_eyes,
    contiguous_runs,
    fill_gaps,
    finite_rows,
    sample_interval_us,
    stand_in,
)
from data_schema.signals.noise import check_window, reduce_noise
from data_schema.signals.saccades import saccade_table
from data_schema.signals.velocity import angle_of_unit_vectors_deg, unit_vectors, velocity_of_directions


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
        Longest loss of an eye that is bridged by a straight line; 0 bridges none (the preset; the white paper's default
        is 75 ms).
    noise_reduction : {"none", "moving_average", "median"}
        Noise reduction before the velocity is computed.
    noise_window_samples : int
        Samples in its window; odd.
    velocity_window_ms : float
        Length of the velocity window.
    velocity_threshold_deg_s : float
        A sample below it belongs to a fixation.
    merge_fixations : bool
        Whether fixations close in time and angle become one.
    merge_max_time_ms, merge_max_angle_deg : float
        How close: from the last sample of one to the first of the next.
    min_fixation_ms : float
        Shorter fixations are discarded (their samples become unclassified); 0 keeps all.

    Notes
    -----
    Pro Lab's preset "Tobii I-VT (Attention)" is the same with a threshold of 100 deg/s, which smooth pursuit stays below.

    Raises
    ------
    ValueError
        If a value is impossible.
    """

    eye: str = "average"
    max_gap_ms: float = 0.0
    noise_reduction: str = "median"
    noise_window_samples: int = 3
    velocity_window_ms: float = 20.0
    velocity_threshold_deg_s: float = 30.0
    merge_fixations: bool = True
    merge_max_time_ms: float = 75.0
    merge_max_angle_deg: float = 0.5
    min_fixation_ms: float = 60.0

    def __post_init__(self) -> None:
        """Refuse impossible values before anything is computed with them."""
        if self.eye not in EYE_SELECTIONS:
            raise ValueError(f"eye must be one of {', '.join(EYE_SELECTIONS)}, got '{self.eye}'")
        check_window(self.noise_reduction, self.noise_window_samples)
        if not self.velocity_window_ms > 0:
            raise ValueError(f"velocity_window_ms must be above 0, got {self.velocity_window_ms}")


#: A step of the eye's position within one sample that is a change from one eye to two or back, mm. Chosen by us.
_EYE_SWITCH_MM = 10.0

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


def find_eye_movements(
    rows: npt.NDArray[Any], screen: ScreenGeometry | None = None, parameters: IVTParameters | None = None
) -> EyeMovements:
    """Find fixations and saccades in rows of ``/eye/gaze``.

    Parameters
    ----------
    rows : structured ndarray, shape (n,)
        Columns of ``data_schema.session.layout.GAZE``, in the order of their time.
    screen : ScreenGeometry, optional
        Stands in for three-dimensional fields that are missing, see :func:`data_schema.signals.gaze.both_eyes`.
    parameters : IVTParameters, optional

    Returns
    -------
    EyeMovements
    """
    parameters = parameters or IVTParameters()
    left, right = both_eyes(rows, screen)
    return eye_movements_of(rows["t_system_us"].astype(np.int64), left, right, parameters)


def eye_movements_of(t_us: Int, left: OneEye, right: OneEye, parameters: IVTParameters) -> EyeMovements:
    """Find fixations and saccades in what the tracker says of both eyes, see :func:`find_eye_movements`."""
    left, right = (eye.filled(t_us, parameters.max_gap_ms) for eye in (left, right))
    gaze_norm = combine_eyes(left.gaze_norm, right.gaze_norm, parameters.eye)
    if parameters.eye == "average":
        left, right = stand_in(left, right)
    direction = combine_eyes(left.direction, right.direction, parameters.eye)
    return classify_directions(t_us, direction, gaze_norm, parameters)


def classify(
    t_us: Int,
    gaze_mm: Float,
    eye_mm: Float,
    gaze_norm: Float | None = None,
    parameters: IVTParameters | None = None,
) -> EyeMovements:
    """Classify samples of one gaze signal, of one eye or of two that were made one before.

    With two eyes :func:`find_eye_movements` is closer to what Pro Lab does: it bridges the losses of each eye by itself
    and averages the directions of the eyes instead of their positions.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
        Microseconds, increasing.
    gaze_mm, eye_mm : ndarray of float64, shape (n, 3)
        Gaze point and eye position, mm; NaN where missing.
    gaze_norm : ndarray of float64, shape (n, 2), optional
        Share of the display area, for the fixations' positions.
    parameters : IVTParameters, optional
        The eye selection is not looked at.

    Returns
    -------
    EyeMovements
    """
    parameters = parameters or IVTParameters()
    both = fill_gaps(t_us, np.concatenate([gaze_mm, eye_mm], axis=1), parameters.max_gap_ms)
    return classify_directions(t_us, both[:, :3] - _steady_eye(t_us, both[:, 3:]), gaze_norm, parameters)


def _steady_eye(t_us: Int, eye_mm: Float) -> Float:
    """Take out jumps of the eye's position from one sample to the next: a mean of two eyes that became one eye, or back.

    A head does not move by :data:`_EYE_SWITCH_MM` within a sample; half the distance of the eyes is three times that.
    """
    steady: Float = eye_mm.copy()
    starts, _ = contiguous_runs(t_us, finite_rows(eye_mm))
    step = np.diff(eye_mm, axis=0, prepend=eye_mm[:1])
    step[starts] = 0.0
    jumped = np.einsum("ni,ni->n", step, step) > _EYE_SWITCH_MM**2
    if jumped.any():
        shift = np.cumsum(np.where(jumped[:, None], step, 0.0), axis=0)
        # Stretches are never compared with each other, so each begins where it was measured.
        first = np.searchsorted(starts, np.arange(len(t_us)), side="right") - 1
        steady -= shift - shift[starts[np.maximum(first, 0)]]
    return steady


def classify_directions(
    t_us: Int, direction: Float, gaze_norm: Float | None = None, parameters: IVTParameters | None = None
) -> EyeMovements:
    """Classify directions of gaze whose short losses are bridged already.

    Parameters
    ----------
    t_us : ndarray of int64, shape (n,)
        Microseconds, increasing.
    direction : ndarray of float64, shape (n, 3)
        From the eye to what it looks at, any length; NaN where missing.
    gaze_norm : ndarray of float64, shape (n, 2), optional
        Share of the display area, for the fixations' positions.
    parameters : IVTParameters, optional
        The steps after eye selection and gap fill-in.

    Returns
    -------
    EyeMovements
    """
    parameters = parameters or IVTParameters()
    seen = finite_rows(direction)
    direction = np.where(seen[:, None], direction, np.nan)
    direction = reduce_noise(t_us, direction, parameters.noise_reduction, parameters.noise_window_samples)
    velocity = velocity_of_directions(t_us, direction, parameters.velocity_window_ms)
    known = np.isfinite(velocity)
    slow = np.zeros(len(t_us), dtype=np.bool_)
    slow[known] = velocity[known] < parameters.velocity_threshold_deg_s
    kind = np.full(len(t_us), SampleKind.UNCLASSIFIED, dtype=np.int8)
    kind[known & ~slow] = SampleKind.SACCADE
    kind[~seen] = SampleKind.NO_EYES

    interval_us = sample_interval_us(t_us) if len(t_us) > 1 else 0.0
    # Nobody knows what the eye did while the tracker sent nothing, so a hole in time ends a fixation as a loss does.
    starts, ends = _merge(*contiguous_runs(t_us, slow), t_us, direction, parameters)
    # A sample stands for the interval after it, so one sample lasts one interval. A tenth of it is left to the stamps:
    # eighteen samples of 300 Hz are 60 ms although their stamps may say 59.999.
    durations_us = (t_us[ends] - t_us[starts]) + 1.1 * interval_us
    keep = durations_us >= parameters.min_fixation_ms * 1000.0
    _label(kind, seen, starts[~keep], ends[~keep], SampleKind.UNCLASSIFIED)
    _label(kind, seen, starts[keep], ends[keep], SampleKind.FIXATION)
    return EyeMovements(
        kind=kind,
        velocity_deg_s=velocity,
        fixations=_fixation_table(starts[keep], ends[keep], t_us, gaze_norm, interval_us),
        saccades=saccade_table(kind == SampleKind.SACCADE, t_us, direction, velocity, interval_us),
        parameters=parameters,
    )


def _label(kind: npt.NDArray[np.int8], seen: Bool, starts: Int, ends: Int, label: SampleKind) -> None:
    """Give the samples of some spans a label; those without eyes keep theirs."""
    change = np.zeros(len(kind) + 1, dtype=np.int64)
    np.add.at(change, starts, 1)
    np.add.at(change, ends + 1, -1)
    kind[(np.cumsum(change[:-1]) > 0) & seen] = label


def _merge(starts: Int, ends: Int, t_us: Int, direction: Float, parameters: IVTParameters) -> tuple[Int, Int]:
    """Join neighbouring fixations that are close in time and angle.

    Both are measured from the last sample of one to the first of the next, so that a chain of any length is joined pair
    by pair and the order does not matter.
    """
    if not parameters.merge_fixations or len(starts) < 2:
        return starts, ends
    unit = unit_vectors(direction)
    gap_us = t_us[starts[1:]] - t_us[ends[:-1]]
    angle = angle_of_unit_vectors_deg(unit[ends[:-1]], unit[starts[1:]])
    joined = (gap_us <= parameters.merge_max_time_ms * 1000.0) & (angle <= parameters.merge_max_angle_deg)
    return starts[np.concatenate([[True], ~joined])], ends[np.concatenate([~joined, [True]])]


def _fixation_table(
    starts: Int, ends: Int, t_us: Int, gaze_norm: Float | None, interval_us: float
) -> npt.NDArray[np.void]:
    table = np.zeros(len(starts), dtype=FIXATION_DTYPE)
    table["first"], table["last"] = starts, ends
    table["t_start_us"], table["t_end_us"] = t_us[starts], t_us[ends] + round(interval_us)
    table["x_norm"] = table["y_norm"] = np.nan
    if gaze_norm is None or not len(starts):
        return table
    used = finite_rows(gaze_norm)
    # Sums up to each sample, of deviations from the middle of the screen, so that long recordings keep their digits.
    sums = np.cumsum(np.where(used[:, None], gaze_norm - 0.5, 0.0), axis=0)
    # One zero before the sums, so that the sum of samples a to b is that at b + 1 without that at a.
    total = np.concatenate([np.zeros((1, 2)), sums])
    count = np.concatenate([[0], np.cumsum(used)]).astype(np.float64)
    number = count[ends + 1] - count[starts]
    mean = 0.5 + (total[ends + 1] - total[starts]) / np.where(number > 0, number, np.nan)[:, None]
    table["x_norm"], table["y_norm"] = mean[:, 0], mean[:, 1]
    return table
