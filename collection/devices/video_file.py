"""A video file in place of a camera.

Frames come at the times that the file says, variable frame rates included,
by the recording's clock, and from the start again at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import av.error
import numpy as np
import numpy.typing as npt

from collection.devices.base import CAMERA, CapturedFrame, DeviceInfo, Sink
from collection.devices.scheduled import ScheduledDevice
from data_schema.clocks import HostClock
from data_schema.errors import MediaError
from data_schema.session import markers
from data_schema.session.layout import FRAMES


class VideoFileCamera(ScheduledDevice):
    """Plays a video file as if it were a camera.

    Parameters
    ----------
    clock : HostClock
        Clock of the recording.
    path : Path
        The file.
    loop : bool
        Start again at the end. Without it the device falls silent and says so.
    """

    def __init__(self, clock: HostClock, path: Path, *, loop: bool = True) -> None:
        super().__init__(clock, f"video file {path.name}")
        self.path = path
        self.loop = loop

    def describe(self) -> DeviceInfo:
        """Say which file is played."""
        self._require_connected()
        return DeviceInfo(
            role=CAMERA,
            kind="video_file",
            model=f"Video file ({self._codec})",
            simulated=True,
            replayed_from=self.path.name,
            rates_hz={FRAMES.path: self._rate_hz},
            width_px=self._width_px,
            height_px=self._height_px,
            details={"frames": len(self._times_us), "duration_s": self._period_us / 1e6, "loop": self.loop},
        )

    def _open(self) -> None:
        """Check the file and read its frame times.

        Raises
        ------
        MediaError
            If there is no such file or no video in it.
        """
        if not self.path.is_file():
            raise MediaError(
                f"{self.path}: there is no such file. Name a video file, a camera index such as 0, or 'simulated'."
            )
        try:
            with av.open(str(self.path)) as container:
                if not container.streams.video:
                    raise MediaError(
                        f"{self.path.name}: the file holds no video. Name a file with a picture, such as an .mp4."
                    )
                stream = container.streams.video[0]
                self._codec = str(stream.codec_context.name)
                # The encoder needs an even size; an odd one loses its last row or column.
                self._width_px = stream.codec_context.width // 2 * 2
                self._height_px = stream.codec_context.height // 2 * 2
                base = stream.time_base
                if base is None or not self._width_px or not self._height_px:
                    raise MediaError(
                        f"{self.path.name}: the video names no size or time base. Convert it to .mp4 first."
                    )
                stamps = [
                    float(packet.pts * base) * 1e6
                    for packet in container.demux(stream)
                    if packet.pts is not None and packet.size and not packet.is_discard
                ]
        except av.error.FFmpegError as error:
            raise MediaError(
                f"{self.path.name}: it cannot be read as a video ({error.strerror}). "
                "Check that the copy is complete, or convert it to .mp4 with H.264."
            ) from error
        if not stamps:
            raise MediaError(f"{self.path.name}: the video holds no frames. Name another file.")
        times_us = np.unique(np.rint(np.array(stamps)).astype(np.int64))
        self._times_us = times_us - times_us[0]
        interval_us = float(np.median(np.diff(times_us))) if len(times_us) > 1 else 1e6 / 30
        self._rate_hz = (
            round((len(times_us) - 1) / (times_us[-1] - times_us[0]) * 1e6, 3) if len(times_us) > 1 else 30.0
        )
        self._period_us = float(self._times_us[-1]) + interval_us

    def _begin(self, t_start_us: int) -> None:
        self._t0_us = t_start_us
        self._frames = self._read_frames()
        self._pending: CapturedFrame | None = None
        self._ended = False

    def _produce(self, sink: Sink, until_us: int) -> None:
        while not self._ended:
            if self._pending is None:
                self._pending = next(self._frames, None)
                if self._pending is None:
                    self._ended = True
                    sink.event(markers.DEVICE_FAULT, f"{self.name}: the file has ended")
                    return
            if self._pending.t_capture_us > until_us:
                return
            frame, self._pending = self._pending, None
            sink.frame(frame)

    def _read_frames(self) -> Iterator[CapturedFrame]:
        """Yield frames with their due times, in order, for ever if the file loops."""
        turn = 0
        while True:
            shift_us = turn * self._period_us
            last_us = -1
            for time_us, image in self._decode():
                due_us = round(time_us + shift_us)
                if due_us <= last_us:
                    continue
                last_us = due_us
                yield CapturedFrame(self._t0_us + due_us, image, t_device_us=due_us)
            if not self.loop:
                return
            if last_us < 0:
                raise MediaError(f"{self.path.name}: no frame could be decoded. Convert it to .mp4 with H.264.")
            turn += 1

    def _decode(self) -> Iterator[tuple[float, npt.NDArray[np.uint8]]]:
        """Yield time since the first frame, microseconds, and picture of each frame of the file."""
        first_us: float | None = None
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                for frame in container.decode(stream):
                    if frame.pts is None or stream.time_base is None:
                        continue
                    time_us = float(frame.pts * stream.time_base) * 1e6
                    first_us = time_us if first_us is None else first_us
                    image = frame.to_ndarray(format="bgr24")[: self._height_px, : self._width_px]
                    yield time_us - first_us, np.ascontiguousarray(image)
        except av.error.FFmpegError as error:
            raise MediaError(
                f"{self.path.name}: decoding failed ({error.strerror}). Check that the copy is complete."
            ) from error

    def stop(self) -> None:
        """Deliver what is owed up to now, then stop; idempotent."""
        with self._verb_lock:
            super().stop()
            frames = getattr(self, "_frames", None)
            if frames is not None:
                frames.close()
