"""Calibration and validation of a run, as the sidecar of its gaze tells them.

References
----------
BIDS Specification 1.11.1, "Eye-tracking": CalibrationCount, CalibrationType, CalibrationPosition, CalibrationUnit,
AverageCalibrationError, MaximalCalibrationError. ``Validation`` is ours: what each target and eye was measured at.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from data_schema.session.layout import decode_text

Rows = npt.NDArray[Any]

#: What is told of each validation target, as in ``/calibration/validation``.
VALIDATION_FIGURES: tuple[str, ...] = (
    "accuracy_deg",
    "precision_rms_s2s_deg",
    "precision_sd_deg",
    "data_loss",
    "bcea_deg2",
)


def calibration_fields(
    attempts: Rows, targets: Rows, points: Rows, resolution: tuple[int, int], eye: str
) -> dict[str, Any]:
    """Return the fields of one eye's sidecar; empty where nothing was calibrated.

    Parameters
    ----------
    attempts, targets, points : structured ndarray
        Rows of ``/calibration/attempts``, ``/calibration/targets`` and ``/calibration/validation``.
    resolution : tuple of int
        Of the screen, pixels.
    eye : str
        ``left`` or ``right``.
    """
    if not len(attempts):
        return {}
    kinds = np.array(decode_text(attempts["kind"]))
    calibrations = attempts[kinds == "calibration"]
    fields: dict[str, Any] = {"CalibrationCount": len(calibrations)}
    if len(calibrations):
        last = calibrations[-1]
        shown = targets[targets["attempt_id"] == last["attempt_id"]]
        places = [
            [round(float(x) * resolution[0], 3), round(float(y) * resolution[1], 3)] for x, y in shown["target_norm"]
        ]
        n = int(last["n_points"]) or len(places)
        if n:
            fields["CalibrationType"] = f"HV{n}"
        if places:
            fields |= {"CalibrationPosition": places, "CalibrationUnit": "pixel"}
    return fields | _validation(attempts, points, resolution, eye)


def _validation(attempts: Rows, points: Rows, resolution: tuple[int, int], eye: str) -> dict[str, Any]:
    if not len(points):
        return {}
    last = attempts["attempt_id"][np.isin(attempts["attempt_id"], points["attempt_id"])]
    if not len(last):
        return {}
    rows = points[(points["attempt_id"] == last[-1]) & (np.array(decode_text(points["eye"])) == eye)]
    # Of the rounded values, so that the figures are those of the table below them.
    accuracy = np.round(rows["accuracy_deg"].astype(np.float64), 4)
    measured = accuracy[np.isfinite(accuracy)]
    fields: dict[str, Any] = {}
    if len(measured):
        fields["AverageCalibrationError"] = round(float(measured.mean()), 4)
        fields["MaximalCalibrationError"] = round(float(measured.max()), 4)
    fields["Validation"] = [_point(row, resolution) for row in rows]
    return fields


def _point(row: Any, resolution: tuple[int, int]) -> dict[str, Any]:
    x, y = (float(value) for value in row["target_norm"])
    place = [round(x * resolution[0], 3), round(y * resolution[1], 3)]
    return {"target_px": place} | {name: _number(row[name]) for name in VALIDATION_FIGURES}


def _number(value: Any) -> float | None:
    number = float(value)
    return round(number, 4) if math.isfinite(number) else None
