"""Rows and columns of one table of a session file, read when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import numpy.typing as npt

from data_schema.errors import SessionFileError
from data_schema.session.columns import Columns, read_columns
from data_schema.session.layout import Table, decode_text

if TYPE_CHECKING:
    import pandas as pd

Rows = npt.NDArray[np.void]

_AXES = ("x", "y", "z")


class TableView:
    """Rows of one table, read when asked for.

    Columns that an older file lacks are filled: numbers with NaN or 0, text empty.
    Columns that we do not know are passed over.
    """

    def __init__(self, path: Path, table: Table, dataset: h5py.Dataset | None, ordered: bool = True) -> None:
        self._path = path
        self.table = table
        self._dataset = dataset
        #: False if the recorder marked that the table's time stamps went back.
        self.ordered = ordered

    def __len__(self) -> int:
        return 0 if self._dataset is None else int(self._dataset.shape[0])

    def __getitem__(self, key: slice | int) -> Any:
        """Return rows as a structured array of the declared dtype (one row for a number)."""
        if isinstance(key, int):
            index = key + len(self) if key < 0 else key
            if not 0 <= index < len(self):
                raise IndexError(f"{self.table.path} has {len(self)} rows, asked for {key}")
            return self[index : index + 1][0]
        start, stop, step = key.indices(len(self))
        return self._read(start, max(start, stop))[::step] if step != 1 else self._read(start, max(start, stop))

    def _read(self, start: int, stop: int) -> Rows:
        if self._dataset is None or stop <= start:
            return self.table.empty(0)
        try:
            stored = self._dataset[start:stop]
        except (OSError, RuntimeError) as error:
            raise self._unreadable(start, stop, error) from error
        if stored.dtype == self.table.dtype:
            return stored  # type: ignore[no-any-return]
        return _adapt(stored, self.table)

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return one whole column; text is decoded to str. The other columns are not put together."""
        values = self.columns((name,))[name]
        return decode_text(values) if self.table.column(name).is_text else values

    def columns(self, names: Sequence[str], start: int = 0, stop: int | None = None) -> Columns:
        """Return some columns of the rows from `start` to `stop` (all by default), each contiguous; text as bytes.

        Faster than rows where few columns are wanted, or all of many rows.

        Raises
        ------
        KeyError
            If the table has no such column.
        SessionFileError
            If the file is damaged there.
        """
        declared = [self.table.column(name) for name in names]
        start, stop, _ = slice(start, stop).indices(len(self))
        n = max(0, stop - start)
        stored: Columns = {}
        if self._dataset is not None and n:
            known = [name for name in names if name in (self._dataset.dtype.names or ())]
            try:
                stored = read_columns(self._dataset, known, start, stop)
            except (OSError, RuntimeError) as error:
                raise self._unreadable(start, stop, error) from error
        filled: Columns = {}
        for column in declared:
            kind = np.dtype(column.dtype)
            if column.name in stored:
                filled[column.name] = stored[column.name].astype(kind, copy=False)
            else:
                empty = np.nan if kind.kind == "f" and n else np.zeros(1, kind)[0]
                filled[column.name] = np.full((n, *column.shape), empty, dtype=kind)
        return filled

    def index_at(self, t_us: int) -> int:
        """Return the number of rows with a time before `t_us` (found by bisection, without reading all)."""
        name = self.table.time_column
        if not name:
            raise KeyError(f"{self.table.path} has no time column")
        low, high = 0, len(self)
        while high - low > 4096:
            middle = (low + high) // 2
            if int(self[middle : middle + 1][name][0]) < t_us:
                low = middle + 1
            else:
                high = middle
        times = self[low:high][name]
        return low + int(np.searchsorted(times, t_us, side="left"))

    def between(self, t0_us: int, t1_us: int) -> Rows:
        """Return the rows with t0 <= time < t1, in host microseconds, in the order of time."""
        if not (self.table.monotonic and self.ordered):
            rows = self[:]
            times = rows[self.table.time_column]
            rows = rows[(times >= t0_us) & (times < t1_us)]
            return rows[np.argsort(rows[self.table.time_column], kind="stable")]  # type: ignore[no-any-return]
        return self[self.index_at(t0_us) : self.index_at(t1_us)]  # type: ignore[no-any-return]

    def frame(self, rows: Rows | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return rows (all by default) as a DataFrame.

        Text is decoded; a column of two or three numbers becomes ``name_x, name_y, name_z``.

        Parameters
        ----------
        rows : structured ndarray, optional
            Rows of this table, such as from :meth:`between`.
        columns : sequence of str, optional
            Columns of the table, in this order; all by default. Fewer are read faster.
        """
        import pandas as pd

        wanted = self.table.columns if columns is None else tuple(self.table.column(name) for name in columns)
        read = self.columns([column.name for column in wanted]) if rows is None else rows
        values: dict[str, Any] = {}
        for column in wanted:
            cells = read[column.name]
            if column.is_text:
                values[column.name] = decode_text(cells)
            elif column.shape:
                for axis in range(column.shape[0]):
                    values[f"{column.name}_{_AXES[axis]}"] = np.ascontiguousarray(cells[:, axis])
            else:
                values[column.name] = np.ascontiguousarray(cells)
        frame: pd.DataFrame = pd.DataFrame(values, copy=False)
        return frame

    def _unreadable(self, start: int, stop: int, error: Exception) -> SessionFileError:
        return SessionFileError(
            self._path,
            f"rows {start} to {stop} cannot be read: {error}. Run `emer repair {self._path}`",
            self.table.path,
        )


def _adapt(stored: Rows, table: Table) -> Rows:
    """Bring rows of an older or newer minor version into the declared dtype."""
    rows = table.empty(len(stored))
    names = stored.dtype.names or ()
    for column in table.columns:
        if column.name in names:
            rows[column.name] = stored[column.name]
        elif np.dtype(column.dtype).kind == "f":
            rows[column.name] = np.nan
    return rows
