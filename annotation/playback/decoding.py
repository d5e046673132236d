"""Decode single frames exactly: from packets in their order of decoding to pictures in their order of presentation.

A packet is stamped with its place in the decoding order before the decoder gets it, and
the picture that comes out carries the stamp. So a picture is known by the packet that it
was coded in, and never by seconds times frames per second or by counting what comes out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError

from annotation.playback.frames import RgbImage
from data_schema.errors import MediaError

#: Decoded pictures that one source keeps: two groups of 15 at 1280x720 and more (YUV 4:2:0, 1.4 MB each).
KEPT_BYTES = 48 << 20
#: At least so many, however large they are: one group of the usual length.
KEPT_FRAMES = 16


@dataclass(frozen=True)
class DecodeOrder:
    """The packets of a video in the order in which they are decoded.

    Parameters
    ----------
    packet_of_frame : ndarray of int64, shape (n_frames,)
        Place in the decoding order of each frame, frames in the order of presentation.
    frame_pts : ndarray of int64, shape (n_frames,)
        Presentation time stamps, strictly increasing.
    key_packets : ndarray of int64, shape (n_keys,)
        Places where decoding can begin, ascending.
    n_packets : int
    """

    packet_of_frame: npt.NDArray[np.int64]
    frame_pts: npt.NDArray[np.int64]
    key_packets: npt.NDArray[np.int64]
    n_packets: int

    @cached_property
    def frame_of_packet(self) -> npt.NDArray[np.int64]:
        """Frame that each packet carries; -1 for one that is not shown (an edit list leaves it out)."""
        frames = np.full(self.n_packets, -1, dtype=np.int64)
        frames[self.packet_of_frame] = np.arange(len(self.packet_of_frame))
        return frames

    @cached_property
    def first_frames(self) -> npt.NDArray[np.int64]:
        """First frame that can be decoded from each key packet on, shape (n_keys,).

        In an open group, frames that are shown before the key frame may follow it in the file; they need the group before.
        """
        frames = self.frame_of_packet[self.key_packets].copy()
        for place in np.flatnonzero(frames < 0):
            # A key frame that is not shown: what follows it until the next key packet is.
            start = int(self.key_packets[place])
            stop = int(self.key_packets[place + 1]) if place + 1 < len(frames) else self.n_packets
            following = self.frame_of_packet[start:stop]
            following = following[following >= 0]
            frames[place] = following.min() if len(following) else len(self.packet_of_frame)
        return frames

    @cached_property
    def group_starts(self) -> npt.NDArray[np.int64]:
        """Frames at which decoding can begin, ascending; the first is 0."""
        starts = np.unique(self.first_frames)
        starts = starts[starts < len(self.packet_of_frame)]
        return starts if len(starts) and starts[0] == 0 else np.concatenate([[0], starts]).astype(np.int64)

    def keys_before(self, frame: int) -> Iterator[tuple[int, int]]:
        """Yield key packets from which `frame` can be decoded, the nearest first, with their first frames."""
        usable = (self.key_packets <= self.packet_of_frame[frame]) & (self.first_frames <= frame)
        for place in np.flatnonzero(usable)[::-1]:
            yield int(self.key_packets[place]), int(self.first_frames[place])


class DecodingStopped(MediaError):
    """A frame was not finished because another one is wanted more; it can be asked for again."""


def _never() -> bool:
    return False


def _nothing(place: int) -> Iterator[Any]:
    return iter(())


def _nobody() -> Any:
    return None


class FrameDecoder:
    """Decode frames by number and keep the last ones.

    Parameters
    ----------
    name : str
        The file, for messages.
    order : DecodeOrder
    read_packets : callable
        Gives the packets from a place in the decoding order on, as new or reusable `av.Packet`.
    new_decoder : callable
        Gives a decoder that has seen nothing.
    bytes_a_frame : int
        Size of a decoded picture.
    advice : str
        What to do about a frame that does not decode.
    first_number : int
        The file's number of frame 0, for messages.
    """

    def __init__(
        self,
        name: str,
        order: DecodeOrder,
        read_packets: Callable[[int], Iterator[Any]],
        new_decoder: Callable[[], Any],
        bytes_a_frame: int,
        advice: str,
        first_number: int = 0,
    ) -> None:
        self.order = order
        self._first_number = first_number
        #: Asked before each packet; True ends the decoding of a frame by `DecodingStopped`.
        self.is_urgent: Callable[[], bool] = _never
        self._name, self._advice = name, advice
        self._read_packets, self._new_decoder = read_packets, new_decoder
        self._n_kept = max(KEPT_FRAMES, KEPT_BYTES // max(1, bytes_a_frame))
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._damaged: dict[int, str] = {}
        self._stop_packets: set[int] = set()
        self._stop_running()

    def _stop_running(self) -> None:
        self._decoder: Any = None
        self._packets: Iterator[Any] = iter(())
        self._position = 0
        self._first_usable = 0
        self._last_out = -1

    def is_kept(self, frame: int) -> bool:
        """Say whether a frame is decoded already."""
        return frame in self._kept

    def picture(self, frame: int) -> Any:
        """Return a decoded picture (`av.VideoFrame`).

        Raises
        ------
        MediaError
            If it cannot be decoded; other frames stay usable.
        """
        if frame in self._kept:
            self._kept.move_to_end(frame)
            return self._kept[frame]
        if self._can_go_on(frame) and self._run_until(frame):
            return self._kept[frame]
        for tries, (packet, first) in enumerate(self.order.keys_before(frame)):
            # A second key frame is tried where the first one was none (gradual refresh); more would only take time.
            if frame in self._damaged or tries == 2:
                break
            self._start_at(packet, first)
            if self._run_until(frame):
                return self._kept[frame]
        reason = self._damaged.get(frame, "the decoder gives no picture for it")
        raise MediaError(
            f"{self._name}: frame {frame + self._first_number} cannot be decoded: {reason}. {self._advice}"
        )

    def close(self) -> None:
        """Let go of all pictures, and of whoever is asked for more: pictures are too large to wait for a collector."""
        self._kept.clear()
        self._stop_running()
        self.is_urgent = _never
        self._read_packets, self._new_decoder = _nothing, _nobody

    def _can_go_on(self, frame: int) -> bool:
        if self._decoder is None or frame <= self._last_out or frame < self._first_usable:
            return False
        nearest = next(self.order.keys_before(frame), None)
        return nearest is not None and nearest[0] <= self._position

    def _start_at(self, packet: int, first: int) -> None:
        self._decoder = self._new_decoder()
        self._packets = self._read_packets(packet)
        self._position, self._first_usable, self._last_out = packet, first, -1

    def _run_until(self, frame: int) -> bool:
        """Feed the decoder until `frame` is out; False if it is passed over or the packets end."""
        while self._decoder is not None:
            if self.is_urgent():
                raise DecodingStopped(f"{self._name}: frame {frame + self._first_number} was given up for another.")
            for picture in self._feed():
                self._take(picture)
            if frame in self._kept:
                return True
            if self._last_out > frame:
                return False
        return False

    def _feed(self) -> list[Any]:
        """Give the decoder its next packet, or its end, and return the pictures that come out."""
        decoder, place = self._decoder, self._position
        packet = None if place in self._stop_packets else next(self._packets, None)
        try:
            if packet is None:
                self._decoder = None  # it is drained now and takes no more
                return list(decoder.decode(None))
            packet.pts = packet.dts = place
            self._position += 1
            return list(decoder.decode(packet))
        except FFmpegError as error:
            self._note_damage(place, f"its data are damaged ({error.strerror})")
            # What was given before the damage still comes out.
            self._decoder = None
            try:
                return list(decoder.decode(None)) if packet is not None else []
            except FFmpegError:
                return []

    def _note_damage(self, place: int, reason: str) -> None:
        """Pictures after a damaged packet are built on it, up to the next key frame: none of them is shown."""
        self._stop_packets.add(place)
        later = self.order.key_packets[self.order.key_packets > place]
        stop = int(later[0]) if len(later) else self.order.n_packets
        for frame in self.order.frame_of_packet[place:stop]:
            if frame >= 0:
                self._damaged[int(frame)] = reason

    def _take(self, picture: Any) -> None:
        if picture.pts is None or not 0 <= picture.pts < self.order.n_packets:
            return
        frame = int(self.order.frame_of_packet[picture.pts])
        # Before the first usable frame an open group lacks the pictures that it refers to.
        if frame < self._first_usable or frame in self._damaged:
            return
        self._last_out = max(self._last_out, frame)
        if picture.is_corrupt:
            return
        self._kept[frame] = picture
        self._kept.move_to_end(frame)
        while len(self._kept) > self._n_kept:
            self._kept.popitem(last=False)


def as_image(picture: Any, width_px: int, height_px: int, rotation_deg: int = 0) -> RgbImage:
    """Return a decoded picture as it is to be seen.

    Parameters
    ----------
    picture : av.VideoFrame
    width_px, height_px : int
        Size to be seen, after turning.
    rotation_deg : int
        How far the picture has to be turned counterclockwise: a multiple of 90.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        RGB.
    """
    turned = rotation_deg % 180 != 0
    width, height = (height_px, width_px) if turned else (width_px, height_px)
    image: RgbImage = picture.reformat(width=width, height=height, format="rgb24").to_ndarray()
    return np.ascontiguousarray(np.rot90(image, rotation_deg // 90 % 4)) if rotation_deg % 360 else image


def microseconds(pts: npt.NDArray[np.int64], time_base: Fraction) -> npt.NDArray[np.int64]:
    """Return time stamps as microseconds from the first one, rounded half up, exact for any time base."""
    if not len(pts):
        return np.zeros(0, dtype=np.int64)
    scale = time_base * 1_000_000
    twice = 2 * scale.denominator
    ticks = (pts - pts[0]).astype(object)
    return np.array([(2 * int(tick) * scale.numerator + scale.denominator) // twice for tick in ticks], dtype=np.int64)


def new_codec(codec: str, extradata: bytes) -> Any:
    """Return a decoder for packets that no container describes."""
    decoder: Any = av.CodecContext.create(codec, "r")
    decoder.extradata = extradata
    prepare(decoder)
    return decoder


def prepare(decoder: Any) -> None:
    """Set what every decoder here is opened with."""
    # Frame threads would hold each picture back by one packet a thread.
    decoder.thread_type = "SLICE"
    # A damaged picture is an error, not something that looks nearly right.
    decoder.options = {"err_detect": "explode"}
