"""The procedure's contact with the operator: commands while targets are shown, questions, and what the console shows."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

from collection.calibration.as_json import attempt_as_json, limits_as_json
from collection.calibration.choices import listed
from collection.calibration.results import Attempt
from collection.calibration.watching import StopAsked
from collection.presenter.base import ShouldStop
from collection.protocol.operator import Command, CommandName, Decision, Operator, Question
from data_schema.study.sections import CalibrationSection

logger = logging.getLogger(__name__)

#: Times that a question is asked again after an answer that needs a reason and has none; then it counts as a stop.
_MAX_ASKED = 3
_KEY_OF_COMMAND = {
    CommandName.GO_ON: "go_on",
    CommandName.SKIP: "skip",
    CommandName.RECALIBRATE: "recalibrate",
    CommandName.STOP: "stop",
}


class OperatorDesk:
    """Ask and tell the operator.

    Parameters
    ----------
    operator : Operator or None
        Without one, every first choice is taken.
    config : CalibrationSection
        Limits, for the levels in plots.
    should_stop : callable
        Ends a question.
    polls : bool
        Read commands; False if the session does so in `should_stop`.
    """

    def __init__(
        self, operator: Operator | None, config: CalibrationSection, should_stop: ShouldStop, polls: bool
    ) -> None:
        self.unhandled: list[Command] = []
        self.drift_deg = math.nan
        self._operator = operator
        self._config = config
        self._should_stop = should_stop
        self._polls = polls

    def key(self) -> str:
        """Return what the operator's commands ask for, in the words of ``poll_key``; keeps the other commands."""
        if self._operator is None or not self._polls:
            return ""
        key = ""
        for command in self._operator.poll():
            if command.name in _KEY_OF_COMMAND:
                key = "stop" if key == "stop" else _KEY_OF_COMMAND[command.name]
            else:
                self.unhandled.append(command)
        return key

    def decide(self, question: Question) -> Decision:
        """Wait for the operator's decision, however long it takes.

        Raises
        ------
        StopAsked
            If the session is to end, or the answers make no sense.
        """
        if self._operator is None:
            return Decision(question.choices[0][0])
        words = {word for word, _ in question.choices}
        for _ in range(_MAX_ASKED):
            decision = self._operator.decide(question, self._should_stop)
            if decision is None:
                raise StopAsked
            if decision.choice in words and (decision.choice not in question.reason_for or decision.reason.strip()):
                return decision
            logger.warning("'%s' is no answer to '%s', or lacks a reason", decision.choice, question.id)
        raise StopAsked

    def alarm(self, text: str, level: str) -> None:
        """Show a sentence on the console; an empty one takes it back."""
        if self._operator is not None:
            self._operator.tell({"kind": "alarm", "text": text, "level": level, "key": "calibration"})

    def show(
        self, attempts: Sequence[Attempt], current: Attempt | None, phase: str, target: int = 0, n_targets: int = 0
    ) -> None:
        """Show on the console what there is: the attempts, and where the procedure stands."""
        if self._operator is None:
            return
        self._operator.tell(
            {
                "kind": "calibration",
                "attempts": [attempt_as_json(attempt, self._config) for attempt in listed(attempts)],
                "limits": limits_as_json(self._config),
                "chosen": current.attempt_id if current is not None else 0,
                "drift_deg": self.drift_deg if math.isfinite(self.drift_deg) else None,
                "max_drift_deg": self._config.max_drift_deg,
                "phase": phase,
                "target": target,
                "n_targets": n_targets,
            }
        )
