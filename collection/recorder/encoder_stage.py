"""The thread that encodes one camera's frames, and that outlives an encoder which fails."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from collection.devices.base import CapturedFrame
from collection.recorder.encoder import FrameRejected, VideoEncoder
from collection.recorder.queues import ENCODER_FAILED, CountedQueue
from collection.recorder.watch import Mark
from data_schema.errors import EmerError, RecordingError
from data_schema.session import markers

logger = logging.getLogger(__name__)

#: Real seconds after which an encoder that failed is tried again, at first and at most.
_RETRY_FIRST_S = 1.0
_RETRY_LONGEST_S = 30.0


class EncoderStage:
    """Take frames, encode them, hand packets on.

    A full packets queue makes this stage wait: a packet that is thrown away
    after encoding would damage all frames up to the next key frame, a frame
    thrown away before encoding costs one frame.

    An encoder that fails does not end the recording: the frames are counted as
    dropped, and a new encoder is tried now and then.

    Parameters
    ----------
    make_encoder : callable
        Returns a new encoder with the same settings as `encoder`.
    mark : callable
        Takes a marker's kind, message and value.
    name : str
        The camera, for messages.
    """

    def __init__(
        self,
        encoder: VideoEncoder,
        frames: CountedQueue,
        packets: CountedQueue,
        make_encoder: Callable[[], VideoEncoder],
        mark: Mark,
        name: str = "the camera",
    ) -> None:
        self._encoder = encoder
        self._frames = frames
        self._packets = packets
        self._make_encoder = make_encoder
        self._mark = mark
        self._name = name
        self._rejected_before = 0
        self._broken = False
        self._retry_s = 0.0
        self._retry_after_s = _RETRY_FIRST_S
        #: Why frames cannot be encoded now; empty if they can.
        self.lost = ""
        self._thread = threading.Thread(target=self._run, name=f"recorder-encoder-{frames.name}", daemon=True)

    def start(self) -> None:
        """Begin to encode."""
        self._thread.start()

    def finish(self) -> None:
        """Encode what waits, flush the encoder and end. Frames that come later are dropped."""
        self._frames.close()
        if self._thread.is_alive():
            self._thread.join()

    def cost_ms(self) -> tuple[float, float]:
        """Return median and 95th percentile of milliseconds a frame."""
        return self._encoder.cost_ms()

    def _run(self) -> None:
        while True:
            item = self._frames.take(0.2)
            if item is None:
                if self._frames.closed:
                    break
                continue
            try:
                self._encode(*item)
            except Exception as error:
                logger.exception("the encoder of %s failed", self._name)
                self._fail(error)
        self._flush()

    def _flush(self) -> None:
        if self._broken:
            return
        try:
            n_late = self._encoder.close()
        except Exception:
            logger.exception("the encoder of %s could not be closed", self._name)
            return
        if n_late:
            logger.error("the encoder of %s still held %d packets at the end", self._name, n_late)

    def _encode(self, frame: CapturedFrame, dropped_before: int) -> None:
        if self._broken and not self._reopened():
            self._drop(ENCODER_FAILED, frame.missed_before + dropped_before)
            return
        missed = frame.missed_before + dropped_before + self._rejected_before
        try:
            encoded = self._encoder.encode(frame.image, frame.t_capture_us, frame.t_device_us, missed)
        except FrameRejected as error:
            logger.warning("frame not encoded: %s", error)
            self._drop(error.reason, frame.missed_before + dropped_before)
            return
        except Exception:
            self._drop(ENCODER_FAILED, frame.missed_before + dropped_before)
            raise
        self._rejected_before = 0
        if self.lost:
            self.lost = ""
            self._retry_after_s = _RETRY_FIRST_S
            self._mark(markers.STREAM_BACK, f"{self._frames.name}: is encoded again", math.nan)
        self._packets.put((encoded.payload, encoded.row))

    def _drop(self, reason: str, missed_before: int) -> None:
        """Count a frame as dropped; the next one that is encoded says how many are missing before it."""
        self._frames.drop_taken(1, reason)
        self._rejected_before += 1 + missed_before

    def _fail(self, error: Exception) -> None:
        """Remember and mark why frames cannot be encoded; the next frames try again."""
        text = str(error) if isinstance(error, EmerError) else f"{type(error).__name__}: {error}"
        if not self.lost:
            self._mark(
                markers.CAMERA_LOST, f"{self._name} is not recorded: its encoder failed ({text})"[:250], math.nan
            )
        self.lost = f"its encoder failed ({text})"
        self._broken = True
        self._retry_s = time.monotonic() + self._retry_after_s
        self._retry_after_s = min(2 * self._retry_after_s, _RETRY_LONGEST_S)

    def _reopened(self) -> bool:
        """Try a new encoder if it is time; returns whether there is one."""
        if time.monotonic() < self._retry_s:
            return False
        encoder = self._make_encoder()
        # A stream has one header: with another one, nothing that follows could be decoded.
        if encoder.extradata != self._encoder.extradata:
            raise RecordingError("a new encoder writes another header")
        encoder.resume_after(self._encoder)
        self._encoder = encoder
        self._broken = False
        return True
