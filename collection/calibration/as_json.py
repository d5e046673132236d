"""Attempts as plain data: for the console, the quality page and every other place that shows or plots them.

Numbers are JSON numbers or null, places are shares of the display area, so a plot needs nothing but a rectangle:
draw each target, each eye's mean gaze, the line between both (the offset) and the ellipse, coloured by ``level``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from collection.calibration.results import CALIBRATION, Attempt, Spread
from data_schema.signals.validation import LEFT, RIGHT, PointQuality, judged_eyes
from data_schema.study.sections import CalibrationSection

GOOD, FAIR, BAD, MISSING = "good", "fair", "bad", "missing"
#: Colours of the levels: of Okabe and Ito (2008), "Color Universal Design", which people with any kind of colour
#: vision tell apart.
LEVEL_COLOURS: dict[str, str] = {GOOD: "#009E73", FAIR: "#E69F00", BAD: "#D55E00", MISSING: "#7F7F7F"}
#: Up to this share of a limit a figure is good, up to the limit fair; ours.
_GOOD_SHARE = 0.75


def level_of(value: float, limit: float) -> str:
    """Return how a figure stands against its limit: 'good', 'fair', 'bad', or 'missing' for NaN."""
    if not math.isfinite(value):
        return MISSING
    if value <= _GOOD_SHARE * limit:
        return GOOD
    return FAIR if value <= limit else BAD


def worst_level(levels: Sequence[str]) -> str:
    """Return the worst of some levels."""
    order = (GOOD, FAIR, BAD, MISSING)
    return max(levels, key=order.index, default=MISSING)


def limits_as_json(config: CalibrationSection) -> dict[str, Any]:
    """Return the gate's limits."""
    return {
        "accuracy_deg": config.max_accuracy_deg,
        "precision_rms_deg": config.max_precision_rms_deg,
        "loss": config.max_loss,
        "gate": config.gate,
        "max_drift_deg": config.max_drift_deg,
    }


def attempt_as_json(attempt: Attempt, config: CalibrationSection) -> dict[str, Any]:
    """Return an attempt as JSON types.

    Parameters
    ----------
    attempt : Attempt
        Of any kind; one without measured points has empty tables.
    config : CalibrationSection
        Its limits decide on the levels.

    Returns
    -------
    dict
        ``attempt_id, kind, eyes, status, success, message, gate, problems, note, validates, t_start_us, t_end_us,
        n_points, level``; ``accuracy_deg, precision_rms_deg, precision_sd_deg, bcea_deg2, loss`` (tables with left,
        right and both); ``targets`` (``target_norm, outcome``); ``points`` (one a target and eye: ``eye, target_norm,
        gaze_norm, outline_norm, offset_deg, accuracy_deg, precision_rms_deg, precision_sd_deg, bcea_deg2, loss,
        n_samples, level, colour``).
    """
    points = _measured_points(attempt, config) if attempt.points else _sampled_points(attempt, config)
    summaries = {eye: attempt.summary(eye) for eye in judged_eyes(attempt.eyes)}
    tables = {
        "accuracy_deg": {eye: summary.accuracy_deg for eye, summary in summaries.items()},
        "precision_rms_deg": {eye: summary.precision_rms_s2s_deg for eye, summary in summaries.items()},
        "precision_sd_deg": {eye: summary.precision_sd_deg for eye, summary in summaries.items()},
        "bcea_deg2": {eye: summary.bcea_deg2 for eye, summary in summaries.items()},
        "loss": {eye: summary.data_loss for eye, summary in summaries.items()},
    }
    return {
        "attempt_id": attempt.attempt_id,
        "kind": attempt.kind,
        "eyes": attempt.eyes,
        "status": attempt.status,
        "success": attempt.success,
        "message": attempt.message,
        "gate": attempt.gate,
        "problems": list(attempt.problems),
        "note": attempt.note,
        "validates": attempt.validates,
        "t_start_us": attempt.t_start_us,
        "t_end_us": attempt.t_end_us,
        "n_points": attempt.n_points,
        "level": worst_level([point["level"] for point in points]),
        "targets": [
            {"target_norm": _pair(shown.target_norm), "outcome": shown.outcome.value} for shown in attempt.shown
        ],
        "points": points,
        **{name: _eyes_table(values) for name, values in tables.items()},
    }


def _eyes_table(values: dict[str, float]) -> dict[str, float | None]:
    finite = [value for value in values.values() if math.isfinite(value)]
    table = {LEFT: _number(values.get(LEFT, math.nan)), RIGHT: _number(values.get(RIGHT, math.nan))}
    return {**table, "both": _number(sum(finite) / len(finite)) if finite else None}


def _measured_points(attempt: Attempt, config: CalibrationSection) -> list[dict[str, Any]]:
    spreads = {(spread.eye, spread.target_norm): spread for spread in attempt.spreads}
    found = []
    for point in attempt.points:
        spread = spreads.get((point.eye, point.target_norm))
        found.append(
            {
                **_place(point.eye, point.target_norm, spread),
                "offset_deg": [_number(part) for part in point.offset_deg],
                "accuracy_deg": _number(point.accuracy_deg),
                "precision_rms_deg": _number(point.precision_rms_s2s_deg),
                "precision_sd_deg": _number(point.precision_sd_deg),
                "bcea_deg2": _number(point.bcea_deg2),
                "loss": _number(point.data_loss),
                "n_samples": point.n_samples,
                **_colour(_point_level(point, config)),
            }
        )
    return found


def _point_level(point: PointQuality, config: CalibrationSection) -> str:
    if not math.isfinite(point.accuracy_deg):
        return MISSING
    return worst_level(
        [
            level_of(point.accuracy_deg, config.max_accuracy_deg),
            level_of(point.precision_rms_s2s_deg, config.max_precision_rms_deg),
            level_of(point.data_loss, config.max_loss),
        ]
    )


def _sampled_points(attempt: Attempt, config: CalibrationSection) -> list[dict[str, Any]]:
    """Return a calibration's own samples as points: they tell where it fits badly, not how good it is."""
    if attempt.kind != CALIBRATION:
        return []
    nothing: dict[str, Any] = dict.fromkeys(("precision_rms_deg", "precision_sd_deg", "bcea_deg2", "loss"), None)
    return [
        {
            **_place(spread.eye, spread.target_norm, spread),
            **nothing,
            "offset_deg": [None, None],
            "accuracy_deg": _number(spread.accuracy_deg),
            "n_samples": sum(
                sample.eye == spread.eye and sample.target_norm == spread.target_norm for sample in attempt.samples
            ),
            **_colour(level_of(spread.accuracy_deg, config.max_accuracy_deg)),
        }
        for spread in attempt.spreads
    ]


def _place(eye: str, target: tuple[float, float], spread: Spread | None) -> dict[str, Any]:
    gaze = spread.gaze_norm if spread is not None else None
    return {
        "eye": eye,
        "target_norm": _pair(target),
        "gaze_norm": _pair(gaze) if gaze is not None else None,
        "outline_norm": [_pair(corner) for corner in (spread.outline_norm if spread is not None else ())],
    }


def _colour(level: str) -> dict[str, str]:
    return {"level": level, "colour": LEVEL_COLOURS[level]}


def _pair(place: tuple[float, float]) -> list[float]:
    return [round(float(place[0]), 5), round(float(place[1]), 5)]


def _number(value: float) -> float | None:
    return round(float(value), 5) if math.isfinite(value) else None
