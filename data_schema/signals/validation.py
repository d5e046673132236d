"""How well gaze hits known targets: what a validation of the eye tracker measures, and the same again from a file.

A validation shows targets at known places and measures, per eye and target, how far gaze lies from the target
(accuracy), how much it jitters (RMS-S2S, SD, BCEA) and how much of it is missing (loss). How a session file keeps it,
and how it is measured again from the file, is in :mod:`data_schema.session.stored_validation`.

References
----------
Niehorster, Andersson and Nyström (2020), "Titta: A toolbox for creating PsychToolbox and Psychopy experiments with
Tobii eye trackers", Behavior Research Methods 52: validation on other points than the calibration's, 0.5 s of raw
samples a point.
Holmqvist et al. (2023), "Eye tracking: empirical foundations for a minimal reporting guideline", Behavior Research
Methods 55.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_schema.signals.gaze import Float, ScreenGeometry, combine_eyes, finite_rows
from data_schema.signals.quality import (
    accuracy_deg,
    bcea_deg2,
    data_loss,
    mean_offset_deg,
    rms_s2s_deg,
    sd_deg,
)

LEFT, RIGHT, BOTH = "left", "right", "both"


def judged_eyes(eyes: str) -> tuple[str, ...]:
    """Return the eyes that count where `eyes` ('both', 'left' or 'right') are used."""
    return (LEFT, RIGHT) if eyes == BOTH else (eyes,)


@dataclass(frozen=True)
class PointQuality:
    """Gaze at one target. NaN where there was no gaze.

    Parameters
    ----------
    eye : str
        'left', 'right', or 'both' for the average of both eyes' gaze points.
    target_norm : tuple of float
        Where the target was, shares of the display area.
    accuracy_deg : float
        Visual angle between the mean direction of gaze and the target.
    offset_deg : tuple of float
        The same as a direction, right and down positive.
    precision_rms_s2s_deg, precision_sd_deg : float
        Root mean square of sample-to-sample distances, standard deviation.
    bcea_deg2 : float
        Area of the ellipse that holds 68 % of gaze.
    data_loss : float
        Share of samples without gaze.
    n_samples : int
        Samples in the window, valid or not.
    t_from_us, t_until_us : int
        The window: t_from_us <= t_system_us < t_until_us.
    """

    eye: str
    target_norm: tuple[float, float]
    accuracy_deg: float
    offset_deg: tuple[float, float]
    precision_rms_s2s_deg: float
    precision_sd_deg: float
    bcea_deg2: float
    data_loss: float
    n_samples: int
    t_from_us: int
    t_until_us: int


def eye_gaze_norm(rows: npt.NDArray[Any], eye: str) -> Float:
    """Return gaze on the display area, NaN where it is not valid.

    Parameters
    ----------
    rows : structured ndarray, shape (n,)
        Columns of ``/eye/gaze``.
    eye : str
        'left', 'right', or 'both' for their average (of the one that is there where the other is missing).

    Returns
    -------
    ndarray of float64, shape (n, 2)
    """
    sides: dict[str, Float] = {}
    for side in judged_eyes(eye):
        gaze = rows[f"{side}_gaze_norm"].astype(np.float64)
        gaze[rows[f"{side}_gaze_valid"] != 1] = np.nan
        gaze[~finite_rows(gaze)] = np.nan
        sides[side] = gaze
    return combine_eyes(sides[LEFT], sides[RIGHT], "average") if eye == BOTH else sides[eye]


def measure_point(
    rows: npt.NDArray[Any],
    target_norm: Sequence[float],
    eye: str,
    screen: ScreenGeometry,
    t_from_us: int,
    t_until_us: int,
) -> PointQuality:
    """Measure gaze at one target.

    Parameters
    ----------
    rows : structured ndarray, shape (n,)
        Rows of ``/eye/gaze``; those outside the window are left out.
    target_norm : sequence of float
        Shares of the display area. Rounded to what the file keeps (float32), so that the same comes out again.
    eye : str
        'left', 'right' or 'both'.
    screen : ScreenGeometry
        Degrees are those of an eye straight in front of its centre at the nominal distance.
    t_from_us, t_until_us : int
        The window, host clock.
    """
    at = np.asarray(target_norm, dtype=np.float32).astype(np.float64)
    window = rows[(rows["t_system_us"] >= t_from_us) & (rows["t_system_us"] < t_until_us)]
    gaze_deg, target_deg = screen.norm_to_deg(eye_gaze_norm(window, eye)), screen.norm_to_deg(at)
    return PointQuality(
        eye=eye,
        target_norm=(float(at[0]), float(at[1])),
        accuracy_deg=accuracy_deg(gaze_deg, target_deg),
        offset_deg=mean_offset_deg(gaze_deg, target_deg),
        precision_rms_s2s_deg=rms_s2s_deg(gaze_deg),
        precision_sd_deg=sd_deg(gaze_deg),
        bcea_deg2=bcea_deg2(gaze_deg),
        # A window in which the tracker sent nothing at all holds no gaze either.
        data_loss=data_loss(finite_rows(gaze_deg)) if len(window) else 1.0,
        n_samples=len(window),
        t_from_us=int(t_from_us),
        t_until_us=int(t_until_us),
    )


@dataclass(frozen=True)
class EyeSummary:
    """One eye over all targets of a validation: means over targets; a target without gaze counts in the loss alone.

    Parameters
    ----------
    eye : str
        'left', 'right' or 'both'.
    accuracy_deg, worst_accuracy_deg : float
        Mean and largest offset.
    precision_rms_s2s_deg, precision_sd_deg, bcea_deg2 : float
        Means.
    data_loss : float
        Mean share.
    n_points, n_points_without_gaze : int
        Targets, and those at which this eye gave nothing.
    """

    eye: str
    accuracy_deg: float
    worst_accuracy_deg: float
    precision_rms_s2s_deg: float
    precision_sd_deg: float
    bcea_deg2: float
    data_loss: float
    n_points: int
    n_points_without_gaze: int


def summarise(points: Sequence[PointQuality], eye: str) -> EyeSummary:
    """Return the means of one eye's points over the targets; NaN for no points or no gaze at all."""
    own = [point for point in points if point.eye == eye]
    accuracies = [point.accuracy_deg for point in own if math.isfinite(point.accuracy_deg)]
    return EyeSummary(
        eye=eye,
        accuracy_deg=_mean(accuracies),
        worst_accuracy_deg=max(accuracies, default=math.nan),
        precision_rms_s2s_deg=_mean([point.precision_rms_s2s_deg for point in own]),
        precision_sd_deg=_mean([point.precision_sd_deg for point in own]),
        bcea_deg2=_mean([point.bcea_deg2 for point in own]),
        data_loss=_mean([point.data_loss for point in own]),
        n_points=len(own),
        n_points_without_gaze=len(own) - len(accuracies),
    )


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan


@dataclass(frozen=True)
class Drift:
    """How far gaze has moved between two validations, over the targets that both have.

    Parameters
    ----------
    per_eye_deg : dict of str to tuple of float
        Mean change of offset of each eye, right and down positive; NaN where an eye gave nothing.
    drift_deg : float
        Its size, of the eye that moved most; NaN if no eye gave gaze at a common target.
    n_targets : int
        Targets that both have.
    """

    per_eye_deg: dict[str, tuple[float, float]]
    drift_deg: float
    n_targets: int


def drift_between(before: Sequence[PointQuality], now: Sequence[PointQuality], eyes: Sequence[str]) -> Drift:
    """Return how far gaze has moved since an earlier validation.

    Parameters
    ----------
    before, now : sequence of PointQuality
        Points of two validations; only targets at the same place are compared. With an empty `before` the offset
        itself is taken for the drift: the eyes were on the target then, as far as anyone knows.
    eyes : sequence of str
        Eyes that count.
    """
    earlier = {(point.eye, point.target_norm): point.offset_deg for point in before}
    per_eye: dict[str, tuple[float, float]] = {}
    targets: set[tuple[float, float]] = set()
    for eye in eyes:
        changes = []
        for point in now:
            reference = earlier.get((eye, point.target_norm)) if before else (0.0, 0.0)
            if point.eye != eye or reference is None:
                continue
            targets.add(point.target_norm)
            changes.append((point.offset_deg[0] - reference[0], point.offset_deg[1] - reference[1]))
        per_eye[eye] = (_mean([x for x, _ in changes]), _mean([y for _, y in changes]))
    sizes = [math.hypot(*moved) for moved in per_eye.values() if all(math.isfinite(part) for part in moved)]
    return Drift(per_eye, max(sizes, default=math.nan), len(targets))
