"""Open a session file whose writer did not close it, without changing a byte of it.

HDF5 marks a file that is open for writing in its superblock and refuses it as long
as the mark is there; the mark of a killed writer stays. The usual cure (``h5clear``)
changes the file. Single-writer multiple-reader mode opens it too, but where metadata
are damaged it reads them again and again in the hope that a writer finishes them,
and seems to hang. Here the file is read through an object that shows HDF5 the same
bytes with a clean superblock, with whole checksums where a kill has torn metadata, and
zeros where a cut file lacks its end; whatever is damaged then fails its checksum at once.

References
----------
HDF5 File Format Specification, version 3.0, section II.A "Disk Format: Level 0A",
superblock versions 2 and 3: consistency flags at byte 11, end-of-file address at
byte 28, checksum (Jenkins' lookup3) at byte 44, for 8-byte addresses.
"""

from __future__ import annotations

import io
import logging
import os
import struct
from pathlib import Path
from typing import Any

import h5py

from data_schema.errors import SessionFileError
from data_schema.session.torn import mended_checksums

logger = logging.getLogger(__name__)

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SUPERBLOCK_BYTES = 48
_FLAGS_AT, _EOF_AT, _CHECKSUM_AT = 11, 28, 44
_MASK = 0xFFFFFFFF


def superblock_checksum(data: bytes) -> int:
    """Return the checksum that HDF5 stores with its metadata.

    References
    ----------
    Jenkins (2006), "lookup3.c", function hashlittle with initial value 0, in the
    public domain.
    """
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    position = 0
    while len(data) - position > 12:
        x, y, z = struct.unpack_from("<3I", data, position)
        a, b, c = _mix((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)
        position += 12
    rest = data[position:]
    if not rest:
        return c
    x, y, z = struct.unpack("<3I", rest.ljust(12, b"\0"))
    return _final((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)


def _rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (32 - bits))) & _MASK


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for first, second in ((4, 6), (8, 16), (19, 4)):
        a = (a - c) & _MASK ^ _rotate(c, first)
        c = (c + b) & _MASK
        b = (b - a) & _MASK ^ _rotate(a, second)
        a = (a + c) & _MASK
        # The roles of a, b and c move on by two places from one round to the next.
        a, b, c = c, a, b
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    for x_bits, y_bits, z_bits in ((14, 11, 25), (16, 4, 14)):
        c = ((c ^ b) - _rotate(b, x_bits)) & _MASK
        a = ((a ^ c) - _rotate(c, y_bits)) & _MASK
        b = ((b ^ a) - _rotate(a, z_bits)) & _MASK
    return ((c ^ b) - _rotate(b, 24)) & _MASK


class _CleanView(io.RawIOBase):
    """A read-only file with its superblock and torn checksums replaced, and zeros after its end."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("rb")
        self._position = 0
        size = os.fstat(self._stream.fileno()).st_size
        head = bytearray(self._stream.read(_SUPERBLOCK_BYTES))
        if len(head) < _SUPERBLOCK_BYTES or bytes(head[:8]) != _SIGNATURE or head[8] not in (2, 3) or head[9] != 8:
            self._stream.close()
            raise SessionFileError(path, "its first bytes are not those of a session file. Copy it again.")
        stored_end = struct.unpack_from("<Q", head, _EOF_AT)[0]
        self.size: int = max(size, stored_end)
        head[_FLAGS_AT] = 0
        struct.pack_into("<Q", head, _EOF_AT, self.size)
        struct.pack_into("<I", head, _CHECKSUM_AT, superblock_checksum(bytes(head[:_CHECKSUM_AT])))
        #: What is shown instead of the file's own bytes, by place.
        self._instead: dict[int, bytes] = {0: bytes(head)}
        mended = mended_checksums(self._read_at, superblock_checksum)
        if mended:
            logger.warning("%s: %d blocks of metadata were half written; they are read as they are", path, len(mended))
        self._instead.update(mended)

    def _read_at(self, place: int, n: int) -> bytes:
        # An address that is not set is all ones.
        if place >= self.size:
            return b""
        self._stream.seek(place)
        return self._stream.read(n)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        start = self._position
        n: int = max(0, min(len(view), self.size - start))
        self._stream.seek(start)
        done = self._stream.readinto(view[:n])
        view[done:n] = bytes(n - done)
        for place, content in self._instead.items():
            first, end = max(start, place), min(start + n, place + len(content))
            if first < end:
                view[first - start : end - start] = content[first - place : end - place]
        self._position = start + n
        return n

    def close(self) -> None:
        self._stream.close()
        super().close()


def open_unclean(path: Path) -> tuple[h5py.File, io.RawIOBase]:
    """Open a file that its writer did not close, for reading.

    Returns
    -------
    file : h5py.File
        The file, as if it had been closed.
    view : io.RawIOBase
        What `file` reads through; close it after `file`.

    Raises
    ------
    SessionFileError
        If it is no such file, or too damaged to be opened at all.
    """
    view = _CleanView(path)
    try:
        return h5py.File(view, "r"), view
    except (OSError, RuntimeError, ValueError) as error:
        view.close()
        raise SessionFileError(
            path, f"is too damaged to be opened: {error}. Copy it again from the recording PC."
        ) from error
