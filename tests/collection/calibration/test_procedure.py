"""The whole procedure, and what it leaves in the file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from data_schema.session import markers
from data_schema.session.layout import (
    CALIBRATION_ATTEMPTS,
    CALIBRATION_DATA,
    CALIBRATION_POINTS,
    CALIBRATION_TARGETS,
    VALIDATION_POINTS,
)
from data_schema.session.stored_validation import recompute_validation, stored_validation

from .calibration_lab import Eyes, MakeLab, closed, marks


def test_a_good_calibration_is_accepted_and_all_of_it_is_on_file(make_lab: MakeLab) -> None:
    lab = make_lab(points=9, validation_points=4)
    result = lab.procedure.run()
    assert (result.gate, result.eyes, result.stopped) == ("passed", "both", False)
    assert [attempt.kind for attempt in result.attempts] == ["calibration", "validation"]
    assert lab.screen.targets[0] == (0.5, 0.5)
    assert not set(lab.screen.targets[:9]) & set(lab.screen.targets[9:])
    with closed(lab) as session:
        attempts = session.table(CALIBRATION_ATTEMPTS).frame()
        assert list(attempts["kind"]) == ["calibration", "validation"]
        assert list(attempts["gate"]) == ["", "passed"]
        assert list(attempts["validates"]) == [0, 1]
        assert list(attempts["n_points"]) == [9, 4]
        assert list(attempts["chosen"]) == [1, 1]
        assert (attempts["t_end_us"] > attempts["t_system_us"]).all()
        targets = session.table(CALIBRATION_TARGETS).frame()
        assert list(targets.groupby("attempt_id").size()) == [9, 4]
        assert set(targets["outcome"]) == {"collected"}
        samples = session.table(CALIBRATION_POINTS).frame()
        assert len(samples) == 9 * 2 * 6
        offset, size = int(attempts["blob_offset"][0]), int(attempts["blob_size"][0])
        assert session.file[CALIBRATION_DATA.path][offset : offset + size].tobytes() == result.attempts[0].blob
        assert len(session.table(VALIDATION_POINTS)) == 8
        assert marks(session, markers.CALIBRATION_CHOSEN) == [("both eyes, gate passed", 1.0)]
        assert [value for _, value in marks(session, markers.CALIBRATION_STARTED)] == [1.0, 2.0]
        assert [value for _, value in marks(session, markers.CALIBRATION_ENDED)] == [1.0, 2.0]


def test_the_figures_are_those_that_were_planted(make_lab: MakeLab) -> None:
    lab = make_lab(Eyes(left_over_deg={"left": (0.6, 0.0), "right": (0.0, -0.4)}, noise_deg=0.1), validation_points=8)
    validation = lab.procedure.run().validation
    assert validation is not None
    left, right = validation.summary("left"), validation.summary("right")
    # Degrees are planted at the centre; away from it the same shift on the screen is a smaller angle.
    assert left.accuracy_deg == pytest.approx(0.55, abs=0.06)
    assert right.accuracy_deg == pytest.approx(0.37, abs=0.05)
    assert left.precision_rms_s2s_deg == pytest.approx(0.2 * 0.93, rel=0.1)
    assert left.precision_sd_deg == pytest.approx(0.1 * math.sqrt(2) * 0.93, rel=0.1)
    assert left.bcea_deg2 == pytest.approx(2 * 1.139 * math.pi * 0.01 * 0.87, rel=0.2)
    assert left.data_loss == 0.0
    for point in validation.points:
        assert point.offset_deg[0 if point.eye == "left" else 1] * (1 if point.eye == "left" else -1) > 0.3
        assert point.n_samples == 300


def test_a_validation_can_be_measured_again_from_the_file_alone(make_lab: MakeLab) -> None:
    lab = make_lab(points=5, validation_points=5)
    lab.procedure.run()
    with closed(lab) as session:
        stored, again = stored_validation(session, 2), recompute_validation(session, 2)
        assert len(stored) == 10
        for one, other in zip(stored, again, strict=True):
            assert (one.eye, one.target_norm, one.n_samples) == (other.eye, other.target_norm, other.n_samples)
            for name in ("accuracy_deg", "precision_rms_s2s_deg", "precision_sd_deg", "bcea_deg2", "data_loss"):
                assert np.float32(getattr(one, name)) == np.float32(getattr(other, name)), name
            assert np.array_equal(np.float32(one.offset_deg), np.float32(other.offset_deg))
        both = recompute_validation(session, 2, eyes=("both",))
        assert len(both) == 5
        assert both[0].accuracy_deg < max(stored[0].accuracy_deg, stored[1].accuracy_deg)


def test_gaze_is_measured_when_it_has_come_to_rest(make_lab: MakeLab) -> None:
    lab = make_lab(validation_points=4, target_s=0.3)
    validation = lab.procedure.run().validation
    assert validation is not None
    for point, shown in zip(validation.points[::2], validation.shown, strict=True):
        # Latency and saccade take 0.24 s; nothing of them is in the window.
        assert 0.3e6 <= point.t_from_us - shown.t_shown_us < 0.6e6
        assert point.precision_sd_deg < 0.1


def test_restless_gaze_is_measured_as_it_is_after_the_limit(make_lab: MakeLab) -> None:
    lab = make_lab(Eyes(restless={(0.2, 0.5)}), answers=["stop"], points=5, validation_points=4)
    result = lab.procedure.run()
    assert result.stopped
    validation = result.attempts[1]
    shown = next(shown for shown in validation.shown if shown.target_norm == (0.2, 0.5))
    point = next(p for p in validation.points if p.target_norm == pytest.approx((0.2, 0.5)))
    assert point.t_until_us - shown.t_shown_us == pytest.approx(3.0e6, abs=0.1e6)
    assert point.precision_sd_deg > 1.0
    others = [p.precision_sd_deg for p in validation.points if p.target_norm != pytest.approx((0.2, 0.5))]
    assert max(others) < 0.1


def test_one_blind_eye_leads_to_the_other_one_alone(make_lab: MakeLab) -> None:
    lab = make_lab(Eyes(blind={"left"}), points=5)
    result = lab.procedure.run()
    assert (result.eyes, result.gate) == ("right", "passed")
    assert lab.operator.questions[0].choices[0][0] == "right_only"
    assert "left eye: no gaze at any target" in lab.operator.questions[0].text
    begun = [verb[1] for verb in lab.recorder.verbs if verb[0] == "calibration_begin"]
    assert begun == ["both", "right"]
    with closed(lab) as session:
        attempts = session.table(CALIBRATION_ATTEMPTS).frame()
        assert list(attempts["eyes"]) == ["both", "both", "right", "right"]
        assert list(attempts["gate"]) == ["", "failed", "", "passed"]
        points = session.table(VALIDATION_POINTS).frame()
        assert set(points[points["attempt_id"] == 4]["eye"]) == {"right"}
        blind = points[(points["attempt_id"] == 2) & (points["eye"] == "left")]
        assert blind["accuracy_deg"].isna().all() and (blind["data_loss"] == 1.0).all()


def test_a_tracker_that_cannot_do_one_eye_calibrates_both_and_judges_one(make_lab: MakeLab) -> None:
    lab = make_lab(Eyes(blind={"right"}), points=5)
    lab.recorder.monocular = False
    result = lab.procedure.run()
    assert (result.eyes, result.gate) == ("left", "passed")
    begun = [verb[1] for verb in lab.recorder.verbs if verb[0] == "calibration_begin"]
    assert begun == ["both", "left", "both"]
    with closed(lab) as session:
        note = session.table(CALIBRATION_ATTEMPTS).frame()["note"][2]
        assert "calibrates both eyes, the left one counts" in note


def test_a_point_that_fails_is_tried_twice_and_redone_afterwards(make_lab: MakeLab) -> None:
    corner = (0.9, 0.1)
    eyes = Eyes(failures={corner: 2}, left_over_deg={"left": (1.3, 0.0), "right": (0.0, 0.0)})
    lab = make_lab(eyes, answers=["redo", "accept"], points=9, validation_points=4, max_accuracy_deg=2.0)
    result = lab.procedure.run()
    question = lab.operator.questions[0]
    assert question.data["advised_points"] == [list(corner)]
    assert ("redo", "Collect 1 point again") in question.choices
    assert [attempt.kind for attempt in result.attempts] == ["calibration", "validation"] * 2
    assert len([verb for verb in lab.recorder.verbs if verb[0] == "calibration_begin"]) == 1
    assert len(result.attempts[2].samples) == 9 * 2 * 6
    with closed(lab) as session:
        targets = session.table(CALIBRATION_TARGETS).frame()
        first = targets[targets["attempt_id"] == 1]
        assert list(first["outcome"]).count("failed") == 1
        second = targets[targets["attempt_id"] == 3]
        assert list(second["outcome"]) == ["redone"]
        assert (second["target_norm_x"].iloc[0], second["target_norm_y"].iloc[0]) == pytest.approx(corner)
        assert session.table(CALIBRATION_ATTEMPTS).frame()["note"][2] == "1 of 9 targets collected again"
        assert marks(session, markers.CALIBRATION_CHOSEN)[-1][1] == 3.0


def test_a_point_that_works_the_second_time_says_so(make_lab: MakeLab) -> None:
    lab = make_lab(Eyes(failures={(0.1, 0.1): 1}), points=5)
    result = lab.procedure.run()
    outcomes = {shown.target_norm: shown.outcome.value for shown in result.attempts[0].shown}
    assert outcomes.pop((0.1, 0.1)) == "redone"
    assert set(outcomes.values()) == {"collected"}
    assert ("calibration_discard", 0.1, 0.1) in lab.recorder.verbs


def test_points_of_the_operators_choice_are_redone(make_lab: MakeLab) -> None:
    lab = make_lab(answers=["redo_other", "point_2", "point_4", "begin", "accept"], points=5)
    result = lab.procedure.run()
    first = [shown.target_norm for shown in result.attempts[0].shown]
    assert [shown.target_norm for shown in result.attempts[2].shown] == [first[1], first[3]]


def test_the_key_of_a_target_is_its_number_in_the_picture(make_lab: MakeLab) -> None:
    lab = make_lab(answers=["redo_other", "point_2", "point_4", "point_2", "accept"], points=5)
    result = lab.procedure.run()
    asked = [question for question in lab.operator.questions if question.id == "calibration_points"]
    for question, last in zip(asked, ("cancel", "begin", "begin"), strict=True):
        assert [word for word, _ in question.choices] == [*(f"point_{number}" for number in range(1, 6)), last]
    assert dict(asked[1].choices)["point_2"].startswith("Target 2: picked")
    # A script takes the first choice each time; this, too, comes to an end.
    first = [shown.target_norm for shown in result.attempts[0].shown]
    assert [shown.target_norm for shown in result.attempts[2].shown] == [first[1], first[3]]


def test_an_earlier_attempt_is_put_into_use_again(make_lab: MakeLab) -> None:
    lab = make_lab(answers=["recalibrate", "use_2"], points=5)

    def spoil(n: int, _: Any) -> None:
        if n == 10:
            lab.eyes.left_over_deg = {"left": (0.8, 0.0), "right": (0.8, 0.0)}

    lab.screen.on_target = spoil
    result = lab.procedure.run()
    assert result.chosen is result.attempts[0]
    assert result.validation is result.attempts[1]
    # The tracker uses the first calibration, not the one that came last.
    assert lab.recorder.in_use["left"] == (0.2, 0.1)
    applied = [verb[1] for verb in lab.recorder.verbs if verb[0] == "calibration_apply"]
    assert applied == [result.attempts[0].blob]
    labels = dict(lab.operator.questions[1].choices)
    assert labels["use_2"].startswith("Use attempt 2, 0.2")
    with closed(lab) as session:
        assert marks(session, markers.CALIBRATION_CHOSEN) == [("both eyes, gate passed", 1.0)]
        attempts = session.table(CALIBRATION_ATTEMPTS).frame()
        assert list(attempts["attempt_id"]) == [1, 2, 3, 4]
        assert list(attempts["chosen"]) == [1, 1, 0, 0]
