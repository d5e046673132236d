"""What tables, columns and blobs of a session file are made of, and how one row is filled.

The tables themselves are declared in :mod:`data_schema.session.layout`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt


class Growth(str, Enum):
    """How a table is written."""

    FAST = "fast"
    SLOW = "slow"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        The unit is in the name (``_us``, ``_mm``, ``_norm``, ``_deg``).
    dtype : str
        numpy dtype string; text is ``S<n>`` and holds UTF-8.
    unit : str
        Unit as printed in the reference; empty for codes and text.
    meaning : str
        One sentence.
    shape : tuple of int
        Shape of one cell.
    sdk_field : str
        Name of the field in the Tobii Pro SDK's dictionary, where there is one.
    since : tuple of int
        First format version that has this column; in older files it reads as 0, empty or NaN.
    """

    name: str
    dtype: str
    unit: str
    meaning: str
    shape: tuple[int, ...] = ()
    sdk_field: str = ""
    since: tuple[int, int] = (1, 0)

    @property
    def is_text(self) -> bool:
        """Tell whether the column holds fixed-length UTF-8 text."""
        return self.dtype.startswith("S")


@dataclass(frozen=True)
class Table:
    """One table (a one-dimensional compound dataset) of a session file."""

    path: str
    meaning: str
    columns: tuple[Column, ...]
    growth: Growth = Growth.SLOW
    #: Column by which rows are ordered and sliced in time; empty if there is none.
    time_column: str = ""
    #: True if `time_column` must never decrease (a device's own clock may be reset).
    monotonic: bool = True
    #: First format version that has this table.
    since: tuple[int, int] = (1, 0)

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """Return the numpy dtype of one row, packed (no padding); always the same object."""
        return np.dtype([(c.name, c.dtype, c.shape) if c.shape else (c.name, c.dtype) for c in self.columns])

    def column(self, name: str) -> Column:
        """Return the declaration of column `name`."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.path} has no column '{name}'")

    def empty(self, n: int = 0) -> npt.NDArray[np.void]:
        """Return `n` zeroed rows."""
        return np.zeros(n, dtype=self.dtype)


@dataclass(frozen=True)
class Blob:
    """A growing one-dimensional array of bytes."""

    path: str
    meaning: str
    attributes: tuple[str, ...]
    since: tuple[int, int] = (1, 0)


@dataclass(frozen=True)
class Attribute:
    """One attribute of the file's root or of ``/study``."""

    name: str
    meaning: str


def encode_text(text: str, size: int) -> bytes:
    """Encode `text` as UTF-8 of at most `size` bytes, cut at a character's boundary.

    Parameters
    ----------
    text : str
        Any text. NUL characters, which fixed-length text cannot hold, become spaces,
        half characters (lone surrogates, as broken input brings them) question marks.
    size : int
        Room in bytes.
    """
    raw = text.replace("\0", " ").encode("utf-8", errors="replace")
    return raw if len(raw) <= size else raw[:size].decode("utf-8", errors="ignore").encode("utf-8")


def join_rows(parts: Sequence[npt.NDArray[np.void]]) -> npt.NDArray[np.void]:
    """Join rows of one table; at least one part is given.

    ``numpy.concatenate`` compares the columns of all parts first, which costs
    12 us a part (measured) and takes most of the time of a stream that comes
    row by row. Here the bytes are joined.

    Parameters
    ----------
    parts : sequence of structured ndarray, shape (n,)
        All of the same dtype, which the caller has checked.

    Returns
    -------
    structured ndarray, shape (sum of n,)
        Read-only if there are several parts; the part itself if it is alone.
    """
    if len(parts) == 1:
        return parts[0]
    # An array is a buffer, which its annotation does not say; a memoryview of it would be made 20 times slower.
    blocks: list[Any] = [np.ascontiguousarray(part) for part in parts]
    return np.frombuffer(b"".join(blocks), dtype=parts[0].dtype)


def make_row(table: Table, **values: object) -> npt.NDArray[np.void]:
    """Return one row of `table`, shape (1,), from values by column name.

    Columns that are not named are zero or empty; numbers of type float that are
    not named are NaN, so that a missing number is never taken for a zero.

    Raises
    ------
    KeyError
        If the table has no such column.
    """
    row = table.empty(1)
    for column in table.columns:
        if column.is_text:
            text = str(values.pop(column.name, ""))
            row[column.name] = encode_text(text, np.dtype(column.dtype).itemsize)
        elif column.name in values:
            row[column.name] = values.pop(column.name)
        elif np.dtype(column.dtype).kind == "f":
            row[column.name] = np.nan
    if values:
        raise KeyError(f"{table.path} has no column '{next(iter(values))}'")
    return row


def decode_text(values: npt.NDArray[np.bytes_]) -> npt.NDArray[np.object_]:
    """Decode a fixed-length text column into an array of str."""
    return np.array([bytes(value).decode("utf-8", errors="replace") for value in values], dtype=object)
