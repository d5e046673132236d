"""Read columns of a table without making rows of them first.

HDF5's shuffle filter stores a chunk byte by byte: first the first byte of every row, then the second. A column is
therefore in one piece once a chunk is inflated, while HDF5 would put the rows together for us to take them apart again.
zlib checks what it inflates (Adler-32), so nothing damaged passes; it also lets go of Python's lock, so that two threads
inflate at once.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from data_schema.session.chunks import takes_packed_chunks

Columns = dict[str, npt.NDArray[Any]]

#: Bytes that are inflated before columns are taken out: small enough for a processor's cache.
_BATCH_BYTES = 1 << 20
#: Rows read at a time where the chunks are not packed as ours are.
_BLOCK_ROWS = 8192
#: Threads that inflate; more would wait for the memory.
_THREADS = 4


def read_columns(dataset: h5py.Dataset, names: Sequence[str], start: int, stop: int) -> Columns:
    """Read some columns of the rows from `start` to `stop`.

    Parameters
    ----------
    dataset : h5py.Dataset
        One-dimensional, of a compound type.
    names : sequence of str
        Columns that it has.
    start, stop : int
        Within the table.

    Returns
    -------
    dict of str to ndarray, each contiguous, shape (stop - start, ...)

    Raises
    ------
    OSError
        If a chunk is damaged.
    """
    columns = {name: np.empty((stop - start, *dataset.dtype[name].shape), dataset.dtype[name].base) for name in names}
    if stop <= start or not names:
        return columns
    if takes_packed_chunks(dataset) and stop - start > 4 * dataset.chunks[0]:
        _read_packed(dataset, columns, start, stop)
    else:
        _read_rows(dataset, columns, start, stop)
    return columns


def _read_rows(dataset: h5py.Dataset, columns: Columns, start: int, stop: int) -> None:
    """Read blocks of rows and take them apart while they are in the cache."""
    for first in range(start, stop, _BLOCK_ROWS):
        rows = dataset[first : min(stop, first + _BLOCK_ROWS)]
        for name, values in columns.items():
            values[first - start : first - start + len(rows)] = rows[name]


def _read_packed(dataset: h5py.Dataset, columns: Columns, start: int, stop: int) -> None:
    n_rows, size = dataset.chunks[0], dataset.dtype.itemsize
    per_batch = max(1, _BATCH_BYTES // (n_rows * size))
    firsts = list(range(start - start % n_rows, stop, n_rows))
    batches = [firsts[i : i + per_batch] for i in range(0, len(firsts), per_batch)]
    threads = min(_THREADS, os.cpu_count() or 1, len(batches))
    with ThreadPoolExecutor(threads, thread_name_prefix="columns") as pool:
        waiting = []
        for batch in _stored(dataset, batches):
            waiting.append(pool.submit(_take_apart, dataset.dtype, columns, batch, n_rows, start, stop))
            # What was read from the disk and is not inflated yet stays bounded.
            while len(waiting) > 2 * threads:
                waiting.pop(0).result()
        for future in waiting:
            future.result()


def _stored(dataset: h5py.Dataset, batches: list[list[int]]) -> Iterator[list[tuple[int, bytes | None]]]:
    """Yield the stored bytes of chunks by their first row; None for a chunk that must go through HDF5."""
    for batch in batches:
        read: list[tuple[int, bytes | None]] = []
        for first in batch:
            try:
                left_out, packed = dataset.id.read_direct_chunk((first,))
            except (OSError, RuntimeError, ValueError):
                # Never written, or another driver: HDF5 knows, and says what is wrong if something is.
                left_out, packed = 1, b""
            rows = None if left_out else packed[:-4]
            if rows is None:
                rows = _as_planes(dataset, first)
            read.append((first, rows))
        yield read


def _as_planes(dataset: h5py.Dataset, first: int) -> bytes:
    """Read a chunk through HDF5 and pack it again as the others are."""
    n_rows, size = dataset.chunks[0], dataset.dtype.itemsize
    rows = np.zeros(n_rows, dtype=dataset.dtype)
    stored = dataset[first : first + n_rows]
    rows[: len(stored)] = stored
    return zlib.compress(rows.view(np.uint8).reshape(n_rows, size).T.tobytes(), 0)


def _take_apart(
    dtype: np.dtype[Any], columns: Columns, batch: list[tuple[int, bytes | None]], n_rows: int, start: int, stop: int
) -> None:
    """Inflate neighbouring chunks and copy the wanted columns out of them."""
    planes = np.empty((len(batch), dtype.itemsize, n_rows), dtype=np.uint8)
    for place, (first, packed) in enumerate(batch):
        try:
            inflated = zlib.decompress(packed or b"", bufsize=dtype.itemsize * n_rows)
        except zlib.error as error:
            raise OSError(f"the chunk of row {first} is damaged: {error}") from error
        if len(inflated) != dtype.itemsize * n_rows:
            raise OSError(f"the chunk of row {first} has {len(inflated)} bytes, expected {dtype.itemsize * n_rows}")
        planes[place] = np.frombuffer(inflated, dtype=np.uint8).reshape(dtype.itemsize, n_rows)
    low, high = max(start, batch[0][0]), min(stop, batch[-1][0] + n_rows)
    skipped = low - batch[0][0]
    for name, values in columns.items():
        offset, size = _place(dtype, name)
        rows = np.ascontiguousarray(planes[:, offset : offset + size, :].transpose(0, 2, 1)).reshape(-1, size)
        target = values.reshape(len(values), -1).view(np.uint8)
        target[low - start : high - start] = rows[skipped : skipped + high - low]


def _place(dtype: np.dtype[Any], name: str) -> tuple[int, int]:
    """Return where the bytes of a column begin in a row, and how many there are."""
    fields: Any = dtype.fields
    return int(fields[name][1]), int(fields[name][0].itemsize)
