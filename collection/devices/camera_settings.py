"""Open a camera through OpenCV and set it: size, rate, picture format, exposure.

What a driver takes and what it says it took are two things; everything is read
back, and what it refused is said.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import cv2

#: Opening, and one picture, may take so long on a network, milliseconds.
OPEN_TIMEOUT_MS, READ_TIMEOUT_MS = 5_000, 2_000
#: Linux waits this many seconds for a picture before it says that there is none.
_V4L_TIMEOUT_S = 3
#: A rate this much below the one asked for is worth another picture format.
_RATE_ENOUGH = 0.9
#: An exposure that is read back this near to what was asked for was taken; DirectShow has powers of two.
_EXPOSURE_FACTOR = 1.5


@dataclass(frozen=True)
class CameraRequest:
    """What is asked of a camera.

    Parameters
    ----------
    width_px, height_px : int
        Size of the picture.
    fps : float
        Frames per second.
    exposure_ms : float
        Fixed exposure; 0 leaves it to the camera.
    """

    width_px: int
    height_px: int
    fps: float
    exposure_ms: float = 0.0


@dataclass
class OpenedCamera:
    """A camera that OpenCV has opened.

    Parameters
    ----------
    capture : cv2.VideoCapture
    backend : str
        OpenCV's name of the driver, such as 'V4L2'.
    details : dict
        What was asked and what was given, for the session file.
    refusals : list of str
        Sentences about what the driver did not take.
    """

    capture: Any
    backend: str
    details: dict[str, Any] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)


class _Quiet:
    """How many ask OpenCV for silence now, and how loud it was before the first."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.depth = 0
        self.before: Any = None


_quiet = _Quiet()


@contextmanager
def opencv_quiet() -> Iterator[None]:
    """Keep OpenCV from printing pages of its own about a camera that is not there; our error says it."""
    # Read once by OpenCV, when it first opens a stream.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(_V4L_TIMEOUT_S))
    log = getattr(cv2.utils, "logging", None)
    if log is None:
        yield
        return
    with _quiet.lock:
        if _quiet.depth == 0:
            _quiet.before = log.getLogLevel()
            log.setLogLevel(log.LOG_LEVEL_SILENT)
        _quiet.depth += 1
    try:
        yield
    finally:
        with _quiet.lock:
            _quiet.depth -= 1
            if _quiet.depth == 0:
                log.setLogLevel(_quiet.before)


def is_live(source: int | str) -> bool:
    """Tell a camera or a network stream from a file."""
    return isinstance(source, int) or "://" in source or source.startswith("/dev/")


def open_camera(source: int | str, request: CameraRequest, *, open_timeout_ms: int = OPEN_TIMEOUT_MS) -> OpenedCamera:
    """Open a camera and set what can be set; the caller checks whether it gives a picture.

    Parameters
    ----------
    source : int or str
        Index, device path, network address or file.
    request : CameraRequest
        What is asked of it.
    open_timeout_ms : int
        How long a network stream may take to answer.
    """
    with opencv_quiet():
        capture = _open(source, open_timeout_ms)
        if not capture.isOpened():
            return OpenedCamera(capture, "")
        opened = OpenedCamera(capture, str(capture.getBackendName()))
        opened.details = {
            "asked_width_px": request.width_px,
            "asked_height_px": request.height_px,
            "asked_fps": request.fps,
            "backend": opened.backend,
        }
        if isinstance(source, int) or source.startswith("/dev/"):
            _set_picture(opened, request)
            _set_exposure(opened, request)
        return opened


def _open(source: int | str, open_timeout_ms: int) -> Any:
    if isinstance(source, str) and "://" in source:
        timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, open_timeout_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS]
        return cv2.VideoCapture(source, cv2.CAP_FFMPEG, timeouts)
    if isinstance(source, int) and sys.platform == "win32":
        # DirectShow opens at once and takes exposures; Media Foundation, OpenCV's first choice, needs seconds.
        capture = cv2.VideoCapture(source, cv2.CAP_DSHOW)
        if capture.isOpened():
            return capture
        capture.release()
    return cv2.VideoCapture(source)


def _set_picture(opened: OpenedCamera, request: CameraRequest) -> None:
    """Set size and rate; take compressed pictures where raw ones are too slow for the cable."""
    capture = opened.capture
    before = int(capture.get(cv2.CAP_PROP_FOURCC))
    fps = _ask(capture, request)
    if fps < _RATE_ENOUGH * request.fps:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        compressed_fps = _ask(capture, request)
        if compressed_fps > fps:
            fps = compressed_fps
        else:
            capture.set(cv2.CAP_PROP_FOURCC, before)
            fps = _ask(capture, request)
    # One buffered frame at most: an old picture with a new stamp would be wrong in time.
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    opened.details["picture_format"] = _format_name(int(capture.get(cv2.CAP_PROP_FOURCC)))
    if 0 < fps < _RATE_ENOUGH * request.fps:
        opened.refusals.append(f"it offers {fps:g} frames per second at this size, asked were {request.fps:g}")


def _ask(capture: Any, request: CameraRequest) -> float:
    """Ask for size and rate; return the rate that the driver says it took, 0 if it does not say."""
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, request.width_px)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, request.height_px)
    capture.set(cv2.CAP_PROP_FPS, request.fps)
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    return fps if math.isfinite(fps) and fps > 0 else 0.0


def _format_name(code: int) -> str:
    text = "".join(chr((code >> shift) & 0xFF) for shift in (0, 8, 16, 24))
    return text if text.isprintable() and text.strip() else ""


def _set_exposure(opened: OpenedCamera, request: CameraRequest) -> None:
    """Fix the exposure, read it back, and say what came of it.

    Drivers count differently: Video4Linux in tenths of a millisecond, DirectShow and
    Media Foundation in powers of two of a second.
    """
    if not request.exposure_ms:
        opened.details["exposure"] = "automatic"
        return
    capture, video4linux = opened.capture, opened.backend == "V4L2"
    value = 10.0 * request.exposure_ms if video4linux else float(round(math.log2(request.exposure_ms / 1000.0)))
    # Some Video4Linux cameras take 'manual' (1) only after 'automatic' (3) was set.
    for mode in (3.0, 1.0) if video4linux else (0.25,):
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, mode)
    taken = bool(capture.set(cv2.CAP_PROP_EXPOSURE, value))
    read_back = float(capture.get(cv2.CAP_PROP_EXPOSURE))
    exposure_ms = read_back / 10.0 if video4linux else 1000.0 * 2.0**read_back
    ratio = exposure_ms / request.exposure_ms if exposure_ms > 0 else 0.0
    opened.details["asked_exposure_ms"] = request.exposure_ms
    if taken and 1 / _EXPOSURE_FACTOR <= ratio <= _EXPOSURE_FACTOR:
        opened.details["exposure"] = "fixed"
        opened.details["exposure_ms"] = round(exposure_ms, 3)
        return
    opened.details["exposure"] = "refused"
    said = f"; it stays at {exposure_ms:g} ms" if taken and exposure_ms > 0 else ""
    opened.refusals.append(
        f"it does not take a fixed exposure of {request.exposure_ms:g} ms{said}. Set it in the camera's own program, "
        "or set exposure_ms = 0 in [camera] of study.toml"
    )
