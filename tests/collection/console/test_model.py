"""The console's model: what it knows, what it lets the operator do."""

from __future__ import annotations

import pytest

from collection.console.messages import RECORDER, SESSION
from collection.console.pages import wanted_page
from collection.protocol.operator import CommandName


def test_subscribers_hear_once_of_many_messages(lab) -> None:
    heard: list[str] = []
    both = lambda: heard.append("both")  # noqa: E731
    lab.model.subscribe("head", both)
    lab.model.subscribe("session", both)
    lab.model.subscribe("gaze", lambda: heard.append("gaze"))
    for _ in range(5):
        lab.recorder("head", distance_mm=600)
        lab.progress()
    lab.model.flush()
    assert heard == ["both"]
    lab.model.flush()
    assert heard == ["both"]


def test_messages_out_of_order_are_left_out(lab) -> None:
    lab.model.take(RECORDER, {"kind": "head", "left": "up"})
    lab.model.take(SESSION, {"kind": "question"})
    lab.model.take(SESSION, {"kind": "made_up"})
    assert lab.model.head == {}
    assert lab.model.question is None


def test_the_clip_goes_on_between_two_reports(lab) -> None:
    assert lab.model.clip_now() is None
    lab.progress(stimulus_id="joy-1", step_elapsed_s=3.0, step_planned_s=3.3)
    lab.now_s += 0.2
    assert lab.model.clip_now() == ("joy-1", pytest.approx(3.2))
    lab.now_s += 0.2
    assert lab.model.clip_now() == ("joy-1", 3.3)
    lab.progress(stimulus_id="joy-1", step_elapsed_s=1.0, paused=True)
    lab.now_s += 0.5
    assert lab.model.clip_now() == ("joy-1", 1.0)
    lab.progress(stimulus_id="")
    assert lab.model.clip_now() is None


def test_marks_carry_the_time_of_the_key_and_are_confirmed_by_the_recorder(lab) -> None:
    lab.begin()
    assert lab.model.command(CommandName.MARK)
    assert lab.sent[-1] == {"kind": "command", "name": "mark", "text": "", "t_system_us": round(lab.now_s * 1e6)}
    assert [mark.stored for mark in lab.model.marks] == [False]
    lab.recorder("marker", t_us=round(lab.now_s * 1e6), marker="operator_mark", message="")
    assert [mark.stored for mark in lab.model.marks] == [True]
    # Of another console, or the presenter's keyboard.
    lab.recorder("marker", t_us=7, marker="operator_note", message="from elsewhere")
    assert lab.model.marks[-1].text == "from elsewhere"


@pytest.mark.parametrize(
    ("progress", "possible"),
    [
        ({"state": "preflight"}, {"stop"}),
        ({"state": "running"}, {"mark", "note", "pause", "skip", "recheck", "recalibrate", "stop"}),
        ({"state": "running", "paused": True}, {"mark", "note", "go_on", "skip", "recheck", "recalibrate", "stop"}),
        ({"state": "paused"}, {"mark", "note", "go_on", "recheck", "recalibrate", "stop"}),
        ({"state": "aborting"}, set()),
        ({"state": "complete"}, set()),
    ],
)
def test_what_is_possible_when(lab, progress: dict[str, object], possible: set[str]) -> None:
    lab.begin(**progress)
    assert {name.value for name in CommandName if lab.model.can(name)} == possible
    for name in CommandName:
        assert lab.model.command(name, "x") == (name.value in possible)
    assert [message["name"] for message in lab.sent] == [name.value for name in CommandName if name.value in possible]


def test_a_command_that_is_not_sent_says_so(lab) -> None:
    lab.begin()
    lab.there = False
    assert not lab.model.command(CommandName.MARK)
    assert "does not answer" in lab.model.notice
    assert lab.model.marks == []
    lab.model.set_link(SESSION, False)
    assert not lab.model.command(CommandName.PAUSE)
    assert "does not answer" in lab.model.notice


def test_a_check_in_a_pause_is_no_pause_and_go_on_without_one_is_explained(lab) -> None:
    lab.begin(state="paused", paused=True, step="")
    assert lab.model.is_paused
    for step in ("recheck_text", "recheck", "calibration"):
        lab.progress(state="paused", paused=True, step=step)
        assert not lab.model.can(CommandName.GO_ON)
    assert not lab.model.command(CommandName.GO_ON)
    assert "not paused" in lab.model.notice


def test_a_question_needs_its_reason(lab) -> None:
    lab.begin()
    assert not lab.model.answer("go_on")
    lab.session(
        "question",
        id="calibration",
        number=4,
        text="?",
        choices=[["accept", "Accept"], ["go_on", "Go on"]],
        reason_for=["go_on"],
    )
    assert not lab.model.answer("go_on", "  ")
    assert "reason" in lab.model.notice
    assert lab.model.answer("go_on", " glasses ")
    assert lab.sent[-1] == {"kind": "answer", "id": "calibration", "number": 4, "choice": "go_on", "reason": "glasses"}
    assert lab.model.question is not None, "it is closed by the session, not by hope"
    lab.session("question_closed", id="calibration", number=3, choice="go_on", by="console")
    assert lab.model.question is not None, "that was another asking of it"
    lab.session("question_closed", id="calibration", number=4, choice="go_on", by="console")
    assert lab.model.question is None


def test_a_reconnected_session_starts_with_a_clean_table(lab) -> None:
    lab.begin()
    lab.session("question", id="calibration", number=1, text="?", choices=[["accept", "Accept"]])
    lab.session("alarm", key="x", text="old", level="error")
    lab.model.set_link(SESSION, False)
    lab.model.set_link(SESSION, True)
    assert lab.model.question is None, "answered at the keyboard meanwhile, or it is asked again"
    assert lab.model.session_alarms == {}


def test_pages_follow_the_session(lab) -> None:
    pages = [wanted_page(lab.model)]
    lab.model.set_link(SESSION, True)
    lab.session("form", open=True, code="P7KQ4", session="01", used={}, consent="screen")
    pages.append(wanted_page(lab.model))
    lab.session("form", open=False)
    lab.progress(state="preflight")
    pages.append(wanted_page(lab.model))
    lab.session("question", id="preflight", number=2, text="?", choices=[["again", "Again"]])
    pages.append(wanted_page(lab.model))
    lab.session("question_closed", id="preflight", number=2)
    lab.progress(state="running")
    pages.append(wanted_page(lab.model))
    lab.session(
        "question", id="recheck", number=3, text="?", choices=[["go_on", "Go on"]], data={"attempt": {"attempt_id": 1}}
    )
    pages.append(wanted_page(lab.model))
    lab.session("question", id="other", number=4, text="?", choices=[["go_on", "Go on"]])
    pages.append(wanted_page(lab.model))
    lab.session("ended", reason="complete")
    pages.append(wanted_page(lab.model))
    assert pages == ["waiting", "form", "preflight", "preflight", "live", "calibration", "question", "summary"]


def test_gaze_keeps_ten_seconds_and_the_gaps(lab) -> None:
    for second in range(20):
        times = [second * 1_000_000 + i * 20_000 for i in range(50)]
        left = [[0.5, 0.5] if second % 2 else None] * 50
        lab.recorder("gaze", t_us=times, left=left, right=left, left_valid=[1] * 50, right_valid=[0] * 50,
                     left_pupil_mm=[None, 3.25], right_pupil_mm=[None])  # fmt: skip
    assert lab.model.gaze.loss("left") == pytest.approx(0.5, abs=0.02)
    assert lab.model.gaze.loss("right") == 1.0
    assert len(lab.model.gaze.recent("left", 0.5)) in (25, 26)
    assert lab.model.gaze.pupil_mm == {"left": 3.25, "right": None}
    trail = lab.model.gaze.recent("left", 1.5)
    assert [sample.point for sample in (trail[0], trail[-1])] == [None, (0.5, 0.5)]
