from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from collection.devices.base import CAMERA, EYE_TRACKER, CapturedFrame, DeviceInfo, Sink
from collection.recorder.settings import RecorderSettings
from data_schema.clocks import SystemClock
from data_schema.session.layout import FRAMES, GAZE
from data_schema.study.config import StudyConfig, parse_config

WIDTH, HEIGHT = 128, 96


class ScriptedDevice:
    """A device that delivers what a function says, from a thread of its own."""

    def __init__(self, info: DeviceInfo, deliver: Callable[[Sink, threading.Event], None]) -> None:
        self.info = info
        self._deliver = deliver
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.n_closed = 0

    def connect(self) -> None:
        pass

    def describe(self) -> DeviceInfo:
        return self.info

    def start(self, sink: Sink) -> None:
        self._thread = threading.Thread(target=self._deliver, args=(sink, self._stop), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        self.stop()
        self.n_closed += 1


def tracker(deliver: Callable[[Sink, threading.Event], None], rate_hz: float = 600.0) -> ScriptedDevice:
    return ScriptedDevice(
        DeviceInfo(EYE_TRACKER, "scripted", "test", simulated=True, rates_hz={GAZE.path: rate_hz}), deliver
    )


def camera(deliver: Callable[[Sink, threading.Event], None], fps: float = 30.0) -> ScriptedDevice:
    return ScriptedDevice(
        DeviceInfo(
            CAMERA, "scripted", "test", simulated=True, rates_hz={FRAMES.path: fps}, width_px=WIDTH, height_px=HEIGHT
        ),
        deliver,
    )


def gaze_rows(n: int, first_us: int, step_us: int = 1667) -> np.ndarray:
    rows = GAZE.empty(n)
    rows["t_system_us"] = first_us + np.arange(n) * step_us
    return rows


def picture(number: int = 0) -> np.ndarray:
    image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    image[:, : 1 + number % WIDTH] = 200
    return image


def steady_gaze(sink: Sink, stop: threading.Event) -> None:
    clock = SystemClock()
    while not stop.wait(0.01):
        sink.rows(GAZE.path, gaze_rows(6, clock.now_us()))


def steady_frames(sink: Sink, stop: threading.Event) -> None:
    clock, number = SystemClock(), 0
    while not stop.wait(0.02):
        sink.frame(CapturedFrame(clock.now_us(), picture(number)))
        number += 1


def until(condition: Callable[[], object], deadline_s: float = 20.0) -> None:
    """Poll until a condition holds; fail at the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            pytest.fail("the condition did not come true in time")
        time.sleep(0.01)


@pytest.fixture
def lab() -> SimpleNamespace:
    """The scripted devices and what goes with them."""
    return SimpleNamespace(
        tracker=tracker,
        camera=camera,
        gaze_rows=gaze_rows,
        picture=picture,
        steady_gaze=steady_gaze,
        steady_frames=steady_frames,
        until=until,
        make_config=make_config,
        width=WIDTH,
        height=HEIGHT,
    )


@pytest.fixture
def config() -> StudyConfig:
    return make_config()


def make_config(**sections: dict) -> StudyConfig:
    data = {
        "study": {"title": "recorder test"},
        "camera": {"width_px": WIDTH, "height_px": HEIGHT, **sections.pop("camera", {})},
        "recording": {"min_free_gb": 0.0, **sections.pop("recording", {})},
        **sections,
    }
    return parse_config(data, "test")


@pytest.fixture
def settings(tmp_path: Path, config: StudyConfig) -> RecorderSettings:
    return RecorderSettings(tmp_path / "sub-T1_ses-01.h5", "T1", "01", config, planned_s=10.0)
