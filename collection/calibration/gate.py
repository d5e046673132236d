"""Whether a validation is good enough, and what would help if it is not."""

from __future__ import annotations

import math
from collections.abc import Sequence

from collection.calibration.results import FAILED, PASSED, Attempt, Outcome
from collection.calibration.targets import Target, nearest_target
from data_schema.signals.validation import EyeSummary, PointQuality, judged_eyes
from data_schema.study.sections import CalibrationSection

#: An eye that gives less than this share of its samples cannot be calibrated; ours.
_BLIND_LOSS = 0.5


def judge(attempt: Attempt, config: CalibrationSection) -> tuple[str, tuple[str, ...]]:
    """Return the gate's verdict on a validation, and a sentence for each reason to fail it.

    Each eye that counts must stay within the study's limits by itself: an average would hide a bad eye behind a
    good one.
    """
    problems: list[str] = []
    for eye in judged_eyes(attempt.eyes):
        problems += eye_problems(attempt.summary(eye), config)
    return (FAILED if problems else PASSED), tuple(problems)


def eye_problems(summary: EyeSummary, config: CalibrationSection) -> list[str]:
    """Return a sentence for each limit that an eye does not keep."""
    name = f"{summary.eye} eye"
    if not math.isfinite(summary.accuracy_deg):
        return [f"{name}: no gaze at any target"]
    problems = []
    if summary.accuracy_deg > config.max_accuracy_deg:
        problems.append(
            f"{name}: mean offset {summary.accuracy_deg:.2f} deg, at most {config.max_accuracy_deg:g} allowed"
        )
    # NaN (one lone sample a target) is not within the limit either.
    if not summary.precision_rms_s2s_deg <= config.max_precision_rms_deg:
        problems.append(
            f"{name}: RMS-S2S {summary.precision_rms_s2s_deg:.2f} deg, at most {config.max_precision_rms_deg:g} allowed"
        )
    if summary.data_loss > config.max_loss:
        problems.append(f"{name}: {summary.data_loss:.0%} of samples lost, at most {config.max_loss:.0%} allowed")
    return problems


def point_is_bad(point: PointQuality, config: CalibrationSection) -> bool:
    """Tell whether gaze at one target is outside the limits."""
    return not point.accuracy_deg <= config.max_accuracy_deg or point.data_loss > config.max_loss


def usable_eye(validation: Attempt, config: CalibrationSection) -> str:
    """Return the one eye to go on with, where exactly one keeps the limits and the other hardly sees; else ''."""
    if len(judged_eyes(validation.eyes)) < 2:
        return ""
    summaries = {eye: validation.summary(eye) for eye in judged_eyes(validation.eyes)}
    good = [eye for eye, summary in summaries.items() if not eye_problems(summary, config)]
    blind = [
        eye
        for eye, summary in summaries.items()
        if not math.isfinite(summary.accuracy_deg) or summary.data_loss > _BLIND_LOSS
    ]
    return good[0] if len(good) == 1 and blind and blind[0] != good[0] else ""


def calibrated_eye(calibration: Attempt) -> str:
    """Return the one eye from which the tracker used samples, where it used none of the other; else ''."""
    if calibration.eyes != "both":
        return ""
    used = {sample.eye for sample in calibration.samples if sample.validity == 1}
    return used.pop() if len(used) == 1 else ""


def points_to_redo(
    shown: Sequence[tuple[Target, Outcome]],
    calibration: Attempt,
    validation: Attempt | None,
    config: CalibrationSection,
) -> list[Target]:
    """Return the calibration targets that are worth collecting again, in the order in which they were shown.

    Those that failed or were skipped, those of whose samples the tracker used none or whose gaze lies off, and those
    nearest to a validation target that is outside the limits.
    """
    targets = [target for target, _ in shown]
    if not targets:
        return []
    advised = {target for target, outcome in shown if outcome in (Outcome.FAILED, Outcome.SKIPPED)}
    for spread in calibration.spreads:
        if not spread.accuracy_deg <= config.max_accuracy_deg and spread.eye in judged_eyes(calibration.eyes):
            advised.add(nearest_target(spread.target_norm, targets))
    if validation is not None:
        for point in validation.points:
            if point_is_bad(point, config):
                advised.add(nearest_target(point.target_norm, targets))
    return [target for target in targets if target in advised]
