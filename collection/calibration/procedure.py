"""Positioning, calibration, validation and re-check of the eye tracker, as one procedure with the operator in it.

The order is Titta's (Niehorster, Andersson and Nyström 2020): head into the track box, calibrate, validate on other
points, show the operator what came out, and let the operator decide: accept, collect single points again, calibrate
again, take an earlier attempt, go on with one eye. Whatever happens, calibration mode is left, every attempt is on
file, and an end is a normal end.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from collection.calibration.as_json import attempt_as_json, limits_as_json
from collection.calibration.attempts import AttemptMaker
from collection.calibration.choices import POINT, USE, Choice, Standing, make_question, make_redo_question
from collection.calibration.desk import OperatorDesk
from collection.calibration.drift import drift_sentence, make_drift_question
from collection.calibration.gate import calibrated_eye, points_to_redo, usable_eye
from collection.calibration.measuring import Measurer
from collection.calibration.positioning import Positioner
from collection.calibration.results import (
    CALIBRATION,
    FAILED,
    OVERRIDDEN,
    Attempt,
    CalibrationResult,
    DriftResult,
    PositioningResult,
)
from collection.calibration.stability import Pace
from collection.calibration.storage import AttemptStore
from collection.calibration.targets import Target
from collection.calibration.watching import RestartAsked, StopAsked, Tracker, Watcher, leave_quietly
from collection.presenter.base import CalibrationScreen, ShouldStop
from collection.protocol.engine import SessionLog
from collection.protocol.operator import Command, Decision, Operator, Question
from collection.texts import Texts, load_texts
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError
from data_schema.session.layout import GAZE, USER_POSITION
from data_schema.signals.gaze import ScreenGeometry
from data_schema.signals.validation import drift_between, judged_eyes
from data_schema.study.config import StudyConfig

logger = logging.getLogger(__name__)

_STOPPED = "stopped at the calibration"


class CalibrationProcedure:
    """Bring a participant's eyes and the tracker together, and keep them so.

    Parameters
    ----------
    tracker : Tracker
        The recorder's handle: ``request``, ``look_at``, ``follow``, ``recent``.
    screen : CalibrationScreen
        What the participant sees.
    operator : Operator or None
        Who decides; without one, every first choice is taken.
    log : SessionLog
        Where rows and markers go; usually the recorder's handle.
    clock : HostClock
        Of the session.
    config : StudyConfig
        Its [calibration], seed and language.
    screen_geometry : ScreenGeometry
        Of the participant's screen.
    should_stop : callable
        Asked many times a second; True: end now.
    texts : Texts, optional
        What the participant reads; those of the study's language by default.
    pace : Pace, optional
        Times and limits.
    participant : str
        Goes into the seed, so that not all participants see one order.
    positioning_limit_s : float, optional
        Positioning ends by itself after this time: for scripts, where nobody presses a key.
    polls_operator : bool
        Read the operator's commands (go on, skip, stop) while targets are shown. Others are kept in `unhandled`, for
        whoever runs the session. False if the session reads them in `should_stop`.
    """

    def __init__(
        self,
        tracker: Tracker,
        screen: CalibrationScreen,
        operator: Operator | None,
        log: SessionLog,
        clock: HostClock,
        config: StudyConfig,
        screen_geometry: ScreenGeometry,
        *,
        should_stop: ShouldStop,
        texts: Texts | None = None,
        pace: Pace | None = None,
        participant: str = "",
        positioning_limit_s: float | None = None,
        polls_operator: bool = True,
    ) -> None:
        self._tracker = tracker
        self._screen = screen
        self._config = config.calibration
        self._base_stop = should_stop
        self._extra_stop: ShouldStop | None = None
        self._limit_s = positioning_limit_s
        self._text = ""
        self._calibratable = False
        self._left = False
        self._desk = OperatorDesk(operator, self._config, self._stops_waiting, polls_operator)
        self._watcher = Watcher(tracker, screen, clock, screen_geometry, pace or Pace(), self._stops, self._desk.key)
        measurer = Measurer(self._watcher, tracker, clock, screen_geometry, self._config.target_s)
        self._words = words = texts or load_texts(config.protocol.language)
        self._positioner = Positioner(tracker, screen, clock, words, self._stops, self._desk.key)
        self._store = AttemptStore(log)
        self._maker = AttemptMaker(
            measurer, self._store, clock, self._config, config.study.seed, participant, self._show
        )

    # ------------------------------------------------------------ the three steps

    def run_positioning(self, text: str = "", *, should_stop: ShouldStop | None = None) -> PositioningResult:
        """Show the participant where the head is until it is good and somebody goes on.

        Parameters
        ----------
        text : str
            Shown above the advice.
        should_stop : callable, optional
            A further reason to end, beside the procedure's own.

        Raises
        ------
        RecordingError
            If the recorder is gone.
        """
        self._text = text
        with self._at_work(should_stop):
            if not self._ask_calibratable():
                self._say_left_out("positioning")
                return PositioningResult("skipped")
            self._show("positioning")
            return self._positioner.run(text, self._limit_s)

    def run(self, *, should_stop: ShouldStop | None = None) -> CalibrationResult:
        """Calibrate and validate until a result is accepted, or the session is to end.

        Returns
        -------
        CalibrationResult
            ``stopped`` is True if the session is to end; the reason says why.

        Raises
        ------
        RecordingError
            If the recorder is gone.
        """
        with self._at_work(should_stop):
            return self._run()

    def recheck(self, *, should_stop: ShouldStop | None = None) -> DriftResult:
        """Validate quickly between trials, and say how far gaze has drifted since the accepted validation.

        Where the drift is larger than the study allows, the operator is asked; a new calibration is made here, so
        that the session may go on afterwards in any case but ``stopped``.

        Raises
        ------
        RecordingError
            If the recorder is gone.
        """
        with self._at_work(should_stop):
            unknown = DriftResult(None, math.nan, math.nan, {}, False, "the re-check was stopped")
            try:
                return self._recheck()
            except StopAsked:
                return replace(unknown, stopped=True)
            except RestartAsked:
                calibration = self._run()
                return replace(unknown, calibration=calibration, stopped=calibration.stopped)

    @property
    def unhandled(self) -> list[Command]:
        """Commands of the operator that came meanwhile and are not for a calibration; take them out."""
        return self._desk.unhandled

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """All attempts so far."""
        return tuple(self._maker.made)

    # ------------------------------------------------------------- the loop of run

    def _run(self) -> CalibrationResult:
        try:
            return self._calibrate_until_accepted()
        except StopAsked:
            return self._result(stopped=True, reason=_STOPPED)

    def _calibrate_until_accepted(self) -> CalibrationResult:
        self._calibratable = self._config.points > 0 and self._ask_calibratable()
        if self._config.points > 0 and not self._calibratable:
            self._say_left_out("calibration")
        if not self._calibratable and not self._config.validation_points:
            return self._result()
        self._maker.eyes = self._config.eyes
        self._maker.n_redos = 0
        action: Callable[[], None] = self._maker.calibrate if self._calibratable else self._maker.validate
        while True:
            self._carry_out(action)
            decided = self._ask_operator()
            if isinstance(decided, CalibrationResult):
                return decided
            action = decided

    def _carry_out(self, action: Callable[[], None]) -> None:
        """Carry out what was chosen; a tracker that fails gives a sentence, not an end."""
        self._maker.failure = ""
        try:
            self._until_not_restarted(action)
        except DeviceError as error:
            logger.warning("calibration: %s", error)
            self._maker.failure = str(error)
            self._desk.alarm(self._maker.failure, "error")
        else:
            self._desk.alarm("", "note")

    def _until_not_restarted(self, action: Callable[[], None]) -> None:
        while True:
            try:
                action()
                return
            except RestartAsked:
                action = self._maker.calibrate if self._calibratable else self._maker.validate

    def _ask_operator(self) -> CalibrationResult | Callable[[], None]:
        """Ask what to do with what there is; returns the result or the next action."""
        standing = self._standing()
        self._show("deciding")
        decision = self._decide(make_question(standing, self._maker.made, self._config))
        if decision.choice.startswith(USE):
            return self._use_earlier(int(decision.choice.removeprefix(USE)), standing)
        choice = Choice(decision.choice)
        if choice is Choice.STOP:
            return self._result(stopped=True, reason=decision.reason or _STOPPED)
        if choice in (Choice.ACCEPT, Choice.OVERRIDE, Choice.GO_ON):
            return self._accept(choice, decision.reason)
        actions: dict[Choice, Callable[[], None]] = {
            Choice.RECALIBRATE: self._maker.calibrate,
            Choice.LEFT_ONLY: lambda: self._with_eye("left"),
            Choice.RIGHT_ONLY: lambda: self._with_eye("right"),
            Choice.VALIDATE: self._maker.validate,
            Choice.REDO: lambda: self._maker.redo(standing.advised_points),
            Choice.REDO_OTHER: lambda: self._maker.redo(self._pick_points(standing.shown_points)),
            Choice.POSITION: self._position_again,
        }
        return actions[choice]

    def _standing(self) -> Standing:
        maker, config = self._maker, self._config
        open_targets = tuple(maker.open_targets.items())
        advised: list[Target] = []
        if open_targets and maker.calibration is not None:
            advised = points_to_redo(open_targets, maker.calibration, maker.validation, config)
        eye = usable_eye(maker.validation, config) if maker.validation is not None and not maker.failure else ""
        last = maker.made[-1] if maker.made else None
        if maker.failure and last is not None and last.kind == CALIBRATION:
            eye = calibrated_eye(last)
        return Standing(
            calibration=maker.calibration,
            validation=maker.validation,
            failure=maker.failure,
            calibratable=self._calibratable,
            advised_eye=eye,
            advised_points=tuple(advised),
            shown_points=tuple(target for target, _ in open_targets),
            earlier=tuple(maker.earlier),
            n_calibrations=sum(attempt.kind == CALIBRATION for attempt in maker.made),
            n_redos=maker.n_redos,
            eyes=maker.eyes,
        )

    def _accept(self, choice: Choice, reason: str) -> CalibrationResult:
        maker = self._maker
        gate = ""
        if choice is Choice.GO_ON:
            # The attempt that failed carries the reason; no validation speaks for what the tracker uses now.
            maker.made[-1].note, gate = reason, OVERRIDDEN
            self._store.note(f"the session goes on without a new calibration: {reason}")
        elif maker.validation is not None:
            maker.validation.chosen = True
            if choice is Choice.OVERRIDE:
                maker.validation.gate, maker.validation.note = OVERRIDDEN, reason
                self._store.note(f"the session goes on in spite of a failed validation: {reason}")
        result = self._result(gate=gate, reason=reason)
        if maker.calibration is not None:
            self._store.chosen(maker.calibration, f"{maker.eyes} eyes, gate {result.gate or 'none'}")
        self._show("done")
        return result

    def _result(self, *, gate: str = "", stopped: bool = False, reason: str = "") -> CalibrationResult:
        validation = self._maker.validation if not self._maker.failure else None
        return CalibrationResult(
            attempts=self.attempts,
            chosen=self._maker.calibration,
            validation=validation,
            gate=gate or (validation.gate if validation is not None else ""),
            eyes=self._maker.eyes,
            stopped=stopped,
            reason=reason,
        )

    # ----------------------------------------------------------------- the actions

    def _with_eye(self, eye: str) -> None:
        self._maker.eyes = eye
        self._maker.calibrate()

    def _position_again(self) -> None:
        if self._positioner.run(self._text, self._limit_s).ended_by == "stopped":
            raise StopAsked
        action = self._maker.calibrate if self._calibratable else self._maker.validate
        action()

    def _pick_points(self, shown: Sequence[Target]) -> tuple[Target, ...]:
        """Let the operator pick points one after the other."""
        picked: list[Target] = []
        while True:
            decision = self._decide(make_redo_question(shown, picked))
            if not decision.choice.startswith(POINT):
                return tuple(picked)
            target = shown[int(decision.choice.removeprefix(POINT)) - 1]
            if target in picked:
                return tuple(picked)
            picked.append(target)

    def _use_earlier(self, attempt_id: int, standing: Standing) -> CalibrationResult | Callable[[], None]:
        """Put an earlier attempt into use; it is accepted at once if its gate lets it pass."""
        maker = self._maker
        attempt = next(attempt for attempt in standing.earlier if attempt.attempt_id == attempt_id)
        calibration = maker.calibration_of(attempt)
        try:
            if calibration is not None and calibration.blob and (maker.failure or calibration is not maker.calibration):
                # Data are applied outside calibration mode; what was collected is forgotten with it.
                maker.measurer.leave()
                self._watcher.ask("calibration_apply", calibration.blob)
        except DeviceError as error:
            self._desk.alarm(f"attempt {attempt_id} could not be put into use again: {error}", "error")
            return lambda: self._stand_by(standing)
        maker.put_back(attempt)
        if maker.validation is not None and maker.validation.gate == FAILED and self._config.gate == "required":
            # It needs a reason, so it is asked for as any other.
            return _nothing
        return self._accept(Choice.ACCEPT, "")

    def _stand_by(self, standing: Standing) -> None:
        """Stand where we stood before a choice that could not be carried out."""
        self._maker.failure = standing.failure

    # --------------------------------------------------------------------- re-check

    def _recheck(self) -> DriftResult:
        maker = self._maker
        maker.failure = ""
        before = maker.validation.points if maker.validation is not None else []
        attempt = maker.recheck()
        drift = drift_between(before, attempt.points, judged_eyes(maker.eyes))
        result = DriftResult(
            attempt=attempt,
            drift_deg=drift.drift_deg,
            offset_deg=attempt.mean_accuracy_deg,
            per_eye_deg=drift.per_eye_deg,
            advised=not drift.drift_deg <= self._config.max_drift_deg,
            message=drift_sentence(drift, attempt, bool(before), self._config.max_drift_deg),
        )
        maker.write_down()
        self._store.drift(result)
        self._desk.drift_deg = drift.drift_deg
        self._show("done")
        return self._answer_drift(result) if result.advised else result

    def _answer_drift(self, result: DriftResult) -> DriftResult:
        """Ask the operator what to do about a drift, and do it."""
        calibratable = self._config.points > 0 and self._ask_calibratable()
        shown = attempt_as_json(result.attempt, self._config) if result.attempt is not None else None
        question = make_drift_question(result, shown, limits_as_json(self._config), calibratable)
        choice = self._decide(question).choice
        if choice == Choice.STOP.value:
            return replace(result, stopped=True)
        calibration = self._run() if choice == Choice.RECALIBRATE.value else None
        return replace(result, calibration=calibration, stopped=calibration is not None and calibration.stopped)

    # ---------------------------------------------------------------------- frame

    @contextmanager
    def _at_work(self, should_stop: ShouldStop | None) -> Iterator[None]:
        """Follow the tracker; whatever happens, leave its calibration mode and write what is owed."""
        self._extra_stop = should_stop
        self._tracker.follow(GAZE.path, USER_POSITION.path)
        try:
            yield
        finally:
            leave_quietly(
                (
                    ("leaving the calibration mode", self._maker.measurer.leave),
                    ("writing the attempts", self._maker.write_down),
                    ("ending the targets", self._watcher.look_away),
                    ("ending to follow the tracker", self._tracker.follow),
                )
            )
            self._extra_stop = None

    def _ask_calibratable(self) -> bool:
        try:
            return bool(self._tracker.request("is_calibratable", timeout_s=self._watcher.pace.request_real_s))
        except DeviceError as error:
            logger.warning("whether the tracker can be calibrated: %s", error)
            return False

    def _say_left_out(self, what: str) -> None:
        text = f"This eye tracker cannot be calibrated from here: {what} is left out."
        self._store.left_out(text)
        self._desk.alarm(text, "note")

    def _decide(self, question: Question) -> Decision:
        """Ask the operator, while the participant reads that this takes a moment.

        Raises
        ------
        StopAsked
            If the session is to end, also because the participant stops meanwhile.
        """
        self._left = False
        self._screen.show_text(self._words["calibration.wait"].strip())
        try:
            return self._desk.decide(question)
        finally:
            self._screen.clear()

    def _stops_waiting(self) -> bool:
        """Look at the participant's screen, too, while the operator decides: nobody else does."""
        self._left = self._left or self._stops() or self._screen.poll_key(self._stops) == "stop"
        return self._left

    def _stops(self) -> bool:
        return self._base_stop() or (self._extra_stop is not None and self._extra_stop())

    def _show(self, phase: str, target: int = 0, n_targets: int = 0) -> None:
        self._desk.show(self._maker.made, self._maker.current, phase, target, n_targets)


def _nothing() -> None:
    """Ask again, with what was put into use."""
