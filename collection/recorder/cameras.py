"""One camera's way into the session file, and what happens when the camera goes away.

A camera that fails never ends a recording: the gaze goes on, a marker says what
happened, and the camera is recorded again as soon as it delivers.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import replace

from collection.devices.base import CapturedFrame, Device, DeviceInfo, Scheduled
from collection.recorder.encoder import PIXEL_FORMAT, TIME_BASE, VideoEncoder
from collection.recorder.encoder_stage import EncoderStage
from collection.recorder.encoding_choice import EncodingChoice, choose_encoding
from collection.recorder.queues import CountedQueue
from collection.recorder.settings import (
    FRAMES_STREAM,
    PACKETS_STREAM,
    SECOND_FRAMES_STREAM,
    SECOND_PACKETS_STREAM,
    RecorderSettings,
)
from collection.recorder.sink import RecordingSink
from collection.recorder.watch import Mark
from data_schema.errors import EmerError
from data_schema.session import markers
from data_schema.session.layout import FRAMES, SECOND_FRAMES
from data_schema.session.video import VideoStream

logger = logging.getLogger(__name__)

#: Raw frames are large, 2.8 MB at 1280x720: so many bytes of them may wait for the encoder, which is 2.4 s of that
#: size at 30 frames/s and 1.1 s of 1920x1080. A busy machine may leave a process alone for a second and more.
MAX_BYTES_WAITING = 200_000_000
#: Where a faster clock than real time makes the camera wait instead of dropping.
MAX_FRAMES_WAITING_PACED = 30
#: Real seconds between two tries to open a camera that is gone.
REVIVE_EVERY_S = 3.0
#: Real seconds that a camera's start may take at the end of a recording; it returns at once by contract.
_VERB_S = 2.0

_STREAMS = {1: (FRAMES_STREAM, PACKETS_STREAM), 2: (SECOND_FRAMES_STREAM, SECOND_PACKETS_STREAM)}
_TABLES = {1: FRAMES.path, 2: SECOND_FRAMES.path}
CAMERA_NAMES = {1: "the camera", 2: "the second camera"}


class CameraSink:
    """What a camera sees of the recording's sink: its own stream of frames, and its faults remembered."""

    def __init__(self, sink: RecordingSink, stream: str) -> None:
        self._sink = sink
        self._stream = stream
        #: The last fault that the camera reported, and when (real seconds).
        self.fault = ""
        self.fault_s = -math.inf

    def rows(self, table: str, rows: object) -> None:
        """Take rows of a table."""
        self._sink.rows(table, rows)  # type: ignore[arg-type]

    def frame(self, frame: CapturedFrame) -> None:
        """Take a frame."""
        self._sink.frame(frame, self._stream)

    def event(self, kind: str, message: str, value: float = math.nan, t_system_us: int | None = None) -> None:
        """Take an event."""
        if kind == markers.DEVICE_FAULT:
            self.fault, self.fault_s = message, time.monotonic()
        self._sink.event(kind, message, value, t_system_us)


class CameraLine:
    """A camera with its encoder, its queues and its state.

    Parameters
    ----------
    number : int
        1 for the camera that films the face, 2 for another one.
    device : Device
        Connected.
    info : DeviceInfo
        What the camera says of itself.
    settings : RecorderSettings
        Encoder and queue lengths.
    sink : RecordingSink
        Where its frames go.
    mark : callable
        Takes a marker's kind, message and value; never waits.
    n_cameras : int
        Cameras that are encoded at the same time.

    Raises
    ------
    MediaError
        If there is no encoder for its pictures.
    """

    def __init__(
        self,
        number: int,
        device: Device,
        info: DeviceInfo,
        settings: RecorderSettings,
        sink: RecordingSink,
        mark: Mark,
        n_cameras: int = 1,
    ) -> None:
        self.number = number
        self.name = CAMERA_NAMES[number]
        self.device = device
        self.frames_stream, self.packets_stream = _STREAMS[number]
        self.table = _TABLES[number]
        self.fps = info.rates_hz.get(FRAMES.path, settings.config.camera.fps)
        self.sink = CameraSink(sink, self.frames_stream)
        self._size = (info.width_px, info.height_px)
        self._settings = settings
        self._mark = mark
        #: What this machine can encode; None if that was not asked.
        self.choice = self._choose(n_cameras)
        details = {**info.details, "camera": number}
        if self.choice is not None:
            details["encoding"] = self.choice.as_json()
        #: As it is stored: the second camera fills its own table.
        self.info = replace(info, rates_hz={self.table: self.fps}, details=details)
        self.encoder = self._make_encoder()
        recording = settings.config.recording
        n_frames = max(2, min(self._max_frames_waiting(), round(self.fps * recording.queue_seconds)))
        self.frames = CountedQueue(self.frames_stream, n_frames, block=settings.paced)
        # Blocks on purpose: frames are dropped before they are encoded, never after.
        self.packets = CountedQueue(self.packets_stream, max(2, round(self.fps * recording.queue_seconds)), block=True)
        self.stage = EncoderStage(self.encoder, self.frames, self.packets, self._make_encoder, mark, self.name)
        self._gone = ""
        self._reviver: threading.Thread | None = None
        self._ending = threading.Event()
        self._verbs = threading.Lock()

    def _max_frames_waiting(self) -> int:
        if self._settings.paced:
            # A camera that waits for the encoder gains nothing from a long queue.
            return MAX_FRAMES_WAITING_PACED
        return MAX_BYTES_WAITING // max(1, 3 * self._size[0] * self._size[1])

    def _choose(self, n_cameras: int) -> EncodingChoice | None:
        """Measure what can be encoded, unless the study forbids to adapt or frames wait for the encoder anyway."""
        camera = self._settings.config.camera
        if not camera.adapt or self._settings.paced:
            return None
        choice = choose_encoding(camera, *self._size, self.fps, n_cameras=n_cameras)
        log = logger.info if choice.as_asked else logger.warning
        log("%s: %s", self.name, choice.reason)
        return choice

    def _make_encoder(self) -> VideoEncoder:
        camera, choice = self._settings.config.camera, self.choice
        return VideoEncoder(
            *self._size, self.fps,
            codec=camera.codec, preset=choice.preset if choice else camera.preset, crf=camera.crf,
            keyframe_every=camera.keyframe_every, encoded_px=(choice.width, choice.height) if choice else None,
        )  # fmt: skip

    @property
    def video(self) -> VideoStream:
        """What a decoder must know."""
        return VideoStream(
            codec=self.encoder.codec,
            extradata=self.encoder.extradata,
            width_px=self.encoder.width_px,
            height_px=self.encoder.height_px,
            time_base=TIME_BASE,
            pixel_format=PIXEL_FORMAT,
        )

    @property
    def lost(self) -> str:
        """Why nothing of this camera is recorded now; empty if all is well."""
        return self._gone or self.stage.lost

    def look(self, silent_s: float) -> None:
        """Notice that the camera has gone or is back; called several times a second.

        Parameters
        ----------
        silent_s : float
            Real seconds for which it has been silent; 0 if it delivers.
        """
        if not silent_s:
            self._gone = ""
            return
        if not self._gone:
            recent = time.monotonic() - self.sink.fault_s < silent_s + 5.0
            self._gone = self.sink.fault if recent and self.sink.fault else f"no picture for {silent_s:.1f} s"
            text = f"{self.name} is lost: {self._gone}; everything else is recorded"
            self._mark(markers.CAMERA_LOST, text[:250], silent_s)
        # A simulated camera keeps to its schedule; a real one may need to be opened anew, unless it does that itself.
        keeps_on = isinstance(self.device, Scheduled) or getattr(self.device, "comes_back_by_itself", False)
        if self._reviver is None and not keeps_on and not self._ending.is_set():
            self._reviver = threading.Thread(target=self._revive, name=f"recorder-revive-{self.number}", daemon=True)
            self._reviver.start()

    def leave_alone(self) -> None:
        """Try no more to bring the camera back; the recording is ending."""
        # A start that has begun is let finish, so that the stop that follows finds it started.
        held = self._verbs.acquire(timeout=_VERB_S)
        self._ending.set()
        if held:
            self._verbs.release()

    def _revive(self) -> None:
        """Close and open the camera until it delivers again."""
        while not self._ending.is_set() and self._gone:
            try:
                self.device.close()
                self.device.connect()
                with self._verbs:
                    if self._ending.is_set():
                        self.device.close()
                        break
                    self.device.start(self.sink)
            except EmerError as error:
                logger.info("%s cannot be opened again yet: %s", self.name, error)
            except Exception:
                # A driver's own trouble; the next try may do better.
                logger.exception("%s cannot be opened again yet", self.name)
            if self._ending.wait(REVIVE_EVERY_S):
                break
        self._reviver = None
