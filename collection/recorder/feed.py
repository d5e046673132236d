"""What an operator sees of a running recording: ten messages a second, and nothing at all while nobody listens.

Kinds: status, gaze, head, frame (with a JPEG), marker.
Devices only hand references over; everything is computed in the feed's own thread.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from collection.devices.base import CapturedFrame
from collection.live import LiveServer
from collection.live.messages import plain
from collection.recorder.recording import Recording
from collection.recorder.settings import FRAMES_STREAM, SECOND_FRAMES_STREAM
from data_schema.clocks import fit_clock
from data_schema.errors import ClockError
from data_schema.session.layout import GAZE, MARKERS, TIME_SYNC, USER_POSITION

Rows = npt.NDArray[np.void]

logger = logging.getLogger(__name__)

#: Real seconds between two rounds of messages.
FEED_EVERY_S = 0.1
#: Gaze samples a second that are sent: a window draws no more.
GAZE_HZ = 60.0
#: Largest width of a preview, and its JPEG quality: 10 to 20 kB a picture.
PREVIEW_WIDTH_PX = 480
_JPEG_QUALITY = 70
#: Real seconds over which lost samples are counted.
LOSS_WINDOW_S = 10.0
#: Time synchronisation pairs that the clock is fitted to: five minutes at one a second.
_SYNC_PAIRS = 300
#: Fewer pairs than this say less than the stamps of the gaze samples do.
_MIN_SYNC_PAIRS = 10
#: Gaze stamps that the clock is fitted to instead: three minutes, one a round.
_STAMPS = 1800
_FIT_EVERY_S = 2.0
#: Older positions of the head say nothing about where it is now, real seconds.
_HEAD_MAX_AGE_S = 1.0
#: Blocks of gaze, and markers, that may wait for the feed's thread.
_MAX_BLOCKS = 4000
_CAMERA_OF = {FRAMES_STREAM: 1, SECOND_FRAMES_STREAM: 2}


class SyncTap:
    """Keep the last time synchronisation pairs, one a second, so that a listener who comes late sees minutes."""

    def __init__(self) -> None:
        self.pairs: deque[tuple[int, int]] = deque(maxlen=_SYNC_PAIRS)

    def rows(self, table: str, rows: Rows) -> None:
        """Keep pairs of device and host time."""
        if table == TIME_SYNC.path:
            for row in rows:
                host = (int(row["t_request_us"]) + int(row["t_response_us"])) // 2
                self.pairs.append((int(row["t_device_us"]), host))

    def frame(self, stream: str, frame: CapturedFrame) -> None:
        """Pictures say nothing about the tracker's clock."""


class FeedTap:
    """Keep references to what has passed since the last round; only there while somebody listens."""

    def __init__(self) -> None:
        self.gaze: deque[Rows] = deque(maxlen=_MAX_BLOCKS)
        self.markers: deque[Rows] = deque(maxlen=_MAX_BLOCKS)
        self.position: tuple[float, Rows] | None = None
        self.frames: dict[str, CapturedFrame] = {}

    def rows(self, table: str, rows: Rows) -> None:
        """Take rows."""
        if table == GAZE.path:
            self.gaze.append(rows)
        elif table == MARKERS.path:
            self.markers.append(rows)
        elif table == USER_POSITION.path:
            self.position = (time.monotonic(), rows[-1:])

    def frame(self, stream: str, frame: CapturedFrame) -> None:
        """Take a picture; only the newest counts."""
        self.frames[stream] = frame


class LossWindow:
    """Share of samples without gaze over the last seconds, for each eye and for both together."""

    def __init__(self, window_s: float = LOSS_WINDOW_S) -> None:
        self._window_s = window_s
        self._counts: deque[tuple[float, npt.NDArray[np.int64]]] = deque()

    def add(self, rows: Rows, now_s: float) -> None:
        """Count samples."""
        left, right = rows["left_gaze_valid"] == 0, rows["right_gaze_valid"] == 0
        counts = np.array([len(rows), left.sum(), right.sum(), (left & right).sum()], dtype=np.int64)
        self._counts.append((now_s, counts))

    def shares(self, now_s: float) -> dict[str, float | None]:
        """Return the shares by 'left', 'right', 'both'; None if there were no samples."""
        while self._counts and now_s - self._counts[0][0] > self._window_s:
            self._counts.popleft()
        total, *lost = sum((counts for _, counts in self._counts), np.zeros(4, dtype=np.int64)).tolist()
        return {name: n / total if total else None for name, n in zip(("left", "right", "both"), lost, strict=True)}


class LiveFeed:
    """Send what happens in a recording to the listeners of a live server.

    Parameters
    ----------
    server : LiveServer
        Not closed by the feed.
    recording : Recording
        Running.
    planned_s : float
        Planned length of the session, told to the listeners.
    """

    def __init__(self, server: LiveServer, recording: Recording, planned_s: float) -> None:
        self._server = server
        self._recording = recording
        self._planned_s = planned_s
        self._sync = SyncTap()
        self._tap: FeedTap | None = None
        self._loss = LossWindow()
        self._stamps: deque[tuple[int, int]] = deque(maxlen=_STAMPS)
        self._clock: dict[str, Any] | None = None
        self._fitted_s = -math.inf
        self._round_s = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder-feed", daemon=True)
        recording.observe(self._sync)
        self._thread.start()

    def close(self) -> None:
        """Send a last round and end; idempotent."""
        self._ended.set()
        self._thread.join(5.0)
        self._recording.ignore(self._sync)

    def _run(self) -> None:
        while not self._ended.wait(FEED_EVERY_S):
            self._look()
        self._look()
        self._end_listening()

    def _look(self) -> None:
        if not self._server.n_clients:
            self._end_listening()
            return
        if self._tap is None:
            self._tap = FeedTap()
            self._loss = LossWindow()
            self._round_s = time.monotonic()
            self._recording.observe(self._tap)
            self._fitted_s = -math.inf
        try:
            self._send_round(self._tap)
        except Exception:
            # The console goes blind; the recording does not care.
            logger.exception("the live feed failed for a moment")

    def _end_listening(self) -> None:
        if self._tap is not None:
            self._recording.ignore(self._tap)
            self._tap = None
            self._stamps.clear()

    def _send_round(self, tap: FeedTap) -> None:
        now_s = time.monotonic()
        elapsed_s, self._round_s = now_s - self._round_s, now_s
        for rows in _take_all(tap.markers):
            for row in rows:
                self._server.send(marker_message(row))
        blocks = _take_all(tap.gaze)
        gaze = np.concatenate(blocks) if blocks else GAZE.empty()
        if len(gaze):
            self._loss.add(gaze, now_s)
            self._stamps.append((int(gaze["t_device_us"][-1]), int(gaze["t_system_us"][-1])))
            self._server.send(gaze_message(gaze, max(1, round(GAZE_HZ * min(elapsed_s, 1.0)))))
        if len(gaze) or tap.position is not None:
            self._server.send(head_message(tap.position, gaze, now_s))
        for stream in list(tap.frames):
            message, payload = preview(_CAMERA_OF.get(stream, 0), tap.frames.pop(stream))
            self._server.send(message, payload)
        self._server.send(self._status_message(now_s))

    def _status_message(self, now_s: float) -> dict[str, Any]:
        status = self._recording.status()
        minutes = self._recording.minutes_left
        return {
            **plain(status),
            "kind": "status",
            "planned_s": self._planned_s,
            "clock": self._fit(now_s),
            "loss": self._loss.shares(now_s),
            "effective_hz": {name: stream.rate_hz for name, stream in status.streams.items()},
            "nominal_hz": {name: s.expected_hz for name, s in status.streams.items() if s.expected_hz > 0},
            "minutes_left_on_disk": minutes,
        }

    def _fit(self, now_s: float) -> dict[str, Any] | None:
        """Fit the tracker's clock again, now and then."""
        if now_s - self._fitted_s < _FIT_EVERY_S:
            return self._clock
        self._fitted_s = now_s
        pairs = list(self._sync.pairs)
        source = "time_sync"
        if len(pairs) < _MIN_SYNC_PAIRS:
            pairs, source = list(self._stamps), "gaze"
        self._clock = clock_message(pairs, source)
        return self._clock


def clock_message(pairs: list[tuple[int, int]], source: str) -> dict[str, Any] | None:
    """Return offset, drift and residual of the tracker's clock; None if there is too little to say.

    Parameters
    ----------
    pairs : list of tuple of int
        Device and host time, microseconds.
    source : str
        'time_sync' or 'gaze'.
    """
    if len(pairs) < _MIN_SYNC_PAIRS:
        return None
    device, host = np.array(pairs, dtype=np.int64).T
    try:
        # The stretch since the last reset of the device's clock.
        segment = fit_clock(device, host).segments[-1]
    except ClockError:
        return None
    since = int(device[-1]) - segment.t_device_first_us
    return {
        "offset_us": segment.offset_us + segment.drift_ppm * 1e-6 * since,
        "drift_ppm": segment.drift_ppm,
        "residual_us": segment.residual_sd_us,
        "source": source,
        "n": segment.n_used,
    }


def gaze_message(rows: Rows, n_most: int) -> dict[str, Any]:
    """Return at most `n_most` of the samples, evenly chosen, the last one included."""
    if len(rows) > n_most:
        rows = rows[np.linspace(0, len(rows) - 1, n_most + 1).round().astype(int)[1:]]
    message: dict[str, Any] = {"kind": "gaze", "t_us": rows["t_system_us"]}
    for eye in ("left", "right"):
        message[eye] = rows[f"{eye}_gaze_norm"].astype(float).round(5)
        message[f"{eye}_valid"] = rows[f"{eye}_gaze_valid"] > 0
        message[f"{eye}_pupil_mm"] = rows[f"{eye}_pupil_mm"].astype(float).round(3)
    return message


def head_message(position: tuple[float, Rows] | None, gaze: Rows, now_s: float) -> dict[str, Any]:
    """Return where the head is in the track box, and how far from the tracker."""
    message: dict[str, Any] = {"kind": "head", "left": None, "right": None, "distance_mm": None}
    if position is not None and now_s - position[0] <= _HEAD_MAX_AGE_S:
        row = position[1]
        for eye in ("left", "right"):
            if row[f"{eye}_valid"][0]:
                message[eye] = row[f"{eye}_position_norm"][0].astype(float).round(4)
    depths = [gaze[f"{eye}_origin_user_mm"][gaze[f"{eye}_origin_valid"] > 0, 2] for eye in ("left", "right")]
    depth = np.concatenate(depths)
    if len(depth):
        message["distance_mm"] = round(float(np.mean(depth)), 1)
    return message


def preview(camera: int, frame: CapturedFrame) -> tuple[dict[str, Any], bytes]:
    """Return a small JPEG of a frame and the message that goes before it."""
    import cv2

    image = frame.image
    height, width = image.shape[:2]
    if width > PREVIEW_WIDTH_PX:
        size = (PREVIEW_WIDTH_PX, max(1, round(height * PREVIEW_WIDTH_PX / width)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    _, jpeg = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    height, width = image.shape[:2]
    return {"kind": "frame", "camera": camera, "t_us": frame.t_capture_us, "width": width, "height": height}, bytes(
        jpeg
    )


def marker_message(row: np.void) -> dict[str, Any]:
    """Return a marker as a message."""
    return {
        "kind": "marker",
        "t_us": int(row["t_system_us"]),
        "marker": bytes(row["kind"]).decode("utf-8", errors="replace"),
        "value": float(row["value"]),
        "message": bytes(row["message"]).decode("utf-8", errors="replace"),
        "trial_id": int(row["trial_id"]),
    }


def _take_all(blocks: deque[Rows]) -> list[Any]:
    """Return what is in the deque now; whoever fills it is not waited for."""
    return [blocks.popleft() for _ in range(len(blocks))]
