"""Devices inside a real recording: what their faults leave in the session file."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from collection.devices.base import Calibratable, Device, Sink
from collection.devices.simulated import SimulatedEyeTracker
from collection.recorder.recording import Recording
from collection.recorder.settings import RecorderSettings
from data_schema.clocks import SystemClock
from data_schema.session.layout import FRAMES, GAZE, LSL_OFFSETS, LSL_SAMPLES, LSL_STREAMS
from data_schema.session.reader import open_session

from .device_lab import CONFIG, SCREEN, person, wait_until
from .test_lsl import Sender as LslSender
from .test_lsl import _unique
from .test_webcam import PATTERN, Sender

SMALL = CONFIG.model_copy(
    update={
        "eye_tracker": CONFIG.eye_tracker.model_copy(update={"rate_hz": 120.0}),
        "camera": CONFIG.camera.model_copy(update={"width_px": 160, "height_px": 120, "fps": 30.0}),
        "recording": CONFIG.recording.model_copy(update={"min_free_gb": 0.0}),
    }
)


class Session:
    """A recording that runs in this process, with a thread that looks after it."""

    def __init__(self, path: Path, devices: list[Device] | None = None, **named: object) -> None:
        settings = RecorderSettings(
            path,
            "P001",
            "01",
            SMALL,
            clock=SystemClock(),
            planned_s=10.0,
            participant_seed=3,
            **named,  # type: ignore[arg-type]
        )
        self.devices = settings.make_devices() if devices is None else devices
        self.recording = Recording(settings, self.devices)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._tick)

    def __enter__(self) -> Session:
        self.recording.start()
        self._thread.start()
        return self

    def _tick(self) -> None:
        while not self._done.wait(0.05):
            self.recording.tick()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.summary = self.recording.finish()

    def written(self, name: str) -> int:
        return self.recording.status().stream(name).written


def _markers(path: Path) -> list[tuple[str, str]]:
    with open_session(path) as session:
        rows = session.table("/events/markers")[:]
    return [(row["kind"].decode(), row["message"].decode()) for row in rows]


def test_a_killed_network_camera_is_recorded_again_and_its_gap_stands_in_the_file(tmp_path: Path) -> None:
    sender = Sender()
    sender.start(*PATTERN)
    path = tmp_path / "s.h5"
    try:
        with Session(path, camera=sender.address) as session:
            wait_until(lambda: session.written(FRAMES.path) >= 30 or session.written("frames") >= 30, "frames on file")
            sender.kill()
            wait_until(lambda: session.recording.status().stream("frames").silent_s > 3.0, "silence")
            before = session.recording.status().stream("frames").received
            sender.start(*PATTERN)
            wait_until(
                lambda: session.recording.status().stream("frames").received > before + 30,
                "frames of the new sender",
                30.0,
            )
    finally:
        sender.kill()
    assert session.summary.problems == ()
    with open_session(path) as stored:
        frames, gaze = stored.table(FRAMES)[:], stored.table(GAZE)[:]
    gap = int(np.argmax(np.diff(frames["t_capture_us"]))) + 1
    away_us = int(frames["t_capture_us"][gap] - frames["t_capture_us"][gap - 1])
    assert away_us > 3_000_000
    assert frames["missed_before"][gap] == pytest.approx(away_us / 33_333 - 1, rel=0.2)
    # The eyes were recorded all the while.
    inside = (gaze["t_system_us"] > frames["t_capture_us"][gap - 1]) & (
        gaze["t_system_us"] < frames["t_capture_us"][gap]
    )
    assert inside.sum() == pytest.approx(120 * away_us / 1e6, rel=0.05)
    said = _markers(path)
    assert any(kind == "device_fault" and "gives no more pictures" in text for kind, text in said)
    assert any(kind == "device_connected" and "is back after" in text for kind, text in said)
    assert any(kind == "camera_lost" for kind, _ in said)


def test_half_the_rate_is_marked(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    spec = "faulty:slow_camera@1:simulated"
    with Session(path, eye_tracker="faulty:wrong_rate@1:simulated", camera=spec) as session:
        wait_until(
            lambda: session.recording.status().stream("frames").received > 150, "ten seconds at half the rate", 40.0
        )
    low = [text for kind, text in _markers(path) if kind == "rate_low"]
    rates_hz = {text.partition(":")[0]: float(text.split()[1]) for text in low}
    assert rates_hz["frames"] == pytest.approx(15, abs=3)
    assert rates_hz[GAZE.path] == pytest.approx(60, abs=10)
    with open_session(path) as stored:
        assert stored.table(FRAMES)[:]["missed_before"].sum() == 0


def test_what_a_device_says_at_its_start_stands_in_the_file(tmp_path: Path) -> None:
    """Devices start before there is a file: what they say once must not be lost with the first samples."""

    class Talking(SimulatedEyeTracker):
        def start(self, sink: Sink) -> None:
            sink.event("device_fault", "said at the start")
            super().start(sink)

    path = tmp_path / "s.h5"
    with Session(path, camera="") as session:
        pass
    assert "said at the start" not in str(_markers(path))
    path = tmp_path / "t.h5"
    clock = SystemClock()
    with Session(path, [Talking(clock, person(), SCREEN, 120.0)], camera="") as session:
        wait_until(lambda: session.written(GAZE.path) > 0, "samples on file")
    said = _markers(path)
    assert said[0][0] == "recording_started"
    assert said[-1][0] == "recording_closed"
    assert [text for kind, text in said if kind == "device_fault"] == ["said at the start"]


def test_an_lsl_stream_is_recorded_beside_the_eyes(tmp_path: Path) -> None:
    name = _unique("recorded")
    sender = LslSender(name, source_id=name).start()
    path = tmp_path / "s.h5"
    try:
        with Session(path, camera="", lsl_inlets=(name,)) as session:
            wait_until(lambda: session.written(LSL_SAMPLES.path) > 300, "samples on file")
    finally:
        sender.close()
    with open_session(path) as stored:
        streams, samples = stored.table(LSL_STREAMS)[:], stored.table(LSL_SAMPLES)[:]
        offsets, gaze = stored.table(LSL_OFFSETS)[:], stored.table(GAZE)[:]
    assert streams["name"].tolist() == [name.encode()]
    np.testing.assert_allclose(np.diff(samples["values"][:, 0]), 1.0)
    assert len(offsets) >= 1
    # One clock: the samples lie in the same stretch of host time as the eyes.
    assert abs(int(samples["t_system_us"][-1]) - int(gaze["t_system_us"][-1])) < 1_000_000


def test_a_faulty_tracker_can_be_calibrated_while_it_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    with Session(path, eye_tracker="faulty:silence@500:simulated:uncalibrated", camera="") as session:
        tracker = session.devices[0]
        assert isinstance(tracker, Calibratable)
        tracker.calibration_begin("both")
        clock = SystemClock()
        for target in ((0.1, 0.1), (0.9, 0.1), (0.5, 0.9)):
            tracker.look_at(clock.now_us(), target)  # type: ignore[attr-defined]
            clock.sleep_until(clock.now_us() + 700_000)
            assert tracker.calibration_collect(*target)
        assert tracker.calibration_compute().success
        tracker.calibration_end()
        tracker.look_at(clock.now_us(), (0.5, 0.5))  # type: ignore[attr-defined]
        clock.sleep_until(clock.now_us() + 1_200_000)
    with open_session(path) as stored:
        gaze = stored.table(GAZE)[:]
    assert np.abs(np.nanmean(gaze["left_gaze_norm"][-40:], axis=0) - 0.5).max() < 0.03
