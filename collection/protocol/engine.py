"""The engine that executes a plan. Aborting is a normal path: what was shown is on file.

While something is shown it listens (:mod:`collection.protocol.listening`): to the
operator (:mod:`collection.protocol.commands` says what a command does when), to the
participant, who may stop at any time, and to :meth:`ProtocolEngine.request_abort`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from collection.presenter.base import Preparing, Presenter
from collection.protocol.commands import Effect, Situation, situation_of
from collection.protocol.listening import Cut, Listener, Where
from collection.protocol.operator import CommandName, Operator
from collection.protocol.plan import SessionPlan
from collection.protocol.states import TRANSITIONS, Outcome, Progress, State
from collection.protocol.steps import (
    AskItems,
    BeginTrial,
    Calibration,
    EndTrial,
    PlayClip,
    Positioning,
    Recheck,
    ShowText,
    Step,
)
from collection.protocol.storing import SessionLog, store_answer, store_presentation
from collection.protocol.tracker_steps import CalibrationSteps, use_tracker
from data_schema.clocks import HostClock
from data_schema.errors import MediaError
from data_schema.session import markers
from data_schema.session.layout import FLIPS

logger = logging.getLogger(__name__)

__all__ = ["TRANSITIONS", "CalibrationSteps", "Outcome", "Progress", "ProtocolEngine", "SessionLog", "State"]

#: How long a page says that a clip cannot be shown.
_TROUBLE_S = 3.0
#: Estimate for a page that an operator's command puts in between.
_ASIDE_S = 3.0
#: A step that ended so much before its time was left early; a presenter ends one up to two refreshes early
#: so that the next is drawn in time, and a clip's last frames may be missing.
_LEFT_EARLY_US = 300_000
#: Longest time for the page that a participant sees who has asked to stop.
_STOPPED_S = 15.0


class ProtocolEngine:
    """Execute a plan, once.

    The presenter is opened and closed by the caller: consent is asked on it before
    the recorder starts. A calibration that listens to the operator is given `desk`
    as its operator, so that commands reach whom they are for::

        engine = ProtocolEngine(plan, presenter, recorder, clock, operator=operator)
        engine.calibration = CalibrationProcedure(
            recorder, presenter.calibration_screen, engine.desk, ..., should_stop=engine.should_stop)

    Parameters
    ----------
    plan : SessionPlan
        The steps.
    presenter : Presenter
        Shows them; open.
    log : SessionLog
        Stores what happened.
    clock : HostClock
        Shared with both.
    operator : Operator, optional
        Whose commands are obeyed and who is told.
    calibration : CalibrationSteps, optional
        Without one, the steps of the eye tracker are passed over.
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
        operator: Operator | None = None,
        calibration: CalibrationSteps | None = None,
        before_trial: Callable[[BeginTrial, int], None] | None = None,
        on_tick: Callable[[Progress], None] | None = None,
    ) -> None:
        self.state = State.READY
        self.calibration = calibration
        self._plan = plan
        self._presenter = presenter
        self._log = log
        self._clock = clock
        self._operator = operator
        self._before_trial = before_trial
        self._on_tick = on_tick
        self._listener = Listener(
            operator, presenter, log, self._where, lambda: self.calibration is not None, self._tell_progress
        )
        self._clips = {step.trial_id: step for step in plan.steps if isinstance(step, PlayClip)}
        self._due_us = 0
        self._index = 0
        self._step: Step | None = None
        self._step_began_us = 0
        #: Host time and clip time of the last flip that was reported.
        self._flipped_us: tuple[int, int] | None = None
        #: The trial that runs; 0 outside trials.
        self._in_trial = 0
        self._left_trial = False
        self._trial = plan.first_trial - 1
        self._n_completed = 0
        self.desk = self._listener.desk
        self.should_stop = self._listener.should_stop
        self.request_abort = self._listener.request_abort

    def run(self) -> Outcome:
        """Execute all steps, or as many as there are until an abort.

        Raises
        ------
        RecordingError
            If the recorder is gone.
        DeviceError
            If the tracker fails in a calibration and there is no operator to ask.
        """
        self._move(State.RUNNING)
        self._due_us = self._clock.now_us()
        try:
            try:
                self._run_steps()
            except KeyboardInterrupt:
                self.request_abort("stopped by the operator")
            aborted = self._listener.aborted
            if aborted:
                self._move(State.ABORTING)
                self._abandon_trial()
                self._take_leave()
        except BaseException:
            if self.state is not State.ABORTING:
                self._move(State.ABORTING)
            self._move(State.ABORTED)
            raise
        self._step = None
        self._move(State.ABORTED if aborted else State.COMPLETE)
        self._tell_progress()
        return Outcome(self.state, self._listener.abort_reason, self._n_completed, self._clock.now_us())

    def _run_steps(self) -> None:
        for index, step in enumerate(self._plan.steps):
            self._index = index
            self.should_stop()
            if not self._in_trial:
                self._serve()
            if self._listener.aborted:
                return
            if self._left_trial and not isinstance(step, EndTrial):
                continue
            if isinstance(step, BeginTrial):
                self._begin_trial(step)
            elif isinstance(step, EndTrial):
                self._end_trial(step)
            else:
                self._show_until_done(step)
            self._step = None

    def _move(self, state: State) -> None:
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"a session cannot go from {self.state.value} to {state.value}")
        logger.info("session: %s -> %s", self.state.value, state.value)
        self.state = state

    def _where(self) -> Where:
        situation = Situation.TRIAL if self._in_trial else situation_of(self._step)
        paused = self.state is State.PAUSED and situation is not Situation.CALIBRATION
        return Where(
            Situation.PAUSE if paused else situation, self._in_trial, step_runs=self._step is not None and not paused
        )

    # -------------------------------------------------------------- progress

    def progress(self) -> Progress:
        """Return where the session is."""
        step, now_us = self._step, self._clock.now_us()
        planned_s = step.planned_s if step is not None else 0.0
        elapsed_s = max(0.0, (now_us - self._step_began_us) / 1e6) if step is not None else 0.0
        if isinstance(step, PlayClip):
            flip = self._flipped_us
            elapsed_s = (flip[1] + max(0, now_us - flip[0])) / 1e6 if flip is not None else 0.0
        over = self.state in (State.COMPLETE, State.ABORTED)
        later_s = sum(later.planned_s for later in self._plan.steps[self._index + 1 :])
        return Progress(
            trial=self._trial,
            n_trials=self._plan.n_trials,
            step=step.name if step is not None else "",
            stimulus_id=step.stimulus_id if isinstance(step, PlayClip) else "",
            step_elapsed_s=round(elapsed_s, 3),
            step_planned_s=planned_s,
            remaining_s=0.0 if over else round(later_s + max(0.0, planned_s - elapsed_s), 3),
            paused=self.state is State.PAUSED,
        )

    def _tell_progress(self) -> None:
        progress = self.progress()
        if self._on_tick is not None:
            self._on_tick(progress)
        where = {"participant": self._plan.participant, "session": self._plan.session, "run": self._plan.run}
        self.desk.tell({"kind": "session", **where, "state": self.state.value, **vars(progress)})

    # ------------------------------------------- at a safe moment: what was asked for

    def _serve(self) -> None:
        while self._listener.wanted and not self._listener.aborted:
            name = self._listener.wanted.pop(0)
            if name is CommandName.PAUSE:
                self._pause()
            else:
                self._check_tracker(name)

    def _pause(self) -> None:
        listener, began_us = self._listener, self._clock.now_us()
        at = self._step if self._step is not None else self._plan.steps[self._index]
        self._move(State.PAUSED)
        listener.kept_promise()
        self._step, listener.pause_ended = None, False
        self._log.marker(markers.PAUSED, at.name)
        listener.tick_soon()
        text = self._plan.texts["pause.text"] if self._plan.texts is not None else ""
        while not (listener.pause_ended or listener.aborted):
            self._presenter.pause(text, listener.pause_is_over)
            while listener.wanted and not listener.aborted:
                name = listener.wanted.pop(0)
                if name is not CommandName.PAUSE:
                    self._check_tracker(name)
        if not listener.aborted:
            self._move(State.RUNNING)
            self._log.marker(markers.WENT_ON, value=(self._clock.now_us() - began_us) / 1e6)
            listener.tick_soon()

    def _check_tracker(self, name: CommandName) -> None:
        """Re-check or calibrate because the operator wants it; the participant is told first."""
        self._listener.kept_promise()
        recheck = name is CommandName.RECHECK
        if self._plan.texts is not None:
            text = self._plan.texts["calibration.recheck" if recheck else "calibration.text"].strip()
            self._show_step(ShowText("recheck_text" if recheck else "calibration_text", _ASIDE_S, text=text))
            self._listener.cut = None
        if not self._listener.aborted:
            self._show_step(Recheck("recheck", 0.0) if recheck else Calibration("calibration", 0.0))
        self._step = None

    # ----------------------------------------------------------------- steps

    def _show_until_done(self, step: Step) -> None:
        """Show a step; one that was cut for something at once is shown again afterwards."""
        rest: Step | None = step
        while rest is not None:
            n_answered = self._show_step(rest)
            cut = self._listener.take_cut()
            if cut is None or self._listener.aborted:
                return
            if cut.effect is Effect.CUT and self._in_trial:
                self._leave_trial(cut)
            if cut.effect is not Effect.AT_ONCE:
                return
            self._serve()
            if self._listener.aborted:
                return
            rest = _what_is_left(rest, n_answered)

    def _show_step(self, step: Step) -> int:
        """Show a step once; returns how many items were answered."""
        self._due_us = max(self._due_us, self._clock.now_us())
        self._step, self._step_began_us, self._flipped_us = step, self._due_us, None
        self._listener.tick_soon()
        self._log.marker(markers.STEP_STARTED, step.name, trial_id=step.trial_id)
        n_answered = 0
        if isinstance(step, PlayClip):
            self._play(step)
        elif isinstance(step, AskItems):
            for answer in self._presenter.ask(step, self.should_stop):
                store_answer(self._log, step, answer)
                n_answered += 1
        elif isinstance(step, (Positioning, Calibration, Recheck)):
            self._use_tracker(step)
        else:
            self._due_us += round(step.planned_s * 1e6)
            self._presenter.show(step, self._due_us, self.should_stop)
        now_us = self._clock.now_us()
        if self._due_us - now_us > _LEFT_EARLY_US:
            # A page that was read quickly, a clip that was skipped: what follows does not wait for the rest.
            self._due_us = now_us
        self._log.marker(markers.STEP_ENDED, step.name, trial_id=step.trial_id)
        return n_answered

    def _use_tracker(self, step: Step) -> None:
        if self.calibration is not None:
            self.desk.passed_on.clear()
            use_tracker(step, self.calibration, self._operator, self._log, self.should_stop, self.request_abort)

    # ---------------------------------------------------------------- trials

    def _begin_trial(self, step: BeginTrial) -> None:
        self._in_trial, self._left_trial = step.trial_id, False
        self._trial = max(self._trial, step.trial_id)
        self._log.marker(markers.TRIAL_STARTED, step.stimulus_id, trial_id=step.trial_id)
        clip = self._clips.get(step.trial_id)
        if clip is not None and isinstance(self._presenter, Preparing):
            try:
                self._presenter.prepare(clip)
            except MediaError as error:
                self._leave_trial(self._trouble(clip, error))
                return
        self._due_us = max(self._due_us, self._clock.now_us())
        if self._before_trial is not None:
            self._before_trial(step, self._due_us + round(step.lead_s * 1e6))

    def _end_trial(self, step: EndTrial) -> None:
        self._log.marker(markers.TRIAL_ENDED, trial_id=step.trial_id)
        if not self._left_trial and step.trial_id > 0:
            self._n_completed += 1
        self._in_trial, self._left_trial = 0, False
        # A cut that came after the last step has nothing left to cut; what it was for is done next.
        self._listener.cut = None

    def _leave_trial(self, cut: Cut) -> None:
        """Mark the running trial as skipped or interrupted; what is left of it is passed over."""
        self._left_trial, self._listener.cut = True, None
        kind, message = markers.TRIAL_INTERRUPTED, cut.reason
        if cut.skip:
            clip = self._clips.get(self._in_trial)
            kind, message = markers.TRIAL_SKIPPED, clip.stimulus_id if clip is not None else ""
        self._log.marker(kind, message, trial_id=self._in_trial)

    def _abandon_trial(self) -> None:
        """Mark the trial in which the session was ended."""
        if not self._in_trial:
            return
        if not self._left_trial:
            self._log.marker(markers.TRIAL_INTERRUPTED, self._listener.abort_reason, trial_id=self._in_trial)
        self._log.marker(markers.TRIAL_ENDED, trial_id=self._in_trial)
        self._in_trial = 0

    def _take_leave(self) -> None:
        """Thank a participant who asked to stop; nobody is left in front of half a clip."""
        if not self._listener.participant_stopped or self._plan.texts is None:
            return
        seconds = min(_STOPPED_S, self._plan.steps[-1].planned_s)
        until_us = self._clock.now_us() + round(seconds * 1e6)
        page = ShowText("stopped", seconds, text=self._plan.texts["end.stopped"])
        self._presenter.show(page, until_us, lambda: self._clock.now_us() >= until_us)

    def _play(self, clip: PlayClip) -> None:
        def take_flips(rows: npt.NDArray[np.void]) -> None:
            self._log.rows(FLIPS.path, rows)
            self._flipped_us = int(rows["t_flip_us"][-1]), int(rows["clip_time_us"][-1])

        try:
            if clip.file != Path() and not clip.file.is_file():
                raise MediaError(f"{clip.file}: the file is not there any more. Put the clip back.")
            shown = self._presenter.play(clip, self._due_us, take_flips, self.should_stop)
        except MediaError as error:
            self._listener.cut = self._trouble(clip, error)
            return
        self._due_us += round(clip.planned_s * 1e6)
        if shown.n_flips:
            was_cut = self._listener.cut is not None or self._listener.aborted
            store_presentation(self._log, clip, shown, cut=was_cut)

    def _trouble(self, clip: PlayClip, error: MediaError) -> Cut:
        """Tell operator and participant that a clip cannot be shown; the trial is cut."""
        what = f"'{clip.stimulus_id}' cannot be shown: {error}"
        self._listener.alarm(f"Trial {clip.trial_id} is left out, {what}", "error")
        if self._plan.texts is not None:
            page = ShowText("trouble", _TROUBLE_S, clip.trial_id, text=self._plan.texts["trouble.clip"])
            self._due_us = max(self._due_us, self._clock.now_us()) + round(_TROUBLE_S * 1e6)
            self._presenter.show(page, self._due_us, self.should_stop)
        return Cut(Effect.CUT, what)


def _what_is_left(step: Step, n_answered: int) -> Step | None:
    """Return what is to be shown of a step after it was cut: questions that were answered are not asked again."""
    if isinstance(step, AskItems):
        items = step.items[n_answered:]
        return replace(step, items=items) if items else None
    return step
