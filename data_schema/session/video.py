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
from typing import Any, Literal

import av
import h5py
import numpy as np
import numpy.typing as npt

from data_schema.errors import MediaError, SessionFileError
from data_schema.session.attributes import read_text, write_attribute
from data_schema.session.encoder_notes import without_notes
from data_schema.session.layout import FRAMES, PACKETS
from data_schema.session.pictures import FramePicture

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
        for index, picture in self.pictures(indices):
            if picture is not None:
                yield index, picture.rgb()

    def pictures(
        self, indices: Sequence[int] | npt.NDArray[np.int64], *, broken: Literal["raise", "none"] = "raise"
    ) -> Iterator[tuple[int, FramePicture | None]]:
        """Decode several frames in ascending order, each packet at most once, and convert none of them.

        Decoding starts at the key frame before a frame and ends with the last frame that is wanted of a group of pictures.

        Parameters
        ----------
        indices : sequence of int
            Rows of ``/face/frames``.
        broken : {"raise", "none"}
            What a frame gives that cannot be decoded. With "none" decoding is strict: a damaged packet takes away the frames
            up to the next key frame, instead of pictures that the decoder patched up.

        Yields
        ------
        index : int
            The frame's number.
        picture : FramePicture or None
            The decoded frame.

        Raises
        ------
        IndexError
            If there is no such frame.
        SessionFileError
            If a frame cannot be decoded and `broken` is "raise".
        """
        wanted = sorted({int(index) for index in indices})
        if wanted and not 0 <= wanted[0] <= wanted[-1] < len(self):
            raise IndexError(f"{self.path.name} has frames 0 to {len(self) - 1}, asked for {wanted[0]} to {wanted[-1]}")
        decoder: Any = None
        for start, group in self._groups(wanted, broken):
            if decoder is None:
                decoder = self._new_decoder(strict=broken == "none")
            else:
                decoder.flush_buffers()
            yield from self._decode_group(decoder, start, group, broken)

    def _groups(self, wanted: list[int], broken: str) -> Iterator[tuple[int, list[int]]]:
        """Give the wanted frames by group of pictures, with the group's key frame (-1: there is none before them)."""
        places = np.searchsorted(self._keyframes, wanted, side="right") - 1
        if len(places) and places[0] < 0 and broken == "raise":
            raise SessionFileError(self.path, f"no key frame before frame {wanted[0]}", self.frames_path)
        for place in np.unique(places):
            first, last = np.searchsorted(places, [place, place + 1])
            yield (int(self._keyframes[place]) if place >= 0 else -1), wanted[first:last]

    def _decode_group(
        self, decoder: Any, start: int, wanted: list[int], broken: str
    ) -> Iterator[tuple[int, FramePicture | None]]:
        position, lost = start, start < 0
        payloads: list[bytes] = []
        for index in wanted:
            frame: Any = None
            try:
                if not lost and not payloads:
                    payloads = self._packets_of(start, wanted[-1])
                while not lost and position <= index:
                    frame = self._decode_packet(decoder, position, payloads[position - start], position == index)
                    position += 1
                if frame is None and broken == "raise":
                    raise SessionFileError(self.path, f"frame {index} cannot be decoded", self.frames_path)
            except SessionFileError:
                if broken == "raise":
                    raise
                lost, frame = True, None
            yield index, None if frame is None else FramePicture(frame, turned=False)

    def _packets_of(self, first: int, last: int) -> list[bytes]:
        """Return the bytes of consecutive frames, read in one go where they lie together."""
        rows = self.frames[first : last + 1]
        starts, sizes = rows["packet_offset"].astype(np.int64), rows["packet_size"].astype(np.int64)
        begin, end = int(starts[0]), int(starts[-1] + sizes[-1])
        if end > len(self._packets) or (starts[1:] != starts[:-1] + sizes[:-1]).any():
            return [self.packet(index) for index in range(first, last + 1)]
        payload = self._packets[begin:end].tobytes()
        return [payload[at : at + size] for at, size in zip((starts - begin).tolist(), sizes.tolist(), strict=True)]

    def _new_decoder(self, strict: bool = False) -> Any:
        decoder = av.CodecContext.create(_DECODERS.get(self.stream.codec, self.stream.codec), "r")
        decoder.extradata = self.stream.extradata
        # Frame threads would delay the output by one frame each.
        decoder.thread_type = "SLICE"
        # Our recorder writes one slice a frame, so more threads than one would wait for each other.
        decoder.thread_count = 1
        decoder.flags |= av.codec.context.Flags.low_delay
        if strict:
            decoder.options = {"err_detect": "explode"}
        return decoder

    def _decode_packet(self, decoder: Any, index: int, payload: bytes, wanted: bool) -> Any:
        packet = av.Packet(payload)
        pts = int(self.frames[index]["pts"])
        packet.pts = packet.dts = pts
        packet.time_base = self.stream.time_base
        try:
            decoded = decoder.decode(packet)
        except av.error.FFmpegError as error:
            raise SessionFileError(self.path, f"frame {index} does not decode: {error}", self.packets_path) from error
        if not wanted:
            return None
        return next((frame for frame in decoded if frame.pts == pts), None)

    def remux(self, target: Path) -> None:
        """Write the video as an ordinary file (such as .mp4) without re-encoding.

        Frame times become the file's time stamps, so a variable rate is kept. What the encoder noted of itself and of the
        time of day is left out.

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
        try:
            index = self._remux_into(partial)
            if index != len(self):
                raise SessionFileError(
                    self.path, f"wrote {index} of {len(self)} frames to {target.name}", self.packets_path
                )
        except BaseException as error:
            # Only here, where both files are closed: Windows deletes no open one.
            partial.unlink(missing_ok=True)
            if isinstance(error, MediaError):
                raise SessionFileError(self.path, str(error), self.packets_path) from error
            raise
        partial.replace(target)

    def _remux_into(self, partial: Path) -> int:
        """Copy the packets into a new file; return how many there were."""
        source = io.BufferedReader(_PacketStream(self), buffer_size=1 << 16)
        rate = Fraction(self._mean_rate()).limit_denominator(1000)
        first, index = int(self.frames[0]["pts"]), 0
        with (
            av.open(source, mode="r", format="h264", options={"framerate": str(rate)}) as demuxed,
            av.open(str(partial), mode="w") as output,
        ):
            stream = output.add_stream_from_template(demuxed.streams.video[0])
            for packet in demuxed.demux(video=0):
                if packet.size == 0 or index >= len(self):
                    continue
                bare = av.Packet(without_notes(bytes(packet)))
                bare.stream = stream
                bare.time_base = self.stream.time_base
                bare.pts = bare.dts = int(self.frames[index]["pts"]) - first
                bare.is_keyframe = packet.is_keyframe
                output.mux(bare)
                index += 1
        return index

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
