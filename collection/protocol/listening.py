"""Listen while something is shown: to the operator, to the participant, and whether the recorder is still there."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from collection.presenter.base import Presenter
from collection.protocol.commands import Effect, Situation, effect_of
from collection.protocol.desk import OperatorDesk
from collection.protocol.operator import Command, CommandName, Operator
from collection.protocol.storing import SessionLog, in_pieces
from data_schema.session import markers

logger = logging.getLogger(__name__)

#: Why a session ended that the participant stopped.
PARTICIPANT_STOPPED = "the participant asked to stop"
#: Real seconds between two ticks.
_TICK_EVERY_S = 0.25

#: What the operator asked for, in words.
_ASKED = {
    CommandName.PAUSE: "The session pauses",
    CommandName.RECHECK: "The calibration is checked",
    CommandName.RECALIBRATE: "The eye tracker is calibrated anew",
}
_CUT_REASONS = {
    CommandName.SKIP: "skipped by the operator",
    CommandName.PAUSE: "the operator paused the session in it",
    CommandName.RECHECK: "the operator had the calibration checked in it",
    CommandName.RECALIBRATE: "the operator had the eye tracker calibrated anew in it",
}


@dataclass(frozen=True)
class Where:
    """What is going on: the trial (0 outside trials), and whether a step is shown that can be cut."""

    situation: Situation
    trial_id: int
    step_runs: bool


@dataclass
class Cut:
    """Why the running step is to end, and what is to become of it."""

    effect: Effect
    reason: str = ""
    skip: bool = False


class Listener:
    """Take commands and stops, and keep what is still to be done about them.

    Parameters
    ----------
    operator : Operator or None
    presenter : Presenter
        Knows whether the participant wants to stop.
    log : SessionLog
        Takes marks and notes.
    where : callable
        Says what is going on.
    can_calibrate : callable
        Says whether there is a tracker to check.
    on_tick : callable
        Called about four times a second.
    """

    def __init__(
        self,
        operator: Operator | None,
        presenter: Presenter,
        log: SessionLog,
        where: Callable[[], Where],
        can_calibrate: Callable[[], bool],
        on_tick: Callable[[], None],
    ) -> None:
        self.desk = OperatorDesk(operator, self.should_stop)
        self.cut: Cut | None = None
        #: What the operator asked for and has not got yet, in the order of asking.
        self.wanted: list[CommandName] = []
        self.pause_ended = False
        self.abort_reason = ""
        self.participant_stopped = False
        self._abort = threading.Event()
        self._operator = operator
        self._presenter = presenter
        self._log = log
        self._where = where
        self._can_calibrate = can_calibrate
        self._on_tick = on_tick
        self._looking = False
        self._ticked_s = 0.0

    @property
    def aborted(self) -> bool:
        """True once the session is to end."""
        return self._abort.is_set()

    def request_abort(self, reason: str) -> None:
        """End the session at the next moment; safe in a signal handler and from any thread."""
        self.abort_reason = self.abort_reason or reason
        self._abort.set()

    def should_stop(self) -> bool:
        """Look around; True if the running step is to end now."""
        # A presenter that asks "really stop?" inside `stop_requested` may come back here.
        if not self._looking:
            self._looking = True
            try:
                self._look()
            finally:
                self._looking = False
        return self.aborted or self.cut is not None

    def pause_is_over(self) -> bool:
        """Look around; True if the pause has ended or something is to be done in it."""
        return self.should_stop() or self.pause_ended or bool(self.wanted)

    def take_cut(self) -> Cut | None:
        """Return why the step was cut, once."""
        cut, self.cut = self.cut, None
        return cut

    def tick_soon(self) -> None:
        """Tick at the next look: something has changed."""
        self._ticked_s = 0.0

    def alarm(self, text: str, level: str) -> None:
        """Tell the operator a sentence."""
        logger.log(logging.INFO if level == "note" else logging.WARNING, text)
        self.desk.tell({"kind": "alarm", "text": text, "level": level, "key": "protocol"})

    def kept_promise(self) -> None:
        """Take back what was said of something to come: it happens now."""
        self.desk.tell({"kind": "alarm", "text": "", "level": "note", "key": "protocol"})

    def _look(self) -> None:
        now_s = time.monotonic()
        if now_s - self._ticked_s >= _TICK_EVERY_S:
            self._ticked_s = now_s
            self._log.status()
            self._on_tick()
        if self._operator is not None:
            for command in self._operator.poll():
                self._take(command)
        if not self.aborted and self._presenter.stop_requested():
            self._log.marker(markers.PARTICIPANT_STOPPED, trial_id=self._where().trial_id)
            self.alarm("The participant asked to stop. The session ends; go and see.", "warning")
            self.participant_stopped = True
            self.request_abort(PARTICIPANT_STOPPED)

    def _take(self, command: Command) -> None:
        t_us, trial_id = command.t_system_us or None, self._where().trial_id
        if command.name is CommandName.MARK:
            self._log.marker(markers.OPERATOR_MARK, command.text, t_system_us=t_us, trial_id=trial_id)
        elif command.name is CommandName.NOTE:
            for piece in in_pieces(command.text):
                self._log.marker(markers.OPERATOR_NOTE, piece, t_system_us=t_us, trial_id=trial_id)
        elif command.name is CommandName.STOP:
            self.request_abort(f"stopped by the operator{': ' if command.text else ''}{command.text}")
        elif command.name in (CommandName.RECHECK, CommandName.RECALIBRATE) and not self._can_calibrate():
            self.alarm("There is no eye tracker here that can be checked or calibrated.", "note")
        else:
            self._obey(command)

    def _obey(self, command: Command) -> None:
        """Do what the table says (:data:`collection.protocol.commands.EFFECTS`)."""
        name, where = command.name, self._where()
        effect = effect_of(command, where.situation, asked_before=name in self.wanted)
        logger.info("operator: %s while %s: %s", name.value, where.situation.value, effect.value)
        skip = name is CommandName.SKIP
        if effect in (Effect.LATER, Effect.AT_ONCE, Effect.CUT) and not skip and name not in self.wanted:
            self.wanted.append(name)
        if effect is Effect.LATER:
            hint = "after this trial. Ask again to cut the trial off now." if where.trial_id else "after this step."
            self.alarm(f"{_ASKED[name]} {hint}", "note")
        elif effect is Effect.CUT:
            self.cut = Cut(effect, _CUT_REASONS[name], skip)
        elif effect in (Effect.AT_ONCE, Effect.TURN_PAGE) and where.step_runs:
            self.cut = Cut(effect)
        elif effect is Effect.WITHDRAW and self.wanted:
            self.wanted.clear()
            self.alarm("Taken back: the session goes on.", "note")
        elif effect is Effect.END_PAUSE:
            self.pause_ended = True
        elif effect is Effect.PASS_ON:
            self.desk.passed_on.append(command)
