"""A calibration attempt in figures: per eye, against the study's limits, for the plot and the table beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from collection.console.gaze_trail import EYES

GOOD, FAIR, BAD, MISSING = "good", "fair", "bad", "missing"
#: Up to this share of a limit a figure is good, up to the limit fair; the same as in collection.calibration.
GOOD_SHARE = 0.75
#: Measures of the table: field, words, unit, digits, factor.
MEASURES = (
    ("accuracy_deg", "offset", "°", 2, 1.0),
    ("precision_rms_deg", "RMS", "°", 2, 1.0),
    ("loss", "lost", " %", 0, 100.0),
)
_LIMIT_OF = {"accuracy_deg": "accuracy_deg", "precision_rms_deg": "precision_rms_deg", "loss": "loss"}


@dataclass(frozen=True)
class Cell:
    """One figure of the table and how it stands against its limit."""

    text: str
    level: str


def level_of(value: float | None, limit: float | None) -> str:
    """Return how a figure stands: good, fair, bad, or missing."""
    if value is None or not math.isfinite(value):
        return MISSING
    if limit is None:
        return GOOD
    if value <= GOOD_SHARE * limit:
        return GOOD
    return FAIR if value <= limit else BAD


def cell(attempt: Mapping[str, Any], measure: str, eye: str, limits: Mapping[str, Any]) -> Cell:
    """Return one figure of an attempt."""
    _, _, unit, digits, factor = next(item for item in MEASURES if item[0] == measure)
    value = (attempt.get(measure) or {}).get(eye)
    level = level_of(value, limits.get(_LIMIT_OF[measure]))
    return Cell("none" if value is None else f"{value * factor:.{digits}f}{unit}", level)


def verdict(attempt: Mapping[str, Any], limits: Mapping[str, Any]) -> tuple[str, str]:
    """Return one word for an attempt and its level: what the gate said, else what the figures say."""
    gate = attempt.get("gate")
    if gate == "passed":
        return "PASSED", GOOD
    if gate == "failed":
        return "NOT GOOD ENOUGH", BAD
    if gate == "overridden":
        return "TAKEN WITH A REASON", FAIR
    if attempt.get("success") is False:
        return "FAILED", BAD
    if not attempt.get("points"):
        return "NO DATA", MISSING
    levels = [cell(attempt, measure[0], eye, limits).level for measure in MEASURES for eye in EYES]
    worst = max((level for level in levels if level != MISSING), key=(GOOD, FAIR, BAD).index, default=MISSING)
    words = {GOOD: "GOOD", FAIR: "FAIR", BAD: "OUTSIDE THE LIMITS", MISSING: "NO DATA"}
    return words[worst], worst


def attempts_of(
    calibration: Mapping[str, Any], question: Mapping[str, Any] | None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the attempts to show and their limits: those of the open question, else those of the last message."""
    data = (question or {}).get("data") or {}
    attempts = data.get("attempts") or ([data["attempt"]] if data.get("attempt") else None)
    if attempts:
        return list(attempts), dict(data.get("limits") or calibration.get("limits") or {})
    return list(calibration.get("attempts") or ()), dict(calibration.get("limits") or {})


def degrees_as_share(degrees: float, screen: Mapping[str, Any]) -> tuple[float, float]:
    """Return an angle at the screen's centre as shares of its width and height (a usual screen if it is unknown)."""
    distance = float(screen.get("distance_mm") or 650.0)
    size_mm = math.tan(math.radians(degrees)) * distance
    return size_mm / float(screen.get("width_mm") or 528.0), size_mm / float(screen.get("height_mm") or 297.0)
