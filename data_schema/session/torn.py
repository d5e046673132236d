"""Find metadata of an HDF5 file that a kill has left half written, and the checksums that make them whole.

A process that is killed (or a machine that loses power) while it writes a block that
crosses a page of memory leaves the block's first part new and its last part old. Of a
dataset's object header only two things differ between the two: the number of rows, which
stands in front, and the checksum, which stands at the end. The block is sound but for its
checksum, and HDF5 refuses the whole dataset for it. Seen in one of some 500 kills of a
process that did nothing but write and flush.

Checked are the object headers of version 2 with their continuations, and the heads and
index blocks of the extensible arrays that say where chunks lie; a head is small and its
counts may be either the old or the new ones. Data blocks of these arrays are left alone:
one that is torn costs the rows of its chunks.

References
----------
HDF5 File Format Specification, version 3.0, sections IV.A.1.b "Version 2 Data Object
Header Prefix", IV.A.2.i "Data Layout Message", VII.C "The Extensible Array Index".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

#: Returns bytes of the file from a place on; fewer at its end.
Read = Callable[[int, int], bytes]
Checksum = Callable[[bytes], int]

#: Bytes from the start in which object headers lie: everything is created before the first row.
_SEARCHED_BYTES = 4 << 20
#: A header is longer only if something else is taken for one.
_LONGEST = 1 << 20
_LAYOUT, _CONTINUATION = 0x08, 0x10
_CHUNKED, _EXTENSIBLE_ARRAY = 2, 4
_HEAD_BYTES = 72


def mended_checksums(read: Read, checksum: Checksum) -> dict[int, bytes]:
    """Return the checksums that are wrong, right, by their place in the file.

    Parameters
    ----------
    read : callable
        Takes a place and a number of bytes.
    checksum : callable
        HDF5's checksum of metadata.
    """
    mended: dict[int, bytes] = {}
    start = read(0, _SEARCHED_BYTES)
    place = start.find(b"OHDR")
    while place >= 0:
        for block, size in _blocks(read, place):
            body = read(block, size)
            right = struct.pack("<I", checksum(body[:-4]))
            if len(body) == size and body[-4:] != right:
                mended[block + size - 4] = right
        place = start.find(b"OHDR", place + 4)
    return mended


def _blocks(read: Read, place: int) -> Iterator[tuple[int, int]]:
    """Yield place and size of the blocks of an object; nothing if there is none."""
    prefix = read(place, 34)
    if len(prefix) < 34 or prefix[4] != 2:
        return
    flags = prefix[5]
    at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 0x03)
    size = int.from_bytes(prefix[at : at + width], "little")
    before = at + width
    if not 0 < size < _LONGEST:
        return
    waiting = [(place, before, size)]
    found: list[tuple[int, int]] = []
    while waiting:
        block, head, length = waiting.pop()
        messages = list(_messages(read(block + head, length), bool(flags & 0x04)))
        if not messages:
            # No header, or more than its checksum is wrong.
            return
        found.append((block, head + length + 4))
        for kind, content in messages:
            if kind == _CONTINUATION and len(content) >= 16:
                next_block, next_size = struct.unpack_from("<QQ", content)
                if 8 < next_size < _LONGEST and read(next_block, 4) == b"OCHK" and len(found) < 64:
                    waiting.append((next_block, 4, next_size - 8))
            elif kind == _LAYOUT:
                found += _array_blocks(read, content)
    yield from found


def _messages(body: bytes, ordered: bool) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of the messages; nothing if they do not fill the body as they should."""
    head = 6 if ordered else 4
    found: list[tuple[int, bytes]] = []
    at = 0
    # What is left behind the last message is a gap shorter than a message's head.
    while len(body) - at >= head:
        kind, size = body[at], int.from_bytes(body[at + 1 : at + 3], "little")
        if kind > 0x18 or at + head + size > len(body):
            return
        found.append((kind, body[at + head : at + head + size]))
        at += head + size
    yield from found


def _array_blocks(read: Read, layout: bytes) -> list[tuple[int, int]]:
    """Return place and size of the head and the index block of a chunked dataset's extensible array."""
    if len(layout) < 5 or layout[0] != 4 or layout[1] != _CHUNKED:
        return []
    at = 5 + layout[3] * layout[4]
    if len(layout) < at + 14 or layout[at] != _EXTENSIBLE_ARRAY:
        return []
    place = int.from_bytes(layout[at + 6 : at + 14], "little")
    head = read(place, _HEAD_BYTES)
    if len(head) < _HEAD_BYTES or head[:5] != b"EAHD\0":
        return []
    element_bytes, most_bits, n_in_index, block_elements, least_pointers = head[6:11]
    index = int.from_bytes(head[60:68], "little")
    found = [(place, _HEAD_BYTES)]
    if read(index, 5) == b"EAIB\0" and least_pointers > 1 and block_elements > 0:
        # Super blocks whose data blocks are listed in the index, and those that are listed themselves.
        n_listed = 2 * (least_pointers.bit_length() - 1)
        n_super = 1 + most_bits - (block_elements.bit_length() - 1)
        n_pointers = 2 * (least_pointers - 1) + max(0, n_super - n_listed)
        found.append((index, 14 + n_in_index * element_bytes + 8 * n_pointers + 4))
    return found
