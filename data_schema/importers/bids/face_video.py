"""The face video of a published run, packet by packet as it is: nothing is decoded or encoded anew.

An MP4 holds H.264 with the length before each unit; a session file holds it with start codes, as the encoder gave it
(ISO/IEC 14496-15, section 5.3, and ITU-T H.264, annex B). Only these marks are exchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from data_schema.errors import DataImportError
from data_schema.importers.bids.gaze import ORIGIN_US
from data_schema.importers.bids.reading import BidsDataset, BidsRun
from data_schema.publishing.bids.video import RECORDING
from data_schema.session.layout import FRAMES, make_row
from data_schema.session.video import VideoStream

_START = b"\x00\x00\x00\x01"
_PARAMETER_SETS = (7, 8)


@dataclass(frozen=True)
class FacePackets:
    """A face video and the exact times of its frames.

    Parameters
    ----------
    path : Path
    stream : VideoStream
    times_us : ndarray of int64, shape (n_frames,)
        Times in the session file.
    missed : ndarray of int64, shape (n_frames,)
        Frames lost before each.
    length_size : int
        Bytes of the length before each unit.
    device : str
        The camera's model.
    may_leave : bool
        True unless the face is blurred.
    """

    path: Path
    stream: VideoStream
    times_us: npt.NDArray[np.int64]
    missed: npt.NDArray[np.int64]
    length_size: int
    device: str
    may_leave: bool

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.times_us)

    @property
    def rate_hz(self) -> float:
        """Frames per second, on average."""
        span = int(self.times_us[-1] - self.times_us[0])
        return 1e6 * (self.n_frames - 1) / span if span > 0 else 30.0

    @classmethod
    def of(cls, dataset: BidsDataset, run: BidsRun, notes: list[str]) -> FacePackets | None:
        """Return the face video of a run, or None if it has none that can be taken over."""
        path = run.file("video", ".mp4", RECORDING)
        if path is None:
            return None
        table = run.file("physio", ".tsv.gz", RECORDING)
        if table is None:
            notes.append(f"{path.name} was left out: the times of its frames are not in the dataset")
            return None
        columns = [str(name) for name in dataset.sidecar(table).get("Columns", ())]
        frames = list(dataset.samples(table, columns))
        stamps = np.concatenate([part["timestamp"].to_numpy(dtype=np.float64) for part in frames])
        missed = np.concatenate([part["missed_before"].to_numpy(dtype=np.int64) for part in frames])
        about = dataset.sidecar(path)
        times = ORIGIN_US + np.round(stamps * 1e6).astype(np.int64)
        return cls._opened(path, times, missed, about)

    @classmethod
    def _opened(
        cls, path: Path, times: npt.NDArray[np.int64], missed: npt.NDArray[np.int64], about: dict[str, Any]
    ) -> FacePackets:
        try:
            with av.open(str(path)) as container:
                video = container.streams.video[0]
                record = bytes(video.codec_context.extradata or b"")
                if video.codec_context.name != "h264" or len(record) < 7 or record[0] != 1:
                    raise DataImportError(f"{path.name}: is no H.264 in MP4, which is what emer export bids writes.")
                stream = VideoStream(
                    "libx264", _parameter_sets(record), video.width, video.height, Fraction(1, 1_000_000),
                    str(about.get("ImagePixelFormat") or "yuv420p"),
                )  # fmt: skip
        except (av.FFmpegError, IndexError) as error:
            raise DataImportError(f"{path}: cannot be read: {error}. Is the download complete?") from error
        blurred = bool(about.get("FaceBlurred", False))
        return cls(path, stream, times, missed, (record[4] & 3) + 1, str(about.get("Device", "")), not blurred)

    def packets(self) -> Iterator[tuple[bytes, npt.NDArray[np.void]]]:
        """Yield each packet with its row of ``/face/frames``.

        Raises
        ------
        DataImportError
            If the video has another number of frames than the table of their times.
        """
        index = 0
        with av.open(str(self.path)) as container:
            for packet in container.demux(video=0):
                if not packet.size:
                    continue
                if index >= self.n_frames:
                    break
                units = _units(bytes(packet), self.length_size)
                if not index:
                    # The parameter sets are in the description of the stream already.
                    units = [unit for unit in units if unit[0] & 31 not in _PARAMETER_SETS]
                t_us = int(self.times_us[index])
                row = make_row(
                    FRAMES, t_capture_us=t_us, t_device_us=-1, pts=t_us - int(self.times_us[0]),
                    keyframe=packet.is_keyframe, missed_before=int(self.missed[index]),
                )  # fmt: skip
                # The short code: a zero before it would be taken for the end of the parameter sets that come before.
                start = _START if index else _START[1:]
                index += 1
                yield b"".join(start + unit for unit in units), row
        if index != self.n_frames:
            raise DataImportError(
                f"{self.path.name}: has {index} frames, the table of their times has {self.n_frames}. Is the download complete?"
            )


def _parameter_sets(record: bytes) -> bytes:
    """Return the parameter sets of an AVCDecoderConfigurationRecord with start codes."""
    found, at = [], 6
    for mask, count_at in ((31, 5), (255, None)):
        if count_at is None:
            count_at, at = at, at + 1
        for _ in range(record[count_at] & mask):
            size = int.from_bytes(record[at : at + 2], "big")
            found.append(record[at + 2 : at + 2 + size])
            at += 2 + size
    return b"".join(_START + unit for unit in found)


def _units(packet: bytes, length_size: int) -> list[bytes]:
    units, at = [], 0
    while at + length_size <= len(packet):
        size = int.from_bytes(packet[at : at + length_size], "big")
        at += length_size
        units.append(packet[at : at + size])
        at += size
    return [unit for unit in units if unit]
