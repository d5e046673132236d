"""The session's side of the console, over real connections."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collection.console import ConsoleOperator, FormRequest, ParticipantForm, problems_of
from collection.console.presence import ConsolePresence
from collection.console.starting import read_address_file, write_address_file
from collection.live import LiveAddress, LiveClient
from collection.protocol.operator import CommandName, Decision, Question
from data_schema.errors import RecordingError, UsageError

QUESTION = Question(
    "calibration", "Is it good enough?", (("accept", "Accept"), ("go_on", "Go on all the same")), ("go_on",)
)


class Listener:
    """A console without a window: says hello, keeps what it is told."""

    def __init__(self, address_file: Path, name: str = "c1") -> None:
        self.client = LiveClient(LiveAddress(*read_address_file(address_file).session))
        self.name = name
        self.heard: list[dict[str, Any]] = []
        self.say("hello")

    def say(self, kind: str, **fields: Any) -> None:
        identity = {"console": self.name} if kind in ("hello", "alive", "bye") else {}
        self.client.send({"kind": kind, **identity, **fields})

    def wait_for(self, kind: str, timeout_s: float = 5.0, **fields: Any) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            received = self.client.receive(0.1)
            if received is not None:
                self.heard.append(received[0])
            for message in self.heard:
                if message["kind"] == kind and all(message.get(key) == value for key, value in fields.items()):
                    self.heard.remove(message)
                    return message
        raise AssertionError(f"no {kind} {fields} within {timeout_s} s; heard {self.heard}")


@pytest.fixture
def address_file(tmp_path: Path) -> Path:
    return tmp_path / ".emer-console.json"


@pytest.fixture
def operator(address_file: Path) -> Iterator[ConsoleOperator]:
    with ConsoleOperator(address_file) as operator:
        yield operator


@pytest.fixture
def connect(address_file: Path) -> Iterator[Callable[..., Listener]]:
    listeners: list[Listener] = []

    def make(name: str = "c1") -> Listener:
        listeners.append(Listener(address_file, name))
        return listeners[-1]

    yield make
    for listener in listeners:
        listener.client.close()


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    return thread, results


def until(condition: Callable[[], Any], timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def test_address_file_is_private_and_removed_at_the_end(address_file: Path) -> None:
    operator = ConsoleOperator(address_file)
    if sys.platform != "win32":
        assert stat.S_IMODE(address_file.stat().st_mode) == 0o600
    operator.set_recorder(LiveAddress("somewhere", "00ff"))
    assert read_address_file(address_file).recorder == ("somewhere", "00ff")
    if sys.platform != "win32":
        assert stat.S_IMODE(address_file.stat().st_mode) == 0o600
    operator.close()
    operator.close()
    assert list(address_file.parent.iterdir()) == []
    with pytest.raises(UsageError, match="no session runs"):
        read_address_file(address_file)


def test_a_folder_that_cannot_be_written_any_more_ends_no_session(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    with ConsoleOperator(folder / ".emer-console.json") as operator:
        # As good as a disk that is full or a share that is gone.
        shutil.rmtree(folder)
        operator.set_recorder(LiveAddress("somewhere", "00ff"))
    assert "could not be brought up to date" in caplog.text
    with pytest.raises(RecordingError, match="cannot be written"):
        ConsoleOperator(folder / ".emer-console.json")


def test_a_file_that_is_just_being_read_is_replaced_a_moment_later(
    address_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = [PermissionError(13, "in use")] * 3
    replace = Path.replace

    def as_on_windows(self: Path, target: Path) -> Path:
        if refused:
            raise refused.pop()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", as_on_windows)
    write_address_file(address_file, LiveAddress("here", "00"), None)
    assert read_address_file(address_file).session == ("here", "00")
    assert [path.name for path in address_file.parent.iterdir()] == [address_file.name]


def test_commands_arrive_in_order_with_their_time(operator: ConsoleOperator, connect: Callable[..., Listener]) -> None:
    console = connect()
    for number, name in enumerate(("mark", "pause", "go_on", "dance", "stop")):
        console.say("command", name=name, text=f"text {number}", t_system_us=100 + number)
    got: list[Any] = []
    until(lambda: got.extend(operator.poll()) or len(got) == 4)
    assert [command.name for command in got] == [
        CommandName.MARK, CommandName.PAUSE, CommandName.GO_ON, CommandName.STOP,
    ]  # fmt: skip
    assert [command.t_system_us for command in got] == [100, 101, 102, 104]
    assert got[0].text == "text 0"


@pytest.mark.parametrize("stamp", [10**30, -5, float("nan"), float("inf"), 2**62])
def test_a_stamp_that_no_file_can_hold_is_taken_for_now(
    operator: ConsoleOperator, connect: Callable[..., Listener], stamp: float
) -> None:
    console = connect()
    # As another program would send it: `LiveClient` itself writes no NaN.
    text = json.dumps({"kind": "command", "name": "stop", "text": "x" * 9000, "t_system_us": stamp}).encode()
    console.client._channel.outbox.put((text, None), len(text), False)
    got: list[Any] = []
    until(lambda: got.extend(operator.poll()) or got)
    assert (got[0].name, got[0].t_system_us) == (CommandName.STOP, 0)
    assert len(got[0].text) < 5000


def test_a_question_waits_for_a_console_and_is_asked_again(
    operator: ConsoleOperator, connect: Callable[..., Listener]
) -> None:
    thread, decided = in_thread(lambda: operator.decide(QUESTION, lambda: False))
    until(lambda: operator.open_question is not None)
    first = connect("first")
    assert first.wait_for("question", id="calibration")["reason_for"] == ["go_on"]
    first.client.close()  # without an answer
    second = connect("second")
    asked = second.wait_for("question", id="calibration")["number"]
    second.say("answer", id="calibration", number=asked - 1, choice="accept")  # late: of an earlier asking
    second.say("answer", id="calibration", number=asked, choice="go_on", reason=" ")
    assert (
        "reason"
        in second.wait_for("question", problem="This choice needs a reason, which is stored with the session.")[
            "problem"
        ]
    )
    second.say("answer", id="calibration", number=asked, choice="run away")
    assert thread.is_alive()
    second.say("answer", id="calibration", number=asked, choice="go_on", reason="glasses")
    thread.join(5)
    assert decided == [Decision("go_on", "glasses")]
    assert second.wait_for("question_closed")["choice"] == "go_on"
    assert operator.open_question is None


def test_a_question_can_be_answered_at_the_keyboard(operator: ConsoleOperator) -> None:
    thread, decided = in_thread(lambda: operator.decide(QUESTION, lambda: False))
    until(lambda: operator.open_question is not None)
    assert not operator.answer("preflight", "accept")
    assert not operator.answer("calibration", "go_on")
    assert operator.answer("calibration", "accept")
    thread.join(5)
    assert decided == [Decision("accept")]
    assert not operator.answer("calibration", "accept")


def test_a_question_ends_when_the_session_must_stop(operator: ConsoleOperator) -> None:
    stop = threading.Event()
    thread, decided = in_thread(lambda: operator.decide(QUESTION, stop.is_set))
    until(lambda: operator.open_question is not None)
    stop.set()
    thread.join(2)
    assert decided == [None]


def test_a_console_that_comes_late_is_told_all_that_holds(
    operator: ConsoleOperator, connect: Callable[..., Listener]
) -> None:
    operator.tell({"kind": "setup", "title": "study"})
    operator.tell({"kind": "preflight", "checks": [{"check": "disk", "level": "good", "message": "20 GB"}]})
    operator.tell({"kind": "alarm", "key": "old", "text": "gone", "level": "error"})
    operator.tell({"kind": "alarm", "key": "old", "text": "", "level": "error"})
    operator.tell({"kind": "alarm", "key": "tracker", "text": "Plug it in.", "level": "error"})
    operator.set_recorder(LiveAddress("there", "0a"))
    console = connect()
    assert console.wait_for("setup")["title"] == "study"
    assert console.wait_for("preflight")["checks"][0]["check"] == "disk"
    assert console.wait_for("recorder")["key_hex"] == "0a"
    assert console.wait_for("alarm")["text"] == "Plug it in."
    assert not [m for m in console.heard if m["kind"] == "alarm"]


def test_connection_and_loss_are_reported(operator: ConsoleOperator, connect: Callable[..., Listener]) -> None:
    told: list[str] = []
    operator.on_connected = lambda text: told.append(f"came {text}")
    operator.on_lost = lambda text: told.append(f"went {text}")
    assert not operator.connected
    console = connect("abc")
    assert operator.wait_for_console(5)
    assert told == ["came console abc"]
    console.say("bye")
    until(lambda: not operator.poll() and len(told) == 2)
    assert told[1].startswith("went console abc: closed by the operator")
    assert not operator.connected


def test_a_console_that_was_killed_is_missed_at_once(
    operator: ConsoleOperator, connect: Callable[..., Listener]
) -> None:
    told: list[str] = []
    operator.on_lost = told.append
    console = connect("abc")
    assert operator.wait_for_console(5)
    console.client.close()  # without a goodbye
    until(lambda: not operator.poll() and told, 2.0)
    assert "console abc: gone or frozen" in told[0]
    assert not operator.connected


def test_a_silent_console_counts_as_lost_and_may_come_back() -> None:
    presence = ConsolePresence(lost_after_s=3.0)
    presence.heard("hello", "c", 10.0)
    assert presence.changes(10.1) == (["c"], [])
    presence.heard("alive", "c", 12.9)
    assert presence.changes(15.8) == ([], [])
    came, went = presence.changes(16.0)
    assert (came, went[0][0]) == ([], "c")
    assert "frozen" in went[0][1]
    assert not presence.any_present(16.0)
    presence.heard("alive", "c", 17.0)
    assert presence.changes(17.1) == (["c"], [])


def test_the_form_is_checked_again_by_the_session(operator: ConsoleOperator, connect: Callable[..., Listener]) -> None:
    request = FormRequest("P7KQ4", "01", {"P001": ["01"]}, "paper")
    thread, forms = in_thread(lambda: operator.ask_form(request, lambda: False))
    console = connect()
    console.wait_for("form", open=True, code="P7KQ4")
    console.say(
        "participant_form",
        code="Anna Smith",
        session="01",
        facts={},
        consent={"video": True, "gaze": True, "sharing": False},
    )
    refused = console.wait_for("form", open=True)
    if not refused["problem"]:  # told twice, if it was connected just while the form was opened
        refused = console.wait_for("form", open=True)
    assert "never a name" in refused["problem"]
    assert thread.is_alive()
    console.say(
        "participant_form", code="P7KQ4", session="01",
        facts={"vision_aid": "glasses", "age_years": "31", "gender": "", "shoe_size": "44"},
        consent={"video": False, "gaze": True, "sharing": False},
    )  # fmt: skip
    thread.join(5)
    assert forms == [
        ParticipantForm(
            "P7KQ4",
            "01",
            {"vision_aid": "glasses", "age_years": "31"},
            {"video": False, "gaze": True, "sharing": False},
        )
    ]
    console.wait_for("form", open=False)


def test_a_bad_message_ends_nothing(
    operator: ConsoleOperator, connect: Callable[..., Listener], caplog: pytest.LogCaptureFixture
) -> None:
    console = connect()
    operator.tell({"kind": "setup"})
    operator.tell({"kind": "setup", "title": object()})
    console.say("command", name=7)
    console.say("command", name="mark", t_system_us=1)
    got: list[Any] = []
    until(lambda: got.extend(operator.poll()) or got)
    assert got[0].name is CommandName.MARK
    assert "the field 'title' is missing" in caplog.text
    assert "'name' must be str" in caplog.text


def test_messages_are_checked_against_their_declaration() -> None:
    good = {"kind": "head", "left": [0.5, 0.5, 0.4], "right": None, "distance_mm": 640}
    assert problems_of(good) == []
    assert "no kind of message 'nod'" in problems_of({"kind": "nod"})[0]
    assert problems_of({"kind": "frame", "camera": True, "t_us": 1, "width": 4, "height": 3}) == [
        "frame: 'camera' must be float or int, got bool"
    ]


def test_two_sessions_do_not_remove_each_others_address(address_file: Path) -> None:
    with ConsoleOperator(address_file):
        text = address_file.read_text(encoding="utf-8").replace(f'"pid": {os.getpid()}', '"pid": 1')
        address_file.write_text(text, encoding="utf-8")
    assert address_file.exists()
