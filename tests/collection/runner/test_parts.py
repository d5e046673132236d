"""The parts of a session that need no process: alarms, operators, options, consent, the gate of the pre-flight."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from collection.preflight import Check, PreflightReport
from collection.protocol.operator import Command, CommandName, Decision, Question
from collection.recorder import RecorderStatus, StreamStatus
from collection.runner import SessionEvents, SessionRequest, SessionRunner, parse_consent, parse_facts
from collection.runner.alarms import StreamAlarm
from collection.runner.consent import on_paper, taken_over
from collection.runner.ending import write_quality_page
from collection.runner.operators import SCRIPT_REASON, AutomaticOperator, ScriptedOperator, TerminalOperator
from collection.runner.preflight_gate import PreflightGate
from data_schema.clocks import SystemClock
from data_schema.errors import EmerError, RecordingError, UsageError
from data_schema.session.layout import CONSENT
from data_schema.study.folder import StudyFolder
from data_schema.study.scaffold import init_study

GATE = Question(
    "calibration", "Accept?", (("again", "Again"), ("accept", "Accept")), reason_for=("accept",)
)  # fmt: skip


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    return init_study(
        tmp_path / "s",
        clips_per_emotion=1,
        clip_s=0.4,
        emotions=("fear", "anger"),
        settings={
            "camera": {"width_px": 160, "height_px": 120},
            "eye_tracker": {"rate_hz": 120.0},
            "recording": {"min_free_gb": 0.0},
            "calibration": {"points": 0, "validation_points": 0},
            "protocol": {"baseline_s": 0.2, "fixation_s": 0.1, "washout_s": 0.1},
            "preflight": {"test_recording_s": 0.0, "min_free_memory_gb": 0.0},
        },
    )


def status(**streams: StreamStatus) -> RecorderStatus:
    return RecorderStatus(streams={name.replace("gaze", "/eye/gaze"): stream for name, stream in streams.items()})


def test_a_silent_stream_is_said_once_and_its_return_once() -> None:
    raised: list[tuple[str, str, str]] = []
    alarm = StreamAlarm(2.0, lambda text, level, key: raised.append((text, level, key)))
    alarm.look(status(gaze=StreamStatus(silent_s=1.9), frames=StreamStatus(silent_s=0.1)))
    assert raised == []
    for silent_s in (2.1, 2.4, 9.0):
        alarm.look(status(gaze=StreamStatus(silent_s=silent_s), frames=StreamStatus(silent_s=0.1)))
    assert [item[0][:25] for item in raised] == ["ALARM: the eye tracker ha"]
    alarm.look(status(gaze=StreamStatus(silent_s=0.0), frames=StreamStatus(silent_s=0.1)))
    assert [item[0] for item in raised[1:]] == ["", "the eye tracker delivers again."]
    alarm.look(status(gaze=StreamStatus(dropped=5)))
    assert "5 rows or frames were dropped" in raised[-1][0]


def test_a_script_takes_the_first_choice_and_says_that_it_is_one() -> None:
    operator = ScriptedOperator()
    assert operator.decide(GATE, lambda: False) == Decision("again")
    reason = Question("x", "?", (("go", "Go"),), reason_for=("go",))
    assert operator.decide(reason, lambda: False) == Decision("go", SCRIPT_REASON)
    assert operator.decide(GATE, lambda: True) is None


def test_the_terminal_asks_until_the_answer_is_one_of_the_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(sys, "stdin", io.StringIO("7\nyes\n2\n\n"))
    operator = TerminalOperator(said.append)
    # An empty line is no reason: the question comes again.
    monkeypatch.setattr(sys, "stdin", io.StringIO("7\n²\n2\n\n2\nthe participant is tired\n"))
    assert operator.decide(GATE, lambda: False) == Decision("accept", "the participant is tired")
    assert sum("Type a number" in line for line in said) == 4


def test_options_are_read_or_refused() -> None:
    assert parse_consent("video, gaze") == {"gaze": True, "video": True, "sharing": False}
    assert parse_consent("none") == {"gaze": False, "video": False, "sharing": False}
    assert parse_consent("video,gaze,sharing,face_sharing")["face_sharing"]
    assert parse_facts(["age_years=24", "note=a=b"]) == {"age_years": "24", "note": "a=b"}
    for wrong in ("face", "video;gaze", " "):
        with pytest.raises(UsageError, match="name what the participant agreed to"):
            parse_consent(wrong)


@pytest.mark.parametrize("name", ["MariaRossi", "anna", "0612345678", "x.y"])
def test_a_name_does_not_become_a_code_by_the_command_line(study: StudyFolder, name: str) -> None:
    with pytest.raises(UsageError, match="--participant: .*Leave it out"):
        SessionRequest(study, participant=name).check()
    SessionRequest(study, participant="P7KQ4").check()
    # Nobody real is behind a rehearsal, and a code that the study has is there already.
    SessionRequest(study, participant=name, rehearsal=True).check()
    old = study.sessions_dir / "sub-anna" / "ses-01" / "sub-anna_ses-01.h5"
    old.parent.mkdir(parents=True)
    old.touch()
    SessionRequest(study, participant="anna", session="02").check()


def test_consent_that_is_taken_over_keeps_its_text_and_gets_a_new_time() -> None:
    clock = SystemClock()
    first = on_paper({"gaze": True, "video": False}, "en", clock).rows()
    assert dict(zip(first["scope"].tolist(), first["granted"].tolist(), strict=True)) == {
        b"gaze": 1, b"video": 0, b"sharing": 0,
    }  # fmt: skip
    named = on_paper({"gaze": True, "face_sharing": False}, "en", clock).rows()
    assert named["scope"].tolist() == [b"gaze", b"video", b"sharing", b"face_sharing"]
    first["t_system_us"] = 5
    first["text_sha256"] = b"a" * 64
    again = taken_over(first, {"gaze": True, "video": False, "sharing": False}, clock)
    assert not again.allows("video")
    rows = again.rows()
    assert (rows["t_system_us"] > 5).all()
    assert np.array_equal(rows["text_sha256"], first["text_sha256"])
    assert rows.dtype == CONSENT.dtype


class _Deciding:
    """An operator's link that decides as it was told to."""

    def __init__(self, *decisions: Decision, nobody: bool = False) -> None:
        self._decisions: Iterator[Decision] = iter(decisions)
        self.nobody = nobody
        self.asked: list[Question] = []
        self.said: list[str] = []

    def decide(self, question: Question, should_stop: Any) -> Decision | None:
        self.asked.append(question)
        return next(self._decisions, None)

    def say(self, text: str) -> None:
        self.said.append(text)

    def checks(self, checks: Any, *, running: bool) -> None:
        pass


def gate_of(study: StudyFolder, link: _Deciding, reports: list[PreflightReport], **request: Any) -> PreflightGate:
    gate = PreflightGate(study, SessionRequest(study, **request), link, SessionEvents(), lambda: False)  # type: ignore[arg-type]
    gate._make_checks = lambda settings: reports.pop(0)  # type: ignore[method-assign]
    return gate


BAD = PreflightReport((Check("disk", "error", "full", "Make room."),))
GOOD = PreflightReport((Check("disk", "good", "empty"),))


def test_the_gate_lets_nobody_past_an_error_without_a_reason(study: StudyFolder) -> None:
    with pytest.raises(RecordingError, match=r"disk: full\. Make room\."):
        gate_of(study, _Deciding(nobody=True), [BAD]).pass_machine(None)  # type: ignore[arg-type]
    given = gate_of(study, _Deciding(nobody=True), [BAD], override_reason="pilot").pass_machine(None)  # type: ignore[arg-type]
    assert given is not None
    assert given.override_reason == "pilot"
    link = _Deciding(Decision("stop"))
    assert gate_of(study, link, [BAD]).pass_machine(None) is None  # type: ignore[arg-type]
    assert link.asked[0].reason_for == ("override",)
    assert link.asked[0].data["checks"][0]["check"] == "disk"


def test_the_gate_checks_again_and_takes_the_operators_reason(study: StudyFolder) -> None:
    link = _Deciding(Decision("again"), Decision("override", "no other machine today"))
    passed = gate_of(study, link, [BAD, BAD]).pass_machine(None)  # type: ignore[arg-type]
    assert passed is not None
    assert passed.override_reason == "no other machine today"
    assert "overridden: disk: full" in link.said
    assert gate_of(study, _Deciding(Decision("again")), [BAD, GOOD]).pass_machine(None) == GOOD  # type: ignore[arg-type]


class _SmallerWindow:
    """A window on another screen than the study's."""

    def screen_report(self) -> Any:
        return SimpleNamespace(width_px=1024, height_px=768, refresh_hz=60.0, has_vsync=True, problems={})


def test_the_screen_asks_for_a_reason_of_its_own(study: StudyFolder) -> None:
    link = _Deciding(Decision("override", "the camera is slow today"), Decision("override", "the lab's other screen"))
    gate = gate_of(study, link, [BAD])
    machine = gate.pass_machine(None)  # type: ignore[arg-type]
    assert machine is not None
    report = gate.pass_screen(machine, _SmallerWindow())  # type: ignore[arg-type]
    assert report is not None
    assert len(link.asked) == 2
    assert "1024 x 768" in link.asked[1].text
    assert "full" not in link.asked[1].text, "what was decided already is not asked again"
    stored = {row["check"]: row["override_reason"] for row in report.rows(1)}
    assert stored[b"disk"] == b"the camera is slow today"
    assert stored[b"screen"] == b"the lab's other screen"
    assert stored[b"refresh"] == b""

    # Ending at the screen ends the session, whatever was said to the camera.
    link = _Deciding(Decision("stop"))
    assert gate_of(study, link, []).pass_screen(machine, _SmallerWindow()) is None  # type: ignore[arg-type]
    with pytest.raises(RecordingError, match="screen: 1024 x 768"):
        gate_of(study, _Deciding(nobody=True), []).pass_screen(machine, _SmallerWindow())  # type: ignore[arg-type]
    # A reason given beforehand covers both.
    gate = gate_of(study, _Deciding(nobody=True), [BAD], override_reason="pilot")
    covered = gate.pass_screen(gate.pass_machine(None), _SmallerWindow())  # type: ignore[arg-type]
    assert covered is not None
    assert covered.reasons == {"disk": "pilot", "screen": "pilot"}


def test_a_presenter_that_fails_leaves_a_valid_file_and_a_sentence(
    study: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collection.presenter.headless import HeadlessPresenter
    from data_schema.session.reader import open_session
    from data_schema.session.validate import check_session

    def broken(self: HeadlessPresenter, clip: Any, *rest: Any) -> Any:
        if clip.trial_id == 2:
            raise ValueError("no such texture")
        return real(self, clip, *rest)

    real = HeadlessPresenter.play
    monkeypatch.setattr(HeadlessPresenter, "play", broken)
    request = SessionRequest(study, "P001", rehearsal=True, headless=True, speed=8.0, console=False, quality_page=False)
    result = SessionRunner(request).run()
    assert result.reason == "failed"
    assert "the presenter failed (ValueError: no such texture)" in result.message
    assert result.path is not None
    assert result.summary is not None
    assert [finding for finding in check_session(result.path) if finding.level == "error"] == []
    with open_session(result.path) as session:
        assert session.status == "aborted"
        assert list(session.cut_trials()) == [2]
    log = result.path.with_suffix(".presenter.log").read_text(encoding="utf-8")
    assert "no such texture" in log


def test_a_quality_page_that_fails_does_not_look_like_a_lost_recording(
    study: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import collection.quality

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("plot")

    monkeypatch.setattr(collection.quality, "make_session_page", broken)
    page, said = write_quality_page(study.session_path("P001", "01"), study)
    assert page is None
    assert "The recording itself is safe" in said


def test_a_stop_before_the_recorder_records_nothing(study: StudyFolder) -> None:
    request = SessionRequest(study, "P001", rehearsal=True, headless=True, speed=8.0, console=False)
    runner = SessionRunner(request)
    runner.request_stop("changed their mind")
    result = runner.run()
    assert (result.reason, result.message) == ("not started", "changed their mind")
    assert list(study.sessions_dir.iterdir()) == []


def test_a_session_that_cannot_begin_says_so_on_the_console(study: StudyFolder) -> None:
    taken = study.session_path("P001", "01")
    taken.parent.mkdir(parents=True)
    taken.touch()
    request = SessionRequest(study, "P001", session="01", rehearsal=True, headless=True, speed=8.0, console=False)
    runner = SessionRunner(request)
    told: list[dict[str, Any]] = []
    runner._link.operator = SimpleNamespace(poll=list, tell=told.append, decide=None)  # type: ignore[assignment]
    with pytest.raises(EmerError, match="P001") as refused:
        runner.run()
    (ended,) = [message for message in told if message["kind"] == "ended"]
    assert ended["reason"] == f"not started: {refused.value}"
    assert ended["path"] == ended["next"] == ""


def test_a_study_without_calibration_asks_for_none(study: StudyFolder) -> None:
    request = SessionRequest(study, "P001", rehearsal=True, headless=True, speed=8.0, console=False, quality_page=False)
    result = SessionRunner(request).run()
    assert result.reason == "complete"
    assert result.outcome is not None
    assert result.outcome.n_trials_completed == 2
    assert result.warnings == []


class _Console:
    """A console whose operator answers, or does not."""

    def __init__(self, answer: Decision | None) -> None:
        self._answer = answer
        self.asked: list[str] = []

    def poll(self) -> list[Command]:
        return [Command(CommandName.MARK, "seen")]

    def tell(self, message: dict) -> None:
        self.asked.append(str(message["kind"]))

    def decide(self, question: Question, should_stop: Callable[[], bool]) -> Decision | None:
        self.asked.append(question.id)
        deadline = threading.Event()
        while self._answer is None and not should_stop():
            deadline.wait(0.01)
        return self._answer


def test_a_script_tries_a_calibration_again_before_it_stops() -> None:
    failed = Question(
        "calibration", "The tracker is gone.",
        (("stop", "Stop"), ("recalibrate", "Again"), ("go_on", "Without")), reason_for=("go_on",),
    )  # fmt: skip
    good = Question("calibration", "Good.", (("accept", "Accept"), ("recalibrate", "Again")))
    operator = ScriptedOperator()
    operator.try_again_s = 0.2
    started_s = time.monotonic()
    assert operator.decide(failed, lambda: False) == Decision("recalibrate")
    assert time.monotonic() - started_s >= 0.2
    operator.try_again_s = 0.0
    said = [operator.decide(failed, lambda: False) for _ in range(6)]
    assert said == [Decision("recalibrate")] * 5 + [Decision("stop")]
    assert operator.decide(good, lambda: False) == Decision("accept")
    assert operator.decide(failed, lambda: False) == Decision("recalibrate"), "counted anew after it went well"
    operator.try_again_s = 60.0
    asked = iter((False, False, True))
    assert operator.decide(failed, lambda: next(asked)) is None


def test_a_rehearsal_by_itself_answers_the_console_only_if_nobody_does() -> None:
    question = Question("calibration", "Well?", (("accept", "Accept"), ("again", "Again")))
    watched = _Console(Decision("again"))
    assert AutomaticOperator(watched, 5.0).decide(question, lambda: False) == Decision("again")
    alone = _Console(None)
    operator = AutomaticOperator(alone, 0.05)
    assert operator.decide(question, lambda: False) == Decision("accept")
    assert operator.decide(question, lambda: True) is None
    assert [command.text for command in operator.poll()] == ["seen"]


class _Window:
    """A presenter that finds no sound device, and that its window is too small."""

    def screen_report(self) -> Any:
        problems = {"sound": "no sound device", "window": "It does not fill the screen.", "vsync": "no vertical sync"}
        return SimpleNamespace(width_px=1920, height_px=1080, refresh_hz=60.0, has_vsync=True, problems=problems)


@pytest.mark.parametrize(
    ("sound", "expected"),
    [
        # The system has loudspeakers, but PsychoPy does not find them.
        (
            Check("sound", "good", "a loudspeaker and 0 more", value=1.0),
            {"screen", "refresh", "window", "window_sound"},
        ),
        (Check("sound", "good", "no stimulus has sound"), {"screen", "refresh", "window"}),
        (Check("sound", "warning", "there is none", value=0.0), {"screen", "refresh", "window"}),
    ],
)
def test_what_the_window_finds_reaches_console_terminal_and_file(
    study: StudyFolder, sound: Check, expected: set[str]
) -> None:
    told: list[Check] = []
    link = _Deciding()
    gate = gate_of(study, link, [])
    gate._events = SessionEvents(checked=told.append)
    shown: list[Any] = []
    link.checks = lambda checks, *, running: shown.append(list(checks))  # type: ignore[method-assign]
    report = gate.pass_screen(PreflightReport((sound,)), _Window())  # type: ignore[arg-type]
    assert report is not None
    assert {check.name for check in told} == expected
    assert {check.name for check in shown[-1]} == expected | {"sound"}
    rows = report.rows(1)
    assert b"It does not fill the screen" in rows["message"].tolist()
