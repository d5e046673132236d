"""Scripts that read the CSV files into R and SPSS with types, factor levels, labels and missing values."""

from __future__ import annotations

from data_schema.publishing.tables.build import Table
from data_schema.publishing.tables.codebook import value_labels
from data_schema.publishing.tables.declarations import PublishedColumn
from data_schema.publishing.tables.spreadsheets import Dialect

_R_TYPES = {"text": "character", "bool": "integer", "int8": "integer", "int32": "integer"}
#: SPSS: width of a text variable at least; longer texts make it wider.
_MIN_WIDTH = 8
_MAX_WIDTH = 32_767


def r_script(tables: list[Table], dialect: Dialect) -> str:
    """Return ``import.R``: base R alone; each table becomes a data frame of its name.

    Parameters
    ----------
    tables : list of Table
    dialect : Dialect
    """
    lines = [
        "# Reads the tables beside this file into data frames of the same names. Base R, 3.0 or later.",
        "# source('import.R', chdir = TRUE), or set `folder` before.",
        "if (!exists('folder')) folder <- '.'",
        "read_published <- function(name, types) {",
        f"  read.table(file.path(folder, name), header = TRUE, sep = {_r(dialect.delimiter)}, dec = {_r(dialect.decimal)},",
        "    quote = '\"', comment.char = '', na.strings = '', colClasses = types, fileEncoding = 'UTF-8-BOM',",
        "    stringsAsFactors = FALSE, check.names = FALSE)",
        "}",
    ]
    for table in tables:
        lines += ["", f"# One row is {table.declaration.row}."]
        types = ", ".join(_R_TYPES.get(column.dtype, "numeric").join("''") for column in table.declaration.columns)
        lines.append(f"{table.name} <- read_published('{table.name}.csv', c({types}))")
        for column in table.declaration.columns:
            lines += _r_column(table.name, column)
    return "\n".join(lines) + "\n"


def _r_column(table: str, column: PublishedColumn) -> list[str]:
    cell = f"{table}${column.name}"
    lines = []
    if column.dtype == "bool":
        lines.append(f"{cell} <- as.logical({cell})")
    elif column.words:
        lines.append(f"{cell} <- factor({cell}, levels = c({', '.join(_r(word) for word in column.words)}))")
    label = f"{column.meaning} [{column.unit}]" if column.unit else column.meaning
    return [*lines, f"attr({cell}, 'label') <- {_r(label)}"]


def _r(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def spss_script(tables: list[Table], dialect: Dialect) -> str:
    """Return ``import.sps``: reads each file, labels it, and saves it as ``TABLE.sav`` beside it.

    Words become numbers with labels (``emotion_code``) beside the text, in the order of the codebook. PSPP reads it as well.

    Parameters
    ----------
    tables : list of Table
    dialect : Dialect
    """
    lines = [
        "* Reads the CSV files beside this file and saves each as a .sav file.",
        "* Set the folder first, such as: CD 'C:\\data\\study'.",
        f"SET DECIMAL={'DOT' if dialect.decimal == '.' else 'COMMA'}.",
    ]
    for table in tables:
        lines += ["", *_spss_table(table, dialect)]
    return "\n".join(lines) + "\n"


def _spss_table(table: Table, dialect: Dialect) -> list[str]:
    columns = table.declaration.columns
    lines = [
        f"* {table.name}: one row is {table.declaration.row}.",
        "GET DATA",
        "  /TYPE=TXT",
        f"  /FILE='{table.name}.csv'",
        "  /ENCODING='UTF8'",
        "  /ARRANGEMENT=DELIMITED",
        f'  /DELIMITERS="{dialect.delimiter}"',
        "  /QUALIFIER='\"'",
        "  /FIRSTCASE=2",
        # A line that begins with a word may be taken for a command of that name, such as COMMENT: each begins with a format.
        f"  /VARIABLES= {columns[0].name}",
    ]
    formats = [_spss_format(table, column) for column in columns]
    lines += [f"    {kind} {column.name}" for kind, column in zip(formats, columns[1:], strict=False)]
    lines.append(f"    {formats[-1]}.")
    labels = [f"{column.name} {_spss(_spss_label(column))}" for column in columns]
    lines += [f"VARIABLE LABELS {labels[0]}", *(f"  /{label}" for label in labels[1:])]
    lines[-1] += "."
    for column in columns:
        lines += _spss_values(column)
    return [*lines, f"SAVE OUTFILE='{table.name}.sav'."]


def _spss_format(table: Table, column: PublishedColumn) -> str:
    if column.dtype == "text":
        cells = list(table.rows[column.name].dropna()) if column.name in table.rows else []
        width = max((len(str(cell).encode("utf-8")) for cell in cells), default=0)
        return f"A{min(max(width, _MIN_WIDTH), _MAX_WIDTH)}"
    if column.dtype == "bool" or column.dtype.startswith("int"):
        return "F12.0"
    return "F16.6"


def _spss_label(column: PublishedColumn) -> str:
    label = f"{column.meaning} [{column.unit}]" if column.unit else column.meaning
    # Longer ones are cut by SPSS with a warning a variable.
    return label if len(label.encode("utf-8")) <= 255 else label.encode("utf-8")[:252].decode("utf-8", "ignore") + "..."


def _spss_values(column: PublishedColumn) -> list[str]:
    labels = value_labels(column)
    if column.dtype == "bool":
        return [f"VALUE LABELS {column.name} 0 'no' 1 'yes'.", f"VARIABLE LEVEL {column.name} (NOMINAL)."]
    if not labels:
        return []
    code = f"{column.name[:59]}_code"
    recode = " ".join(f"({_spss(word)}={number})" for number, word in enumerate(labels, 1))
    named = " ".join(f"{number} {_spss(label)}" for number, label in enumerate(labels.values(), 1))
    return [
        f"RECODE {column.name} {recode} (ELSE=SYSMIS) INTO {code}.",
        f"VARIABLE LABELS {code} {_spss(_spss_label(column))}.",
        f"VALUE LABELS {code} {named}.",
        f"FORMATS {code} (F4.0).",
        f"VARIABLE LEVEL {code} (NOMINAL).",
    ]


def _spss(text: str) -> str:
    return "'" + text.replace("'", "''").replace("\n", " ") + "'"
