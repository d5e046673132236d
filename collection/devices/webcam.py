"""A camera through OpenCV.

A thin driver: a thread waits for the camera, stamps each frame with the host
clock the moment it is grabbed, and hands it on. Where the camera stamps its
frames itself, and those stamps move as a clock does, they are kept beside. A
camera that is unplugged is opened again when it is back.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from collection.devices.base import CAMERA, CapturedFrame, DeviceInfo, Sink
from collection.devices.camera_settings import CameraRequest, OpenedCamera, is_live, open_camera, opencv_quiet
from collection.devices.frame_timing import DeviceStamps, MissedFrames
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError
from data_schema.session import markers
from data_schema.session.layout import FRAMES

logger = logging.getLogger(__name__)

#: Grabs in a row that may fail before the camera counts as gone. A loose cable
#: fails at once and for ever; a single failure happens on slow USB hubs.
_FAILURES_ALLOWED = 10
_RETRY_S = 0.05
#: A grab that fails after so long has waited for its picture; that is no passing failure.
_WAITED_S = 0.5
#: Real seconds between two attempts to open a camera that is gone, and the longest for one.
_REOPEN_EVERY_S, _REOPEN_TIMEOUT_MS = 1.0, 2_000
#: Old pictures at the start: those that come faster than this share of an interval, and how many at most.
_STALE_SHARE, _STALE_MOST, _STALE_WAITS = 0.25, 300, 2

Image = npt.NDArray[np.uint8]


class Webcam:
    """A camera by its index or path, or a network stream by its address.

    Parameters
    ----------
    clock : HostClock
        Clock of the recording.
    source : int or str
        Index of the camera, its path, or an address that OpenCV opens.
    width_px, height_px : int
        Size asked for; ``describe`` says which one the camera gave.
    fps : float
        Rate asked for.
    exposure_ms : float
        Fixed exposure asked for; 0 leaves it to the camera.
    """

    #: The recorder need not open it again itself.
    comes_back_by_itself = True

    def __init__(
        self,
        clock: HostClock,
        source: int | str,
        width_px: int,
        height_px: int,
        fps: float,
        exposure_ms: float = 0.0,
    ) -> None:
        self.clock = clock
        self.source = source
        self._request = CameraRequest(width_px, height_px, fps, exposure_ms)
        self._opened: OpenedCamera | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._verb_lock = threading.RLock()

    # -- the verbs ----------------------------------------------------------------------

    def connect(self) -> None:
        """Open the camera, set it, and take a first picture.

        Raises
        ------
        DeviceError
            If there is no camera or it gives no picture.
        """
        with self._verb_lock:
            if self._opened is not None:
                return
            opened = open_camera(self.source, self._request)
            image = _first_picture(opened)
            if image is None:
                opened.capture.release()
                other = 1 if self.source == 0 else 0
                raise DeviceError(
                    f"Camera {self.source} gives no picture. Check its cable and that no other program uses it, "
                    f"try another index such as --camera {other}, or rehearse with --camera simulated."
                )
            self._height_px, self._width_px = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
            reported = float(opened.capture.get(cv2.CAP_PROP_FPS))
            self._fps = reported if 1.0 <= reported <= 1000.0 else self._request.fps
            if (self._width_px, self._height_px) != (self._request.width_px, self._request.height_px):
                logger.info("camera %s gives %d x %d pixels", self.source, self._width_px, self._height_px)
            self._opened = opened

    def describe(self) -> DeviceInfo:
        """Say what the camera is and which size, rate and exposure it gives."""
        opened = self._opened
        if opened is None:
            raise DeviceError(f"Camera {self.source}: describe() was called before connect().")
        return DeviceInfo(
            role=CAMERA,
            kind="webcam",
            model=f"Camera {self.source} ({opened.backend})",
            rates_hz={FRAMES.path: self._fps},
            width_px=self._width_px,
            height_px=self._height_px,
            details={**opened.details, "refused": list(opened.refusals)},
        )

    def start(self, sink: Sink) -> None:
        """Deliver frames from now on.

        Raises
        ------
        DeviceError
            If the camera is not connected or runs already.
        """
        with self._verb_lock:
            if self._opened is None:
                raise DeviceError(f"Camera {self.source}: start() was called before connect().")
            if self._thread is not None:
                raise DeviceError(f"Camera {self.source}: it is running already; stop() it before it is started again.")
            for refusal in self._opened.refusals:
                sink.event(markers.DEVICE_FAULT, f"camera {self.source}: {refusal}"[:250])
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, args=(sink,), name=f"camera {self.source}", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop delivering; idempotent. Waits for the picture that is being taken."""
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
            if self._opened is not None:
                self._opened.capture.release()
                self._opened = None

    # -- the thread -------------------------------------------------------------------

    def _run(self, sink: Sink) -> None:
        try:
            # Its own messages about lost packets and timeouts would fill the console.
            with opencv_quiet():
                self._deliver(sink)
        except Exception as error:
            logger.exception("camera %s stopped delivering", self.source)
            sink.event(markers.DEVICE_FAULT, f"camera {self.source} stopped delivering: {error}"[:250])

    def _deliver(self, sink: Sink) -> None:
        stamps, missing = DeviceStamps(), MissedFrames()
        last_us, last_device_us, gap = -1, -1, False
        self._drop_stale()
        while not self._stopping.is_set():
            if not self._grab():
                if self._stopping.is_set() or not self._come_back(sink, last_us):
                    return
                stamps, gap, last_device_us = DeviceStamps(), True, -1
                self._drop_stale()
                continue
            t_us = max(self.clock.now_us(), last_us + 1)
            t_device_us = stamps.judge(t_us, round(1000.0 * self._position_ms()))
            good, image = self._capture.retrieve()
            if not good or image is None or self._stopping.is_set():
                continue
            missed = 0
            if gap:
                missed, gap = missing.lost(t_us - last_us), False
            elif last_us >= 0:
                # The camera's own stamps know nothing of a busy host.
                both = t_device_us >= 0 and last_device_us >= 0
                missed = missing.count(t_device_us - last_device_us if both else t_us - last_us)
            last_us, last_device_us = t_us, t_device_us
            sink.frame(CapturedFrame(t_us, self._fitted(image), t_device_us, missed))

    @property
    def _capture(self) -> Any:
        opened = self._opened
        if opened is None:
            raise DeviceError(f"Camera {self.source}: it was closed while it ran.")
        return opened.capture

    def _position_ms(self) -> float:
        position = float(self._capture.get(cv2.CAP_PROP_POS_MSEC))
        return position if np.isfinite(position) else 0.0

    def _grab(self) -> bool:
        """Grab a frame; a few failures in a row are let pass."""
        for _ in range(_FAILURES_ALLOWED):
            before_us = self.clock.now_us()
            if self._capture.grab():
                return True
            if self.clock.now_us() - before_us > _WAITED_S * 1e6 or self._stopping.wait(_RETRY_S):
                return False
        return False

    def _drop_stale(self) -> None:
        """Throw away what waits in the driver: old pictures with new stamps would be wrong in time."""
        if not is_live(self.source):
            return
        longest_us = _STALE_SHARE * 1e6 / self._fps
        waited = 0
        for _ in range(_STALE_MOST):
            before_us = self.clock.now_us()
            if self._stopping.is_set() or not self._capture.grab():
                return
            # Once may be the decoder; twice in a row it is the camera that is waited for.
            waited = waited + 1 if self.clock.now_us() - before_us > longest_us else 0
            if waited == _STALE_WAITS:
                return

    def _come_back(self, sink: Sink, last_us: int) -> bool:
        """Open the camera again and again until it gives pictures; False if it is stopped meanwhile."""
        now_us = self.clock.now_us()
        # Noticing takes a while; it is away since its last picture.
        gone_us = last_us if last_us >= 0 else now_us
        if not is_live(self.source):
            sink.event(markers.DEVICE_FAULT, f"camera {self.source} gives no more pictures; check its cable")
            return False
        sink.event(
            markers.DEVICE_FAULT,
            f"camera {self.source} gives no more pictures; check its cable. It is recorded again as soon as it is back",
            t_system_us=now_us,
        )
        attempts = 0
        while not self._stopping.is_set():
            attempts += 1
            self._capture.release()
            opened = open_camera(self.source, self._request, open_timeout_ms=_REOPEN_TIMEOUT_MS)
            if _first_picture(opened) is not None:
                self._opened = opened
                away_s = (self.clock.now_us() - gone_us) / 1e6
                sink.event(
                    markers.DEVICE_CONNECTED,
                    f"camera {self.source} is back after {away_s:.1f} s and {attempts} attempts",
                    away_s,
                )
                return True
            opened.capture.release()
            self._stopping.wait(_REOPEN_EVERY_S)
        return False

    def _fitted(self, image: Any) -> Image:
        """Return the whole picture in the size of the first one; a camera may come back with another."""
        # One row or column more is what makes an odd size even; anything else is another size.
        more = image.shape[0] - self._height_px, image.shape[1] - self._width_px
        if not (0 <= more[0] <= 1 and 0 <= more[1] <= 1):
            image = cv2.resize(image, (self._width_px, self._height_px))
        return np.ascontiguousarray(image[: self._height_px, : self._width_px], dtype=np.uint8)


def _first_picture(opened: OpenedCamera) -> Image | None:
    if not opened.capture.isOpened():
        return None
    with opencv_quiet():
        good, image = opened.capture.read()
    return image if good else None
