"""Rehearse a whole session without a screen: real recorder, simulated or replayed devices, scripted participant."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from collection.devices.base import PlantedReaction
from collection.preflight import new_session_path, stimulus_durations
from collection.presenter.headless import HeadlessPresenter, ScriptedParticipant
from collection.protocol.engine import Outcome, Progress, ProtocolEngine, State
from collection.protocol.plan import SessionPlan, make_plan
from collection.protocol.steps import BeginTrial, PlayClip
from collection.recorder import ABORTED, COMPLETE, Recorder, RecorderSettings, RecorderStatus, RecordingSummary
from collection.simulation.participant import SimulatedParticipant
from data_schema.clocks import HostClock, ScaledClock, SystemClock
from data_schema.errors import UsageError
from data_schema.session.layout import PLANTED
from data_schema.study.folder import StudyFolder

#: Called several times a second; the progress is None while the recorder starts or stops.
OnTick = Callable[["Progress | None", RecorderStatus], None]


@dataclass(frozen=True)
class RehearsalResult:
    """What a rehearsal left behind."""

    plan: SessionPlan
    outcome: Outcome
    summary: RecordingSummary


class Rehearsal:
    """One rehearsed session.

    Parameters
    ----------
    study : StudyFolder
        What is rehearsed.
    participant, session : str
        Codes; the session must not exist.
    eye_tracker, camera : str
        Device specifications; empty takes the study's.
    speed : float
        Times real time.

    Raises
    ------
    UsageError, StudyError, MediaError, RecordingError
        Before any device is touched.
    """

    def __init__(
        self,
        study: StudyFolder,
        participant: str,
        session: str,
        *,
        eye_tracker: str = "",
        camera: str = "",
        speed: float = 1.0,
    ) -> None:
        if not speed > 0:
            raise UsageError(f"--speed must be larger than 0, got {speed:g}")
        self.study = study
        config = study.config
        self._path = new_session_path(study, participant, session)
        self.plan = make_plan(study, participant, session, stimulus_durations(study), attended=False)
        self._eye_tracker = eye_tracker or config.eye_tracker.kind
        self._camera = camera or config.camera.source
        self._speed = speed
        self._participant = SimulatedParticipant(config.study.seed, participant, config.simulation)
        self._script = ScriptedParticipant(self._participant)
        self._abort_reason = ""
        self._engine: ProtocolEngine | None = None

    def request_abort(self, reason: str) -> None:
        """Stop at the next moment, with a valid file; safe in a signal handler."""
        self._abort_reason = self._abort_reason or reason
        engine = self._engine
        if engine is not None:
            engine.request_abort(reason)

    @property
    def abort_requested(self) -> bool:
        """True after `request_abort`."""
        return bool(self._abort_reason)

    def run(self, on_tick: OnTick | None = None) -> RehearsalResult:
        """Record the session.

        Raises
        ------
        DeviceError, MediaError, RecordingError
            As the recorder says.
        """
        clock: HostClock = SystemClock() if self._speed == 1.0 else ScaledClock.starting_now(self._speed)
        recorder = Recorder(self._settings(clock))
        with recorder:
            recorder.start()
            presenter = HeadlessPresenter(clock, self.study.config.screen.refresh_hz, self._script)
            clips = {step.trial_id: step for step in self.plan.steps if isinstance(step, PlayClip)}
            engine = ProtocolEngine(
                self.plan,
                presenter,
                recorder,
                clock,
                before_trial=lambda step, onset_us: self._plant(recorder, step, onset_us, clips[step.trial_id]),
                on_tick=None if on_tick is None else lambda progress: on_tick(progress, recorder.status()),
            )
            self._engine = engine
            if self._abort_reason:
                engine.request_abort(self._abort_reason)
            outcome = engine.run()
            complete = outcome.state is State.COMPLETE
            summary = recorder.stop(
                COMPLETE if complete else ABORTED,
                outcome.reason,
                outcome.t_end_us,
                on_status=None if on_tick is None else lambda status: on_tick(None, status),
            )
        return RehearsalResult(self.plan, outcome, summary)

    def _settings(self, clock: HostClock) -> RecorderSettings:
        plan, config = self.plan, self.study.config
        device_seed = derived_seed(config.study.seed, plan.participant, plan.session)
        return RecorderSettings(
            path=self._path,
            participant=plan.participant,
            session=plan.session,
            config=config,
            eye_tracker=self._eye_tracker,
            camera=self._camera,
            clock=clock,
            planned_s=plan.planned_s,
            seeds={"study": config.study.seed, "order": plan.seed, "devices": device_seed},
            simulated=True,
            device_seed=device_seed,
            participant_seed=config.study.seed,
        )

    def _plant(self, recorder: Recorder, step: BeginTrial, onset_us: int, clip: PlayClip) -> None:
        """Decide what the trial makes the participant feel, and let devices and script know in time."""
        trial = self._participant.react_to(step.trial_id, step.target_emotion)
        self._script.feel(trial)
        recorder.rows(PLANTED.path, trial.row())
        recorder.react(trial.reaction(onset_us))
        recorder.react(PlantedReaction.rest(onset_us + round(clip.planned_s * 1e6)))


def derived_seed(seed: int, participant: str, session: str) -> int:
    """Return a seed for the devices of one session, from the study's seed and the codes."""
    digest = hashlib.sha256(f"{seed}/{participant}/{session}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
