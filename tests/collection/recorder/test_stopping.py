"""Devices at the end of a recording: some hang, some have run ahead."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from collection.devices.base import CAMERA, CapturedFrame, DeviceInfo, Sink
from collection.devices.scheduled import ScheduledDevice
from collection.devices.webcam import Webcam
from collection.recorder.encoder import VideoEncoder
from collection.recorder.recording import Recording
from collection.recorder.settings import FRAMES_STREAM, RecorderSettings
from data_schema.clocks import SystemClock
from data_schema.session import markers
from data_schema.session.layout import FRAMES, GAZE, MARKERS
from data_schema.session.reader import open_session


@pytest.fixture
def stall() -> Iterator[SimpleNamespace]:
    """Events of a driver that does not come back: asked for, begun, and over with the test."""
    events = SimpleNamespace(wanted=threading.Event(), begun=threading.Event(), over=threading.Event())
    yield events
    events.over.set()


def test_a_webcam_that_stalls_is_left_behind_and_the_file_is_closed(
    settings: RecorderSettings, lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, stall: SimpleNamespace
) -> None:
    """Its stop() waits for the driver, and its close() for the lock that stop() holds."""
    picture = np.zeros((lab.height, lab.width, 3), np.uint8)

    class Capture:
        def __init__(self, source: object) -> None: ...

        def set(self, *_: object) -> bool:
            return True

        def get(self, _: int) -> float:
            return 30.0

        def isOpened(self) -> bool:
            return True

        def getBackendName(self) -> str:
            return "stalling"

        def read(self) -> tuple[bool, np.ndarray]:
            return True, picture

        def retrieve(self) -> tuple[bool, np.ndarray]:
            return True, picture

        def grab(self) -> bool:
            if not stall.wanted.wait(0.02):
                return True
            stall.begun.set()
            return not stall.over.wait()

        def release(self) -> None: ...

    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    monkeypatch.setattr("collection.recorder.stopping.STOP_PATIENCE_S", 0.3)
    monkeypatch.setattr("collection.recorder.stopping.CLOSE_PATIENCE_S", 0.3)
    tracker = lab.tracker(lab.steady_gaze)
    recording = Recording(settings, [tracker, Webcam(SystemClock(), 0, lab.width, lab.height, 30.0)])
    recording.start()
    lab.until(lambda: recording.status().durable.get(FRAMES.path, 0) > 0)
    stall.wanted.set()
    lab.until(stall.begun.is_set)
    summaries = []
    ending = threading.Thread(target=lambda: summaries.append(recording.finish()), daemon=True)
    ending.start()
    ending.join(20.0)
    assert not ending.is_alive()
    (summary,) = summaries
    assert summary.problems == ()
    assert recording.status().state == "closed"
    assert tracker.n_closed == 1
    with open_session(settings.path) as session:
        assert session.status == "complete"
        frame = session.table(MARKERS).frame()
        assert list(frame.loc[frame["kind"] == markers.DEVICE_FAULT, "message"]) == [
            "a device did not stop and was left behind"
        ]
        assert len(session.table(GAZE)) == summary.status.stream(GAZE.path).received
        assert len(session.table(FRAMES)) == summary.status.stream(FRAMES_STREAM).received


class FastClock:
    """Goes as a test turns it; says that it runs faster than real time, so that devices wait instead of dropping."""

    speed = 50.0

    def __init__(self) -> None:
        self.t_us = 1_000_000_000

    def now_us(self) -> int:
        return self.t_us

    def sleep_until(self, t_us: int) -> None:
        self.t_us = max(self.t_us, t_us)


class ClockworkCamera(ScheduledDevice):
    """A frame every 100 ms of its clock."""

    def __init__(self, clock: FastClock, image: np.ndarray) -> None:
        super().__init__(clock, "clockwork")
        self._image = image

    def describe(self) -> DeviceInfo:
        height, width, _ = self._image.shape
        return DeviceInfo(
            CAMERA, "clockwork", "test", simulated=True, rates_hz={FRAMES.path: 10.0}, width_px=width, height_px=height
        )

    def _begin(self, t_start_us: int) -> None:
        self._next_us = t_start_us

    def _produce(self, sink: Sink, until_us: int) -> None:
        while self._next_us <= until_us:
            sink.frame(CapturedFrame(self._next_us, self._image))
            self._next_us += 100_000


def test_a_late_simulated_camera_ends_with_the_protocol_not_with_the_clock(
    settings: RecorderSettings, lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_encode = threading.Event()
    encode = VideoEncoder.encode
    monkeypatch.setattr(VideoEncoder, "encode", lambda *arguments: may_encode.wait(30) and encode(*arguments))
    clock = FastClock()
    recording = Recording(
        dataclasses.replace(settings, clock=clock, eye_tracker=""), [ClockworkCamera(clock, lab.picture())]
    )
    started = recording.start()
    frames = lambda: recording.status().stream(FRAMES_STREAM)  # noqa: E731
    # More than may wait: the camera stands still at the queue while the clock goes on.
    clock.t_us = started.t_started_us + 5_000_000
    lab.until(lambda: frames().received > frames().capacity)
    clock.t_us = started.t_started_us + 60_000_000
    may_encode.set()
    summary = recording.finish(at_us=started.t_started_us + 10_000_000)
    assert summary.duration_s == 10.0
    with open_session(settings.path) as session:
        stamps = session.table(FRAMES)[:]["t_capture_us"]
    assert (stamps - started.t_started_us).tolist() == list(range(100_000, 10_000_001, 100_000))
