"""H.264 encoding with one packet per frame and each frame's own capture time.

libx264 with ``tune=zerolatency`` and no B-frames has no delay: the packet of a
frame is there when the frame has been given, so frame table and packets stay in
step even if the process is killed. The header (SPS and PPS) is global: it is
known before the first frame, hence before the session file is made.

Measured on one core at 1280x720 with preset ultrafast: about 130 frames/s.
"""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter

from collection.recorder.queues import WRONG_SIZE
from data_schema.errors import MediaError
from data_schema.session.layout import FRAMES

#: Presentation stamps are microseconds: the frames keep their irregular times.
TIME_BASE = Fraction(1, 1_000_000)
#: What every decoder and browser can show.
PIXEL_FORMAT = "yuv420p"
#: AV_CODEC_FLAG_GLOBAL_HEADER in libavcodec/avcodec.h.
_FLAG_GLOBAL_HEADER = 1 << 22
#: Averages the pixels that become one, in 3 to 4 ms from 1920x1080; bicubic takes up to 8 (measured).
_SCALING = "AREA"


@dataclass(frozen=True)
class EncodedFrame:
    """One frame as it goes into the session file."""

    payload: bytes
    row: npt.NDArray[np.void]
    """shape (1,), dtype of ``/face/frames``; ``packet_offset`` is set by the writer."""


class FrameRejected(MediaError):
    """A single frame cannot be encoded; the stream goes on without it. `reason` is one of the queues' words."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class VideoEncoder:
    """Encode BGR frames to H.264, one packet a frame.

    Parameters
    ----------
    width_px, height_px : int
        Size of the pictures that come. An odd last row or column is cut off,
        because H.264 with 4:2:0 colour has even sizes only.
    fps : float
        Nominal rate; rate control only, the times are the frames' own.
    codec, preset, crf, keyframe_every
        As in ``[camera]`` of study.toml.
    encoded_px : tuple of int, optional
        Width and height that the pictures are scaled to before they are encoded,
        both even; the size of the pictures by default.

    Raises
    ------
    MediaError
        If the encoder cannot be opened.
    """

    def __init__(
        self,
        width_px: int,
        height_px: int,
        fps: float,
        *,
        codec: str = "libx264",
        preset: str = "ultrafast",
        crf: int = 23,
        keyframe_every: int = 15,
        encoded_px: tuple[int, int] | None = None,
    ) -> None:
        # What is given to the encoder of a picture, and what it is scaled to.
        self._even_px = (width_px - width_px % 2, height_px - height_px % 2)
        self.width_px, self.height_px = encoded_px or self._even_px
        self.codec = codec
        self._source_shape = (height_px, width_px, 3)
        self._first_us: int | None = None
        self._last_pts = -1
        self._costs_ms: deque[float] = deque(maxlen=600)
        self.n_encoded = 0
        try:
            context = av.CodecContext.create(codec, "w")
            context.width, context.height, context.pix_fmt = self.width_px, self.height_px, PIXEL_FORMAT
            context.time_base = TIME_BASE
            context.framerate = Fraction(fps).limit_denominator(1001)
            # One thread: bounded CPU beside the tracker, and more than 100 frames/s at 720p.
            context.thread_count = 1
            context.gop_size = keyframe_every
            context.max_b_frames = 0
            context.flags |= _FLAG_GLOBAL_HEADER
            context.options = {
                "preset": preset,
                "tune": "zerolatency",
                "crf": str(crf),
                "x264-params": f"keyint={keyframe_every}:scenecut=0",
            }
            context.open()
        except (FFmpegError, ValueError, ArithmeticError) as error:
            raise MediaError(
                f"the video encoder {codec} with preset '{preset}' does not open at {self.width_px}x{self.height_px}, {fps} fps: "
                f"{error}. Check [camera] in study.toml."
            ) from error
        self._context = context
        # Kept: to set up one for each picture takes 1 to 2 ms, ten times as long as a small picture's conversion (measured).
        self._scaler = VideoReformatter()

    @property
    def extradata(self) -> bytes:
        """The global header: what a decoder needs before the first packet."""
        return bytes(self._context.extradata or b"")

    def encode(
        self, image: npt.NDArray[np.uint8], t_capture_us: int, t_device_us: int = -1, missed_before: int = 0
    ) -> EncodedFrame:
        """Encode one frame.

        Parameters
        ----------
        image : ndarray of uint8, shape (height, width, 3)
            BGR.
        t_capture_us : int
            Host clock. One that is not later than the last frame's is kept; only its
            presentation time stamp is moved on by a microsecond.
        t_device_us, missed_before : int
            Copied into the frame's row.

        Raises
        ------
        FrameRejected
            If the size is not the stream's.
        MediaError
            If the encoder fails or does not answer with exactly one packet.
        """
        if image.shape != self._source_shape:
            raise FrameRejected(WRONG_SIZE, f"a frame has the shape {image.shape}, expected {self._source_shape}")
        started = time.perf_counter()
        if self._first_us is None:
            self._first_us = t_capture_us
        # A stream's time stamps must rise; a capture stamp that went back stays as it is in the frame's row.
        pts = max(t_capture_us - self._first_us, self._last_pts + 1)
        picture = np.ascontiguousarray(image[: self._even_px[1], : self._even_px[0]])
        # The buffer is used in place: copying it first costs as much as converting it.
        frame = self._scaler.reformat(
            av.VideoFrame.from_numpy_buffer(picture, format="bgr24"),
            width=self.width_px,
            height=self.height_px,
            format=PIXEL_FORMAT,
            interpolation=_SCALING,
        )
        frame.pts, frame.time_base = pts, TIME_BASE
        try:
            packets = self._context.encode(frame)
        except FFmpegError as error:
            raise MediaError(f"the video encoder failed at frame {self.n_encoded}: {error}") from error
        if len(packets) != 1 or packets[0].pts != pts:
            raise MediaError(
                f"the video encoder answered frame {self.n_encoded} with {len(packets)} packets; "
                "one packet a frame is needed, so presets with delay (B-frames, lookahead) cannot be used"
            )
        packet = packets[0]
        payload = bytes(packet)
        row = FRAMES.empty(1)
        row["t_capture_us"] = t_capture_us
        row["t_device_us"] = t_device_us
        row["pts"] = pts
        row["packet_offset"] = -1
        row["packet_size"] = len(payload)
        row["keyframe"] = packet.is_keyframe
        row["missed_before"] = missed_before
        self._last_pts = pts
        self.n_encoded += 1
        self._costs_ms.append((time.perf_counter() - started) * 1e3)
        return EncodedFrame(payload, row)

    def resume_after(self, other: VideoEncoder) -> None:
        """Go on with the time stamps where an encoder that failed left off."""
        self._first_us = other._first_us
        self._last_pts = other._last_pts
        self.n_encoded = other.n_encoded

    def cost_ms(self) -> tuple[float, float]:
        """Return the median and 95th percentile of milliseconds a frame; NaN before the first."""
        costs = list(self._costs_ms)
        if not costs:
            return math.nan, math.nan
        return float(np.median(costs)), float(np.percentile(costs, 95))

    def close(self) -> int:
        """Flush the encoder; returns how many packets were still inside (always 0 without delay)."""
        return len(self._context.encode(None)) if self.n_encoded else 0
