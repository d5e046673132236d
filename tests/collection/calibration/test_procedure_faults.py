"""Gates that fail, trackers that fail, stops and keys: the procedure ends in good order."""

from __future__ import annotations

import math
from typing import Any

import pytest

from collection.protocol.operator import CommandName
from data_schema.session import markers
from data_schema.session.layout import (
    CALIBRATION_ATTEMPTS,
    CALIBRATION_TARGETS,
)

from .calibration_lab import Eyes, MakeLab, closed, marks

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
