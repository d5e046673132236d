"""What a quick re-check says, and what the operator is asked if gaze has drifted."""

from __future__ import annotations

import math
from typing import Any

from collection.calibration.choices import DRIFT_QUESTION, Choice
from collection.calibration.results import Attempt, DriftResult
from collection.protocol.operator import Question
from data_schema.signals.validation import Drift


def drift_sentence(drift: Drift, attempt: Attempt, has_reference: bool, max_drift_deg: float) -> str:
    """Return what the re-check showed, in one sentence for the operator and the file."""
    if not attempt.success:
        return f"the re-check could not be measured: {attempt.message}"
    if not math.isfinite(drift.drift_deg):
        return "the re-check saw no gaze at its targets; calibrate again"
    against = f"since validation with attempt {attempt.validates}" if has_reference else "from the targets"
    eyes = ", ".join(
        f"{eye} {math.hypot(*moved):.2f}" for eye, moved in drift.per_eye_deg.items() if math.isfinite(moved[0])
    )
    verdict = (
        f"more than the {max_drift_deg:g} allowed, calibrate again"
        if drift.drift_deg > max_drift_deg
        else f"within {max_drift_deg:g}"
    )
    return f"drift {drift.drift_deg:.2f} deg {against} ({eyes}), {verdict}"


def make_drift_question(
    result: DriftResult, attempt: dict[str, Any] | None, limits: dict[str, Any], calibratable: bool
) -> Question:
    """Return the question after a drift that is too large; a script calibrates again where it can."""
    again = [(Choice.RECALIBRATE.value, "Calibrate again")] if calibratable else []
    return Question(
        DRIFT_QUESTION,
        f"{result.message[:1].upper()}{result.message[1:]}.",
        (*again, (Choice.GO_ON.value, "Go on"), (Choice.STOP.value, "Stop the session")),
        data={
            "attempt": attempt,
            "drift_deg": result.drift_deg if math.isfinite(result.drift_deg) else None,
            "limits": limits,
        },
    )
