"""Operators without a console: a script, and whoever sits at the terminal."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from collection.protocol.operator import Command, Decision, Operator, Question

_LOOK_EVERY_S = 0.1
#: The reason that a script gives where one is asked for.
SCRIPT_REASON = "decided by a script: nobody was there to ask"
#: So often a script tries a calibration again whose tracker failed, and real seconds before each try: a cable that
#: is plugged in again is back by then. Ours.
_TRIES, _TRY_AGAIN_S = 6, 4.0


class ScriptedOperator:
    """Take the first choice of every question, and send no command.

    A calibration that a tracker's failure ended is tried again some times, with a pause before each.

    Attributes
    ----------
    try_again_s : float
        Real seconds of that pause.
    """

    try_again_s = _TRY_AGAIN_S
    _n_tries = 0

    def poll(self) -> list[Command]:
        """Return no command."""
        return []

    def decide(self, question: Question, should_stop: Callable[[], bool]) -> Decision | None:
        """Take the first choice."""
        if should_stop():
            return None
        choice = question.choices[0][0]
        if question.id == "calibration":
            words = {word for word, _ in question.choices}
            # Only after a failure one may go on without a calibration.
            failed = {"go_on", "recalibrate"} <= words
            self._n_tries = self._n_tries + 1 if failed else 0
            if failed and self._n_tries <= _TRIES:
                if not _wait(self.try_again_s, should_stop):
                    return None
                choice = "recalibrate"
        return Decision(choice, SCRIPT_REASON if choice in question.reason_for else "")

    def tell(self, message: Mapping[str, Any]) -> None:
        """Nobody to tell."""


def _wait(seconds: float, should_stop: Callable[[], bool]) -> bool:
    """Wait; False if told to stop."""
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s:
        if should_stop():
            return False
        time.sleep(min(_LOOK_EVERY_S, max(0.0, ends_s - time.monotonic())))
    return True


class AutomaticOperator(ScriptedOperator):
    """Let somebody at a console decide, for a few seconds; then take the first choice.

    Parameters
    ----------
    console : Operator
        Where questions are shown and commands come from.
    patience_s : float
        Real seconds that a question stays open.
    """

    def __init__(self, console: Operator, patience_s: float = 4.0) -> None:
        self._console = console
        self._patience_s = patience_s

    def poll(self) -> list[Command]:
        """Return the console's commands."""
        return self._console.poll()

    def tell(self, message: Mapping[str, Any]) -> None:
        """Tell the console."""
        self._console.tell(dict(message))

    def decide(self, question: Question, should_stop: Callable[[], bool]) -> Decision | None:
        """Show the question, and answer it if nobody does."""
        ends_s = time.monotonic() + self._patience_s
        decision = self._console.decide(question, lambda: should_stop() or time.monotonic() > ends_s)
        return decision or super().decide(question, should_stop)


class TerminalOperator(ScriptedOperator):
    """Ask on the terminal; commands come from elsewhere.

    Parameters
    ----------
    say : callable
        Takes lines for the operator.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader: threading.Thread | None = None

    @staticmethod
    def possible() -> bool:
        """Tell whether somebody can type."""
        return sys.stdin is not None and sys.stdin.isatty()

    def decide(self, question: Question, should_stop: Callable[[], bool]) -> Decision | None:
        """Show the choices, read a number, and a reason where one is needed; None if `should_stop` said so."""
        self._say(question.text)
        for number, (_, label) in enumerate(question.choices, 1):
            self._say(f"  {number}  {label}")
        while True:
            self._say(f"Type a number, 1 to {len(question.choices)}, and Enter:")
            line = self._read(should_stop)
            if line is None:
                return None
            if not (line.isdecimal() and 1 <= int(line) <= len(question.choices)):
                continue
            choice = question.choices[int(line) - 1][0]
            if choice not in question.reason_for:
                return Decision(choice)
            self._say("Type the reason, which is stored with the session, and Enter:")
            reason = self._read(should_stop)
            if reason is None:
                return None
            if reason:
                return Decision(choice, reason)

    def _read(self, should_stop: Callable[[], bool]) -> str | None:
        """Return the next line that is typed; a thread reads it, so that Ctrl-C is heard meanwhile."""
        if self._reader is None or not self._reader.is_alive():
            self._reader = threading.Thread(target=self._read_line, name="terminal-input", daemon=True)
            self._reader.start()
        while not should_stop():
            try:
                return self._lines.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                continue
        return None

    def _read_line(self) -> None:
        line = sys.stdin.readline()
        # The end of the input can answer nothing: wait for Ctrl-C then.
        if line:
            self._lines.put(line.strip())
