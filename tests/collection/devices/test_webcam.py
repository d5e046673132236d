"""A camera through OpenCV: real network streams of ffmpeg, files, and a stand-in for a driver.

There is no camera on a test machine. A stream over UDP behaves like one where it
matters: pictures come at their own pace, sometimes they do not, and the sender can
be killed.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from collection.devices import camera_settings
from collection.devices.frame_timing import DeviceStamps, MissedFrames
from collection.devices.webcam import Webcam
from data_schema.clocks import SystemClock
from data_schema.errors import DeviceError

from .device_lab import Collector, wait_until, write_video

PATTERN = ("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=30")


class Sender:
    """An ffmpeg that sends a stream as a live camera would, and can be killed."""

    def __init__(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"udp://127.0.0.1:{free.getsockname()[1]}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *source: str, encoding: tuple[str, ...] = ("-c:v", "mpeg2video", "-q:v", "4", "-g", "15")) -> None:
        program = shutil.which("ffmpeg")
        assert program, "the tests of cameras need ffmpeg: apt-get install ffmpeg"
        command = [program, "-loglevel", "quiet", "-re", *source, "-an", *encoding, "-bf", "0", "-f", "mpegts"]
        self._process = subprocess.Popen([*command, f"{self.address}?pkt_size=1316"], stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def sender() -> Iterator[Sender]:
    sender = Sender()
    yield sender
    sender.kill()


def _camera(sender: Sender, fps: float = 30.0) -> tuple[Webcam, Collector]:
    camera = Webcam(SystemClock(), sender.address, 160, 120, fps)
    camera.connect()
    sink = Collector(keep_images=False)
    camera.start(sink)
    return camera, sink


def _said(sink: Collector) -> str:
    return "\n".join(message for _, message, _, _ in sink.events)


# ---------------------------------------------------------------- real streams


def test_a_network_stream_is_recorded_as_a_camera(sender: Sender) -> None:
    sender.start(*PATTERN)
    camera, sink = _camera(sender)
    info = camera.describe()
    assert (info.role, info.kind, info.width_px, info.height_px) == ("camera", "webcam", 160, 120)
    assert info.rates_hz["/face/frames"] == pytest.approx(30.0, abs=0.1)
    assert info.details["backend"] == "FFMPEG"
    wait_until(lambda: len(sink.frames) >= 90, "three seconds of frames")
    camera.close()
    assert sink.events == []
    intervals_ms = np.diff(sink.times_us) / 1000
    assert np.median(intervals_ms) == pytest.approx(33.3, abs=4)
    # No burst of old pictures with new stamps at the start.
    assert np.median(intervals_ms[:10]) > 15
    # The stream's own stamps, once they have shown that they move as a clock does.
    device_us = np.array([frame.t_device_us for frame in sink.frames])
    assert np.all(device_us[40:] > 0)
    assert np.median(np.diff(device_us[40:])) == pytest.approx(33_333, abs=500)


def test_a_killed_sender_is_reported_and_its_return_recorded(sender: Sender) -> None:
    sender.start(*PATTERN)
    camera, sink = _camera(sender)
    wait_until(lambda: len(sink.frames) >= 45, "frames before the fault")
    sender.kill()
    wait_until(lambda: "gives no more pictures" in _said(sink), "a report of the fault")
    before = len(sink.frames)
    sender.start(*PATTERN)
    wait_until(lambda: len(sink.frames) > before + 30, "frames after the return", 30.0)
    camera.close()
    assert [kind for kind, *_ in sink.events] == ["device_fault", "device_connected"]
    assert "is back after" in _said(sink)
    assert sink.events[1][2] > 1.0
    gap_us = int(sink.times_us[before] - sink.times_us[before - 1])
    missed = sink.frames[before].missed_before
    assert missed == pytest.approx(gap_us / 33_333 - 1, rel=0.15)
    assert np.all(np.diff(sink.times_us) > 0)


def test_a_camera_that_does_not_come_back_can_be_stopped(sender: Sender) -> None:
    sender.start(*PATTERN)
    camera, sink = _camera(sender)
    wait_until(lambda: len(sink.frames) >= 5, "frames")
    sender.kill()
    wait_until(lambda: "gives no more pictures" in _said(sink), "a report")
    before_us = SystemClock().now_us()
    camera.close()
    assert SystemClock().now_us() - before_us < 6_000_000


def test_a_rate_that_is_halved_is_no_row_of_missed_frames(sender: Sender) -> None:
    """As a long exposure in a dark room does it: from the third second on every second picture."""
    halved = ("-vf", "select='if(lt(t,3),1,not(mod(n,2)))'", "-fps_mode", "vfr")
    sender.start(
        *PATTERN, *halved, encoding=("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "15")
    )
    camera, sink = _camera(sender)

    def slow() -> bool:
        return len(sink.frames) > 60 and np.median(np.diff(sink.times_us[-30:])) > 60_000

    wait_until(slow, "the slow rate")
    since = len(sink.frames)
    wait_until(lambda: len(sink.frames) > since + 40, "the slow rate to go on")
    camera.close()
    assert sum(frame.missed_before for frame in sink.frames) <= 4
    assert [frame.missed_before for frame in sink.frames[-40:]] == [0] * 40


def test_a_variable_frame_rate_arrives_as_it_was_sent(sender: Sender, shared_data: Path) -> None:
    path = shared_data / "face_video" / "face_noface.mov"
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        sent_us = np.array(sorted(float(f.pts * stream.time_base) * 1e6 for f in container.decode(stream)))
    small = ("-vf", "scale=160:120", "-fps_mode", "passthrough", "-enc_time_base", "1:90000")
    encoding = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10")
    sender.start("-stream_loop", "-1", "-i", str(path), *small, encoding=encoding)
    camera, sink = _camera(sender)

    def known() -> np.ndarray:
        device_us = np.array([frame.t_device_us for frame in sink.frames])
        return device_us[device_us > 0]

    wait_until(lambda: len(known()) >= 160, "frames with stamps of their own", 40.0)
    camera.close()
    sent, received = np.diff(sent_us), np.diff(known())

    def shares(intervals_us: np.ndarray) -> list[float]:
        return [float(np.mean(np.abs(intervals_us - usual_us) < 2000)) for usual_us in (33_333, 41_667)]

    # The file changes its rate on the way; both rates arrive, and nothing is made even.
    assert min(shares(sent)) > 0.3
    assert min(shares(received)) > 0.25
    assert sum(shares(received)) > 0.9


# ---------------------------------------------------------------- files through OpenCV


def test_opencv_frames_are_stamped_with_the_host_clock(tmp_path: Path) -> None:
    """OpenCV reads a file as fast as it can; the file's own times are then no clock and are not taken for one."""
    path = write_video(tmp_path / "stream.mp4", list(range(0, 4000, 40)))
    clock = SystemClock()
    camera = Webcam(clock, str(path), 96, 64, 25.0)
    camera.connect()
    info = camera.describe()
    assert (info.role, info.kind, info.width_px, info.height_px) == ("camera", "webcam", 96, 64)
    assert not info.simulated
    sink = Collector()
    before_us = clock.now_us()
    camera.start(sink)
    wait_until(lambda: len(sink.frames) >= 40, "40 frames")
    camera.stop()
    camera.stop()
    after_us = clock.now_us()
    delivered = sink.n_calls
    camera.close()
    camera.close()
    assert sink.n_calls == delivered
    assert np.all(np.diff(sink.times_us) > 0)
    assert before_us <= sink.times_us[0]
    assert sink.times_us[-1] <= after_us
    assert all(frame.t_device_us == -1 for frame in sink.frames)
    assert sink.frames[0].image.shape == (64, 96, 3)


def test_a_file_that_ends_says_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "short.mp4", [0, 40, 80])
    camera = Webcam(SystemClock(), str(path), 96, 64, 25.0)
    camera.connect()
    sink = Collector()
    camera.start(sink)
    wait_until(lambda: bool(sink.events), "a report of the fault")
    camera.close()
    assert sink.events[0][0] == "device_fault"
    assert "check its cable" in sink.events[0][1]


def test_a_missing_camera_is_refused_with_a_next_step(tmp_path: Path) -> None:
    camera = Webcam(SystemClock(), str(tmp_path / "absent.mp4"), 96, 64, 25.0)
    with pytest.raises(DeviceError, match=r"gives no picture.*--camera simulated"):
        camera.connect()
    with pytest.raises(DeviceError, match="before connect"):
        camera.describe()
    with pytest.raises(DeviceError, match="before connect"):
        camera.start(Collector())
    camera.close()


def test_a_missing_camera_gives_one_sentence_and_no_page_of_opencv(capfd: pytest.CaptureFixture[str]) -> None:
    camera = Webcam(SystemClock(), 63, 320, 240, 30.0)
    with pytest.raises(DeviceError, match="Camera 63 gives no picture"):
        camera.connect()
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""


# ---------------------------------------------------------------- what a driver takes


class Driver:
    """In place of cv2.VideoCapture: a USB camera whose driver answers as real ones do."""

    def __init__(self, backend: str = "V4L2", raw_fps: float = 10.0, mjpg_fps: float = 30.0, **limits: Any) -> None:
        self.backend = backend
        self.rates = {"YUYV": raw_fps, "MJPG": mjpg_fps}
        self.limits = limits
        self.format = "YUYV"
        self.size = [640, 480]
        self.fps = raw_fps
        self.manual = False
        self.exposure = 156.0 if backend == "V4L2" else -6.0
        self.modes: list[float] = []

    def __call__(self, *_: Any) -> Driver:
        return self

    def isOpened(self) -> bool:
        return True

    def getBackendName(self) -> str:
        return self.backend

    def set(self, what: int, value: float) -> bool:
        if what == cv2.CAP_PROP_FOURCC:
            text = "".join(chr((int(value) >> shift) & 0xFF) for shift in (0, 8, 16, 24))
            self.format = text if self.rates.get(text) else self.format
        elif what == cv2.CAP_PROP_FRAME_WIDTH:
            self.size[0] = int(value)
        elif what == cv2.CAP_PROP_FRAME_HEIGHT:
            self.size[1] = int(value)
        elif what == cv2.CAP_PROP_AUTO_EXPOSURE:
            self.modes.append(value)
            # A camera that takes 'manual' only after 'automatic', as some do.
            self.manual = self.modes[-2:] == [3.0, 1.0] if self.backend == "V4L2" else value == 0.25
        elif what == cv2.CAP_PROP_EXPOSURE:
            if not self.manual or self.limits.get("fixed_exposure_refused"):
                return False
            self.exposure = max(value, self.limits.get("shortest", value))
        if what in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FOURCC):
            self.fps = self.rates[self.format]
        return True

    def get(self, what: int) -> float:
        return {
            cv2.CAP_PROP_FPS: self.fps,
            cv2.CAP_PROP_EXPOSURE: self.exposure,
            cv2.CAP_PROP_FOURCC: float(cv2.VideoWriter.fourcc(*self.format)),
        }.get(what, 0.0)

    def grab(self) -> bool:
        return True

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, np.zeros((self.size[1], self.size[0], 3), np.uint8)

    def read(self) -> tuple[bool, np.ndarray]:
        return self.retrieve()

    def release(self) -> None:
        pass


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[Driver], Driver]:
    def plug_in(driver: Driver) -> Driver:
        monkeypatch.setattr(camera_settings.cv2, "VideoCapture", driver)
        return driver

    return plug_in


def _described(exposure_ms: float = 0.0) -> dict[str, Any]:
    camera = Webcam(SystemClock(), 0, 1280, 720, 30.0, exposure_ms)
    camera.connect()
    info = camera.describe()
    camera.close()
    return {**info.details, "size": (info.width_px, info.height_px), "fps": info.rates_hz["/face/frames"]}


def test_compressed_pictures_are_taken_where_raw_ones_are_too_slow(plug_in: Callable[[Driver], Driver]) -> None:
    driver = plug_in(Driver(raw_fps=10.0, mjpg_fps=30.0))
    details = _described()
    assert (driver.format, details["picture_format"], details["fps"]) == ("MJPG", "MJPG", 30.0)
    assert details["size"] == (1280, 720)
    assert details["refused"] == []


@pytest.mark.parametrize(("raw_fps", "mjpg_fps"), [(30.0, 60.0), (15.0, 15.0), (15.0, 0.0)])
def test_raw_pictures_stay_where_compressing_gains_nothing(
    plug_in: Callable[[Driver], Driver], raw_fps: float, mjpg_fps: float
) -> None:
    driver = plug_in(Driver(raw_fps=raw_fps, mjpg_fps=mjpg_fps))
    details = _described()
    assert driver.format == "YUYV"
    assert details["fps"] == raw_fps
    assert bool(details["refused"]) == (raw_fps < 27)


@pytest.mark.parametrize(("backend", "value"), [("V4L2", 100.0), ("DSHOW", -7.0), ("MSMF", -7.0)])
def test_a_fixed_exposure_is_set_in_the_drivers_unit_and_read_back(
    plug_in: Callable[[Driver], Driver], backend: str, value: float
) -> None:
    driver = plug_in(Driver(backend))
    details = _described(10.0)
    assert driver.exposure == value
    assert details["exposure"] == "fixed"
    assert details["exposure_ms"] == pytest.approx(10.0, rel=0.3)
    assert details["asked_exposure_ms"] == 10.0


def test_without_a_wish_the_exposure_is_left_alone(plug_in: Callable[[Driver], Driver]) -> None:
    driver = plug_in(Driver())
    assert _described()["exposure"] == "automatic"
    assert driver.modes == []


@pytest.mark.parametrize("limits", [{"fixed_exposure_refused": True}, {"shortest": 400.0}])
def test_a_refused_exposure_is_said(plug_in: Callable[[Driver], Driver], limits: dict[str, Any]) -> None:
    plug_in(Driver(**limits))
    camera = Webcam(SystemClock(), 0, 1280, 720, 30.0, 10.0)
    camera.connect()
    assert camera.describe().details["exposure"] == "refused"
    sink = Collector(keep_images=False)
    camera.start(sink)
    camera.close()
    kind, message, _, _ = sink.events[0]
    assert kind == "device_fault"
    assert "does not take a fixed exposure of 10 ms" in message
    assert "exposure_ms = 0" in message


# ---------------------------------------------------------------- stamps and gaps


def test_stamps_that_move_as_a_clock_are_believed() -> None:
    stamps = DeviceStamps()
    judged = [stamps.judge(n * 33_000 + (n * 7919) % 9000, 500 + n * 33_000) for n in range(60)]
    assert judged[:14] == [-1] * 14
    assert judged[14:] == [500 + n * 33_000 for n in range(14, 60)]


@pytest.mark.parametrize(
    "device",
    [lambda n: 0, lambda n: -1000, lambda n: 77_000, lambda n: n + 1, lambda n: 40_000 * n, lambda n: 33_000 * (n % 7)],
    ids=["nothing", "negative", "stuck", "a counter", "a file read too fast", "starting over"],
)
def test_other_stamps_are_not(device: Callable[[int], int]) -> None:
    stamps = DeviceStamps()
    assert all(stamps.judge(n * 10_000, device(n)) == -1 for n in range(100))


def test_a_clock_that_began_anew_must_show_its_pace_again() -> None:
    stamps = DeviceStamps()
    times = [n * 33_000 for n in range(1, 100)]
    judged = [stamps.judge(t, t if t < 1_500_000 else t - 1_500_000 + 1) for t in times]
    again = next(n for n, t in enumerate(times) if t >= 1_500_000)
    assert judged[again - 1] > 0
    assert judged[again : again + 14] == [-1] * 14
    assert judged[-1] > 0


@pytest.mark.parametrize(("interval_us", "missed"), [(33_000, 0), (52_000, 0), (66_500, 1), (101_000, 2)])
def test_gaps_are_counted_in_usual_intervals(interval_us: int, missed: int) -> None:
    frames = MissedFrames()
    assert [frames.count(33_000 + 500 * (n % 2)) for n in range(40)] == [0] * 40
    assert frames.count(interval_us) == missed
    fresh = MissedFrames()
    assert fresh.count(33_000) == fresh.count(interval_us) == 0


def test_a_camera_that_becomes_slow_misses_nothing_for_long() -> None:
    frames = MissedFrames()
    for _ in range(100):
        frames.count(33_000)
    counted = [frames.count(66_700) for _ in range(100)]
    assert sum(counted) == 3
    assert [frames.count(33_000) for _ in range(60)] == [0] * 60
    # Quick again, single gaps count again.
    assert frames.count(66_000) == 1


@pytest.mark.parametrize("size", [(120, 160), (240, 320), (60, 80), (121, 161), (240, 160)])
def test_a_camera_that_comes_back_with_another_size_still_shows_the_whole_picture(size: tuple[int, int]) -> None:
    device = Webcam(SystemClock(), 0, 160, 120, 30.0)
    device._height_px, device._width_px = 120, 160
    # Left half dark, right half bright: a part of a larger picture would be dark alone.
    image = np.zeros((*size, 3), dtype=np.uint8)
    image[:, size[1] // 2 :] = 200
    fitted = device._fitted(image)
    assert fitted.shape == (120, 160, 3)
    assert fitted[:, :70].max() == 0
    assert fitted[:, 90:].min() == 200
