"""From raw rows to the signals of a stretch of time: gaze, eye movements, blinks, pupil.

One pure function, :func:`prepare_eye_signals`, gives everything that features, maps, annotation and publishing read of
the eyes. All its parameters are in :class:`SignalParameters`, which is stored with whatever is made of its results.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from data_schema.signals.blinks import BlinkParameters, blink_mask, closed_by_loss, find_blinks, find_openness_blinks
from data_schema.signals.fixations import EyeMovements, IVTParameters, eye_movements_of
from data_schema.signals.gaze import (
    Float,
    GazeSignal,
    Int,
    OneEye,
    ScreenGeometry,
    both_eyes,
    combine_gaze,
    sample_interval_us,
)
from data_schema.signals.luminance import LightEffect
from data_schema.signals.pupil import PupilParameters, clean_pupils

#: Raise it whenever a number of the signals changes: what was derived before is then computed anew.
SIGNAL_VERSION = 4


@dataclass(frozen=True)
class SignalParameters:
    """Parameters of everything between the raw samples and the features."""

    fixations: IVTParameters = field(default_factory=IVTParameters)
    blinks: BlinkParameters = field(default_factory=BlinkParameters)
    pupil: PupilParameters = field(default_factory=PupilParameters)


@dataclass(frozen=True)
class EyeSignals:
    """A stretch of eye data, ready for features. Arrays have shape (n,) and share `gaze.t_us`.

    Parameters
    ----------
    gaze : GazeSignal
        After eye selection.
    gaze_deg : ndarray of float64, shape (n, 2)
        Angles from the screen's centre.
    disparity_norm : ndarray of float64
        Left minus right horizontal gaze.
    pupil_mm : ndarray of float64
        Cleaned diameter.
    pupil_light_free_mm : ndarray of float64
        The same without what the stimulus' luminance explains; NaN where that is not known.
    openness_mm : ndarray of float64
    movements : EyeMovements
    blinks : structured ndarray of BLINK_DTYPE
    """

    gaze: GazeSignal
    gaze_deg: Float
    disparity_norm: Float
    pupil_mm: Float
    pupil_light_free_mm: Float
    openness_mm: Float
    movements: EyeMovements
    blinks: npt.NDArray[np.void]


def _nearest(t_us: Int, other_us: Int, values: Float) -> Float:
    """Bring `values` at `other_us` to the times `t_us` by the nearest neighbour, NaN where none is near."""
    if not len(other_us) or not len(t_us):
        return np.full(len(t_us), np.nan)
    right = np.clip(np.searchsorted(other_us, t_us), 0, len(other_us) - 1)
    left = np.clip(right - 1, 0, None)
    nearest = np.where(np.abs(other_us[left] - t_us) <= np.abs(other_us[right] - t_us), left, right)
    limit_us = sample_interval_us(other_us) if len(other_us) > 1 else 10_000.0
    return np.where(np.abs(other_us[nearest] - t_us) <= limit_us, values[nearest], np.nan)


def _openness(rows: npt.NDArray[Any] | None, t_us: Int) -> tuple[Float, Float]:
    sides = [np.full(len(t_us), np.nan), np.full(len(t_us), np.nan)]
    if rows is not None and len(rows):
        other_us: Int = rows["t_system_us"].astype(np.int64)
        for i, side in enumerate(("left", "right")):
            values = rows[f"{side}_openness_mm"].astype(np.float64)
            values[rows[f"{side}_valid"] != 1] = np.nan
            sides[i] = _nearest(t_us, other_us, values)
    return sides[0], sides[1]


def _blinks(
    gaze_rows: npt.NDArray[Any], left_mm: Float, right_mm: Float, parameters: BlinkParameters
) -> npt.NDArray[np.void]:
    t_us: Int = gaze_rows["t_system_us"].astype(np.int64)
    if np.isfinite(left_mm).any() or np.isfinite(right_mm).any():
        return find_openness_blinks(t_us, left_mm, right_mm, parameters)
    left, right = gaze_rows["left_gaze_valid"] == 1, gaze_rows["right_gaze_valid"] == 1
    return find_blinks(t_us, closed_by_loss(t_us, left, right, parameters.max_ms), parameters)


def _pupil(t_us: Int, left: OneEye, right: OneEye, blinks: npt.NDArray[np.void], parameters: SignalParameters) -> Float:
    blinking = blink_mask(t_us, blinks)
    return clean_pupils(t_us, left.pupil_mm, right.pupil_mm, blinking, parameters.fixations.eye, parameters.pupil)


def prepare_pupil(
    gaze_rows: npt.NDArray[Any], openness_rows: npt.NDArray[Any] | None, parameters: SignalParameters | None = None
) -> Float:
    """Return the cleaned pupil alone, as :func:`prepare_eye_signals` does, mm, shape (n,); NaN where not to be trusted."""
    parameters = parameters or SignalParameters()
    t_us: Int = gaze_rows["t_system_us"].astype(np.int64)
    blinks = _blinks(gaze_rows, *_openness(openness_rows, t_us), parameters.blinks)
    return _pupil(t_us, *both_eyes(gaze_rows), blinks, parameters)


def prepare_eye_signals(
    gaze_rows: npt.NDArray[Any],
    openness_rows: npt.NDArray[Any] | None,
    screen: ScreenGeometry,
    parameters: SignalParameters | None = None,
    luminance: LightEffect | None = None,
) -> EyeSignals:
    """Turn raw rows into signals.

    Pass half a second more on both sides of a clip, so that velocities, fixations
    and blinks at its ends are whole.

    Parameters
    ----------
    gaze_rows : structured ndarray, shape (n,)
        Rows of ``/eye/gaze``, in the order of their time.
    openness_rows : structured ndarray, shape (m,), optional
        Rows of ``/eye/openness`` of the same time; without them blinks come from
        the loss of both eyes.
    screen : ScreenGeometry
    parameters : SignalParameters, optional
    luminance : LightEffect, optional
        What the stimulus' light does to this participant's pupil, from
        :meth:`data_schema.signals.luminance.LightResponse.effect`.

    Returns
    -------
    EyeSignals
    """
    parameters = parameters or SignalParameters()
    left_eye, right_eye = both_eyes(gaze_rows, screen)
    gaze = combine_gaze(gaze_rows, left_eye, right_eye, parameters.fixations.eye)
    left, right = _openness(openness_rows, gaze.t_us)
    blinks = _blinks(gaze_rows, left, right, parameters.blinks)
    open_left, open_right = np.isfinite(left), np.isfinite(right)
    openness = np.where(open_left & open_right, (left + right) / 2.0, np.where(open_left, left, right))
    pupil_mm = _pupil(gaze.t_us, left_eye, right_eye, blinks, parameters)
    light_mm = np.full(len(gaze), np.nan) if luminance is None else luminance.at(gaze.t_us)
    return EyeSignals(
        gaze=gaze,
        gaze_deg=screen.norm_to_deg(gaze.gaze_norm),
        disparity_norm=left_eye.gaze_norm[:, 0] - right_eye.gaze_norm[:, 0],
        pupil_mm=pupil_mm,
        pupil_light_free_mm=pupil_mm - light_mm,
        openness_mm=openness,
        movements=eye_movements_of(gaze.t_us, left_eye, right_eye, parameters.fixations),
        blinks=blinks,
    )
