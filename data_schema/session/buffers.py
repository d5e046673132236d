"""What waits in memory before it is written to a session file: rows of a table, bytes of a blob."""

from __future__ import annotations

import time

import h5py
import numpy as np
import numpy.typing as npt
from h5py import h5s, h5t

from data_schema.session.chunks import pack_chunk, takes_packed_chunks
from data_schema.session.declaration import Growth, Table, join_rows

Rows = npt.NDArray[np.void]


class TableBuffer:
    """Rows of one table that are not on file yet.

    Parameters
    ----------
    table : Table
        The declaration.
    dataset : h5py.Dataset
        Where the rows go; one-dimensional, chunked.
    """

    def __init__(self, table: Table, dataset: h5py.Dataset) -> None:
        self.table = table
        self.dtype = table.dtype
        self.chunk_rows: int = dataset.chunks[0]
        self.n_on_file = int(dataset.shape[0])
        self.n_waiting = 0
        self._slow = table.growth is Growth.SLOW
        self._takes_packed = takes_packed_chunks(dataset)
        self._dataset = dataset.id
        # h5py makes the type anew for each write, which for gaze takes a third of the time.
        self._type = h5t.py_create(self.dtype)
        self._parts: list[Rows] = []
        self._arrived_s: list[float] = []

    def append(self, rows: Rows) -> None:
        """Keep rows (not a copy) until they are due."""
        self._parts.append(rows)
        self._arrived_s.append(time.monotonic())
        self.n_waiting += len(rows)

    def oldest_s(self) -> float:
        """Return the monotonic time at which the oldest waiting row came; infinity if none waits."""
        return self._arrived_s[0] if self._arrived_s else float("inf")

    def n_due(self, late_before_s: float, force: bool) -> int:
        """Return how many rows should be written now.

        Parameters
        ----------
        late_before_s : float
            Monotonic time; a row that came before it must not wait longer.
        force : bool
            True for all that waits.
        """
        if not self.n_waiting:
            return 0
        if force or self._slow or self._arrived_s[0] <= late_before_s:
            return self.n_waiting
        # Whole chunks only: up to the last chunk boundary that the rows reach.
        end = self.n_on_file + self.n_waiting
        return max(0, end // self.chunk_rows * self.chunk_rows - self.n_on_file)

    def write(self, n: int) -> None:
        """Write the oldest `n` rows and flush them to the operating system."""
        block = np.ascontiguousarray(join_rows(self._parts))
        start, end = self.n_on_file, self.n_on_file + n
        self._dataset.set_extent((end,))
        # From `first` to `last` lie whole chunks; what is before and behind shares its chunk with other rows.
        first = min(end, -(-start // self.chunk_rows) * self.chunk_rows) if self._takes_packed else end
        last = max(first, end // self.chunk_rows * self.chunk_rows)
        self._write_rows(start, block[: first - start])
        for row in range(first, last, self.chunk_rows):
            chunk = block[row - start : row - start + self.chunk_rows]
            self._dataset.write_direct_chunk((row,), pack_chunk(chunk))
        self._write_rows(last, block[last - start : n])
        self._dataset.flush()
        self.n_on_file = end
        self._keep(block[n:])

    def _write_rows(self, start: int, rows: Rows) -> None:
        """Write rows through HDF5's own filters."""
        if len(rows):
            place = self._dataset.get_space()
            place.select_hyperslab((start,), (len(rows),))
            self._dataset.write(h5s.create_simple((len(rows),)), place, rows, self._type)

    def _keep(self, rest: Rows) -> None:
        """Let `rest` wait on, with the age of its first row."""
        first, n_left = len(self._parts), len(rest)
        while n_left > 0:
            first -= 1
            n_left -= len(self._parts[first])
        arrived_s = self._arrived_s[first : first + 1]
        self._parts, self._arrived_s, self.n_waiting = [], [], len(rest)
        if len(rest):
            self._parts, self._arrived_s = [rest], arrived_s


class BlobBuffer:
    """Bytes of one blob that are not on file yet."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self.n_on_file = int(dataset.shape[0])
        self.n_waiting = 0
        #: Monotonic time at which the oldest waiting byte came.
        self.oldest_s = float("inf")
        self._dataset = dataset
        self._parts: list[bytes] = []

    def append(self, payload: bytes) -> int:
        """Keep bytes and return the offset at which they will lie."""
        if not self.n_waiting:
            self.oldest_s = time.monotonic()
        offset = self.n_on_file + self.n_waiting
        self._parts.append(payload)
        self.n_waiting += len(payload)
        return offset

    def write(self) -> bool:
        """Write all that waits and flush it to the operating system; returns whether anything did."""
        if not self.n_waiting:
            return False
        block = np.frombuffer(b"".join(self._parts), dtype=np.uint8)
        end = self.n_on_file + len(block)
        self._dataset.resize((end,))
        self._dataset[self.n_on_file : end] = block
        self._dataset.flush()
        self._parts.clear()
        self.n_waiting = 0
        self.n_on_file = end
        self.oldest_s = float("inf")
        return True
