"""Tab-separated tables as BIDS wants them: ``n/a`` for what is missing, the same bytes for the same rows.

Numbers are written with as many digits as it takes to read the same number back: a tracker's 32-bit floats come home
unchanged. Times come from whole microseconds and have six decimals, so that no rounding happens on the way.

Columns are turned into text by Arrow, a block of rows at once, which costs a fraction of what a loop over cells does; the
blocks go into one gzip stream, so that memory does not grow with the recording.

References
----------
BIDS Specification 1.11.1, "Tabular files", "Compressed tabular files": no header in ``.tsv.gz``; no time stamp, name or
comment in the gzip header.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data_schema.files import disk_problem

MISSING = "n/a"

#: Level 4 takes a third of the time of level 6 and gives files 3 % larger (gaze at 600 Hz).
GZIP_LEVEL = 4
#: No name, no time, unknown system: the header says nothing of the machine.
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


def seconds(t_us: npt.ArrayLike) -> pa.Array:
    """Return times as text in seconds with six decimals, exactly.

    Parameters
    ----------
    t_us : array_like of int, shape (n,)
        Microseconds.

    Returns
    -------
    pyarrow.StringArray, shape (n,)
    """
    times: npt.NDArray[np.int64] = np.asarray(t_us, dtype=np.int64)
    size = np.abs(times)
    whole = pc.cast(pa.array(size // 1_000_000), pa.string())
    rest = pc.utf8_lpad(pc.cast(pa.array(size % 1_000_000), pa.string()), 6, "0")
    sign = pc.if_else(pa.array(times < 0), "-", "")
    return pc.binary_join_element_wise(pc.binary_join_element_wise(sign, whole, ""), rest, ".")


def _without_breaks(values: Iterable[Any]) -> list[str | None]:
    """Keep a cell on its line: tabulators and line breaks become spaces."""
    return [
        None if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)) or value == ""
        else " ".join(str(value).split())
        for value in values
    ]  # fmt: skip


def as_text(values: Any) -> pa.Array:
    """Return a column as text, ``n/a`` where it is empty, missing or not a number.

    Parameters
    ----------
    values : pyarrow.Array, ndarray, Series or sequence, shape (n,)
        Numbers, flags (1 and 0) or texts.
    """
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        column = values
    elif isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        column = pa.array(values, from_pandas=True)
    elif isinstance(values, np.ndarray) and values.dtype.kind == "b":
        column = pa.array(values.astype(np.uint8))
    else:
        series = values if isinstance(values, pd.Series) else pd.Series(list(values), dtype=object)
        if pd.api.types.is_bool_dtype(series.dtype):
            column = pa.array(series.astype("UInt8"), from_pandas=True)
        elif pd.api.types.is_numeric_dtype(series.dtype):
            column = pa.array(series, from_pandas=True)
        else:
            column = pa.array(_without_breaks(series), type=pa.string())
    return pc.fill_null(pc.cast(column, pa.string()), MISSING)


def encode_rows(columns: Sequence[Any]) -> bytes:
    """Return rows as bytes, one line each, without a header.

    Parameters
    ----------
    columns : sequence of columns, each of shape (n,)
        As :func:`as_text` takes them.
    """
    texts = [as_text(column) for column in columns]
    if not texts or not len(texts[0]):
        return b""
    ended = pc.binary_join_element_wise(texts[-1], "", "\n")
    lines = pc.binary_join_element_wise(*texts[:-1], ended, "\t") if len(texts) > 1 else ended
    if isinstance(lines, pa.ChunkedArray):
        lines = lines.combine_chunks()
    # The texts lie one after the other in one buffer: that buffer is the table.
    offsets = np.frombuffer(lines.buffers()[1], dtype=np.int32)
    first, last = int(offsets[lines.offset]), int(offsets[lines.offset + len(lines)])
    return memoryview(lines.buffers()[2])[first:last].tobytes()


class GzipRows:
    """A ``.tsv.gz`` that grows block by block. Use it as a context manager.

    Parameters
    ----------
    path : Path
        Must not exist; its folder is made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_rows = 0
        self._deflate = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._crc = 0
        self._size = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("xb")
            self._file.write(_GZIP_HEADER)
        except OSError as error:
            raise disk_problem(error, path) from error

    def write(self, columns: Sequence[Any]) -> None:
        """Append rows given as columns.

        Raises
        ------
        ExportError
            If the disk is full or the file cannot be written.
        """
        block = encode_rows(columns)
        self.n_rows += len(columns[0])
        self._crc = zlib.crc32(block, self._crc)
        self._size += len(block)
        try:
            self._file.write(self._deflate.compress(block))
        except OSError as error:
            raise disk_problem(error, self.path) from error

    def __enter__(self) -> GzipRows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._file.write(self._deflate.flush())
                self._file.write(struct.pack("<II", self._crc, self._size & 0xFFFFFFFF))
        except OSError as problem:
            raise disk_problem(problem, self.path) from problem
        finally:
            self._file.close()


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, with line feeds on every system."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8"))
    except OSError as error:
        raise disk_problem(error, path) from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object in the order of its keys; what is None is left out."""
    kept = {key: value for key, value in content.items() if value is not None}
    write_text(path, json.dumps(kept, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_tsv(path: Path, columns: Mapping[str, Any]) -> None:
    """Write a table with a header.

    Parameters
    ----------
    path : Path
    columns : mapping of str to column
        Name and cells, all of the same length; as :func:`as_text` takes them.
    """
    text = "\t".join(columns) + "\n" + encode_rows(list(columns.values())).decode("utf-8")
    write_text(path, text)
