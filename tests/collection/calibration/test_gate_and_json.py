"""The gate, the advice that follows from it, and attempts as plain data."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from collection.calibration import LEVEL_COLOURS, attempt_as_json
from collection.calibration.gate import calibrated_eye, judge, points_to_redo, usable_eye
from collection.calibration.results import Attempt, Outcome, Spread
from collection.calibration.stability import Look, Pace, judge_look
from collection.console import messages
from collection.devices.base import CalibrationSample
from data_schema.session.layout import GAZE
from data_schema.signals.validation import PointQuality
from data_schema.study.sections import CalibrationSection

from .calibration_lab import GEOMETRY, Lab, _moved

CONFIG = CalibrationSection(max_accuracy_deg=1.0, max_precision_rms_deg=0.5, max_loss=0.2)


def point(eye: str, target: tuple[float, float], accuracy: float = 0.3, rms: float = 0.1, loss: float = 0.0):
    return PointQuality(eye, target, accuracy, (accuracy, 0.0), rms, rms, 0.1, loss, 300, 0, 500_000)


def validation(points: list[PointQuality], eyes: str = "both") -> Attempt:
    return Attempt(2, "validation", eyes, 0, 4, points=points, success=True)


A, B = (0.2, 0.5), (0.8, 0.5)


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ({"accuracy": 1.9}, "right eye: mean offset 1.10 deg, at most 1 allowed"),
        ({"rms": 1.2}, "right eye: RMS-S2S 0.65 deg, at most 0.5 allowed"),
        ({"loss": 0.6}, "right eye: 30% of samples lost, at most 20% allowed"),
    ],
)
def test_each_limit_fails_the_gate_with_its_sentence(bad: dict[str, float], problem: str) -> None:
    points = [point("left", A), point("left", B), point("right", A), point("right", B, **bad)]
    assert judge(validation(points), CONFIG) == ("failed", (problem,))
    assert judge(validation(points, "left"), CONFIG) == ("passed", ())


def test_an_eye_without_gaze_fails_the_gate_and_the_other_is_advised() -> None:
    nothing = math.nan
    points = [point("left", A), point("left", B)] + [point("right", at, nothing, nothing, 1.0) for at in (A, B)]
    assert judge(validation(points), CONFIG)[1] == ("right eye: no gaze at any target",)
    assert usable_eye(validation(points), CONFIG) == "left"
    # An eye that is only inaccurate is no reason to leave it out.
    points[2:] = [point("right", A, 1.5), point("right", B, 1.5)]
    assert usable_eye(validation(points), CONFIG) == ""


def test_the_eye_of_which_the_tracker_used_samples() -> None:
    samples = tuple(CalibrationSample(A, eye, A, 1 if eye == "left" else -1) for eye in ("left", "right"))
    assert calibrated_eye(Attempt(1, "calibration", "both", 0, 5, samples=samples)) == "left"
    assert calibrated_eye(Attempt(1, "calibration", "both", 0, 5)) == ""


def test_points_worth_redoing() -> None:
    shown = [((0.5, 0.5), Outcome.COLLECTED), ((0.1, 0.1), Outcome.FAILED), ((0.9, 0.1), Outcome.COLLECTED),
             ((0.1, 0.9), Outcome.COLLECTED), ((0.9, 0.9), Outcome.COLLECTED)]  # fmt: skip
    spreads = [Spread("left", (0.9, 0.9), (0.8, 0.8), (), 5.0), Spread("left", (0.9, 0.1), (0.9, 0.1), (), 0.2)]
    calibration = Attempt(1, "calibration", "both", 0, 5, spreads=spreads)
    advised = points_to_redo(shown, calibration, validation([point("left", (0.2, 0.8), 2.0)]), CONFIG)
    assert advised == [(0.1, 0.1), (0.1, 0.9), (0.9, 0.9)]


def test_an_attempt_as_json_is_json_and_what_the_console_declares(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "sub-P001_ses-01.h5", points=5, validation_points=4)
    lab.eyes.blind = {"left"}
    lab.operator.answers = ["accept"]
    lab.procedure.run()
    lab.close()
    shown = attempt_as_json(lab.procedure.attempts[1], lab.config.calibration)
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
    assert shown["accuracy_deg"]["left"] is None
    assert shown["accuracy_deg"]["both"] == shown["accuracy_deg"]["right"] == pytest.approx(0.2, abs=0.05)
    assert shown["loss"] == {"left": 1.0, "right": 0.0, "both": 0.5}
    assert len(shown["points"]) == 8
    left, right = shown["points"][0], shown["points"][1]
    assert (left["eye"], left["gaze_norm"], left["level"], left["outline_norm"]) == ("left", None, "missing", [])
    assert (right["level"], right["colour"]) == ("good", LEVEL_COLOURS["good"])
    assert len(right["outline_norm"]) == 24
    # The ellipse lies around the mean gaze point, which lies where the offset says.
    assert np.mean(right["outline_norm"], axis=0) == pytest.approx(right["gaze_norm"], abs=1e-4)
    assert GEOMETRY.norm_to_deg(right["gaze_norm"]) - GEOMETRY.norm_to_deg(right["target_norm"]) == pytest.approx(
        right["offset_deg"], abs=0.02
    )
    for told in lab.operator.told:
        assert messages.problems_of(told) == []
    calibration = attempt_as_json(lab.procedure.attempts[0], lab.config.calibration)
    assert {p["level"] for p in calibration["points"] if p["eye"] == "left"} == {"missing"}
    assert {p["n_samples"] for p in calibration["points"]} == {6}


def look(gaze_deg: np.ndarray, valid: float = 1.0) -> np.ndarray:
    rows = GAZE.empty(len(gaze_deg))
    for eye in ("left", "right"):
        rows[f"{eye}_gaze_norm"] = _moved((0.5, 0.5), gaze_deg)
        rows[f"{eye}_gaze_valid"][: round(valid * len(rows))] = 1
    return rows


def judged(rows: np.ndarray) -> Look:
    return judge_look(rows, (0.5, 0.5), "both", GEOMETRY, Pace())


def test_a_look_is_stable_only_if_it_rests_at_the_target() -> None:
    noise = np.random.default_rng(5).normal(0, 0.3, (120, 2))
    assert judged(look(noise)) is Look.STABLE
    assert judged(look(noise + (2.0, 2.0))) is Look.STABLE
    assert judged(look(noise + (12.0, 0.0))) is Look.ELSEWHERE
    saccade = noise + np.linspace(0, 1, 120)[:, None] * (3.0, 0.0)
    assert judged(look(saccade)) is Look.MOVING
    assert judged(look(noise * 5)) is Look.MOVING
    assert judged(look(noise, valid=0.7)) is Look.NO_GAZE
    assert judged(look(noise[:3])) is Look.NO_GAZE
