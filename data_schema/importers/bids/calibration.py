"""Calibration and validation as far as the sidecars of our own export tell them: places, counts, accuracy of each target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_schema.importers.bids.gaze import ORIGIN_US, EyeRecording
from data_schema.publishing.bids.calibration import VALIDATION_FIGURES
from data_schema.session.layout import CALIBRATION_ATTEMPTS, CALIBRATION_TARGETS, VALIDATION_POINTS, make_row
from data_schema.session.writer import SessionWriter


def write_calibration(writer: SessionWriter, recordings: Sequence[EyeRecording], resolution: tuple[int, int]) -> None:
    """Write attempts, targets and validation points; nothing where the sidecars say nothing.

    Parameters
    ----------
    writer : SessionWriter
    recordings : sequence of EyeRecording
        Of the run.
    resolution : tuple of int
        Of the screen, pixels.
    """
    if not recordings or "CalibrationCount" not in recordings[0].about:
        return
    about = recordings[0].about
    count, places = int(about["CalibrationCount"]), about.get("CalibrationPosition") or []
    in_pixels = about.get("CalibrationUnit", "pixel") == "pixel"
    n_points = _points_of(str(about.get("CalibrationType", ""))) or len(places)
    for number in range(1, count + 1):
        _attempt(writer, number, "calibration", n_points, chosen=number == count)
    for place in places if in_pixels else ():
        target = _share(place, resolution)
        row = make_row(
            CALIBRATION_TARGETS,
            attempt_id=count,
            target_norm=target,
            t_shown_us=0,
            t_collected_us=0,
            outcome="collected",
        )
        writer.append(CALIBRATION_TARGETS.path, row)
    validated = [(eye, one.about["Validation"]) for one in recordings if "Validation" in one.about for eye in one.eyes]
    if not validated:
        return
    _attempt(writer, count + 1, "validation", max(len(points) for _, points in validated), chosen=False)
    for eye, points in validated:
        for point in points:
            figures = {name: _number(point.get(name)) for name in VALIDATION_FIGURES}
            target = _share(point["target_px"], resolution)
            writer.append(
                VALIDATION_POINTS.path,
                make_row(VALIDATION_POINTS, attempt_id=count + 1, eye=eye, target_norm=target, **figures),
            )


def _points_of(kind: str) -> int:
    digits = "".join(letter for letter in kind if letter.isdigit())
    return int(digits) if digits else 0


def _attempt(writer: SessionWriter, number: int, kind: str, n_points: int, *, chosen: bool) -> None:
    row = make_row(
        CALIBRATION_ATTEMPTS, t_system_us=ORIGIN_US, attempt_id=number, kind=kind, status="imported", chosen=int(chosen),
        blob_offset=-1, blob_size=0, eyes="both", n_points=n_points,
    )  # fmt: skip
    writer.append(CALIBRATION_ATTEMPTS.path, row)


def _share(place: Any, resolution: tuple[int, int]) -> tuple[float, float]:
    return float(place[0]) / resolution[0], float(place[1]) / resolution[1]


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
