"""What an operator's command means, by what is going on: one table.

Marks and notes are stored and a stop is obeyed whatever goes on; they are not in
the table. All other commands:

==============  ============  ===========  ==========  ============  =========
command         in a trial    page         rest        calibration   pause
==============  ============  ===========  ==========  ============  =========
pause           later, cut    at once      at once     later         nothing
go_on           withdraw      turn page    nothing     passed on     ends it
skip            cut           turn page    turn page   passed on     nothing
recheck         later, cut    at once      at once     nothing       at once
recalibrate     later, cut    at once      at once     passed on     at once
==============  ============  ===========  ==========  ============  =========

"later, cut": after the trial; asked a second time (or with the text 'now') at once,
and the trial is marked as interrupted.
"""

from __future__ import annotations

from enum import Enum

from collection.protocol.operator import Command, CommandName
from collection.protocol.steps import Break, Calibration, Positioning, Recheck, ShowText, Step

#: Text of a command that is not to wait.
NOW = "now"


class Situation(str, Enum):
    """What is going on."""

    TRIAL = "trial"
    #: A page that waits until the participant goes on: text, a break.
    PAGE = "page"
    #: The baseline, questions outside trials, or a moment between two steps.
    REST = "rest"
    CALIBRATION = "calibration"
    PAUSE = "pause"


class Effect(str, Enum):
    """What a command does."""

    NOTHING = "nothing"
    #: Done at the next safe moment.
    LATER = "later"
    #: The step is cut and shown again afterwards.
    AT_ONCE = "at_once"
    #: The trial is cut: interrupted, or skipped.
    CUT = "cut"
    TURN_PAGE = "turn_page"
    #: What was to be done later is not done.
    WITHDRAW = "withdraw"
    END_PAUSE = "end_pause"
    #: For the calibration that runs.
    PASS_ON = "pass_on"


_S, _E = Situation, Effect
EFFECTS: dict[CommandName, dict[Situation, Effect]] = {
    CommandName.PAUSE: {
        _S.TRIAL: _E.LATER, _S.PAGE: _E.AT_ONCE, _S.REST: _E.AT_ONCE, _S.CALIBRATION: _E.LATER, _S.PAUSE: _E.NOTHING,
    },
    CommandName.GO_ON: {
        _S.TRIAL: _E.WITHDRAW, _S.PAGE: _E.TURN_PAGE, _S.REST: _E.NOTHING, _S.CALIBRATION: _E.PASS_ON,
        _S.PAUSE: _E.END_PAUSE,
    },
    CommandName.SKIP: {
        _S.TRIAL: _E.CUT, _S.PAGE: _E.TURN_PAGE, _S.REST: _E.TURN_PAGE, _S.CALIBRATION: _E.PASS_ON,
        _S.PAUSE: _E.NOTHING,
    },
    CommandName.RECHECK: {
        _S.TRIAL: _E.LATER, _S.PAGE: _E.AT_ONCE, _S.REST: _E.AT_ONCE, _S.CALIBRATION: _E.NOTHING, _S.PAUSE: _E.AT_ONCE,
    },
    CommandName.RECALIBRATE: {
        _S.TRIAL: _E.LATER, _S.PAGE: _E.AT_ONCE, _S.REST: _E.AT_ONCE, _S.CALIBRATION: _E.PASS_ON, _S.PAUSE: _E.AT_ONCE,
    },
}  # fmt: skip


def effect_of(command: Command, situation: Situation, *, asked_before: bool) -> Effect:
    """Return what a command does now; `asked_before` says that it waits already to be done later."""
    effect = EFFECTS[command.name][situation]
    insists = asked_before or command.text.strip().lower() == NOW
    return Effect.CUT if effect is Effect.LATER and situation is Situation.TRIAL and insists else effect


def situation_of(step: Step | None) -> Situation:
    """Return what is going on while a step runs outside a pause; None is the moment between two steps."""
    if isinstance(step, (Positioning, Calibration, Recheck)):
        return Situation.CALIBRATION
    if step is not None and step.trial_id:
        return Situation.TRIAL
    return Situation.PAGE if isinstance(step, (ShowText, Break)) else Situation.REST
