"""What a rehearsal makes its simulated participant feel."""

from __future__ import annotations

import hashlib

from collection.devices.base import PlantedReaction
from collection.presenter.scripted import ScriptedParticipant
from collection.protocol.plan import SessionPlan
from collection.protocol.steps import BeginTrial, PlayClip
from collection.recorder import Recorder
from collection.simulation.participant import SimulatedParticipant
from data_schema.session.layout import PLANTED
from data_schema.study.config import StudyConfig


class Planting:
    """Decide each trial's feeling and let devices and script know in time.

    Parameters
    ----------
    config : StudyConfig
        Of the study; its seed decides.
    participant : str
        Code.
    pace : float
        Times as fast as a person reads and answers.
    """

    def __init__(self, config: StudyConfig, participant: str, pace: float = 1.0) -> None:
        self._participant = SimulatedParticipant(config.study.seed, participant, config.simulation)
        self.script = ScriptedParticipant(self._participant, pace=pace)
        self._clips: dict[int, PlayClip] = {}

    def follow(self, plan: SessionPlan) -> None:
        """Take note of the clips of a plan."""
        self._clips = {step.trial_id: step for step in plan.steps if isinstance(step, PlayClip)}

    def before_trial(self, recorder: Recorder, step: BeginTrial, onset_us: int) -> None:
        """Plant the feeling of a trial whose clip begins at `onset_us`; practice trials are not stored."""
        trial = self._participant.react_to(abs(step.trial_id), step.target_emotion)
        self.script.feel(trial)
        if step.trial_id <= 0:
            return
        recorder.rows(PLANTED.path, trial.row())
        recorder.react(trial.reaction(onset_us))
        recorder.react(PlantedReaction.rest(onset_us + round(self._clips[step.trial_id].planned_s * 1e6)))


def derived_seed(seed: int, participant: str, session: str, run: int = 1) -> int:
    """Return a seed for the devices of one run, from the study's seed and the codes."""
    name = f"{seed}/{participant}/{session}" + (f"/{run}" if run > 1 else "")
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
