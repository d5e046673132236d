"""The console's connections: found, lost, found again, with a real session's side and a real live server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collection.console.link import ConsoleLink
from collection.console.messages import RECORDER, SESSION
from collection.console.model import ConsoleModel
from collection.console.operator import ConsoleOperator
from collection.live import LiveServer
from collection.protocol.operator import CommandName

STATUS = {"kind": "status", "t_us": 1, "state": "recording", "streams": {}}


class Console:
    """A console without a window."""

    def __init__(self, address_file: Path) -> None:
        self.link = ConsoleLink(address_file)
        self.model = ConsoleModel(self.link.send)
        self.link.start()

    def until(self, condition: Callable[[], object], timeout_s: float = 8.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "it never came"
            self.link.pump(self.model)
            time.sleep(0.01)


@pytest.fixture
def address_file(tmp_path: Path) -> Path:
    return tmp_path / ".emer-console.json"


@pytest.fixture
def console(address_file: Path) -> Iterator[Console]:
    console = Console(address_file)
    yield console
    console.link.close()


def test_a_console_that_is_there_first_finds_the_session(console: Console, address_file: Path) -> None:
    console.link.pump(console.model)
    assert not console.model.links[SESSION].connected
    with ConsoleOperator(address_file) as operator:
        operator.tell({"kind": "setup", "title": "found"})
        console.until(lambda: console.model.setup.get("title") == "found")
        assert operator.wait_for_console(5.0)
        operator.tell({"kind": "session", "participant": "P1", "session": "01", "state": "running", "trial": 1,
                       "n_trials": 2, "step": "clip"})  # fmt: skip
        console.until(lambda: console.model.can(CommandName.MARK))
        assert console.model.command(CommandName.MARK, "here")
        commands = []
        console.until(lambda: commands.extend(operator.poll()) or commands)
        assert commands[0].text == "here"
    console.until(lambda: not console.model.links[SESSION].connected)


def test_the_recorder_is_found_through_the_session_and_again_after_a_loss(console: Console, address_file: Path) -> None:
    first = LiveServer()
    with ConsoleOperator(address_file) as operator:
        operator.set_recorder(first.address)
        console.until(lambda: console.model.links[RECORDER].connected)
        first.send(STATUS)
        console.until(lambda: console.model.status.get("state") == "recording")
        first.close()
        console.until(lambda: not console.model.links[RECORDER].connected)
        console.link.pump(console.model)
        assert "link:recorder" in [alarm.key for alarm in console.model.alarms]
        second = LiveServer()
        operator.set_recorder(second.address)
        console.until(lambda: console.model.links[RECORDER].connected)
        second.send(STATUS)
        console.until(lambda: console.model.links[RECORDER].n_connected == 2 and not console.model.alarms)
        second.close()


def test_the_recorder_is_found_when_only_its_address_is_left(console: Console, address_file: Path) -> None:
    """The session's process was killed: its file is still there, and the recorder still speaks."""
    with LiveServerOf() as recorder:
        operator = ConsoleOperator(address_file)
        operator.set_recorder(recorder.address)
        operator._server.close()
        console.until(lambda: console.model.links[RECORDER].connected)
        assert not console.model.links[SESSION].connected
        operator.close()


class LiveServerOf(LiveServer):
    """A live server for a ``with`` block."""

    def __enter__(self) -> LiveServerOf:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def test_the_next_session_of_the_study_is_found(console: Console, address_file: Path) -> None:
    for title in ("first", "second"):
        with ConsoleOperator(address_file) as operator:
            operator.tell({"kind": "setup", "title": title})
            console.until(lambda title=title: console.model.setup.get("title") == title)
            operator.tell({"kind": "ended", "reason": f"complete {title}"})
        console.until(lambda title=title: (console.model.ended or {}).get("reason") == f"complete {title}")
        console.until(lambda: not console.model.links[SESSION].connected)
        assert console.model.alarms == []


def test_the_open_question_reaches_the_second_console(console: Console, address_file: Path) -> None:
    import threading

    from collection.protocol.operator import Decision, Question

    question = Question("calibration", "Good enough?", (("accept", "Yes"),))
    with ConsoleOperator(address_file) as operator:
        answers: list[Decision | None] = []
        thread = threading.Thread(target=lambda: answers.append(operator.decide(question, lambda: False)))
        thread.start()
        console.until(lambda: console.model.question is not None)
        console.link.close()
        second = Console(address_file)
        second.until(lambda: second.model.question is not None)
        assert second.model.answer("accept")
        second.until(lambda: not thread.is_alive() and second.model.question is None)
        thread.join()
        assert answers == [Decision("accept")]
        second.link.close()
