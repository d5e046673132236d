"""Cut runs of certain characters out of bytes, at the speed of arrays: a pattern would look at each byte on its own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bool = npt.NDArray[np.bool_]


def _class_of(characters: bytes) -> Bool:
    table = np.zeros(256, dtype=np.bool_)
    table[list(characters)] = True
    return table


_LETTERS = b"abcdefghijklmnopqrstuvwxyz"
_DIGITS = b"0123456789"
#: For each byte whether it is one of a kind.
PRINTABLE = _class_of(bytes(range(0x20, 0x7F)))
LOWER = _class_of(_LETTERS)
LETTER = _class_of(_LETTERS + _LETTERS.upper())
WORD = _class_of(_LETTERS + _DIGITS)
BASE64 = _class_of(_LETTERS + _LETTERS.upper() + _DIGITS + b"+/_-")


def runs(data: bytes, kind: Bool, shortest: int) -> list[bytes]:
    """Return the runs of at least `shortest` bytes of a kind."""
    codes = np.frombuffer(data, dtype=np.uint8)
    starts, ends = _bounds(kind[codes])
    long = ends - starts >= shortest
    return [data[a:b] for a, b in zip(starts[long].tolist(), ends[long].tolist(), strict=True)]


def words(lower: bytes) -> set[bytes]:
    """Return the words with a letter in them of a text in small letters: numbers alone are passed over."""
    codes = np.frombuffer(lower, dtype=np.uint8)
    starts, ends = _bounds(WORD[codes])
    letters = np.concatenate([[0], np.cumsum(LOWER[codes], dtype=np.int32)])
    known = letters[ends] > letters[starts]
    return {lower[a:b] for a, b in zip(starts[known].tolist(), ends[known].tolist(), strict=True)}


def base64_runs(data: bytes, shortest: int) -> set[bytes]:
    """Return what may be base64 of a text: runs of its alphabet that begin with a letter.

    The first byte of a text is below 0x80, and the first letter of its base64 is then one of A to f.
    """
    codes = np.frombuffer(data, dtype=np.uint8)
    starts, ends = _bounds(BASE64[codes])
    chosen = (ends - starts >= shortest) & LETTER[codes[starts]]
    return {data[a:b] for a, b in zip(starts[chosen].tolist(), ends[chosen].tolist(), strict=True)}


def wide_runs(data: bytes, shortest: int) -> list[bytes]:
    """Return the texts of printable characters that stand in UTF-16, of either byte order."""
    if b"\x00" not in data:
        return []
    codes = np.frombuffer(data, dtype=np.uint8)
    # A character and then a zero; in the other byte order this is so of all characters but the last.
    pairs = PRINTABLE[codes[:-1]] & (codes[1:] == 0)
    found = []
    for parity in (0, 1):
        starts, ends = _bounds(pairs[parity::2])
        long = ends - starts >= shortest
        for a, b in zip(starts[long].tolist(), ends[long].tolist(), strict=True):
            found.append(data[2 * a + parity : 2 * b + parity + 1 : 2])
    return found


def _bounds(mask: Bool) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return where runs of True begin and end (excluded)."""
    padded = np.concatenate([[False], mask, [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return edges[0::2], edges[1::2]
