"""The engine that executes a plan. Aborting is a normal path: what was shown is on file."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from collection.presenter.base import Presentation, Presenter
from collection.protocol.plan import SessionPlan
from collection.protocol.steps import AskItems, BeginTrial, EndTrial, PlayClip, Step
from data_schema.clocks import HostClock
from data_schema.session import markers
from data_schema.session.layout import FLIPS, PRESENTATIONS, RESPONSES, make_row

logger = logging.getLogger(__name__)


class State(str, Enum):
    """Where a session stands."""

    READY = "ready"
    RUNNING = "running"
    ABORTING = "aborting"
    COMPLETE = "complete"
    ABORTED = "aborted"


#: Every legal change of state; anything else is a mistake of ours.
TRANSITIONS: dict[State, frozenset[State]] = {
    State.READY: frozenset({State.RUNNING}),
    State.RUNNING: frozenset({State.ABORTING, State.COMPLETE}),
    State.ABORTING: frozenset({State.ABORTED}),
    State.COMPLETE: frozenset(),
    State.ABORTED: frozenset(),
}

#: Real seconds between two calls of `on_tick`.
_TICK_EVERY_S = 0.25


class SessionLog(Protocol):
    """What the engine writes to; the recorder's handle is one."""

    def rows(self, table: str, rows: npt.NDArray[np.void]) -> None:
        """Store rows of a table."""
        ...

    def marker(
        self,
        kind: str,
        message: str = "",
        value: float = ...,
        t_system_us: int | None = None,
        trial_id: int = 0,
    ) -> None:
        """Store a marker."""
        ...

    def status(self) -> Any:
        """Raise if the recorder is gone."""
        ...


@dataclass(frozen=True)
class Progress:
    """Where the session is; for the console."""

    trial: int
    n_trials: int
    step: str


@dataclass(frozen=True)
class Outcome:
    """How a session ended."""

    state: State
    reason: str
    n_trials_completed: int
    t_end_us: int


class ProtocolEngine:
    """Execute a plan, once.

    Parameters
    ----------
    plan : SessionPlan
        The steps.
    presenter : Presenter
        Shows them.
    log : SessionLog
        Stores what happened.
    clock : HostClock
        Shared with both.
    before_trial : callable, optional
        Called with the trial's step and the planned onset of its clip, before the
        fixation cross; a rehearsal plants its reactions here.
    on_tick : callable, optional
        Called about four times a second with the progress.
    """

    def __init__(
        self,
        plan: SessionPlan,
        presenter: Presenter,
        log: SessionLog,
        clock: HostClock,
        *,
        before_trial: Callable[[BeginTrial, int], None] | None = None,
        on_tick: Callable[[Progress], None] | None = None,
    ) -> None:
        self.state = State.READY
        self._plan = plan
        self._presenter = presenter
        self._log = log
        self._clock = clock
        self._before_trial = before_trial
        self._on_tick = on_tick
        self._abort = threading.Event()
        self._abort_reason = ""
        self._due_us = 0
        self._trial = 0
        self._step = ""
        self._n_completed = 0
        self._ticked_s = 0.0

    def request_abort(self, reason: str) -> None:
        """Ask the session to stop at the next moment; may be called from a signal handler or thread."""
        self._abort_reason = self._abort_reason or reason
        self._abort.set()

    def run(self) -> Outcome:
        """Execute all steps, or as many as there are until an abort.

        Raises
        ------
        RecordingError
            If the recorder is gone.
        """
        self._move(State.RUNNING)
        self._due_us = self._clock.now_us()
        try:
            self._presenter.open()
            for step in self._plan.steps:
                if self._should_stop():
                    break
                self._execute(step)
        except KeyboardInterrupt:
            self.request_abort("stopped by the operator")
        except BaseException:
            self._move(State.ABORTING)
            self._move(State.ABORTED)
            raise
        finally:
            self._presenter.close()
        if self._abort.is_set():
            self._move(State.ABORTING)
            self._move(State.ABORTED)
        else:
            self._move(State.COMPLETE)
        return Outcome(self.state, self._abort_reason, self._n_completed, self._clock.now_us())

    def _move(self, state: State) -> None:
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"a session cannot go from {self.state.value} to {state.value}")
        logger.info("session: %s -> %s", self.state.value, state.value)
        self.state = state

    def _should_stop(self) -> bool:
        now_s = time.monotonic()
        if now_s - self._ticked_s >= _TICK_EVERY_S:
            self._ticked_s = now_s
            self._log.status()
            if self._on_tick is not None:
                self._on_tick(Progress(self._trial, self._plan.n_trials, self._step))
        return self._abort.is_set()

    # ----------------------------------------------------------------- steps

    def _execute(self, step: Step) -> None:
        self._due_us = max(self._due_us, self._clock.now_us())
        self._step = step.name
        if isinstance(step, BeginTrial):
            self._begin_trial(step)
            return
        if isinstance(step, EndTrial):
            self._end_trial(step)
            return
        self._log.marker(markers.STEP_STARTED, step.name, trial_id=step.trial_id)
        if isinstance(step, PlayClip):
            self._play(step)
        elif isinstance(step, AskItems):
            self._ask(step)
        else:
            self._due_us += round(step.planned_s * 1e6)
            self._presenter.show(step, self._due_us, self._should_stop)
        self._log.marker(markers.STEP_ENDED, step.name, trial_id=step.trial_id)

    def _begin_trial(self, step: BeginTrial) -> None:
        self._trial = step.trial_id
        self._log.marker(markers.TRIAL_STARTED, step.stimulus_id, trial_id=step.trial_id)
        if self._before_trial is not None:
            self._before_trial(step, self._due_us + round(step.lead_s * 1e6))

    def _end_trial(self, step: EndTrial) -> None:
        self._log.marker(markers.TRIAL_ENDED, trial_id=step.trial_id)
        self._n_completed += 1

    def _play(self, clip: PlayClip) -> None:
        shown = self._presenter.play(
            clip, self._due_us, lambda rows: self._log.rows(FLIPS.path, rows), self._should_stop
        )
        self._due_us += round(clip.planned_s * 1e6)
        if shown.n_flips:
            self._store_presentation(clip, shown)

    def _store_presentation(self, clip: PlayClip, shown: Presentation) -> None:
        self._log.marker(markers.STIMULUS_ONSET, clip.stimulus_id, t_system_us=shown.t_onset_us, trial_id=clip.trial_id)
        self._log.marker(
            markers.STIMULUS_OFFSET, clip.stimulus_id, t_system_us=shown.t_offset_us, trial_id=clip.trial_id
        )
        row = make_row(
            PRESENTATIONS,
            trial_id=clip.trial_id,
            stimulus_id=clip.stimulus_id,
            target_emotion=clip.target_emotion,
            t_onset_us=shown.t_onset_us,
            t_offset_us=shown.t_offset_us,
            duration_expected_s=clip.planned_s,
            n_flips=shown.n_flips,
            n_flips_late=shown.n_flips_late,
            completed=shown.completed,
        )
        self._log.rows(PRESENTATIONS.path, row)

    def _ask(self, step: AskItems) -> None:
        for answer in self._presenter.ask(step, self._should_stop):
            value, text = answer.item.stored_value(answer.rating)
            row = make_row(
                RESPONSES,
                trial_id=step.trial_id,
                scale=answer.item.scale,
                value=value,
                text=text,
                t_shown_us=answer.t_shown_us,
                t_answered_us=answer.t_answered_us,
            )
            self._log.rows(RESPONSES.path, row)
