from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collection.presenter.headless import HeadlessPresenter, ScriptedParticipant
from collection.protocol.operator import Command, Decision, Question
from collection.protocol.plan import SessionPlan, make_plan
from collection.simulation.participant import SimulatedParticipant
from data_schema.clocks import ScaledClock
from data_schema.study.folder import StudyFolder
from data_schema.study.placeholders import write_placeholder

TOML = """
[study]
title = "protocol test"
seed = 5
[screen]
refresh_hz = 50.0
[protocol]
baseline_s = 1.0
fixation_s = 0.5
washout_s = 0.25
break_every = 2
{protocol}
[calibration]
recheck_every = 1
{calibration}
"""
STIMULI = (
    ("try", "neutral", True),
    ("joy", "happiness", False),
    ("loss", "sadness", False),
    ("calm", "neutral", False),
)


@pytest.fixture(scope="session")
def clip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_placeholder(path, emotion="neutral", number=1, duration_s=0.1)
    return path


@pytest.fixture
def make_study(tmp_path: Path, clip_file: Path) -> Callable[..., StudyFolder]:
    """Return a maker of studies with three stimuli and one for practice."""

    def make(protocol: str = "", calibration: str = "", practice: bool = True) -> StudyFolder:
        text = TOML.format(protocol=protocol, calibration=calibration)
        (tmp_path / "stimuli").mkdir(exist_ok=True)
        for name, emotion, is_practice in STIMULI:
            if is_practice and not practice:
                continue
            text += f'[[stimuli]]\nid = "{name}"\nfile = "{name}.mp4"\ntarget_emotion = "{emotion}"\n'
            text += "practice = true\n" if is_practice else ""
            (tmp_path / "stimuli" / f"{name}.mp4").write_bytes(clip_file.read_bytes())
        (tmp_path / "study.toml").write_text(text, encoding="utf-8")
        return StudyFolder(tmp_path)

    return make


@pytest.fixture
def study(make_study: Callable[..., StudyFolder]) -> StudyFolder:
    return make_study()


@pytest.fixture
def durations() -> dict[str, float]:
    return {"try": 1.0, "joy": 2.0, "loss": 1.0, "calm": 3.0}


class MemoryLog:
    """Keep what the engine stores."""

    def __init__(self) -> None:
        self.tables: dict[str, list[np.ndarray]] = {}
        self.markers: list[tuple[str, str, int | None, int]] = []
        self.values: list[float] = []
        self.gone: Exception | None = None

    def rows(self, table: str, rows: np.ndarray) -> None:
        self.tables.setdefault(table, []).append(rows)

    def marker(
        self, kind: str, message: str = "", value: float = 0.0, t_system_us: int | None = None, trial_id: int = 0
    ) -> None:
        self.markers.append((kind, message, t_system_us, trial_id))
        self.values.append(value)

    def status(self) -> None:
        if self.gone is not None:
            raise self.gone

    def table(self, path: str) -> np.ndarray:
        return np.concatenate(self.tables[path])

    def kinds(self) -> list[str]:
        return [kind for kind, *_ in self.markers]

    def of(self, kind: str) -> list[tuple[str, int]]:
        """Message and trial of the markers of a kind."""
        return [(message, trial) for found, message, _, trial in self.markers if found == kind]

    def steps(self) -> list[tuple[str, int]]:
        """Name and trial of the steps that were begun."""
        return self.of("step_started")


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


class ScriptedOperator:
    """Send commands when a step is shown, once each, and answer questions as told.

    Parameters
    ----------
    orders : list of (step, trial, commands)
        What is sent while which step runs; for step 'pause' once the session is paused,
        for 'resting' once it is paused and a step within the pause has ended.
    """

    def __init__(self, *orders: tuple[str, int, list[Command]], answers: dict[str, Decision] | None = None) -> None:
        self.orders = list(orders)
        self.answers = answers or {}
        self.told: list[dict[str, Any]] = []
        self.asked: list[Question] = []
        self.log: MemoryLog | None = None

    def poll(self) -> list[Command]:
        if not self.orders or self.log is None:
            return []
        step, trial, commands = self.orders[0]
        said = ("operator_mark", "operator_note")
        marks = [(kind, message, at) for kind, message, _, at in self.log.markers if kind not in said]
        if not marks:
            return []
        if step == "pause":
            here = marks[-1][0] == "paused"
        elif step == "resting":
            here = marks[-1][0] == "step_ended" and self.log.kinds().count("paused") > self.log.kinds().count("went_on")
        else:
            here = marks[-1] == ("step_started", step, trial)
        if not here:
            return []
        if len(commands) > 1:
            self.orders[0] = (step, trial, commands[1:])
        else:
            self.orders.pop(0)
        return commands[:1]

    def decide(self, question: Question, should_stop: Callable[[], bool]) -> Decision | None:
        self.asked.append(question)
        return self.answers.get(question.id, Decision(question.choices[0][0]))

    def tell(self, message: dict[str, Any]) -> None:
        self.told.append(message)

    def alarms(self) -> list[str]:
        return [message["text"] for message in self.told if message["kind"] == "alarm"]


@pytest.fixture
def plan(study: StudyFolder, durations: dict[str, float]) -> SessionPlan:
    return make_plan(study, "P001", "01", durations, attended=False)


@pytest.fixture
def clock() -> ScaledClock:
    return ScaledClock.starting_now(40.0)


@pytest.fixture
def script() -> ScriptedParticipant:
    return ScriptedParticipant(SimulatedParticipant(3, "P001"))


@pytest.fixture
def presenter(clock: ScaledClock, script: ScriptedParticipant) -> HeadlessPresenter:
    return HeadlessPresenter(clock, 50.0, script)
