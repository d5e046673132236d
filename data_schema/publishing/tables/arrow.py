"""Published tables as Arrow tables and Parquet files, with units and meanings inside, the same bytes each time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data_schema.errors import ExportError
from data_schema.files import disk_problem
from data_schema.publishing.tables.declarations import PublishedColumn, PublishedTable

_ARROW_TYPES: dict[str, pa.DataType] = {
    "text": pa.string(),
    "bool": pa.bool_(),
    "int8": pa.int8(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
}
#: Rows of a row group; a reader holds one at a time.
ROW_GROUP = 65_536


def arrow_field(column: PublishedColumn) -> pa.Field:
    """Return the Arrow field of a column; unit, meaning, words and source are its metadata."""
    facts = {"unit": column.unit, "meaning": column.meaning, "source": column.source, "refers_to": column.refers_to}
    if column.words:
        facts["words"] = json.dumps(dict(column.words), ensure_ascii=False)
    said = {key.encode(): value.encode("utf-8") for key, value in facts.items() if value}
    return pa.field(column.name, _ARROW_TYPES[column.dtype], metadata=said)


def arrow_schema(table: PublishedTable) -> pa.Schema:
    """Return the Arrow schema of a table; what a row is, and the key, are its metadata."""
    said = {b"row": table.row.encode("utf-8"), b"key": ",".join(table.key).encode("utf-8")}
    return pa.schema([arrow_field(column) for column in table.columns], metadata=said)


def conform(frame: pd.DataFrame, table: PublishedTable) -> pa.Table:
    """Return a frame as the Arrow table that is declared; missing values are null.

    Parameters
    ----------
    frame : DataFrame
        May lack columns: those are null. Further columns are left out.
    table : PublishedTable

    Raises
    ------
    ExportError
        If a value does not fit the declared type, or is none of the declared words.
    """
    arrays = [_array(frame, column, table.name) for column in table.columns]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(table))


def _array(frame: pd.DataFrame, column: PublishedColumn, table: str) -> pa.Array:
    kind = _ARROW_TYPES[column.dtype]
    if column.name not in frame.columns:
        return pa.nulls(len(frame), kind)
    cells = frame[column.name]
    if column.dtype == "text":
        cells = cells.astype(object).where(cells.notna() & (cells.astype(object) != ""), None)
        unknown = sorted({str(cell) for cell in cells if cell is not None} - set(column.words)) if column.words else []
        if unknown:
            raise ExportError(
                f"table {table}: column '{column.name}' holds {', '.join(repr(word) for word in unknown[:3])}, expected one "
                f"of {', '.join(column.words or ())}. Take the rows with it out of the study, or report this as a fault."
            )
    try:
        if column.dtype.startswith("int") and not isinstance(cells.dtype, np.dtype):
            return pa.array(cells, type=kind, from_pandas=True)
        if column.dtype.startswith("int") and cells.dtype.kind == "f":
            return pa.array(cells.astype("Int64"), type=kind, from_pandas=True)
        return pa.array(cells, type=kind, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError) as error:
        raise ExportError(
            f"table {table}: column '{column.name}' should hold {column.dtype}: {error}. The study's tables were made by "
            "another version, or changed: build them anew with: emer clips STUDY"
        ) from error


def in_order(frame: pd.DataFrame, table: PublishedTable) -> pd.DataFrame:
    """Return the rows sorted by the table's key, which does not depend on the order in which they came."""
    keys = [name for name in table.key if name in frame.columns]
    ordered: pd.DataFrame = frame.sort_values(keys, kind="stable", ignore_index=True) if keys else frame
    return ordered


def shard_name(number: int, of: int) -> str:
    """Return the name of a file of a configuration, as the Hugging Face hub names them."""
    return f"train-{number:05d}-of-{of:05d}.parquet"


def write_parquet(path: Path, table: PublishedTable, parts: Iterable[pd.DataFrame]) -> int:
    """Write one Parquet file, part after part; return its number of rows.

    Memory holds one part. The bytes depend on the rows alone, and on the version of Arrow.

    Parameters
    ----------
    path : Path
        Its folder must exist.
    table : PublishedTable
    parts : iterable of DataFrame

    Raises
    ------
    ExportError
        If a value does not fit, or the disk is full.
    """
    rows = 0
    schema = arrow_schema(table)
    try:
        with pq.ParquetWriter(path, schema, compression="zstd", version="2.6") as writer:
            for part in parts:
                block = conform(part, table)
                if block.num_rows:
                    writer.write_table(block, row_group_size=ROW_GROUP)
                    rows += block.num_rows
    except OSError as error:
        raise disk_problem(error, path) from error
    return rows
