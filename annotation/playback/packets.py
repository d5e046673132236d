"""The packets of an ordinary video file: which there are, which frame each carries, and how to get at them again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from annotation.playback.decoding import DecodeOrder
from data_schema.errors import MediaError

#: Compressed packets up to so many bytes are kept in memory: a clip of minutes. Then no container has to seek, and a
#: network drive that goes away does not take the clip with it.
HELD_BYTES = 96 << 20
#: Containers whose stamps say which frame is shown when. All others are decoded once to find out.
_TRUSTED = frozenset({"mov", "mp4", "matroska", "webm"})

#: pts, dts and size of a packet.
Stamp = tuple[int | None, int | None, int]


@dataclass
class PacketIndex:
    """What one pass over a file found.

    Parameters
    ----------
    order : DecodeOrder
    stamps : list of tuple
        Of each packet in the decoding order: by these it is known again after a seek.
    held : list of av.Packet or None
        The packets themselves, if they are few.
    """

    order: DecodeOrder
    stamps: list[Stamp]
    held: list[Any] | None


def index_packets(path: Path, container: Any, stream: Any, *, held_bytes: int = HELD_BYTES) -> PacketIndex:
    """Read all packets of a video stream once, without decoding where the container can be trusted.

    Raises
    ------
    MediaError
        If the file ends too early or its frames cannot be told apart.
    """
    packets: list[Any] | None = []
    damaged: int | None = None
    n_empty = -1  # the last one only says that it is the end
    stamps: list[Stamp] = []
    keys: list[bool] = []
    shown: list[bool] = []
    n_bytes = 0
    is_vp8 = stream.codec_context.name.startswith("vp8")
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                n_empty += 1
                continue
            if packet.is_corrupt and damaged is None and any(keys):
                damaged = len(stamps)
            stamps.append((packet.pts, packet.dts, packet.size))
            keys.append(packet.is_keyframe)
            shown.append(not packet.is_discard and not (is_vp8 and _is_hidden_vp8(packet)))
            n_bytes += packet.size
            if n_bytes > held_bytes:
                packets = None
            if packets is not None:
                packets.append(packet)
    except (FFmpegError, OSError) as error:
        raise MediaError(
            f"{path.name}: the file cannot be read beyond its {len(stamps)}. video packet: {error}. It was probably cut "
            f"short; copy it again from where it came from."
        ) from error
    _check_whole(path, container, stream, stamps, damaged, n_empty)
    if not any(keys):
        raise MediaError(
            f"{path.name}: no key frame in {len(stamps)} video packets, so nothing in it can be decoded. "
            f"Copy the file again from where it came from."
        )
    if _can_be_trusted(container, stamps, keys, shown):
        order = _order_by_stamps(stamps, keys, shown)
    else:
        order = _order_by_decoding(path, stream.index, stamps, keys, is_avi=container.format.name == "avi")
    _check_order(path, order)
    return PacketIndex(order, stamps, packets)


def _check_whole(
    path: Path, container: Any, stream: Any, stamps: list[Stamp], damaged: int | None, n_empty: int
) -> None:
    """Refuse a file that is cut short, as far as its container lets one tell: whoever judges a clip must see all of it."""
    kinds = set(container.format.name.split(","))
    wrong = "" if damaged is None else f"its video packet {damaged} is damaged"
    if not kinds.isdisjoint({"mov", "mp4"}):
        needs = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
        if needs > path.stat().st_size:
            wrong = f"it has {path.stat().st_size} bytes, and its index says at least {needs}"
    elif "avi" in kinds and len(stamps) + max(0, n_empty) < stream.frames:
        wrong = f"it has {len(stamps)} frames, and its header says {stream.frames}"
    elif "matroska" in kinds and len(container.streams) == 1 and container.duration:
        last = max((stamp[0] for stamp in stamps if stamp[0] is not None), default=0)
        ends_s, said_s = float(last * stream.time_base), container.duration / 1e6
        if said_s - ends_s > max(1.0, 0.02 * said_s):
            wrong = f"its last frame is at {ends_s:.1f} s, and its header says {said_s:.1f} s"
    if wrong:
        raise MediaError(
            f"{path.name}: the file is damaged or cut short: {wrong}. Copy it again from where it came from."
        )


def _is_hidden_vp8(packet: Any) -> bool:
    """An alternate reference frame of VP8 is a packet of its own and never shown (RFC 6386, section 9.1)."""
    return not bytes(memoryview(packet)[:1])[0] & 0x10


def _can_be_trusted(container: Any, stamps: list[Stamp], keys: list[bool], shown: list[bool]) -> bool:
    visible = [stamp[0] for stamp, is_shown in zip(stamps, shown, strict=True) if is_shown]
    if None in visible or len(set(visible)) != len(visible):
        return False
    return all(keys) or not _TRUSTED.isdisjoint(container.format.name.split(","))


def _order_by_stamps(stamps: list[Stamp], keys: list[bool], shown: list[bool]) -> DecodeOrder:
    key_packets = np.flatnonzero(keys).astype(np.int64)
    first_key = int(key_packets[0])
    earliest = stamps[first_key][0]
    # What needs a picture from before the file's first key frame can be shown by no player, and counts for none.
    visible = [
        (int(stamp[0]), place)
        for place, stamp in enumerate(stamps)
        if shown[place] and place >= first_key and stamp[0] is not None and (earliest is None or stamp[0] >= earliest)
    ]
    visible.sort()
    return DecodeOrder(
        np.array([place for _, place in visible], dtype=np.int64),
        np.array([pts for pts, _ in visible], dtype=np.int64),
        key_packets,
        len(stamps),
    )


def _order_by_decoding(
    path: Path, stream_index: int, stamps: list[Stamp], keys: list[bool], *, is_avi: bool
) -> DecodeOrder:
    """Decode everything once and see which packets come out as pictures, and in what order."""
    places: list[int] = []
    with av.open(str(path)) as container:
        stream = container.streams[stream_index]
        decoder = stream.codec_context
        decoder.thread_type = "AUTO"
        packets = (packet for packet in container.demux(stream) if packet.size)
        for place, packet in enumerate(packets):
            packet.pts = packet.dts = place
            places += _places_of(decoder, packet)
        places += _places_of(decoder, None)
    if len(set(places)) != len(places):
        raise MediaError(
            f"{path.name}: several frames lie in one packet (packed B-frames of an old AVI), so they cannot be told "
            f"apart. Write the file anew: ffmpeg -i {path.name} -c:v libx264 -crf 16 -g 15 new.mp4"
        )
    stored = [stamps[place][0] for place in places]
    if None in stored or (is_avi and any(later <= earlier for earlier, later in pairwise(stored))):
        # AVI stores no presentation times, and those that FFmpeg makes up do not ascend where B-frames refer to each
        # other. What it stores (decoding times) is, in ascending order, when the frames are shown.
        stored = sorted(stamps[place][1] or 0 for place in places)
    return DecodeOrder(
        np.array(places, dtype=np.int64),
        np.array(stored, dtype=np.int64),
        np.flatnonzero(keys).astype(np.int64),
        len(stamps),
    )


def _places_of(decoder: Any, packet: Any) -> list[int]:
    try:
        pictures = decoder.decode(packet)
    except FFmpegError:
        return []  # the frame is missing here and in the index; those around it stay usable
    return [int(picture.pts) for picture in pictures if picture.pts is not None and not picture.is_corrupt]


def _check_order(path: Path, order: DecodeOrder) -> None:
    if not len(order.frame_pts):
        raise MediaError(f"{path.name}: no frame of it can be decoded. Copy the file again from where it came from.")
    if np.any(np.diff(order.frame_pts) <= 0):
        place = int(np.flatnonzero(np.diff(order.frame_pts) <= 0)[0])
        raise MediaError(
            f"{path.name}: frame {place + 1} has time stamp {order.frame_pts[place + 1]} after {order.frame_pts[place]}: "
            f"the stamps do not ascend, so they say nothing. Write the file anew: "
            f"ffmpeg -i {path.name} -c:v libx264 -crf 16 -g 15 new.mp4"
        )


class HeldPackets:
    """Packets in memory."""

    def __init__(self, packets: list[Any]) -> None:
        self._packets = packets

    def read(self, place: int) -> Iterator[Any]:
        """Yield the packets from a place in the decoding order on."""
        return iter(self._packets[place:])

    def close(self) -> None:
        """Let go of them."""
        self._packets = []


class FilePackets:
    """Packets read from the file when they are needed, for long videos.

    A seek of a container is a hint: it may land anywhere. So each packet is compared
    with the index before it is used.
    """

    def __init__(self, path: Path, container: Any, stream: Any, stamps: list[Stamp]) -> None:
        self._path, self._container, self._stream = path, container, stream
        self._stream_index = stream.index
        self._stamps = stamps
        marks = [_mark(*stamp) for stamp in stamps]
        self._place_of = {mark: place for place, mark in enumerate(marks)}
        self._unique = len(self._place_of) == len(marks)

    def read(self, place: int) -> Iterator[Any]:
        """Yield the packets from a place in the decoding order on."""
        try:
            yield from self._from(place)
        except (FFmpegError, OSError) as error:
            raise MediaError(
                f"{self._path.name}: packet {place} cannot be read: {error}. Check that the disk or network drive is "
                f"there, then show the clip again."
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _from(self, place: int) -> Iterator[Any]:
        pts, dts, _ = self._stamps[place]
        aims = [stamp for stamp in (dts, pts) if stamp is not None] if self._unique else []
        for aim in aims:
            self._container.seek(aim, stream=self._stream, backward=True, any_frame=False)
            packets = self._packets()
            first = next(packets, None)
            at = None if first is None else self._place_of.get(_mark(first.pts, first.dts, first.size))
            if at is not None and at <= place:
                yield from self._expected(first, packets, at, place)
                return
        # Seeking does not lead there: read from the start.
        self._container.close()
        self._container = av.open(str(self._path))
        self._stream = self._container.streams[self._stream_index]
        packets = self._packets()
        first = next(packets, None)
        if first is not None:
            yield from self._expected(first, packets, 0, place)

    def _packets(self) -> Iterator[Any]:
        return (packet for packet in self._container.demux(self._stream) if packet.size)

    def _expected(self, first: Any, packets: Iterator[Any], at: int, place: int) -> Iterator[Any]:
        packet: Any = first
        while packet is not None and at < len(self._stamps):
            if _mark(packet.pts, packet.dts, packet.size) != _mark(*self._stamps[at]):
                raise MediaError(f"{self._path.name}: the file changed while it was open. Show the clip again.")
            if at >= place:
                yield packet
            packet, at = next(packets, None), at + 1


def _mark(pts: int | None, dts: int | None, size: int) -> tuple[int | None, int]:
    """A packet is known by its pts: decoding times are partly made up, and otherwise after a seek."""
    return (dts if pts is None else pts, size)
