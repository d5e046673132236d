"""An ordinary video file by its frames' numbers: packet index instead of seconds times frames per second."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError
from av.stream import Disposition

from annotation.playback.decoding import FrameDecoder, as_image, microseconds, prepare
from annotation.playback.frames import FrameIdentity, RgbImage
from annotation.playback.packets import FilePackets, HeldPackets, PacketIndex, index_packets
from data_schema.errors import MediaError

_AGAIN = "Copy the file again from where it came from."


class VideoFileFrames:
    """The frames of a video file, or a part of them; made by `open_video`."""

    def __init__(
        self, path: Path, index: PacketIndex, container: Any, stream: Any, first: int, stop: int | None
    ) -> None:
        self._name = path.name
        # Before the container is closed: its stream lies in memory that closing gives back.
        self.time_base: Fraction = stream.time_base
        self._decoder_context = stream.codec_context
        prepare(self._decoder_context)
        self._packets: HeldPackets | FilePackets
        if index.held is not None:
            self._packets = HeldPackets(index.held)
            container.close()
        else:
            self._packets = FilePackets(path, container, stream, index.stamps)
        order = index.order
        self._order, self._first = order, first
        self.pts: npt.NDArray[np.int64] = order.frame_pts[first:stop]
        self.times_us: npt.NDArray[np.int64] = microseconds(order.frame_pts, self.time_base)[first:stop]
        self.group_starts: npt.NDArray[np.int64] = order.group_starts - first
        context = self._decoder_context
        self._decoder = FrameDecoder(
            self._name, order, self._packets.read, self._fresh_decoder, context.width * context.height * 3 // 2, _AGAIN
        )
        self._time_list: list[int] = self.times_us.tolist()
        self._closed = False
        self.width_px, self.height_px, self._rotation_deg = context.width, context.height, 0
        self._look_at_first()

    def _look_at_first(self) -> None:
        """Learn from a picture how the video is to be seen: turned, and with which shape of a pixel."""
        context = self._decoder_context
        width, height = context.width, context.height
        ratio = context.sample_aspect_ratio
        if ratio and ratio > 0 and ratio != 1:
            width = max(1, round(width * ratio))
        for frame in (self._first, *self._order.group_starts[:3].tolist()):
            try:
                self._rotation_deg = int(self._decoder.picture(int(frame)).rotation) % 360
            except MediaError:
                continue
            break
        else:
            raise MediaError(f"{self._name}: its first frames cannot be decoded. {_AGAIN}")
        if self._rotation_deg % 90:
            self._rotation_deg = 0
        turned = self._rotation_deg % 180 != 0
        self.width_px, self.height_px = (height, width) if turned else (width, height)

    def _fresh_decoder(self) -> Any:
        if self._decoder_context.is_open:
            self._decoder_context.flush_buffers()
        return self._decoder_context

    def set_times(self, times_us: npt.NDArray[np.int64]) -> None:
        """Put the frames at other times of the clip, such as those at which the camera captured them."""
        times = np.asarray(times_us, dtype=np.int64)
        if times.shape != self.pts.shape or np.any(np.diff(times) < 0):
            raise MediaError(
                f"{self._name}: {times.size} frame times for {len(self)} frames, expected one each, ascending. {_AGAIN}"
            )
        self.times_us, self._time_list = times, times.tolist()

    def __len__(self) -> int:
        return len(self.pts)

    def identity(self, index: int) -> FrameIdentity:
        """Return number and pts of a frame in its file."""
        return FrameIdentity(self._first + index, int(self.pts[index]))

    def frame(self, index: int) -> RgbImage:
        """Return one frame, shape (height, width, 3), RGB.

        Raises
        ------
        IndexError
            If there is no such frame.
        MediaError
            If it does not decode; other frames stay usable.
        """
        if self._closed:
            raise MediaError(f"{self._name}: the video is closed already. Open it again.")
        if not 0 <= index < len(self):
            raise IndexError(f"{self._name}: frames 0 to {len(self) - 1}, asked for {index}")
        return as_image(self._decoder.picture(self._first + index), self.width_px, self.height_px, self._rotation_deg)

    def is_kept(self, index: int) -> bool:
        """Say whether a frame is decoded already."""
        return self._decoder.is_kept(self._first + index)

    def stop_when(self, is_urgent: Callable[[], bool]) -> None:
        """Let `is_urgent` end the decoding of a frame by `DecodingStopped`; it is asked before each packet."""
        self._decoder.is_urgent = is_urgent

    def index_at(self, time_us: int) -> int:
        """Return the last frame whose time is not later; 0 before the first."""
        return max(0, bisect.bisect_right(self._time_list, time_us) - 1)

    def close(self) -> None:
        """Close the file; may be called again."""
        if not self._closed:
            self._closed = True
            self._decoder.close()
            self._packets.close()


def open_video(
    path: Path | str, *, first: int = 0, stop: int | None = None, times_us: npt.NDArray[np.int64] | None = None
) -> VideoFileFrames:
    """Open a video file, all of it or the frames from `first` up to `stop` (excluded).

    Parameters
    ----------
    path : Path
    first, stop : int
        Part of the file that is the clip; `identity` still gives the file's own numbers.
    times_us : ndarray of int64, shape (n_frames,), optional
        When each frame stands on the clip's time line; default: its time in the file, from the file's first frame.

    Raises
    ------
    MediaError
        If the file is missing, is no video, ends too early, or its frames cannot be told apart.
    """
    path = Path(path)
    if not path.is_file():
        raise MediaError(f"{path}: there is no such file. Check the name, or copy the video there again.")
    try:
        container = av.open(str(path))
    except (FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{path.name}: this is no video that can be read: {error}. {_AGAIN}") from error
    try:
        frames = _open_stream(path, container, first, stop)
    except BaseException:
        container.close()
        raise
    if times_us is not None:
        frames.set_times(times_us)
    return frames


def _open_stream(path: Path, container: Any, first: int, stop: int | None) -> VideoFileFrames:
    # The cover picture of a sound file is a video stream, too.
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        raise MediaError(f"{path.name}: there is no video in this file, expected one video stream. Name another file.")
    stream = streams[0]
    if stream.codec_context is None or not stream.codec_context.width:
        raise MediaError(f"{path.name}: its video cannot be decoded here (unknown codec or size). {_AGAIN}")
    index = index_packets(path, container, stream)
    n_frames = len(index.order.frame_pts)
    if not 0 <= first < (n_frames if stop is None else min(stop, n_frames)) or (stop is not None and stop > n_frames):
        raise MediaError(
            f"{path.name}: the clip should be frames {first} to {stop}, but the file has {n_frames}: it was cut short "
            f"or replaced. {_AGAIN}"
        )
    return VideoFileFrames(path, index, container, stream, first, stop)
