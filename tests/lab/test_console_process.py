"""The console as a real process on a real (virtual) screen, with real keys, real kills and a real recorder."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collection.console.operator import ConsoleOperator
from collection.console.participant_form import FormRequest, ParticipantForm
from collection.protocol.operator import Command, CommandName, Decision, Question
from collection.recorder import Recorder, RecorderSettings
from data_schema.clocks import SystemClock
from data_schema.session.layout import FRAMES, GAZE
from data_schema.session.reader import open_session
from data_schema.study.config import parse_config

from .console_screen import ConsoleProcess, VirtualScreen, until

pytestmark = pytest.mark.lab

RUNNING = {"kind": "session", "participant": "P001", "session": "01", "state": "running", "trial": 2, "n_trials": 8,
           "step": "clip", "remaining_s": 600.0}  # fmt: skip


@pytest.fixture(scope="module")
def screen() -> Iterator[VirtualScreen]:
    screen = VirtualScreen()
    yield screen
    screen.close()


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[ConsoleOperator]:
    with ConsoleOperator(tmp_path / ".emer-console.json") as operator:
        operator.tell({"kind": "setup", "title": "test"})
        yield operator


@pytest.fixture
def console(
    operator: ConsoleOperator, screen: VirtualScreen, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ConsoleProcess]:
    console = ConsoleProcess(operator, screen, monkeypatch)
    yield console
    console.end()


class Commands:
    """Collect what the operator asks for."""

    def __init__(self, operator: ConsoleOperator) -> None:
        self.operator = operator
        self.all: list[Command] = []

    def next(self) -> Command:
        def got() -> bool:
            self.all += self.operator.poll()
            return bool(self.all)

        until(got, 10.0, "a command")
        return self.all.pop(0)

    def warm_up(self, screen: VirtualScreen, key: str, name: CommandName) -> None:
        """Press a key until it is taken: until then the console may not know yet that the session runs."""
        deadline = time.monotonic() + 10.0
        while not (got := self.operator.poll()):
            assert time.monotonic() < deadline, f"'{key}' is never taken"
            screen.key(key)
            time.sleep(0.1)
        # What was pressed too often is on its way.
        quiet_s = time.monotonic()
        while time.monotonic() - quiet_s < 0.5:
            more = self.operator.poll()
            got += more
            quiet_s = time.monotonic() if more else quiet_s
        assert {command.name for command in got} == {name}


def in_thread(work: Any) -> tuple[threading.Thread, list[Any]]:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    return thread, results


def test_every_key_of_a_session_arrives(
    operator: ConsoleOperator, console: ConsoleProcess, screen: VirtualScreen
) -> None:
    operator.tell(RUNNING)
    commands = Commands(operator)
    commands.warm_up(screen, "m", CommandName.MARK)
    time_of_key_us = time.monotonic_ns() // 1000
    screen.key("space")
    mark = commands.next()
    assert mark.name is CommandName.MARK
    assert 0 <= mark.t_system_us - time_of_key_us < 500_000
    for key, name in (("m", "mark"), ("p", "pause"), ("r", "recheck"), ("c", "recalibrate")):
        screen.key(key)
        assert commands.next().name.value == name
    screen.key("n")
    screen.type("phone rang, marks: m p s")
    screen.key("Return")
    note = commands.next()
    assert (note.name, note.text) == (CommandName.NOTE, "phone rang, marks: m p s"), "keys in a text are no commands"
    screen.key("k", "Escape", "k", "y")
    assert commands.next().name is CommandName.SKIP
    screen.key("s", "y", "Escape", "s", "y")
    screen.type("fire alarm")
    screen.key("Return")
    stop = commands.next()
    assert (stop.name, stop.text) == (CommandName.STOP, "fire alarm")
    operator.tell({**RUNNING, "paused": True})
    commands.warm_up(screen, "g", CommandName.GO_ON)
    assert commands.all == [], "nothing was asked for twice"


def test_a_session_from_form_to_summary_with_keys_alone(
    operator: ConsoleOperator, console: ConsoleProcess, screen: VirtualScreen
) -> None:
    form, forms = in_thread(lambda: operator.ask_form(FormRequest("P7KQ4", used={"P7KQ4": []}), lambda: False))
    until(lambda: operator._form_request is not None)
    time.sleep(0.3)  # a person, too, reads before typing
    screen.do("key", "Tab", "Tab", "Tab", "Tab")
    screen.type("31")
    screen.key("ctrl+Return")
    form.join(10)
    assert forms == [
        ParticipantForm("P7KQ4", "01", {"vision_aid": "none", "dominant_eye": "unknown", "age_years": "31"})
    ]

    operator.tell({"kind": "preflight", "running": False,
                   "checks": [{"check": "disk", "level": "error", "message": "full", "remedy": "Make room."}]})  # fmt: skip
    question = Question(
        "preflight", "What now?", (("again", "Again"), ("override", "Start all the same")), ("override",)
    )
    asked, decided = in_thread(lambda: operator.decide(question, lambda: False))
    deadline = time.monotonic() + 30.0
    while asked.is_alive() and time.monotonic() < deadline:
        screen.key("2")
        screen.type("room will be made")
        screen.key("Return")
        asked.join(0.3)
    assert decided[0].choice == "override"
    assert decided[0].reason.endswith("room will be made")

    operator.tell({"kind": "ended", "reason": "complete", "quality": [{"level": "good", "text": "all fine"}]})
    operator.close()
    assert console.process is not None
    with pytest.raises(Exception, match="timed out"):
        console.process.wait(2.0)  # the summary outlives the session
    screen.key("ctrl+q")
    assert console.process.wait(10.0) == 0


def test_killing_and_freezing_the_console_touches_nothing(
    tmp_path: Path, operator: ConsoleOperator, screen: VirtualScreen, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    operator.on_connected = lambda text: told.append("came")
    operator.on_lost = lambda text: told.append("went")
    recorder = Recorder(_settings(tmp_path / "sub-P001_ses-01.h5"))
    question = Question("other", "Shall we go on?", (("yes", "Yes"), ("no", "No")))
    with recorder:
        recorder.start()
        operator.set_recorder(recorder.live)
        first = ConsoleProcess(operator, screen, monkeypatch)
        _let_run(operator, recorder, 2.0)
        first.signal(signal.SIGSTOP)
        frozen = _let_run(operator, recorder, 5.0)
        assert told == ["came", "went"], "a frozen console is told by its silence"
        first.end()
        killed = _let_run(operator, recorder, 2.0)
        asked, decided = in_thread(lambda: operator.decide(question, lambda: False))
        second = ConsoleProcess(operator, screen, monkeypatch)
        try:
            deadline = time.monotonic() + 10.0
            while asked.is_alive() and time.monotonic() < deadline:
                screen.key("2")
                asked.join(0.3)
            assert decided == [Decision("no")], "the second console shows the question that was open before it came"
            shown = _let_run(operator, recorder, 2.0)
        finally:
            second.end()
        summary = recorder.stop()
    assert told[2:3] == ["came"]
    for waiting in (frozen, killed, shown):
        # Half a second of samples waits for the writer in any case.
        assert waiting[GAZE.path] < 600
        assert waiting["frames"] < 15
    assert summary.status.dropped == 0
    with open_session(summary.path) as session:
        device_us = session.table(GAZE)[:]["t_device_us"].astype(np.int64)
        missed = session.table(FRAMES)[:]["missed_before"]
    spacing = np.diff(device_us)
    assert int(np.sum(np.rint(spacing / np.median(spacing)) - 1)) == 0, "holes in the gaze"
    assert int(missed.sum()) == 0


def _settings(path: Path) -> RecorderSettings:
    config = parse_config(
        {"study": {"title": "t"}, "eye_tracker": {"kind": "simulated", "rate_hz": 600},
         "camera": {"source": "simulated", "width_px": 640, "height_px": 360, "fps": 30}, "recording": {"min_free_gb": 0}},
        "test",
    )  # fmt: skip
    return RecorderSettings(path, "P001", "01", config, clock=SystemClock(), planned_s=60.0, simulated=True,
                            device_seed=1, participant_seed=1)  # fmt: skip


def _let_run(operator: ConsoleOperator, recorder: Recorder, seconds: float) -> dict[str, int]:
    """Let the session go on; returns the most that ever waited, by stream."""
    most: dict[str, int] = {}
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        operator.poll()
        operator.tell({**RUNNING, "step_elapsed_s": seconds})
        for name, stream in recorder.status().streams.items():
            most[name] = max(most.get(name, 0), stream.waiting)
        time.sleep(0.1)
    return most
