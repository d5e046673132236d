"""The operator as a calibration sees one."""

from __future__ import annotations

from collections import deque
from typing import Any

from collection.presenter.base import ShouldStop
from collection.protocol.operator import Command, Decision, Operator, Question


class OperatorDesk:
    """Pass on what is meant for the calibration that runs; the engine deals with the rest.

    Implements :class:`collection.protocol.operator.Operator`.

    Parameters
    ----------
    operator : Operator or None
        The session's.
    look : callable
        Makes the engine look at the operator's commands.
    """

    def __init__(self, operator: Operator | None, look: ShouldStop) -> None:
        self._look = look
        self._operator = operator
        self.passed_on: deque[Command] = deque()

    def poll(self) -> list[Command]:
        """Return go_on, skip and recalibrate; marks, notes, pause and stop are dealt with by the engine."""
        self._look()
        commands = list(self.passed_on)
        self.passed_on.clear()
        return commands

    def decide(self, question: Question, should_stop: ShouldStop) -> Decision | None:
        """Ask the operator; a session without one takes the first choice."""
        if self._operator is None:
            return Decision(question.choices[0][0])
        return self._operator.decide(question, should_stop)

    def tell(self, message: dict[str, Any]) -> None:
        """Pass a message on."""
        if self._operator is not None:
            self._operator.tell(message)
