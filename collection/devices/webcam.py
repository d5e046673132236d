"""A camera through OpenCV.

A thin driver: a thread waits for the camera, stamps each frame with the host
clock the moment it is grabbed, and hands it on. Stamps of the camera itself are
not offered by OpenCV on all systems and are not used.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from collection.devices.base import CAMERA, CapturedFrame, DeviceInfo, Sink
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError
from data_schema.session import markers
from data_schema.session.layout import FRAMES

logger = logging.getLogger(__name__)

#: Grabs in a row that may fail before the camera counts as gone. A loose cable
#: fails at once and for ever; a single failure happens on slow USB hubs.
_FAILURES_ALLOWED = 10
_RETRY_S = 0.05
#: An interval longer than this many median ones is counted as missed frames.
_GAP_FACTOR = 1.75
_INTERVALS_KEPT = 60


@contextmanager
def _opencv_quiet() -> Iterator[None]:
    """Keep OpenCV from printing pages of its own about a camera that is not there; our error says it."""
    log = getattr(cv2.utils, "logging", None)
    if log is None:
        yield
        return
    before = log.getLogLevel()
    log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        log.setLogLevel(before)


class Webcam:
    """A camera by its index, or a network stream by its address.

    Parameters
    ----------
    clock : HostClock
        Clock of the recording.
    source : int or str
        Index of the camera, or an address that OpenCV opens.
    width_px, height_px : int
        Size asked for; ``describe`` says which one the camera gave.
    fps : float
        Rate asked for.
    """

    def __init__(self, clock: HostClock, source: int | str, width_px: int, height_px: int, fps: float) -> None:
        self.clock = clock
        self.source = source
        self._asked = (width_px, height_px, fps)
        self._capture: cv2.VideoCapture | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._verb_lock = threading.RLock()

    def connect(self) -> None:
        """Open the camera and take a first picture.

        Raises
        ------
        DeviceError
            If there is no camera or it gives no picture.
        """
        with self._verb_lock:
            if self._capture is not None:
                return
            with _opencv_quiet():
                capture = cv2.VideoCapture(self.source)
            width_px, height_px, fps = self._asked
            if isinstance(self.source, int):
                capture.set(cv2.CAP_PROP_FRAME_WIDTH, width_px)
                capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height_px)
                capture.set(cv2.CAP_PROP_FPS, fps)
                # One buffered frame at most: an old picture with a new stamp would be wrong in time.
                capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
            good, image = capture.read() if capture.isOpened() else (False, None)
            if not good or image is None:
                capture.release()
                raise DeviceError(
                    f"Camera {self.source} gives no picture. Check its cable and that no other program uses it, "
                    f"try another index such as --camera {1 if self.source == 0 else 0}, or rehearse with --camera simulated."
                )
            self._height_px, self._width_px = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
            reported = float(capture.get(cv2.CAP_PROP_FPS))
            self._fps = reported if 1.0 <= reported <= 1000.0 else fps
            self._backend = capture.getBackendName()
            self._capture = capture

    def describe(self) -> DeviceInfo:
        """Say what the camera is and which size and rate it gives."""
        if self._capture is None:
            raise DeviceError(f"Camera {self.source}: describe() was called before connect().")
        width_px, height_px, fps = self._asked
        return DeviceInfo(
            role=CAMERA,
            kind="webcam",
            model=f"Camera {self.source} ({self._backend})",
            rates_hz={FRAMES.path: self._fps},
            width_px=self._width_px,
            height_px=self._height_px,
            details={"asked_width_px": width_px, "asked_height_px": height_px, "asked_fps": fps},
        )

    def start(self, sink: Sink) -> None:
        """Deliver frames from now on.

        Raises
        ------
        DeviceError
            If the camera is not connected or runs already.
        """
        with self._verb_lock:
            if self._capture is None:
                raise DeviceError(f"Camera {self.source}: start() was called before connect().")
            if self._thread is not None:
                raise DeviceError(f"Camera {self.source}: it is running already; stop() it before it is started again.")
            self._stopping.clear()
            self._thread = threading.Thread(
                target=self._run, args=(self._capture, sink), name=f"camera {self.source}", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Stop delivering; idempotent."""
        with self._verb_lock:
            if self._thread is None:
                return
            self._stopping.set()
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        """Stop and release the camera; idempotent."""
        with self._verb_lock:
            self.stop()
            if self._capture is not None:
                self._capture.release()
                self._capture = None

    def _run(self, capture: cv2.VideoCapture, sink: Sink) -> None:
        failures = 0
        last_us = -1
        intervals: list[int] = []
        try:
            while not self._stopping.is_set():
                if not capture.grab():
                    failures += 1
                    if failures >= _FAILURES_ALLOWED:
                        sink.event(
                            markers.DEVICE_FAULT, f"camera {self.source} gives no more pictures; check its cable"
                        )
                        return
                    self._stopping.wait(_RETRY_S)
                    continue
                t_us = max(self.clock.now_us(), last_us + 1)
                failures = 0
                good, image = capture.retrieve()
                if not good or self._stopping.is_set():
                    continue
                missed = 0
                if last_us >= 0:
                    missed = _missed_frames(t_us - last_us, intervals)
                    intervals.append(t_us - last_us)
                    del intervals[:-_INTERVALS_KEPT]
                last_us = t_us
                picture = np.ascontiguousarray(image[: self._height_px, : self._width_px], dtype=np.uint8)
                sink.frame(CapturedFrame(t_us, picture, missed_before=missed))
        except Exception as error:
            logger.exception("camera %s stopped delivering", self.source)
            sink.event(markers.DEVICE_FAULT, f"camera {self.source} stopped delivering: {error}"[:250])


def _missed_frames(interval_us: int, intervals_us: list[int]) -> int:
    """Estimate how many frames are missing in an interval, from the ones before it."""
    if len(intervals_us) < _INTERVALS_KEPT // 4:
        return 0
    usual_us = float(np.median(intervals_us))
    return round(interval_us / usual_us) - 1 if interval_us > _GAP_FACTOR * usual_us else 0
