"""The codebook: what each variable of each file is, as CSV and as a page."""

from __future__ import annotations

import csv
import io

from data_schema.publishing.tables.build import Table
from data_schema.publishing.tables.card import markdown_table
from data_schema.publishing.tables.declarations import PublishedColumn
from data_schema.publishing.tables.spreadsheets import Dialect

#: Columns of ``codebook.csv``.
CODEBOOK_COLUMNS: tuple[str, ...] = (
    "file",
    "variable",
    "type",
    "unit",
    "values",
    "missing",
    "definition",
    "source",
    "key_to",
)
_TYPES = {"text": "text", "bool": "0 or 1", "int8": "integer", "int32": "integer", "int64": "integer"}


def column_type(column: PublishedColumn) -> str:
    """Return the type of a variable in a word."""
    return "category" if column.words else _TYPES.get(column.dtype, "number")


def value_labels(column: PublishedColumn) -> dict[str, str]:
    """Return the labels of a variable's values; empty if it may hold anything."""
    return {"0": "no", "1": "yes"} if column.dtype == "bool" else dict(column.words or {})


def _rows(tables: list[Table]) -> list[list[str]]:
    rows = []
    for table in tables:
        for column in table.declaration.columns:
            values = "; ".join(
                value if label in (value, value.replace("_", " ")) else f"{value} = {label}"
                for value, label in value_labels(column).items()
            )
            n_missing = int(table.rows[column.name].isna().sum()) if column.name in table.rows else len(table.rows)
            rows.append(
                [
                    f"{table.name}.csv", column.name, column_type(column), column.unit, values,
                    f"{n_missing} of {len(table.rows)}", column.meaning, column.source, column.refers_to,
                ]
            )  # fmt: skip
    return rows


def codebook_csv(tables: list[Table], dialect: Dialect) -> bytes:
    """Return the codebook as CSV, in the dialect of the files."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=dialect.delimiter, lineterminator="\n")
    writer.writerow(CODEBOOK_COLUMNS)
    writer.writerows(_rows(tables))
    return buffer.getvalue().encode(dialect.encoding)


def codebook_page(name: str, tables: list[Table], dialect: Dialect) -> str:
    """Return the codebook as Markdown."""
    mark = " with a byte order mark" if dialect.encoding == "utf-8-sig" else ""
    parts = [
        f"# Codebook: {name}",
        (
            f"UTF-8{mark}. Cells are separated by `{dialect.delimiter}`, the decimal mark is `{dialect.decimal}`, text with "
            'either of them, a quotation mark or a line end stands in `"`. Lines end with a line feed. The first line names the '
            "variables. **A missing value is an empty cell.** Yes is 1, no is 0."
        ),
        "Read everything with `source('import.R')` in R, or with `import.sps` in SPSS.",
        "Licence, citation, how the data came about, and what was held back: `datasheet.md`.",
    ]
    rows = _rows(tables)
    for table in tables:
        own = [row for row in rows if row[0] == f"{table.name}.csv"]
        parts.append(f"## {table.name}.csv\n\nOne row is {table.declaration.row}. {len(table.rows)} rows.")
        cells = [[f"`{row[1]}`", *row[2:6], _definition(row)] for row in own]
        parts.append(markdown_table(["variable", "type", "unit", "values", "missing", "definition"], cells))
    return "\n\n".join(parts) + "\n"


def _definition(row: list[str]) -> str:
    source = f" Source: {row[7]}." if row[7] else ""
    key = f" Key to `{row[8]}`." if row[8] else ""
    return f"{row[6]}{source}{key}"
