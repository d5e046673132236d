"""What a session file says about calibration, validation and drift, summarised."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from data_schema.session import markers
from data_schema.session.layout import CALIBRATION_ATTEMPTS, MARKERS, VALIDATION_POINTS, decode_text
from data_schema.session.reader import Session
from data_schema.signals.gaze import ScreenGeometry

#: Columns of /calibration/validation that are averaged over points.
_MEASURES = ("accuracy_deg", "precision_rms_s2s_deg", "precision_sd_deg", "bcea_deg2", "data_loss")


def attempts_of(session: Session, screen: ScreenGeometry) -> list[dict[str, Any]]:
    """Return all attempts in order, each with its results per eye and per point.

    Returns
    -------
    list of dict
        Keys ``attempt_id, kind, status, eyes, n_points, validates, gate, note, t_system_us, in_use``;
        validations also ``eyes_mean`` (means over points by eye and for all) and ``points`` (one a target
        and eye: ``eye, target_deg, gaze_deg`` and the measures; degrees from the screen's centre, x right, y down).
    """
    rows = session.table(CALIBRATION_ATTEMPTS)[:]
    points = session.table(VALIDATION_POINTS)[:]
    chosen = chosen_attempt(session)
    found = []
    for row in rows:
        attempt: dict[str, Any] = {
            name: int(row[name]) for name in ("attempt_id", "n_points", "validates", "t_system_us", "t_end_us")
        }
        for name in ("kind", "status", "eyes", "gate", "note"):
            attempt[name] = str(decode_text(row[name].reshape(1))[0])
        attempt["in_use"] = attempt["kind"] == "calibration" and attempt["attempt_id"] == chosen
        own = points[points["attempt_id"] == row["attempt_id"]]
        if len(own):
            attempt["points"] = [_point(point, screen) for point in own]
            attempt["eyes_mean"] = _means(own)
        found.append(attempt)
    return found


def chosen_attempt(session: Session) -> int:
    """Return the number of the calibration that the session was recorded with, 0 for none."""
    rows = session.table(MARKERS)[:]
    said = rows[rows["kind"] == markers.CALIBRATION_CHOSEN.encode()]
    if len(said):
        return int(said["value"][-1])
    attempts = session.table(CALIBRATION_ATTEMPTS)[:]
    used = attempts[(attempts["kind"] == b"calibration") & (attempts["chosen"] == 1)]
    return int(used["attempt_id"][-1]) if len(used) else 0


def used_validation(attempts: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the last validation of the calibration in use, or the last of all, or None."""
    validations = [item for item in attempts if item["kind"] == "validation" and "points" in item]
    in_use = {item["attempt_id"] for item in attempts if item["in_use"]}
    matching = [item for item in validations if item["validates"] in in_use]
    return (matching or validations or [None])[-1]


def drift_checks(session: Session) -> list[dict[str, float]]:
    """Return the quick re-checks: time and mean offset in degrees."""
    rows = session.table(MARKERS)[:]
    rows = rows[rows["kind"] == markers.DRIFT_CHECKED.encode()]
    return [{"t_system_us": int(row["t_system_us"]), "offset_deg": float(row["value"])} for row in rows]


def _point(point: npt.NDArray[np.void], screen: ScreenGeometry) -> dict[str, Any]:
    target_deg = screen.norm_to_deg(point["target_norm"].astype(np.float64))
    gaze_deg = target_deg + point["offset_deg"]
    return {
        "eye": str(decode_text(point["eye"].reshape(1))[0]),
        "target_deg": [float(v) for v in target_deg],
        "gaze_deg": [float(v) for v in gaze_deg],
        **{name: float(point[name]) for name in _MEASURES},
        "n_samples": int(point["n_samples"]),
    }


def _means(points: npt.NDArray[np.void]) -> dict[str, dict[str, float]]:
    """Return the mean of each measure over points, by eye, and over both eyes as ``all``."""
    eyes = decode_text(points["eye"])
    groups = {str(eye): points[eyes == eye] for eye in sorted(set(eyes))}
    one_eye = [points[eyes == eye] for eye in ("left", "right") if (eyes == eye).any()]
    groups["all"] = np.concatenate(one_eye) if one_eye else points
    return {name: {measure: _mean(group[measure]) for measure in _MEASURES} for name, group in groups.items()}


def _mean(values: npt.NDArray[np.float32]) -> float:
    finite = values[np.isfinite(values)].astype(np.float64)
    return float(finite.mean()) if len(finite) else float("nan")
