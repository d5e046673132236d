"""A clock that tests turn by hand, a sink that keeps everything, and recordings to replay."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from collection.devices.base import CapturedFrame, Device
from collection.devices.simulated import SimulatedEyeTracker
from collection.devices.simulated_camera import SimulatedCamera
from collection.recorder.encoder import VideoEncoder
from collection.simulation import SimulatedParticipant
from data_schema.clocks import SystemClock
from data_schema.session.layout import GAZE, TABLE_BY_PATH
from data_schema.session.video import VideoStream
from data_schema.session.writer import SessionWriter
from data_schema.study.config import StudyConfig, StudySection
from data_schema.study.sections import ScreenSection

SCREEN = ScreenSection()
CONFIG = StudyConfig(study=StudySection(title="Devices"))
T0_US = 5_000_000_000


class ManualClock:
    """Stands still until it is turned."""

    speed = 1.0

    def __init__(self, t_us: int = T0_US) -> None:
        self._t_us = t_us

    def now_us(self) -> int:
        return self._t_us

    def advance(self, seconds: float) -> None:
        self._t_us += round(seconds * 1e6)

    def sleep_until(self, t_us: int) -> None:
        """A test turns the clock; nobody waits for it."""


class Collector:
    """Keeps what a device delivers."""

    def __init__(self, keep_images: bool = True) -> None:
        self.pieces: dict[str, list[np.ndarray]] = {}
        self.frames: list[CapturedFrame] = []
        self.events: list[tuple[str, str, float, int | None]] = []
        self.n_calls = 0
        self._lock = threading.Lock()
        self._keep_images = keep_images

    def rows(self, table: str, rows: np.ndarray) -> None:
        with self._lock:
            self.n_calls += 1
            self.pieces.setdefault(table, []).append(rows)

    def frame(self, frame: CapturedFrame) -> None:
        with self._lock:
            self.n_calls += 1
            if not self._keep_images:
                frame = CapturedFrame(frame.t_capture_us, frame.image[:0], frame.t_device_us, frame.missed_before)
            self.frames.append(frame)

    def event(self, kind: str, message: str, value: float = float("nan"), t_system_us: int | None = None) -> None:
        with self._lock:
            self.n_calls += 1
            self.events.append((kind, message, value, t_system_us))

    def table(self, path: str = GAZE.path) -> np.ndarray:
        with self._lock:
            pieces = list(self.pieces.get(path, []))
        return np.concatenate(pieces) if pieces else TABLE_BY_PATH[path].empty(0)

    @property
    def times_us(self) -> np.ndarray:
        return np.array([frame.t_capture_us for frame in self.frames], dtype=np.int64)


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"within {timeout_s:.0f} s not: {what}")
        time.sleep(0.002)


def record(device: Device, clock: ManualClock, seconds: float, sink: Collector | None = None) -> Collector:
    """Connect, start, turn the clock, stop: what the device owes for `seconds`."""
    sink = sink if sink is not None else Collector()
    device.connect()
    device.start(sink)
    clock.advance(seconds)
    device.stop()
    return sink


def person(code: str = "P001", seed: int = 7, **simulation: float) -> SimulatedParticipant:
    config = CONFIG.simulation.model_copy(update=simulation)
    return SimulatedParticipant(seed, code, config)


def write_video(path: Path, pts_ms: list[int], size: tuple[int, int] = (96, 64)) -> Path:
    """Write frames whose grey level is 8 times their number, at the given times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"preset": "ultrafast", "crf": "10"}
        for number, pts in enumerate(pts_ms):
            image = np.full((size[1], size[0], 3), 8 * number % 256, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = pts, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_session(path: Path, seconds: float = 1.5) -> Path:
    """Record a short session of simulated devices, without the recorder's process."""
    clock = ManualClock()
    someone = person("P009")
    tracker = SimulatedEyeTracker(clock, someone, SCREEN, 120.0, drift_ppm=400.0)
    camera = SimulatedCamera(ManualClock(), someone, 320, 240, 15.0)
    rows = record(tracker, clock, seconds)
    filmed = record(camera, camera.clock, seconds)
    encoder = VideoEncoder(320, 240, 15.0)
    encoded = [encoder.encode(f.image, f.t_capture_us, f.t_device_us, f.missed_before) for f in filmed.frames]
    infos = [tracker.describe(), camera.describe()]
    writer = SessionWriter.create(
        path,
        participant="P009",
        session="01",
        config_json=CONFIG.to_json(),
        devices=[asdict(info) for info in infos],
        seeds={},
        video=VideoStream("libx264", encoder.extradata, 320, 240, Fraction(1, 1_000_000), "yuv420p"),
        rates_hz={**infos[0].rates_hz, **infos[1].rates_hz},
        simulated=True,
        clock=SystemClock(),
    )
    for table in rows.pieces:
        writer.append(table, rows.table(table))
    for packet in encoded:
        writer.append_packet(packet.payload, packet.row)
    writer.close()
    encoder.close()
    tracker.close()
    camera.close()
    return path
