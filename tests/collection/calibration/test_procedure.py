"""The whole procedure, and what it leaves in the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collection.protocol.operator import CommandName
from collection.texts import load_texts
from data_schema.errors import DeviceError
from data_schema.session import markers, open_session
from data_schema.session.layout import (
    CALIBRATION_ATTEMPTS,
    CALIBRATION_DATA,
    CALIBRATION_POINTS,
    CALIBRATION_TARGETS,
    MARKERS,
    VALIDATION_POINTS,
)
from data_schema.session.reader import Session
from data_schema.session.stored_validation import recompute_validation, stored_drift, stored_validation
from data_schema.session.validate import check_session

from .calibration_lab import Eyes, Lab

MakeLab = Callable[..., Lab]


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[MakeLab]:
    labs: list[Lab] = []

    def make(eyes: Eyes | None = None, answers: Any = (), **calibration: Any) -> Lab:
        lab = Lab(tmp_path / f"sub-P001_ses-{len(labs) + 1:02d}.h5", eyes, answers, **calibration)
        labs.append(lab)
        return lab

    yield make
    for lab in labs:
        lab.close()
        assert not lab.recorder.in_mode, "calibration mode was not left"
        assert lab.recorder.followed == ()
        assert lab.recorder.looks[-1][1] is None
        assert lab.screen.cleared


def closed(lab: Lab) -> Session:
    lab.close()
    assert not [finding for finding in check_session(lab.path) if "calibration" in str(finding)]
    return open_session(lab.path)


def marks(session: Session, kind: str) -> list[tuple[str, float]]:
    frame = session.table(MARKERS).frame()
    own = frame[frame["kind"] == kind]
    return list(zip(own["message"], own["value"], strict=True))


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


BAD = {"left": (1.8, 0.0), "right": (1.7, 0.0)}


def test_a_required_gate_needs_a_reason_which_is_stored(make_lab: MakeLab) -> None:
    lab = make_lab(Eyes(left_over_deg=BAD), answers=[("override", ""), ("override", "glasses, pilot")], points=5)
    result = lab.procedure.run()
    assert (result.gate, result.reason, result.stopped) == ("overridden", "glasses, pilot", False)
    question = lab.operator.questions[0]
    assert "override" in question.reason_for and "accept" not in dict(question.choices)
    assert len(lab.operator.questions) == 2, "an answer without a reason is asked for again"
    assert "left eye: mean offset 1.7" in question.text
    with closed(lab) as session:
        attempts = session.table(CALIBRATION_ATTEMPTS).frame()
        assert list(attempts["gate"]) == ["", "overridden"]
        assert attempts["note"][1] == "glasses, pilot"
        assert ("the session goes on in spite of a failed validation: glasses, pilot", pytest.approx(math.nan, nan_ok=True)) in marks(session, markers.OPERATOR_NOTE)  # fmt: skip


def test_a_gate_that_only_warns_lets_pass_and_says_failed(make_lab: MakeLab) -> None:
    lab = make_lab(Eyes(left_over_deg=BAD), points=5, gate="warn")
    result = lab.procedure.run()
    assert (result.gate, result.stopped) == ("failed", False)
    with closed(lab) as session:
        assert list(session.table(CALIBRATION_ATTEMPTS).frame()["gate"]) == ["", "failed"]


def test_a_script_calibrates_three_times_and_never_passes_a_required_gate(make_lab: MakeLab) -> None:
    lab = make_lab(Eyes(left_over_deg=BAD), points=5)
    result = lab.procedure.run()
    assert result.stopped and result.gate == "failed"
    assert [attempt.kind for attempt in result.attempts].count("calibration") == 3


def test_a_computation_that_fails_is_said_and_offered_again(make_lab: MakeLab) -> None:
    lab = make_lab(Eyes(compute_fails=1), points=5)
    result = lab.procedure.run()
    assert result.gate == "passed"
    assert "could not compute a calibration (calibration_status_failure) from 5 of 5" in lab.operator.questions[0].text
    with closed(lab) as session:
        attempts = session.table(CALIBRATION_ATTEMPTS).frame().set_index("attempt_id")
        assert list(attempts["status"][[1, 2]]) == ["calibration_status_failure", "calibration_status_success"]
        assert list(attempts["chosen"]) == [0, 1, 1]
        assert attempts["blob_offset"][1] == -1


def test_a_tracker_lost_in_the_middle_gives_a_sentence_and_a_second_try(make_lab: MakeLab) -> None:
    lab = make_lab(answers=["recalibrate"], points=5)
    lab.recorder.pulled_at = "calibration_compute"
    original = lab.operator.decide

    def plug_in_again(question: Any, should_stop: Any) -> Any:
        lab.recorder.come_back()
        return original(question, should_stop)

    lab.operator.decide = plug_in_again  # type: ignore[method-assign]
    result = lab.procedure.run()
    assert result.gate == "passed"
    assert "connection to the eye tracker is lost. Plug its cable in again" in lab.operator.questions[0].text
    alarms = [told for told in lab.operator.told if told["kind"] == "alarm" and told["level"] == "error"]
    assert "Plug its cable in again" in alarms[0]["text"]
    with closed(lab) as session:
        attempts = session.table(CALIBRATION_ATTEMPTS).frame().set_index("attempt_id")
        assert attempts["status"][1] == "failed"
        assert len(session.table(CALIBRATION_TARGETS).frame().query("attempt_id == 1")) == 5


def test_a_silent_tracker_is_noticed(make_lab: MakeLab) -> None:
    lab = make_lab(answers=[("go_on", "the tracker is dead, face only")], points=5)

    def silence(n: int, _: Any) -> None:
        if n == 3:
            lab.recorder.silent_from_us = lab.clock.now_us()

    lab.screen.on_target = silence
    result = lab.procedure.run()
    assert "has sent no gaze for" in lab.operator.questions[0].text
    assert (result.gate, result.chosen, result.stopped) == ("overridden", None, False)
    with closed(lab) as session:
        attempts = session.table(CALIBRATION_ATTEMPTS).frame()
        assert list(attempts["status"]) == ["failed"]
        assert list(attempts["note"]) == ["the tracker is dead, face only"]
        assert marks(session, markers.CALIBRATION_CHOSEN) == []


@pytest.mark.parametrize("n_target", [1, 4, 5, 6, 8])
@pytest.mark.parametrize("way", ["session", "key", "operator"])
def test_an_abort_at_any_target_leaves_a_valid_file(make_lab: MakeLab, n_target: int, way: str) -> None:
    lab = make_lab(points=5, validation_points=4)

    def abort(n: int, _: Any) -> None:
        if n != n_target:
            return
        if way == "session":
            lab.stop = True
        elif way == "key":
            lab.screen.keys.append("stop")
        else:
            lab.operator.press(CommandName.STOP)

    lab.screen.on_target = abort
    result = lab.procedure.run()
    assert result.stopped
    with closed(lab) as session:
        attempts = session.table(CALIBRATION_ATTEMPTS).frame().set_index("attempt_id")
        assert list(attempts["status"]) == (["aborted"] if n_target <= 5 else ["calibration_status_success", "aborted"])
        assert marks(session, markers.CALIBRATION_CHOSEN) == []


def test_an_error_of_ours_leaves_calibration_mode_too(make_lab: MakeLab) -> None:
    lab = make_lab(points=5)

    def fail(n: int, _: Any) -> None:
        if n == 2:
            raise KeyboardInterrupt

    lab.screen.on_target = fail
    with pytest.raises(KeyboardInterrupt):
        lab.procedure.run()
    assert ("calibration_end",) in lab.recorder.verbs


def test_keys_skip_and_repeat_a_target(make_lab: MakeLab) -> None:
    lab = make_lab(points=5, answers=["accept"], validation_points=1)
    asked = {2: "skip", 4: "redo"}

    def press(n: int, _: Any) -> None:
        if n in asked:
            lab.screen.keys.append(asked[n])

    lab.screen.on_target = press
    result = lab.procedure.run()
    assert [shown.outcome.value for shown in result.attempts[0].shown] == [
        "collected", "skipped", "collected", "redone", "collected",
    ]  # fmt: skip
    assert lab.screen.targets[3] == lab.screen.targets[4]
    assert result.attempts[0].message == "calibrated from 4 of 5 targets"


def test_the_operator_restarts_a_calibration_and_keeps_other_commands(make_lab: MakeLab) -> None:
    lab = make_lab(points=5)

    def press(n: int, _: Any) -> None:
        if n == 3:
            lab.operator.press(CommandName.PAUSE)
            lab.operator.press(CommandName.RECALIBRATE)

    lab.screen.on_target = press
    result = lab.procedure.run()
    assert [attempt.status for attempt in result.attempts] == ["aborted", "calibration_status_success", "measured"]
    assert [command.name for command in lab.procedure.unhandled] == [CommandName.PAUSE]


def test_a_tracker_that_cannot_be_calibrated_is_validated_only(make_lab: MakeLab) -> None:
    lab = make_lab(Eyes(raw_deg={"left": (0.3, 0.0), "right": (0.0, 0.3)}), points=9, validation_points=4)
    lab.recorder.calibratable = False
    assert lab.procedure.run_positioning("Sit").ended_by == "skipped"
    result = lab.procedure.run()
    assert (result.gate, result.chosen) == ("passed", None)
    assert not [verb for verb in lab.recorder.verbs if verb[0].startswith("calibration_")]
    alarms = [told["text"] for told in lab.operator.told if told["kind"] == "alarm" and told["text"]]
    assert alarms[-1] == "This eye tracker cannot be calibrated from here: calibration is left out."
    with closed(lab) as session:
        attempts = session.table(CALIBRATION_ATTEMPTS).frame()
        assert list(zip(attempts["kind"], attempts["validates"], strict=True)) == [("validation", 0)]
        assert next(text for text, value in marks(session, markers.CALIBRATION_ENDED) if value == 0).endswith(
            "left out."
        )


def test_no_points_and_no_validation_is_no_calibration(make_lab: MakeLab) -> None:
    lab = make_lab(points=0, validation_points=0)
    result = lab.procedure.run()
    assert (result.attempts, result.gate, result.stopped) == ((), "", False)
    assert lab.screen.targets == []


def test_a_calibration_without_validation_is_accepted(make_lab: MakeLab) -> None:
    lab = make_lab(points=1, validation_points=0)
    result = lab.procedure.run()
    assert result.chosen is result.attempts[0] and result.gate == ""
    assert lab.screen.targets == [(0.5, 0.5)]


def test_drift_is_seen_against_the_accepted_validation(make_lab: MakeLab) -> None:
    lab = make_lab(points=5, validation_points=4, max_drift_deg=1.5)
    lab.procedure.run()
    still = lab.procedure.recheck()
    assert still.drift_deg < 0.1 and not still.advised and still.calibration is None
    lab.recorder.in_use["left"] = (0.2 + 0.9, 0.1)
    moved = lab.procedure.recheck()
    assert moved.per_eye_deg["left"][0] == pytest.approx(0.85, abs=0.1)
    assert math.hypot(*moved.per_eye_deg["right"]) < 0.1
    assert moved.drift_deg == pytest.approx(0.85, abs=0.1) and not moved.advised
    assert lab.operator.told[-1]["drift_deg"] == pytest.approx(moved.drift_deg)
    with closed(lab) as session:
        attempts = session.table(CALIBRATION_ATTEMPTS).frame()
        assert list(attempts["kind"]) == ["calibration", "validation", "recheck", "recheck"]
        assert list(attempts["validates"]) == [0, 1, 1, 1]
        drifts = marks(session, markers.DRIFT_CHECKED)
        assert drifts[1][1] == pytest.approx(moved.offset_deg)
        assert drifts[1][0].startswith(f"drift {moved.drift_deg:.2f} deg since validation with attempt 1")
        assert stored_drift(session, 4).drift_deg == pytest.approx(moved.drift_deg, abs=1e-5)


def test_a_large_drift_leads_to_a_new_calibration(make_lab: MakeLab) -> None:
    lab = make_lab(points=5, validation_points=4, max_drift_deg=1.0)
    lab.procedure.run()
    lab.recorder.in_use = {"left": (2.0, 0.0), "right": (2.0, 0.0)}
    result = lab.procedure.recheck()
    question = lab.operator.questions[-2]
    assert question.id == "recheck"
    assert question.choices[0][0] == "recalibrate"
    assert result.advised and result.calibration is not None and result.calibration.gate == "passed"
    assert lab.procedure.recheck().drift_deg < 0.1
    lab.recorder.in_use = {"left": (2.0, 0.0), "right": (2.0, 0.0)}
    lab.operator.answers = ["go_on"]
    assert lab.procedure.recheck().calibration is None


def test_a_recheck_of_a_silent_tracker_is_no_crash(make_lab: MakeLab) -> None:
    lab = make_lab(points=5, answers=["accept", "go_on"])
    lab.procedure.run()
    lab.recorder.silent_from_us = lab.clock.now_us()
    result = lab.procedure.recheck()
    assert result.advised and math.isnan(result.drift_deg)
    assert "sent no gaze" in result.message


def test_a_request_that_blocks_is_left_at_a_stop(make_lab: MakeLab) -> None:
    import threading

    lab = make_lab(points=5)
    release = threading.Event()
    collect = lab.recorder._calibration_collect

    def block(x: float, y: float) -> bool:
        lab.stop = True
        release.wait(5.0)
        return collect(x, y)

    lab.recorder._calibration_collect = block  # type: ignore[method-assign]
    original = lab.recorder.request

    def request(verb: str, *args: Any, timeout_s: float = 30.0) -> Any:
        if verb == "calibration_end":
            release.set()
        return original(verb, *args, timeout_s=timeout_s)

    lab.recorder.request = request  # type: ignore[method-assign]
    result = lab.procedure.run()
    assert result.stopped and result.attempts[0].status == "aborted"


def test_orders_differ_between_attempts_and_participants_and_are_the_same_again(make_lab: MakeLab) -> None:
    labs = [make_lab(answers=["recalibrate"], points=13) for _ in range(2)]
    for lab in labs:
        lab.procedure.run()
    first, second = (lab.screen.targets for lab in labs)
    assert first == second
    assert first[:13] != first[17:30] and set(first[:13]) == set(first[17:30])


def test_a_tracker_that_loses_its_data_cannot_offer_the_attempt_again(make_lab: MakeLab) -> None:
    lab = make_lab(answers=["recalibrate"], points=5)

    def refuse() -> bytes:
        raise DeviceError("no licence for calibration data")

    lab.recorder._calibration_data = refuse  # type: ignore[method-assign]
    lab.procedure.run()
    assert not [word for word, _ in lab.operator.questions[1].choices if word.startswith("use_")]


@pytest.mark.parametrize("stops", [False, True])
def test_while_the_operator_decides_the_participant_reads_why_and_may_stop(make_lab: MakeLab, stops: bool) -> None:
    lab = make_lab(points=1, validation_points=1)
    read: list[str] = []
    decide = lab.operator.decide

    def slow(question: Any, should_stop: Callable[[], bool]) -> Any:
        # As a console waits: it looks many times, and lets the session go on.
        read.append(lab.screen.text)
        if stops:
            lab.screen.keys.append("stop")
        for _ in range(3):
            if should_stop():
                return None
        return decide(question, should_stop)

    lab.operator.decide = slow  # type: ignore[method-assign]
    result = lab.procedure.run()
    assert read == [load_texts("en")["calibration.wait"].strip()]
    assert lab.screen.cleared
    assert result.stopped is stops


def test_a_stop_ends_what_the_participant_is_asked_while_the_head_is_shown(make_lab: MakeLab) -> None:
    lab = make_lab(points=1)
    show = lab.screen.show_head
    asked: list[int] = []

    def show_and_ask(head: Any, text: str = "", should_stop: Callable[[], bool] = lambda: False) -> None:
        show(head, text, should_stop)
        if len(lab.screen.heads) == 3:
            # The dialog that Escape opens waits here; the operator stops the session meanwhile.
            lab.stop = True
            while not should_stop():
                asked.append(1)
                assert len(asked) < 100, "the dialog does not hear the operator"

    lab.screen.show_head = show_and_ask  # type: ignore[method-assign]
    assert lab.procedure.run_positioning("sit well").ended_by == "stopped"
    assert len(lab.screen.heads) == 3
