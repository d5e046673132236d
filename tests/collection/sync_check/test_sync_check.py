"""The sync check on generated videos whose delay and drift are known, and on a camera that films a known screen."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from collection.devices.base import CAMERA, CapturedFrame, DeviceInfo, Sink
from collection.sync_check import Flash, FlashPattern, measure_delay, run_sync_check
from collection.sync_check.pattern import ShownPattern
from collection.sync_check.run import FilmedBrightness
from data_schema.clocks import SystemClock
from data_schema.errors import ClockError, DeviceError

START_US = 5_000_000_000
WIDTH, HEIGHT = 320, 180


def _flashes(seconds: float = 20.0, seed: int = 4, refresh_hz: float = 60.0) -> list[Flash]:
    """Return a pattern as a 60 Hz screen would show it, each change at a refresh."""
    pattern = FlashPattern.random(seconds, seed)
    period_us = 1e6 / refresh_hz
    return [
        Flash(START_US + round(np.ceil(at_s * 1e6 / period_us) * period_us), number % 2)
        for number, at_s in enumerate(pattern.at_s, 1)
    ]


def _stamps(seconds: float, fps: float, seed: int, delay_ms: float, drift_ppm: float) -> tuple[np.ndarray, np.ndarray]:
    """Return when each frame's exposure has its middle, and how the camera stamps it; microseconds."""
    generator = np.random.default_rng(seed)
    intervals = generator.normal(1e6 / fps, 2_000, int(seconds * fps))
    light_us = START_US + np.cumsum(intervals)
    return light_us, light_us + delay_ms * 1e3 + (light_us - START_US) * drift_ppm * 1e-6


def _film(path: Path, flashes: list[Flash], light_us: np.ndarray, exposure_ms: float, noise: float, seed: int) -> None:
    """Write a video of a room in which a screen flashes: a patch of the picture, a reflection, noise."""
    generator = np.random.default_rng(seed)
    levels = ShownPattern(flashes).mean_level(light_us, exposure_ms * 1e3)
    room = generator.uniform(20, 80, (HEIGHT, WIDTH, 1)).repeat(3, axis=2)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "20", "preset": "ultrafast"}
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, level in enumerate(levels):
            image = room + generator.normal(0, noise, room.shape)
            image[40:120, 60:180] = 20 + 180 * level
            image[130:170, 200:300] += 30 * level
            frame = av.VideoFrame.from_ndarray(np.clip(image, 0, 255).astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = number * 33, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _brightness(path: Path, stamps_us: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    film = FilmedBrightness()
    with av.open(str(path)) as container:
        for frame, stamp_us in zip(container.decode(video=0), stamps_us, strict=True):
            film.frame(CapturedFrame(round(stamp_us), frame.to_ndarray(format="bgr24")))
    return film.arrays()


@pytest.mark.parametrize(
    ("delay_ms", "exposure_ms", "fps"), [(42.0, 8.0, 30.0), (130.0, 25.0, 30.0), (0.0, 16.0, 25.0), (71.5, 33.0, 15.0)]
)
def test_the_delay_of_a_generated_video_is_found(
    tmp_path: Path, delay_ms: float, exposure_ms: float, fps: float
) -> None:
    flashes = _flashes()
    light_us, stamps_us = _stamps(20.0, fps, 1, delay_ms, 0.0)
    _film(tmp_path / "film.mp4", flashes, light_us, exposure_ms, 6.0, 2)
    result = measure_delay(flashes, *_brightness(tmp_path / "film.mp4", stamps_us))
    assert result.delay_ms == pytest.approx(delay_ms, abs=2.0)
    assert result.explained > 0.9
    assert result.fps == pytest.approx(fps, rel=0.02)
    assert abs(result.drift_ppm) < 3 * result.drift_se_ppm + 50
    # The patch takes 17 % of the picture; the faint reflection may be used or not.
    assert 0.1 < result.region_share < 0.3


def test_a_drift_of_the_stamps_is_found(tmp_path: Path) -> None:
    flashes = _flashes(40.0)
    light_us, stamps_us = _stamps(40.0, 30.0, 3, 50.0, 400.0)
    _film(tmp_path / "film.mp4", flashes, light_us, 8.0, 4.0, 5)
    result = measure_delay(flashes, *_brightness(tmp_path / "film.mp4", stamps_us))
    assert result.drift_ppm == pytest.approx(400.0, abs=60.0)
    assert len(result.pieces) >= 8


def test_a_camera_that_does_not_see_the_screen_is_said() -> None:
    light_us, stamps_us = _stamps(20.0, 30.0, 3, 50.0, 0.0)
    noise = np.random.default_rng(8).uniform(20, 200, (len(stamps_us), 144))
    with pytest.raises(ClockError, match=r"flashes are not seen.*mirror"):
        measure_delay(_flashes(), stamps_us.astype(np.int64), noise)


def test_too_short_a_check_is_said() -> None:
    with pytest.raises(ClockError, match="needs at least 10 changes"):
        measure_delay(_flashes(2.0)[:5], np.arange(100), np.ones((100, 144)))


def test_the_pattern_is_the_same_for_a_seed_and_irregular() -> None:
    pattern = FlashPattern.random(20.0, 7)
    assert pattern == FlashPattern.random(20.0, 7)
    holds = np.diff(pattern.at_s)
    assert holds.min() >= 0.08
    assert holds.max() <= 0.24
    assert np.std(holds) > 0.03
    assert [pattern.level_at(t) for t in (0.0, pattern.at_s[0], pattern.at_s[1])] == [0, 1, 0]


class _KnownScreen:
    """A screen that changes in real time and lets a camera look at it."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.level = 0

    def flash(self, pattern: FlashPattern, should_stop: Callable[[], bool]) -> list[Flash]:
        start_us = self.clock.now_us()
        shown = []
        for number, at_s in enumerate(pattern.at_s, 1):
            self.clock.sleep_until(start_us + round(at_s * 1e6))
            if should_stop():
                break
            self.level = number % 2
            shown.append(Flash(self.clock.now_us(), self.level))
        return shown


class _FilmingCamera:
    """Films a known screen at 60 frames/s and stamps each frame a known time too late."""

    def __init__(self, screen: _KnownScreen, late_us: int, n_frames: int = 10**6) -> None:
        self._screen, self._late_us, self._n_frames = screen, late_us, n_frames
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def connect(self) -> None:
        pass

    def describe(self) -> DeviceInfo:
        return DeviceInfo(CAMERA, "simulated", "filming", simulated=True, width_px=WIDTH, height_px=HEIGHT)

    def start(self, sink: Sink) -> None:
        self._thread = threading.Thread(target=self._run, args=(sink,), daemon=True)
        self._thread.start()

    def _run(self, sink: Sink) -> None:
        for _ in range(self._n_frames):
            if self._stopping.wait(1 / 60):
                return
            t_us = self._screen.clock.now_us()
            image = np.full((HEIGHT, WIDTH, 3), 30 + 200 * self._screen.level, dtype=np.uint8)
            sink.frame(CapturedFrame(t_us + self._late_us, image))

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        self.stop()


def test_a_whole_check_in_real_time_measures_a_late_camera_and_keeps_the_report(tmp_path: Path) -> None:
    screen = _KnownScreen()
    report = run_sync_check(screen, _FilmingCamera(screen, 60_000), seconds=8.0, seed=1)
    assert report.result.delay_ms == pytest.approx(60.0, abs=15.0)
    assert "later than the flip" in report.sentences()[0]
    stored = json.loads(report.write(tmp_path / "reports").read_text(encoding="utf-8"))
    assert stored["result"]["delay_ms"] == report.result.delay_ms
    assert stored["camera"]["model"] == "filming"


def test_a_silent_camera_is_said() -> None:
    screen = _KnownScreen()
    with pytest.raises(DeviceError, match="delivered no frame during the sync check"):
        run_sync_check(screen, _FilmingCamera(screen, 0, n_frames=0), seconds=1.2, seed=1)
