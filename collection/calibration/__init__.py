"""Positioning, calibration, validation and re-check of the eye tracker, independent of window, console and device."""

from __future__ import annotations

from collection.calibration.as_json import LEVEL_COLOURS, attempt_as_json
from collection.calibration.procedure import CalibrationProcedure
from collection.calibration.results import (
    Attempt,
    CalibrationResult,
    DriftResult,
    PositioningResult,
)
from collection.calibration.stability import Pace

__all__ = [
    "LEVEL_COLOURS",
    "Attempt",
    "CalibrationProcedure",
    "CalibrationResult",
    "DriftResult",
    "Pace",
    "PositioningResult",
    "attempt_as_json",
]
