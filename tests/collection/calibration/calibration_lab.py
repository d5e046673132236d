"""A recorder, a tracker, a screen and an operator for the procedure, on a clock that jumps instead of waiting.

The tracker sees two eyes that follow the target with a saccade's latency. Before a calibration its gaze is off by
some degrees; a calibration takes the offset away, but for what the test plants. Everything is seeded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from collection.calibration import CalibrationProcedure, Pace
from collection.devices.base import CalibrationOutcome, CalibrationSample
from collection.presenter.base import HeadPosition, ShouldStop, never
from collection.protocol.operator import Command, CommandName, Decision, Question
from data_schema.errors import DeviceError
from data_schema.session import SessionWriter, open_session
from data_schema.session.layout import CALIBRATION_DATA, GAZE, MARKERS, USER_POSITION
from data_schema.session.reader import Session
from data_schema.session.validate import check_session
from data_schema.signals.gaze import ScreenGeometry
from data_schema.study.config import StudyConfig, parse_config

GEOMETRY = ScreenGeometry(1920, 1080, 528.0, 297.0, 650.0)
RATE_HZ = 600.0
LATENCY_US = 200_000
SACCADE_US = 40_000
#: Silence is told by real time, too; a test has none to waste.
PACE = Pace(silence_real_s=0.05, request_real_s=5.0)


class JumpingClock:
    """A clock that stands still until somebody sleeps, and then is there at once."""

    speed = 1.0

    def __init__(self) -> None:
        self.t_us = 5_000_000

    def now_us(self) -> int:
        return self.t_us

    def sleep_until(self, t_us: int) -> None:
        self.t_us = max(self.t_us, t_us)


def study(**calibration: Any) -> StudyConfig:
    return parse_config({"study": {"title": "Test"}, "calibration": calibration}, "study.toml")


@dataclass
class Eyes:
    """What is wrong with the eyes and the tracker; degrees, right and down positive."""

    raw_deg: dict[str, tuple[float, float]] = field(default_factory=lambda: {"left": (2.5, 1.0), "right": (-1.5, 2.0)})
    #: What a calibration leaves of it.
    left_over_deg: dict[str, tuple[float, float]] = field(
        default_factory=lambda: {"left": (0.2, 0.1), "right": (-0.1, 0.2)}
    )
    noise_deg: float = 0.05
    blind: set[str] = field(default_factory=set)
    #: How often the tracker gets too little at a target.
    failures: dict[tuple[float, float], int] = field(default_factory=dict)
    #: Where gaze goes instead of a target.
    elsewhere: dict[tuple[float, float], tuple[float, float]] = field(default_factory=dict)
    #: Targets at which gaze never comes to rest.
    restless: set[tuple[float, float]] = field(default_factory=set)
    compute_fails: int = 0


class LabRecorder:
    """The recorder's handle, as far as the procedure uses it, over a real session file."""

    def __init__(self, clock: JumpingClock, eyes: Eyes, path: Path, config: StudyConfig) -> None:
        self.clock = clock
        self.eyes = eyes
        self.calibratable = True
        self.monocular = True
        self.silent_from_us: int | None = None
        #: Verb before which the cable is pulled.
        self.pulled_at = ""
        self.gone = False
        self.verbs: list[tuple[Any, ...]] = []
        self.in_mode = False
        self.mode_eyes = "both"
        self.in_use: dict[str, tuple[float, float]] = dict(eyes.raw_deg)
        self.collected: dict[tuple[float, float], list[CalibrationSample]] = {}
        self.looks: list[tuple[int, tuple[float, float] | None]] = [(0, None)]
        self.followed: tuple[str, ...] = ()
        self.head = (0.5, 0.5, 0.5)
        self.on_rows: Callable[[], None] | None = None
        self.writer = SessionWriter.create(
            path, participant="P001", session="01", config_json=config.to_json(), simulated=True, clock=clock
        )
        self._rng = np.random.default_rng(7)
        self._blocks: list[np.ndarray] = []
        self._next = 0

    # ------------------------------------------------------------------ the log

    def rows(self, table: str, rows: np.ndarray) -> None:
        self.writer.append(table, rows)

    def marker(self, kind: str, message: str = "", value: float = float("nan"), t_system_us: int | None = None,
               trial_id: int = 0) -> None:  # fmt: skip
        self.writer.marker(kind, message, value, t_system_us, trial_id)

    def status(self) -> None:
        return None

    # -------------------------------------------------------------- the tracker

    def follow(self, *tables: str) -> None:
        self.followed = tables

    def recent(self, table: str, since_us: int) -> np.ndarray:
        assert table in self.followed, f"{table} is read but not followed"
        if self.on_rows is not None:
            self.on_rows()
        self._produce()
        if table == USER_POSITION.path:
            return self._user_position()
        late = [block for block in self._blocks[-100:] if block["t_system_us"][-1] >= since_us]
        rows = np.concatenate(late) if late else GAZE.empty()
        return rows[rows["t_system_us"] >= since_us]

    def look_at(self, t_us: int, target_norm: tuple[float, float] | None) -> None:
        self.looks.append((t_us, target_norm))

    def request(self, verb: str, *args: Any, timeout_s: float = 30.0) -> Any:
        self.verbs.append((verb, *args))
        if verb == self.pulled_at:
            self.gone, self.in_mode = True, False
            self.silent_from_us = self.clock.now_us()
        if verb == "is_calibratable":
            return self.calibratable
        if verb == "store_calibration":
            return self.writer.append_blob(CALIBRATION_DATA.path, args[0]), len(args[0])
        if self.gone:
            raise DeviceError("the connection to the eye tracker is lost. Plug its cable in again.")
        return getattr(self, f"_{verb}")(*args)

    def come_back(self) -> None:
        self.gone, self.pulled_at, self.silent_from_us = False, "", None
        self._next = int((self.clock.now_us() - 2500) * RATE_HZ / 1e6)

    def _calibration_begin(self, eyes: str) -> None:
        if eyes != "both" and not self.monocular:
            raise DeviceError("this eye tracker cannot calibrate one eye alone")
        assert not self.in_mode, "calibration mode was entered twice"
        self.in_mode, self.mode_eyes, self.collected = True, eyes, {}

    def _calibration_collect(self, x: float, y: float) -> bool:
        assert self.in_mode
        target = (x, y)
        if self.eyes.failures.get(target, 0) > 0:
            self.eyes.failures[target] -= 1
            return False
        used = {"both": ("left", "right")}.get(self.mode_eyes, (self.mode_eyes,))
        self.collected[target] = [
            CalibrationSample(target, eye, self._near(target, eye), -1 if eye in self.eyes.blind else 1)
            for eye in used
            for _ in range(6)
        ]
        return True

    def _near(self, target: tuple[float, float], eye: str) -> tuple[float, float]:
        if eye in self.eyes.blind:
            return (float("nan"), float("nan"))
        off = np.array(self.eyes.left_over_deg[eye]) + self._rng.normal(0, self.eyes.noise_deg, 2)
        x, y = _moved(self.eyes.elsewhere.get(target, target), off)
        return (x, y)

    def _calibration_discard(self, x: float, y: float) -> None:
        assert self.in_mode
        self.collected.pop((x, y), None)

    def _calibration_compute(self) -> CalibrationOutcome:
        assert self.in_mode
        samples = tuple(sample for at in self.collected.values() for sample in at)
        if self.eyes.compute_fails > 0 or not any(sample.validity == 1 for sample in samples):
            self.eyes.compute_fails -= 1
            return CalibrationOutcome(False, "calibration_status_failure", samples)
        self.in_use = {**self.eyes.raw_deg, **self.eyes.left_over_deg}
        return CalibrationOutcome(True, "calibration_status_success", samples)

    def _calibration_end(self) -> None:
        self.in_mode = False

    def _calibration_data(self) -> bytes:
        return json.dumps(self.in_use).encode()

    def _calibration_apply(self, data: bytes) -> None:
        assert not self.in_mode, "calibration data were applied in calibration mode"
        self.in_use = {eye: tuple(offset) for eye, offset in json.loads(data).items()}

    # ------------------------------------------------------------------ samples

    def _produce(self) -> None:
        """Make all samples up to now; a sample is there 2.5 ms after its exposure."""
        until_us = self.clock.now_us() - 2500
        if self.silent_from_us is not None:
            until_us = min(until_us, self.silent_from_us)
        last = int(until_us * RATE_HZ / 1e6)
        n = last - self._next
        if n <= 0:
            return
        t_us = np.round(np.arange(self._next, last) * 1e6 / RATE_HZ).astype(np.int64)
        self._next = last
        rows = GAZE.empty(n)
        for name in ("t_system_us", "t_device_us", "t_received_us"):
            rows[name] = t_us
        at = self._looked_at(t_us)
        for eye in ("left", "right"):
            noise = self._rng.normal(0.0, self.eyes.noise_deg, (n, 2))
            rows[f"{eye}_gaze_norm"] = _moved(at, np.array(self.in_use[eye]) + noise)
            rows[f"{eye}_gaze_valid"] = eye not in self.eyes.blind
            rows[f"{eye}_origin_user_mm"] = (-30.0 if eye == "left" else 30.0, 150.0, 630.0)
            rows[f"{eye}_origin_valid"] = eye not in self.eyes.blind
            if eye in self.eyes.blind:
                rows[f"{eye}_gaze_norm"] = np.nan
        self._blocks.append(rows)
        self.writer.append(GAZE.path, rows)

    def _looked_at(self, t_us: np.ndarray) -> np.ndarray:
        at = np.full((len(t_us), 2), 0.5)
        for since_us, target in self.looks:
            if target is None:
                continue
            place = np.array(self.eyes.elsewhere.get(target, target))
            share = np.clip((t_us - since_us - LATENCY_US) / SACCADE_US, 0.0, 1.0)[:, None]
            at = at + share * (place - at)
            if target in self.eyes.restless:
                sweep = 0.15 * np.sin(2 * np.pi * (t_us - since_us) / 0.3e6)
                at[:, 0] += np.where(share[:, 0] >= 1.0, sweep, 0.0)
        return at

    def _user_position(self) -> np.ndarray:
        rows = USER_POSITION.empty(1)
        rows["t_received_us"] = self.clock.now_us()
        for eye, side in (("left", 0.09), ("right", -0.09)):
            rows[f"{eye}_position_norm"] = np.array(self.head) + (side, 0.0, 0.0)
            rows[f"{eye}_valid"] = eye not in self.eyes.blind
        return rows


def _moved(at: Any, degrees: Any) -> Any:
    """Return places moved by visual angles, near enough for small ones."""
    return np.asarray(at) + np.radians(degrees) * GEOMETRY.distance_mm / (GEOMETRY.width_mm, GEOMETRY.height_mm)


class LabScreen:
    """A screen that shows nothing, keeps what it was asked for and presses keys."""

    def __init__(self, clock: JumpingClock) -> None:
        self.clock = clock
        self.keys: list[str] = []
        self.heads: list[tuple[HeadPosition, str]] = []
        self.targets: list[tuple[float, float]] = []
        self.cleared = True
        self.text = ""
        self.on_target: Callable[[int, tuple[float, float]], None] | None = None

    def show_head(self, head: HeadPosition, text: str = "", should_stop: ShouldStop = never) -> None:
        self.heads.append((head, text))
        self.cleared = False

    def move_target(self, x: float, y: float, duration_s: float, should_stop: ShouldStop) -> int:
        self.targets.append((x, y))
        self.cleared = False
        self.clock.sleep_until(self.clock.now_us() + round(duration_s * 1e6))
        shown_us = self.clock.now_us()
        if self.on_target is not None:
            self.on_target(len(self.targets), (x, y))
        return shown_us

    def hold_target(self, until_us: int, should_stop: ShouldStop) -> None:
        if not should_stop():
            self.clock.sleep_until(until_us)

    def clear(self) -> None:
        self.cleared = True
        self.text = ""

    def show_text(self, text: str) -> None:
        self.text = text
        self.cleared = False

    def poll_key(self, should_stop: ShouldStop = never) -> str:
        return self.keys.pop(0) if self.keys else ""


class LabOperator:
    """An operator who answers from a list, and then as a script does: with the first choice."""

    def __init__(self, *answers: str | tuple[str, str]) -> None:
        self.answers: list[str | tuple[str, str]] = list(answers)
        self.questions: list[Question] = []
        self.told: list[dict[str, Any]] = []
        self.commands: list[Command] = []

    def poll(self) -> list[Command]:
        commands, self.commands = self.commands, []
        return commands

    def press(self, name: CommandName) -> None:
        self.commands.append(Command(name))

    def decide(self, question: Question, should_stop: Callable[[], bool]) -> Decision | None:
        json.dumps(question.data, allow_nan=False)
        self.questions.append(question)
        if should_stop():
            return None
        answer = self.answers.pop(0) if self.answers else question.choices[0][0]
        choice, reason = answer if isinstance(answer, tuple) else (answer, "")
        return Decision(choice, reason)

    def tell(self, message: dict[str, Any]) -> None:
        json.dumps(message, allow_nan=False)
        self.told.append(message)


class Lab:
    """All of it, and the procedure."""

    def __init__(self, path: Path, eyes: Eyes | None = None, answers: Sequence[Any] = (), **calibration: Any) -> None:
        self.path = path
        self.config = study(**calibration)
        self.clock = JumpingClock()
        self.eyes = eyes or Eyes()
        self.recorder = LabRecorder(self.clock, self.eyes, path, self.config)
        self.screen = LabScreen(self.clock)
        self.operator = LabOperator(*answers)
        self.stop = False
        self.procedure = CalibrationProcedure(
            self.recorder,
            self.screen,
            self.operator,
            self.recorder,
            self.clock,
            self.config,
            GEOMETRY,
            should_stop=lambda: self.stop,
            pace=PACE,
            participant="P001",
        )

    def close(self) -> None:
        """Close the file in good order."""
        self.recorder._produce()
        self.recorder.writer.close()


MakeLab = Callable[..., Lab]


def closed(lab: Lab) -> Session:
    lab.close()
    assert not [finding for finding in check_session(lab.path) if "calibration" in str(finding)]
    return open_session(lab.path)


def marks(session: Session, kind: str) -> list[tuple[str, float]]:
    frame = session.table(MARKERS).frame()
    own = frame[frame["kind"] == kind]
    return list(zip(own["message"], own["value"], strict=True))
