"""Published tables as CSV, and back: UTF-8, one way of writing numbers, nothing for what is missing."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from data_schema.errors import ExportError
from data_schema.publishing.tables.arrow import conform
from data_schema.publishing.tables.declarations import PublishedColumn, PublishedTable


@dataclass(frozen=True)
class Dialect:
    """How the files are written.

    Parameters
    ----------
    decimal : str
        Decimal mark.
    delimiter : str
        Between the cells.
    encoding : str
        ``utf-8``, or ``utf-8-sig`` with the mark that Excel needs to take a file for UTF-8.
    """

    decimal: str
    delimiter: str
    encoding: str


#: By the name that the command line takes. With a comma, files open in the Excel of most European countries.
DIALECTS: dict[str, Dialect] = {
    "point": Dialect(".", ",", "utf-8"),
    "comma": Dialect(",", ";", "utf-8-sig"),
}


def to_csv(table: PublishedTable, rows: pd.DataFrame, dialect: Dialect) -> bytes:
    """Return rows as the bytes of a CSV file.

    Numbers are written so that they read back as the same number; true is 1, false 0, and a missing value nothing.

    Parameters
    ----------
    table : PublishedTable
    rows : DataFrame
    dialect : Dialect

    Raises
    ------
    ExportError
        If a value does not fit its column.
    """
    block = conform(rows, table)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=dialect.delimiter, lineterminator="\n")
    writer.writerow(table.names)
    cells = [_texts(block.column(i), column, dialect) for i, column in enumerate(table.columns)]
    writer.writerows(zip(*cells, strict=True))
    return buffer.getvalue().encode(dialect.encoding)


def _texts(values: pa.ChunkedArray, column: PublishedColumn, dialect: Dialect) -> list[str]:
    python = values.to_pylist()
    if column.dtype == "text":
        return ["" if value is None else str(value) for value in python]
    if column.dtype == "bool":
        return ["" if value is None else str(int(value)) for value in python]
    if column.dtype.startswith("int"):
        return ["" if value is None else str(value) for value in python]
    if column.dtype == "float32":
        # The shortest text that reads back as the same 32 bits, not as the same 64.
        python = [
            None if value is None else float(str(cell)) for value, cell in zip(python, values.to_numpy(), strict=True)
        ]
    texts = ["" if value is None else repr(float(value)) for value in python]
    return texts if dialect.decimal == "." else [text.replace(".", dialect.decimal) for text in texts]


def from_csv(path: Path, table: PublishedTable, dialect: Dialect) -> pd.DataFrame:
    """Read a file that :func:`to_csv` wrote.

    Parameters
    ----------
    path : Path
    table : PublishedTable
    dialect : Dialect

    Raises
    ------
    ExportError
        If it cannot be read, its columns are others, or a cell holds what its column may not.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        header, *lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter, strict=True)) or [
            []
        ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ExportError(f"{path}: cannot be read as CSV: {error}. Take the file as it was exported.") from error
    if header != table.names:
        raise ExportError(
            f"{path.name}: its columns are {', '.join(header[:6])}..., expected {', '.join(table.names[:6])}... separated by "
            f"'{dialect.delimiter}'. Take the file as it was exported."
        )
    columns = {}
    for place, column in enumerate(table.columns):
        try:
            columns[column.name] = pd.Series([_value(row[place], column, dialect) for row in lines], dtype=object)
        except (ValueError, IndexError) as error:
            raise ExportError(f"{path.name}: column '{column.name}': {error}. Expected {column.dtype}.") from error
    frame: pd.DataFrame = pd.DataFrame(columns)
    return frame


def _value(cell: str, column: PublishedColumn, dialect: Dialect) -> object:
    if cell == "":
        return None
    if column.dtype == "text":
        return cell
    if column.dtype == "bool":
        return bool(int(cell))
    if column.dtype.startswith("int"):
        return int(cell)
    number = float(cell.replace(dialect.decimal, "."))
    return float(np.float32(number)) if column.dtype == "float32" else number
