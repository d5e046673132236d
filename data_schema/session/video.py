"""The face video inside a session file: encoded packets and the table of frames.

A frame is addressed by its row in ``/face/frames``; decoding starts at the key
frame before it and is checked by presentation time stamp, so that a wrong frame
cannot be returned silently.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
import numpy.typing as npt

from data_schema.errors import SessionFileError
from data_schema.session.attributes import read_text, write_attribute
from data_schema.session.layout import FRAMES, PACKETS

RgbImage = npt.NDArray[np.uint8]

#: Decoder for the encoder that made the packets.
_DECODERS = {"libx264": "h264", "h264": "h264"}


@dataclass(frozen=True)
class VideoStream:
    """What a decoder must know of the encoded video.

    Parameters
    ----------
    codec : str
        Name of the encoder (``libx264``).
    extradata : bytes
        The codec's global header.
    width_px, height_px : int
        Size of the picture.
    time_base : Fraction
        Unit of the presentation time stamps, in seconds.
    pixel_format : str
        Such as ``yuv420p``.
    """

    codec: str
    extradata: bytes
    width_px: int
    height_px: int
    time_base: Fraction
    pixel_format: str

    def write_attributes(self, dataset: h5py.Dataset) -> None:
        """Store the stream's description as attributes of ``/face/packets``."""
        write_attribute(dataset, "codec", self.codec)
        dataset.attrs["extradata"] = np.frombuffer(self.extradata, dtype=np.uint8)
        dataset.attrs["width_px"] = np.int64(self.width_px)
        dataset.attrs["height_px"] = np.int64(self.height_px)
        write_attribute(dataset, "time_base", f"{self.time_base.numerator}/{self.time_base.denominator}")
        write_attribute(dataset, "pixel_format", self.pixel_format)

    @classmethod
    def from_attributes(cls, dataset: h5py.Dataset) -> VideoStream | None:
        """Read the description back; None if the session has no video."""
        if "codec" not in dataset.attrs:
            return None
        attributes = dataset.attrs
        return cls(
            codec=read_text(dataset, "codec"),
            extradata=bytes(np.asarray(attributes["extradata"], dtype=np.uint8)),
            width_px=int(attributes["width_px"]),
            height_px=int(attributes["height_px"]),
            time_base=Fraction(read_text(dataset, "time_base")),
            pixel_format=read_text(dataset, "pixel_format"),
        )


class SessionVideo:
    """Decode frames of a session's face video by their number.

    Parameters
    ----------
    path : Path
        The session file, for messages.
    packets : h5py.Dataset
        ``/face/packets``.
    frames : structured ndarray
        All rows of ``/face/frames``.
    stream : VideoStream
        How the packets are to be decoded.
    frames_path, packets_path : str
        Where they lie in the file, for messages.
    """

    def __init__(
        self,
        path: Path,
        packets: h5py.Dataset,
        frames: npt.NDArray[np.void],
        stream: VideoStream,
        frames_path: str = FRAMES.path,
        packets_path: str = PACKETS.path,
    ) -> None:
        self.path = path
        self.stream = stream
        self.frames = frames
        self.frames_path = frames_path
        self.packets_path = packets_path
        self._packets = packets
        self._keyframes = np.flatnonzero(frames["keyframe"])

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def frame_times_us(self) -> npt.NDArray[np.int64]:
        """Capture times on the host clock, shape (n_frames,), microseconds."""
        times: npt.NDArray[np.int64] = self.frames["t_capture_us"].astype(np.int64)
        return times

    def packet(self, index: int) -> bytes:
        """Return the encoded bytes of frame `index`."""
        row = self.frames[index]
        start = int(row["packet_offset"])
        payload = self._packets[start : start + int(row["packet_size"])]
        if len(payload) != int(row["packet_size"]):
            raise SessionFileError(
                self.path, f"frame {index} has lost its bytes; run `emer repair {self.path}`", self.packets_path
            )
        return bytes(payload.tobytes())

    def decode(self, index: int) -> RgbImage:
        """Decode one frame.

        Parameters
        ----------
        index : int
            Row in ``/face/frames``; negative numbers count from the end.

        Returns
        -------
        ndarray of uint8, shape (height, width, 3)
            RGB.

        Raises
        ------
        IndexError
            If there is no such frame.
        SessionFileError
            If it cannot be decoded.
        """
        if index < 0:
            index += len(self)
        return next(self.decode_many([index]))[1]

    def decode_many(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> Iterator[tuple[int, RgbImage]]:
        """Decode several frames in ascending order, each packet at most once.

        Yields
        ------
        index : int
            The frame's number.
        image : ndarray of uint8, shape (height, width, 3)
            RGB.
        """
        wanted = sorted({int(index) for index in indices})
        if wanted and not 0 <= wanted[0] <= wanted[-1] < len(self):
            raise IndexError(f"{self.path.name} has frames 0 to {len(self) - 1}, asked for {wanted[0]} to {wanted[-1]}")
        decoder: Any = None
        position = -1
        for index in wanted:
            start = self._keyframe_before(index)
            if decoder is None or start > position:
                decoder, position = self._new_decoder(), start
            image: RgbImage | None = None
            while position <= index:
                image = self._decode_packet(decoder, position, wanted=position == index)
                position += 1
            if image is None:
                raise SessionFileError(self.path, f"frame {index} cannot be decoded", self.frames_path)
            yield index, image

    def _keyframe_before(self, index: int) -> int:
        place = int(np.searchsorted(self._keyframes, index, side="right")) - 1
        if place < 0:
            raise SessionFileError(self.path, f"no key frame before frame {index}", self.frames_path)
        return int(self._keyframes[place])

    def _new_decoder(self) -> Any:
        decoder = av.CodecContext.create(_DECODERS.get(self.stream.codec, self.stream.codec), "r")
        decoder.extradata = self.stream.extradata
        # Frame threads would delay the output by one frame each.
        decoder.thread_type = "SLICE"
        decoder.flags |= av.codec.context.Flags.low_delay
        return decoder

    def _decode_packet(self, decoder: Any, index: int, wanted: bool) -> RgbImage | None:
        packet = av.Packet(self.packet(index))
        pts = int(self.frames[index]["pts"])
        packet.pts = packet.dts = pts
        packet.time_base = self.stream.time_base
        try:
            decoded = decoder.decode(packet)
        except av.error.FFmpegError as error:
            raise SessionFileError(self.path, f"frame {index} does not decode: {error}", self.packets_path) from error
        if not wanted:
            return None
        for frame in decoded:
            if frame.pts == pts:
                image: RgbImage = frame.to_ndarray(format="rgb24")
                return image
        return None

    def remux(self, target: Path) -> None:
        """Write the video as an ordinary file (such as .mp4) without re-encoding.

        Frame times become the file's time stamps, so a variable rate is kept.

        Parameters
        ----------
        target : Path
            Must not exist; the ending chooses the container.

        Raises
        ------
        SessionFileError
            If there are no frames or the target exists.
        """
        if not len(self):
            raise SessionFileError(self.path, "there are no frames to write", self.frames_path)
        if target.exists():
            raise SessionFileError(self.path, f"{target} exists already; name another file")
        partial = target.with_name(f"{target.stem}.partial{target.suffix}")
        source = io.BufferedReader(_PacketStream(self), buffer_size=1 << 16)
        rate = Fraction(self._mean_rate()).limit_denominator(1000)
        with av.open(source, mode="r", format="h264", options={"framerate": str(rate)}) as demuxed:
            with av.open(str(partial), mode="w") as output:
                stream = output.add_stream_from_template(demuxed.streams.video[0])
                first = int(self.frames[0]["pts"])
                index = 0
                for packet in demuxed.demux(video=0):
                    if packet.size == 0 or index >= len(self):
                        continue
                    packet.stream = stream
                    packet.time_base = self.stream.time_base
                    packet.pts = packet.dts = int(self.frames[index]["pts"]) - first
                    output.mux(packet)
                    index += 1
        if index != len(self):
            partial.unlink(missing_ok=True)
            raise SessionFileError(
                self.path, f"wrote {index} of {len(self)} frames to {target.name}", self.packets_path
            )
        partial.replace(target)

    def _mean_rate(self) -> float:
        times = self.frame_times_us
        if len(times) < 2 or times[-1] <= times[0]:
            return 30.0
        return float((len(times) - 1) * 1e6 / (times[-1] - times[0]))


class _PacketStream(io.RawIOBase):
    """The packets as one readable byte stream, header first, without loading them all."""

    def __init__(self, video: SessionVideo) -> None:
        self._video = video
        self._next = -1
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            if self._next >= len(self._video):
                return 0
            self._rest = self._video.stream.extradata if self._next < 0 else self._video.packet(self._next)
            self._next += 1
        part = self._rest[: len(buffer)]
        self._rest = self._rest[len(part) :]
        buffer[: len(part)] = part
        return len(part)
