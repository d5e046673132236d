"""Take the notes that encoders leave out of H.264: with what, and by some when, a video was made.

References
----------
ITU-T H.264 (2021), 7.3.2.3 and annex D supplemental enhancement information, 7.4.1 NAL unit semantics.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from data_schema.errors import MediaError

_NAL_START = re.compile(rb"\x00?\x00\x00\x01")
_SEI = 6
#: Messages that may say when and with what something was recorded, or what is said in it: picture timing with its
#: clock, registered (captions) and unregistered user data.
_TELLING = (1, 4, 5)


def without_notes(packet: bytes, length_size: int = 0) -> bytes:
    """Return an H.264 packet without the encoder's notes.

    Parameters
    ----------
    packet : bytes
    length_size : int
        Bytes of the length before each NAL unit, as in .mp4; 0 for start codes (Annex B).

    Raises
    ------
    MediaError
        If the packet does not consist of NAL units.
    """
    kept = b""
    for head, unit in _units(packet, length_size):
        said = _without_telling(unit) if unit and unit[0] & 31 == _SEI else unit
        if said:
            kept += (len(said).to_bytes(length_size, "big") if length_size else head) + said
    return kept


def _without_telling(unit: bytes) -> bytes:
    """Return an SEI unit without the messages that tell something; empty if none is left, or it cannot be read."""
    # A 3 stands where two zeros would otherwise look like the start of a unit.
    raw = unit[1:].replace(b"\x00\x00\x03", b"\x00\x00")
    kept, place = b"", 0
    while raw[place:].rstrip(b"\x00") not in (b"\x80", b""):
        begin, numbers = place, []
        for _ in range(2):  # type, then size: each is 255 as often as it fits, and the rest
            number = 0
            while raw[place : place + 1] == b"\xff":
                number, place = number + 255, place + 1
            if place >= len(raw):
                return b""
            numbers.append(number + raw[place])
            place += 1
        place += numbers[1]
        if place > len(raw):
            return b""
        if numbers[0] not in _TELLING:
            kept += raw[begin:place]
    return unit[:1] + re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", kept + b"\x80") if kept else b""


def _units(packet: bytes, length_size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield each NAL unit with what stands before it."""
    broken = MediaError("a packet of the video does not consist of NAL units, so it is damaged")
    if length_size:
        place = 0
        while place < len(packet):
            begin = place + length_size
            end = begin + int.from_bytes(packet[place:begin], "big")
            if end > len(packet):
                raise broken
            yield packet[place:begin], packet[begin:end]
            place = end
        return
    starts = [*_NAL_START.finditer(packet)]
    if not starts or starts[0].start() != 0:
        raise broken
    for mark, after in zip(starts, [*starts[1:], None], strict=True):
        yield mark[0], packet[mark.end() : after.start() if after else len(packet)]
