"""Drift, re-checks, stops while somebody decides, and the order of targets."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from collection.texts import load_texts
from data_schema.errors import DeviceError
from data_schema.session import markers
from data_schema.session.layout import (
    CALIBRATION_ATTEMPTS,
)
from data_schema.session.stored_validation import stored_drift

from .calibration_lab import MakeLab, closed, marks


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
