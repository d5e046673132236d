"""The session's side of the operator's console.

`ConsoleOperator` is the operator that the engine and the runner talk to. It
serves any number of consoles, none of which it waits for: without one, commands
do not come, questions stay open, and both are made up for as soon as one
connects. Callbacks are called on the thread that calls `poll`, `tell` or `decide`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from collection.console import messages
from collection.console.participant_form import FormRequest, ParticipantForm, form_problems
from collection.console.presence import ConsolePresence
from collection.console.starting import ConsoleStarter, remove_address_file, write_address_file
from collection.live import LiveAddress, LiveServer
from collection.live.messages import plain
from collection.protocol.operator import Command, CommandName, Decision, Question
from data_schema.clocks import host_ns
from data_schema.errors import RecordingError

logger = logging.getLogger(__name__)

#: Real seconds between two looks at `should_stop` while a question is open.
_LOOK_EVERY_S = 0.05
#: Commands that may wait for the session; a console that sends more is out of order.
_MAX_COMMANDS = 1000
#: Characters of a command's text that are kept: a page, far more than anyone types into a note.
_MAX_COMMAND_TEXT = 4000
#: Microseconds by which a key's stamp may lie ahead of ours.
_MAX_AHEAD_US = 1_000_000
#: Alarms of the session that a new console is told of.
_MAX_ALARMS = 50

ShouldStop = Callable[[], bool]
#: Called with a sentence about the console.
Told = Callable[[str], None]


class ConsoleOperator:
    """Serve consoles; implements :class:`collection.protocol.operator.Operator`.

    Use it in a ``with`` block or call `close`.

    Parameters
    ----------
    address_file : Path
        Where a console finds the session, such as ``<study>/.emer-console.json``.
    on_connected, on_lost : callable, optional
        Told when a console connects and when it is gone or frozen.
    """

    def __init__(self, address_file: Path, *, on_connected: Told | None = None, on_lost: Told | None = None) -> None:
        self._lock = threading.Condition()
        self._commands: deque[Command] = deque(maxlen=_MAX_COMMANDS)
        self._sticky: dict[str, dict[str, Any]] = {}
        self._alarms: dict[str, dict[str, Any]] = {}
        self._question: Question | None = None
        #: Counts the questions: a late answer to one must not be taken for the next, though both have the same id.
        self._question_number = 0
        self._question_problem = ""
        self._answer: tuple[Decision, str] | None = None
        self._form_request: FormRequest | None = None
        self._form: ParticipantForm | None = None
        self._presence = ConsolePresence()
        self.on_connected = on_connected
        self.on_lost = on_lost
        self._closed = False
        self._server = LiveServer(on_message=self._take)
        self._starter = ConsoleStarter(address_file)
        self._address_file = address_file
        try:
            write_address_file(address_file, self._server.address, None)
        except OSError as error:
            self._server.close()
            raise RecordingError(
                f"{address_file.parent}: the study folder cannot be written: {error.strerror or error}. "
                "Check its rights and the disk."
            ) from error

    def __enter__(self) -> ConsoleOperator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------- the engine

    def poll(self) -> list[Command]:
        """Return the commands since the last call, oldest first."""
        self._report_presence()
        with self._lock:
            commands = list(self._commands)
            self._commands.clear()
        return commands

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a message to all consoles, and keep it for those that come later if it still holds.

        Never blocks. A message that is not as declared in ``messages`` is sent all the
        same and logged: a mistake of ours must not end a session.
        """
        try:
            told: dict[str, Any] = plain(dict(message))
        except TypeError as error:
            logger.error("a message to the console was not sent: %s", error)
            return
        for problem in messages.problems_of(told):
            logger.error("a message to the console is not as declared: %s", problem)
        kind = messages.KINDS.get(str(told.get("kind")))
        with self._lock:
            if kind is not None and kind.sticky:
                self._sticky[kind.name] = told
            elif kind is not None and kind.name == messages.ALARM:
                self._keep_alarm(told)
        self._send(told)
        self._report_presence()

    def decide(self, question: Question, should_stop: ShouldStop) -> Decision | None:
        """Ask the operator and wait for the answer, with or without a console; None if `should_stop` said so."""
        with self._lock:
            self._question, self._question_problem, self._answer = question, "", None
            self._question_number += 1
            number = self._question_number
        self._send(_question_message(question, number))
        answer: tuple[Decision, str] | None = None
        try:
            while answer is None and not should_stop():
                self._report_presence()
                with self._lock:
                    self._lock.wait_for(lambda: self._answer is not None, _LOOK_EVERY_S)
                    answer = self._answer
        finally:
            with self._lock:
                self._question = None
            choice, by = (answer[0].choice, answer[1]) if answer else ("", "session")
            closed = {"kind": messages.QUESTION_CLOSED, "id": question.id, "number": number}
            self._send({**closed, "choice": choice, "by": by})
        return answer[0] if answer else None

    # -------------------------------------------------------------- the runner

    def answer(
        self, question_id: str, choice: str, reason: str = "", by: str = "keyboard", number: int | None = None
    ) -> bool:
        """Answer the open question from elsewhere, such as the participant's keyboard; True if it was taken.

        The same rules hold as for a console: the choice must be offered, and a
        reason given where one is needed. With `number`, the answer is for that
        asking of the question alone.
        """
        with self._lock:
            question = self._question
            if question is None or question.id != question_id or self._answer is not None:
                return False
            if number is not None and number != self._question_number:
                return False
            self._question_problem = _answer_problem(question, choice, reason)
            if not self._question_problem:
                self._answer = (Decision(choice, reason.strip()), by)
                self._lock.notify_all()
                return True
            refused = _question_message(question, self._question_number, self._question_problem)
        self._send(refused)
        return False

    @property
    def open_question(self) -> Question | None:
        """The question that waits for an answer, for those who show it elsewhere."""
        with self._lock:
            return self._question

    def ask_form(self, request: FormRequest, should_stop: ShouldStop) -> ParticipantForm | None:
        """Ask the operator for the participant's form; None if `should_stop` said so first."""
        with self._lock:
            self._form_request, self._form = request, None
        self.tell(request.message())
        form: ParticipantForm | None = None
        try:
            while form is None and not should_stop():
                self._report_presence()
                with self._lock:
                    self._lock.wait_for(lambda: self._form is not None, _LOOK_EVERY_S)
                    form = self._form
        finally:
            with self._lock:
                self._form_request = None
            self.tell({"kind": messages.FORM, "open": False})
        return form

    def submit_form(self, form: ParticipantForm) -> dict[str, str]:
        """Take a form as a console sends it; returns what is wrong with it, by field."""
        with self._lock:
            request = self._form_request
            if request is None or self._form is not None:
                return {"form": "the session does not wait for a form"}
            problems = form_problems(form, request.used, request.consent, request.code, request.scopes)
            if not problems:
                self._form = form
                self._lock.notify_all()
                return {}
        self.tell(request.message(" ".join(problems.values())))
        return problems

    def set_recorder(self, address: LiveAddress | None) -> None:
        """Tell consoles, the present and the coming ones, where the recorder's feed is; None when it has ended."""
        try:
            write_address_file(self._address_file, self._server.address, address)
        except OSError as error:
            # A full disk, or on Windows a console that reads the file now: those that are connected hear it below.
            logger.warning("%s could not be brought up to date: %s", self._address_file.name, error)
        where = (address.address, address.key_hex) if address else ("", "")
        self.tell({"kind": messages.RECORDER_ADDRESS, "address": where[0], "key_hex": where[1]})

    @property
    def connected(self) -> bool:
        """True while a console is there and answers."""
        return self._server.n_clients > 0 and self._presence.any_present(time.monotonic())

    def start_console(self) -> bool:
        """Start a console in a process of its own; False if one is there already. Does not wait for it."""
        if self.connected:
            return False
        return self._starter.start()

    def wait_for_console(self, timeout_s: float) -> bool:
        """Wait until a console is connected; False if none came in time."""
        deadline_s = time.monotonic() + timeout_s
        with self._lock:
            self._lock.wait_for(lambda: self.connected, max(0.0, deadline_s - time.monotonic()))
        self._report_presence()
        return self.connected

    def close(self) -> None:
        """Leave the consoles alone with what they have; idempotent. A console stays open until it is closed."""
        if self._closed:
            return
        self._closed = True
        self._server.close()
        remove_address_file(self._address_file)
        self._starter.leave()

    # -------------------------------------------------------------- consoles

    def _take(self, message: dict[str, Any], *_: Any) -> None:
        """Take a message of a console; called on the server's threads."""
        problems = messages.problems_of(message)
        if problems:
            logger.warning("a console sent what cannot be read: %s", "; ".join(problems))
            return
        kind = message["kind"]
        if kind in (messages.HELLO, messages.ALIVE, messages.BYE):
            with self._lock:
                self._presence.heard(kind, message["console"], time.monotonic())
                self._lock.notify_all()
            if kind == messages.HELLO:
                self._send_all_that_holds()
        elif kind == messages.COMMAND:
            self._take_command(message)
        elif kind == messages.ANSWER:
            number = int(message["number"])
            self.answer(message["id"], message["choice"], message.get("reason") or "", by="console", number=number)
        elif kind == messages.PARTICIPANT_FORM:
            self.submit_form(ParticipantForm.from_message(message))

    def _take_command(self, message: dict[str, Any]) -> None:
        try:
            name = CommandName(message["name"])
        except ValueError:
            logger.warning("a console sent the unknown command '%s'", message["name"])
            return
        text = str(message.get("text") or "")[:_MAX_COMMAND_TEXT]
        command = Command(name, text, _moment(message["t_system_us"]))
        with self._lock:
            self._commands.append(command)

    def _send_all_that_holds(self) -> None:
        with self._lock:
            standing = [*self._sticky.values(), *self._alarms.values()]
            if self._question is not None and self._answer is None:
                standing.append(_question_message(self._question, self._question_number, self._question_problem))
        for message in standing:
            self._send(message)

    def _keep_alarm(self, alarm: dict[str, Any]) -> None:
        key = alarm.get("key") or str(alarm.get("text"))
        self._alarms.pop(key, None)
        if alarm.get("text"):
            self._alarms[key] = alarm
        while len(self._alarms) > _MAX_ALARMS:
            del self._alarms[next(iter(self._alarms))]

    def _report_presence(self) -> None:
        with self._lock:
            if not self._server.n_clients:
                self._presence.all_gone()
            came, went = self._presence.changes(time.monotonic())
        for name in came:
            logger.info("console %s connected", name)
            if self.on_connected is not None:
                self.on_connected(f"console {name}")
        for name, why in went:
            logger.warning("console %s: %s", name, why)
            if self.on_lost is not None:
                self.on_lost(f"console {name}: {why}")

    def _send(self, message: dict[str, Any]) -> None:
        if self._closed:
            return
        try:
            self._server.send(message)
        except (TypeError, ValueError) as error:
            logger.error("the message '%s' to the console was not sent: %s", message["kind"], error)


def _moment(t_us: float) -> int:
    """Return when a key was pressed; 0, which stands for now, if no console can have sent it then."""
    # A stamp that does not fit its column would end the recorder, not just its marker.
    return int(t_us) if 0 <= t_us <= host_ns() // 1000 + _MAX_AHEAD_US else 0


def _question_message(question: Question, number: int, problem: str = "") -> dict[str, Any]:
    return {
        "kind": messages.QUESTION, "id": question.id, "number": number, "text": question.text,
        "choices": [list(choice) for choice in question.choices], "reason_for": list(question.reason_for),
        "data": question.data, "problem": problem,
    }  # fmt: skip


def _answer_problem(question: Question, choice: str, reason: str) -> str:
    words = [word for word, _ in question.choices]
    if choice not in words:
        return f"'{choice}' is not offered; choose one of: {', '.join(words)}"
    if choice in question.reason_for and not reason.strip():
        return "This choice needs a reason, which is stored with the session."
    return ""
