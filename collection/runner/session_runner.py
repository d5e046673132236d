"""One session, in its order: form, code, pre-flight, screen, consent, recorder, protocol, quality page.

Whatever ends it (the plan's end, the participant, the operator, Ctrl-C, a termination, a
presenter that fails, a recorder that dies), the file is closed if that is still possible, the
operator hears one sentence, and what to do next.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from collection.preflight import PreflightReport, new_participant, new_session_path, stimulus_durations
from collection.presenter.base import Presenter
from collection.protocol.consent import asked_scopes
from collection.protocol.engine import Outcome, Progress, ProtocolEngine, State
from collection.protocol.facts import fact_rows
from collection.protocol.plan import SessionPlan, make_plan
from collection.protocol.steps import AskItems
from collection.recorder import ABORTED, COMPLETE, Recorder, RecorderSettings, RecorderStatus
from collection.runner import consent as consents
from collection.runner.alarms import StreamAlarm
from collection.runner.calibrating import add_calibration
from collection.runner.consent import Agreement
from collection.runner.ending import check_warnings, write_quality_page
from collection.runner.operator_link import OperatorLink
from collection.runner.planting import Planting, derived_seed
from collection.runner.preamble import luminance_of, write_preamble
from collection.runner.preflight_gate import PreflightGate
from collection.runner.presenters import make_presenter, require_window
from collection.runner.request import DECLINED, FAILED, NOT_STARTED, SessionEvents, SessionRequest, SessionResult
from collection.runner.session_log import session_log
from collection.texts import load_texts
from data_schema.clocks import HostClock, ScaledClock, SystemClock
from data_schema.errors import EmerError, RecordingError
from data_schema.study.folder import StudyFolder

logger = logging.getLogger(__name__)

_STOPPED_AT_PREFLIGHT = "the session was ended at the pre-flight; nothing was recorded"


@dataclass(frozen=True)
class _Ready:
    """All that has to be there before the recorder starts."""

    plan: SessionPlan
    settings: RecorderSettings
    presenter: Presenter
    planting: Planting | None
    report: PreflightReport
    agreement: Agreement


class SessionRunner:
    """Run one session, once.

    Parameters
    ----------
    request : SessionRequest
    events : SessionEvents, optional

    Raises
    ------
    UsageError, MissingExtraError
        If the options contradict each other or a window cannot be shown; nothing was touched then.
    """

    def __init__(self, request: SessionRequest, events: SessionEvents | None = None) -> None:
        request.check()
        if not request.headless:
            require_window(request.rehearsal)
        self.request = request
        self.study: StudyFolder = request.study
        if request.resume is not None:
            self.study = request.study.with_config(request.resume.config)
        self._events = events or SessionEvents()
        speed = request.speed
        self._clock: HostClock = SystemClock() if speed == 1.0 else ScaledClock.starting_now(speed)
        self._link = OperatorLink(request, self.study, self._events)
        self._engine: ProtocolEngine | None = None
        self._stop_reason = ""
        self._facts = dict(request.facts)
        self._paper = dict(request.consent) if request.consent is not None else None
        self._result = SessionResult(request.participant, request.session)

    # ------------------------------------------------------------------ outside

    @property
    def result(self) -> SessionResult:
        """What is known of the session so far; complete after `run`."""
        return self._result

    def request_stop(self, reason: str) -> None:
        """End the session at the next moment, with a valid file; safe in a signal handler."""
        self._stop_reason = self._stop_reason or reason
        if self._engine is not None:
            self._engine.request_abort(reason)

    def run(self) -> SessionResult:
        """Run the session.

        Raises
        ------
        EmerError
            If it could not begin; no file was made then.
        """
        with ExitStack() as stack:
            self._link.open(stack)
            try:
                ready = self._prepare(stack)
            except EmerError as error:
                # Who looks at the console only must hear it there, and not think that a recording was lost.
                self._not_started(str(error))
                self._link.ended(self._result)
                raise
            if ready is not None:
                self._record(ready)
                self._look_back()
            self._link.ended(self._result)
        return self._result

    # ------------------------------------------------------------- before the file

    def _prepare(self, stack: ExitStack) -> _Ready | None:
        """Do all that comes before the recorder; None, with the reason in the result, if nothing is to be recorded."""
        if not self._identify():
            return self._not_started(self._stop_reason)
        plan = self._make_plan()
        settings = self._settings(plan)
        # A device that nobody knows is a mistake in the command line; nothing is opened yet.
        settings.make_devices()
        gate = PreflightGate(self.study, self.request, self._link, self._events, self._stopped)
        self._link.state(self._result, "preflight")
        report = gate.pass_machine(settings)
        if report is None:
            return self._not_started(self._stop_reason or _STOPPED_AT_PREFLIGHT)
        planting = self._planting(plan)
        presenter = self._open_presenter(stack, planting)
        report = gate.pass_screen(report, presenter)
        if report is None:
            return self._not_started(self._stop_reason or _STOPPED_AT_PREFLIGHT)
        self._result.preflight = report
        agreement = self._ask_consent(presenter, plan)
        if agreement is None:
            return self._not_started(self._stop_reason or consents.UNDECIDED_TEXT)
        if not agreement.allows("gaze"):
            self._result.reason, self._result.message = DECLINED, consents.DECLINED_TEXT
            return None
        if not agreement.allows("video"):
            self._link.say(consents.NO_VIDEO_TEXT)
            settings = replace(settings, camera="", second_camera="")
        return _Ready(plan, settings, presenter, planting, report, agreement)

    def _not_started(self, why: str) -> None:
        self._result.reason, self._result.message = NOT_STARTED, why

    def _identify(self) -> bool:
        """Find out who is recorded, and that the code is free; False if the operator stopped."""
        request, resume, result = self.request, self.request.resume, self._result
        if resume is not None:
            result.participant, result.session = resume.participant, resume.session
            for note in resume.notes:
                self._link.say(note)
            return True
        if request.participant or not self._link.has_console or request.scripted:
            participant, session = request.participant or new_participant(self.study), request.session
        else:
            form = self._link.ask_form(self._stopped)
            if form is None:
                return False
            participant, session = form.code, form.session
            self._facts.update(form.facts)
            self._paper = dict(form.consent) if form.consent is not None else self._paper
        new_session_path(self.study, participant, session)
        # Refused here rather than after the calibration.
        fact_rows(self._facts, 0)
        result.participant, result.session = participant, session
        return True

    def _make_plan(self) -> SessionPlan:
        resume, result = self.request.resume, self._result
        durations = stimulus_durations(self.study)
        attended = not self.request.headless
        if resume is None:
            return make_plan(self.study, result.participant, result.session, durations, attended=attended)
        # Cut off before its first answers and trials, a session begins with all that comes before them.
        afresh = resume.first_trial == 1 and not resume.asked_before
        plan = make_plan(
            self.study,
            result.participant,
            result.session,
            durations,
            attended=attended,
            first_trial=resume.first_trial,
            run=1 if afresh else resume.run,
            row=resume.order_row,
        )
        plan.check_shown(resume.shown)
        if resume.first_trial > plan.n_trials and not any(isinstance(step, AskItems) for step in plan.steps):
            raise RecordingError(
                f"all {plan.n_trials} trials of session {result.session} were done or begun; nothing is left to go on "
                "with. For another session of the same person, name another one with --session."
            )
        return replace(plan, run=resume.run)

    def _settings(self, plan: SessionPlan) -> RecorderSettings:
        request, config = self.request, self.study.config
        seed = derived_seed(config.study.seed, plan.participant, plan.session, plan.run)
        return RecorderSettings(
            path=self.study.session_path(plan.participant, plan.session, plan.run),
            participant=plan.participant,
            session=plan.session,
            config=config,
            eye_tracker=request.eye_tracker or config.eye_tracker.kind,
            camera=request.camera or config.camera.source,
            second_camera=request.second_camera or config.camera.second_source,
            lsl_inlets=config.lsl.inlets,
            lsl_markers=config.lsl.markers,
            clock=self._clock,
            planned_s=plan.planned_s,
            seeds={**plan.seeds, "devices": seed},
            simulated=request.rehearsal,
            device_seed=seed,
            participant_seed=config.study.seed if request.rehearsal else None,
        )

    def _planting(self, plan: SessionPlan) -> Planting | None:
        """Return what a rehearsal plants; nothing for a real participant."""
        if not self.request.rehearsal:
            return None
        planting = Planting(self.study.config, plan.participant, self.request.pace)
        planting.follow(plan)
        return planting

    def _open_presenter(self, stack: ExitStack, planting: Planting | None) -> Presenter:
        request = self.request
        presenter = make_presenter(
            self.study,
            self._clock,
            headless=request.headless,
            script=planting.script if planting is not None and request.scripted else None,
        )
        stack.callback(presenter.close)
        self._events.doing("opening the participant's screen")
        presenter.open()
        return presenter

    def _ask_consent(self, presenter: Presenter, plan: SessionPlan) -> Agreement | None:
        resume, language = self.request.resume, self.study.config.protocol.language
        if resume is not None and len(resume.consent):
            self._link.say("The participant's consent of the first run holds; it is not asked again.")
            return consents.taken_over(resume.consent, resume.decisions, self._clock)
        if self._paper is not None:
            return consents.on_paper(self._paper, language, self._clock)
        self._link.state(self._result, "consent")
        self._events.doing("waiting for the participant's consent")
        texts = plan.texts or load_texts(language, self.study)
        return consents.ask_on_screen(
            presenter,
            texts,
            self._clock,
            scopes=asked_scopes(self.study.config),
            simulated=self.request.scripted,
            should_stop=self._stopped,
        )

    # ------------------------------------------------------------------ recording

    def _record(self, ready: _Ready) -> None:
        """Record and close; whatever happens after the file was made, the result says how it ended."""
        result, path = self._result, ready.settings.path
        result.plan = ready.plan
        self._events.doing("computing the luminance of the stimuli")
        luminance, said = luminance_of(self.study)
        result.warnings += [said] if said else []
        self._events.doing("starting the recorder")
        try:
            with Recorder(ready.settings) as recorder:
                recorder.start()
                result.path = path
                with session_log(path):
                    self._link.follow(recorder)
                    write_preamble(
                        recorder, self._clock, ready.agreement, self._facts, ready.report, luminance,
                        self.request.resume,
                    )  # fmt: skip
                    self._present(recorder, ready)
        except EmerError as error:
            if result.path is None:
                raise
            result.reason, result.message, result.failure = FAILED, str(error), error
        finally:
            self._engine = None
            self._link.follow(None)

    def _present(self, recorder: Recorder, ready: _Ready) -> None:
        """Execute the plan and stop the recorder."""
        result = self._result
        alarm = StreamAlarm(self.study.config.recording.silence_s, self._link.alarm)

        def tick(progress: Progress | None, status: RecorderStatus) -> None:
            alarm.look(status)
            self._events.tick(progress, status)

        try:
            outcome = self._execute(recorder, ready, lambda progress: tick(progress, recorder.status()))
        except EmerError:
            # The recorder is gone: leaving the block releases what is left of it.
            raise
        except Exception as error:
            logger.exception("the presenter failed")
            said = f"the presenter failed ({type(error).__name__}: {error})"
            result.summary = recorder.stop(ABORTED, said)
            raise RecordingError(f"{said}. What was recorded until then is safe in {result.path}") from error
        result.outcome = outcome
        result.summary = recorder.stop(
            COMPLETE if outcome.state is State.COMPLETE else ABORTED,
            outcome.reason,
            outcome.t_end_us,
            on_status=lambda status: tick(None, status),
        )
        result.reason, result.message = result.summary.reason, result.summary.message

    def _execute(self, recorder: Recorder, ready: _Ready, tick: Callable[[Progress], None]) -> Outcome:
        planting = ready.planting
        engine = ProtocolEngine(
            ready.plan,
            ready.presenter,
            recorder,
            self._clock,
            operator=self._link.operator,
            before_trial=None
            if planting is None
            else lambda step, onset_us: planting.before_trial(recorder, step, onset_us),
            on_tick=tick,
        )
        add_calibration(
            engine,
            recorder,
            ready.presenter,
            self._clock,
            self.study.config,
            ready.plan,
            scripted=self.request.scripted,
        )
        self._engine = engine
        if self._stop_reason:
            engine.request_abort(self._stop_reason)
        return engine.run()

    # ------------------------------------------------------------------------ end

    def _look_back(self) -> None:
        """Look at the closed file; nothing here may look like a recording that failed."""
        result = self._result
        if result.path is None or result.summary is None:
            return
        self._events.doing("checking the recording")
        result.warnings = [*result.summary.problems, *result.warnings, *check_warnings(result.path)]
        if self.request.quality_page:
            self._events.doing("writing the quality page")
            result.quality_page, said = write_quality_page(result.path, self.study)
            if said:
                self._link.say(said)

    def _stopped(self) -> bool:
        return bool(self._stop_reason)
