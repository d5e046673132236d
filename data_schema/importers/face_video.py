"""Bring a video of the face into a session file: every frame with its own time, key frames close enough to seek.

Packets of other systems' videos cannot be taken over as they are: they have B-frames, several frames of delay and key
frames seconds apart. They are decoded and encoded anew with the study's camera settings, one packet a frame, as the
recorder does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from data_schema.errors import MediaError
from data_schema.session.layout import FRAMES
from data_schema.session.video import VideoStream
from data_schema.session.writer import SessionWriter
from data_schema.study.sections import CameraSection

_TIME_BASE = Fraction(1, 1_000_000)
_PIXEL_FORMAT = "yuv420p"
#: AV_CODEC_FLAG_GLOBAL_HEADER in libavcodec/avcodec.h: the header comes before the first packet, apart from it.
_GLOBAL_HEADER = 1 << 22
#: Frames after which what waits is written.
_FLUSH_FRAMES = 30

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class FaceVideo:
    """A video file of the face.

    Parameters
    ----------
    path : Path
    width_px, height_px : int
        Even size of the upright picture.
    rate_hz : float
        Mean frames a second.
    first_pts_us : int
        Time stamp of the first frame in the file's own clock.
    n_frames : int
    duration_us : int
        From the first to the last frame.
    """

    path: Path
    width_px: int
    height_px: int
    rate_hz: float
    first_pts_us: int
    n_frames: int
    duration_us: int


def inspect_video(path: Path) -> FaceVideo:
    """Read size, frame times and rate of a video.

    Raises
    ------
    MediaError
        If it is missing, holds no video, or its frames have no times.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise MediaError(f"{path.name}: there is no video in the file. Name the video of the face.")
            stream = container.streams.video[0]
            base = stream.time_base
            stamps = sorted(
                int(packet.pts)
                for packet in container.demux(stream)
                if packet.pts is not None and packet.size and not packet.is_discard
            )
        with av.open(str(path)) as container:
            first = next(iter(container.decode(video=0)), None)
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(
            f"{path.name}: cannot be read as a video ({error}). Check the name, or convert it to .mp4."
        ) from error
    if first is None or first.pts is None or base is None or not stamps:
        raise MediaError(f"{path.name}: no frame with a time could be decoded. Convert the video to .mp4 first.")
    height, width = _upright(first).shape[:2]
    times_us = [round(float(stamp * base) * 1e6) for stamp in (first.pts, stamps[-1])]
    span_us = times_us[1] - times_us[0]
    rate_hz = (len(stamps) - 1) * 1e6 / span_us if span_us > 0 else 30.0
    return FaceVideo(path, width // 2 * 2, height // 2 * 2, rate_hz, times_us[0], len(stamps), span_us)


def _upright(frame: Any) -> Any:
    """Return the picture as RGB, turned as the file says (phones store a rotation)."""
    picture = frame.to_ndarray(format="rgb24")
    turns = round(float(getattr(frame, "rotation", 0) or 0) / 90.0) % 4
    return np.rot90(picture, turns) if turns else picture


class FaceVideoEncoder:
    """Encode a face video with the study's camera settings.

    Parameters
    ----------
    video : FaceVideo
    camera : CameraSection
        Codec, preset, crf and frames between key frames; the picture keeps its own size.

    Raises
    ------
    MediaError
        If the encoder cannot be opened.
    """

    def __init__(self, video: FaceVideo, camera: CameraSection) -> None:
        self.video = video
        try:
            context: Any = av.CodecContext.create(camera.codec, "w")
            context.width, context.height, context.pix_fmt = video.width_px, video.height_px, _PIXEL_FORMAT
            context.time_base = _TIME_BASE
            context.framerate = Fraction(video.rate_hz).limit_denominator(1001)
            context.gop_size = camera.keyframe_every
            context.max_b_frames = 0
            context.flags |= _GLOBAL_HEADER
            context.options = {
                "preset": camera.preset,
                "tune": "zerolatency",
                "crf": str(camera.crf),
                "x264-params": f"keyint={camera.keyframe_every}:scenecut=0",
            }
            context.open()
        except (av.error.FFmpegError, ValueError) as error:
            raise MediaError(
                f"the video encoder {camera.codec} with preset '{camera.preset}' does not open: {error}. "
                "Check [camera] in study.toml."
            ) from error
        self._context = context

    @property
    def stream(self) -> VideoStream:
        """What a decoder must know of the encoded video."""
        return VideoStream(
            "libx264",
            bytes(self._context.extradata or b""),
            self.video.width_px,
            self.video.height_px,
            _TIME_BASE,
            _PIXEL_FORMAT,
        )

    def write(self, writer: SessionWriter, t_first_us: int, progress: Progress | None = None) -> int:
        """Encode all frames into a session file.

        Parameters
        ----------
        writer : SessionWriter
            Made with :attr:`stream`.
        t_first_us : int
            Host time of the video's first frame; the others follow at the file's own intervals.
        progress : callable, optional

        Returns
        -------
        int
            Frames written.

        Raises
        ------
        MediaError
            If a frame cannot be decoded or encoded.
        """
        n = 0
        last = -1
        for pts, picture in self._frames():
            if pts <= last:
                raise MediaError(
                    f"{self.video.path.name}: the time of frame {n} does not rise. Convert the video to .mp4 first."
                )
            last = pts
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(
                format=_PIXEL_FORMAT
            )
            frame.pts, frame.time_base = pts, _TIME_BASE
            packets = self._context.encode(frame)
            if len(packets) != 1 or packets[0].pts != pts:
                raise MediaError(
                    f"the video encoder answered frame {n} with {len(packets)} packets; a preset without delay is needed. "
                    "Check [camera] in study.toml."
                )
            row = FRAMES.empty(1)
            row["t_capture_us"], row["t_device_us"] = t_first_us + pts, self.video.first_pts_us + pts
            row["pts"], row["keyframe"] = pts, packets[0].is_keyframe
            writer.append_packet(bytes(packets[0]), row)
            n += 1
            if n % _FLUSH_FRAMES == 0:
                writer.flush()
                if progress:
                    progress(n, self.video.n_frames, "face video")
        writer.flush(force=True)
        return n

    def _frames(self) -> Iterator[tuple[int, Any]]:
        """Yield microseconds since the first frame, and the picture."""
        video = self.video
        try:
            with av.open(str(video.path)) as container:
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                for frame in container.decode(stream):
                    if frame.pts is None or stream.time_base is None:
                        continue
                    time_us = round(float(frame.pts * stream.time_base) * 1e6)
                    yield time_us - video.first_pts_us, _upright(frame)[: video.height_px, : video.width_px]
        except av.error.FFmpegError as error:
            raise MediaError(
                f"{video.path.name}: decoding failed ({error}). Check that the copy is complete."
            ) from error
