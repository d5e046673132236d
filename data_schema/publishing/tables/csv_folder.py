"""``emer export csv``: tables for R, SPSS and spreadsheets, with a codebook and scripts that read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from data_schema.errors import ExportError
from data_schema.files import write_bytes
from data_schema.publishing.datasheet import DATASHEET_NAME, datasheet
from data_schema.publishing.folder import publishing, read_marker
from data_schema.publishing.numbers import WrittenTables, count
from data_schema.publishing.tables.build import Table, build_tables
from data_schema.publishing.tables.codebook import codebook_csv, codebook_page
from data_schema.publishing.tables.declarations import PublishedTable
from data_schema.publishing.tables.import_scripts import r_script, spss_script
from data_schema.publishing.tables.spreadsheets import DIALECTS, Dialect, from_csv, to_csv
from data_schema.publishing.tables.wide import wide_labels, wide_self_report

if TYPE_CHECKING:
    from data_schema.publishing.publication import Publication


def csv_tables(publication: Publication) -> list[Table]:
    """Return the tables of a CSV export: those of the publication, and the wide ones.

    Parameters
    ----------
    publication : Publication
    """
    tables = build_tables(publication)
    by_name = {table.name: table for table in tables}
    if "labels" in by_name:
        tables += wide_labels(by_name["labels"])
    if "self_report" in by_name:
        tables.append(wide_self_report(by_name["self_report"]))
    return tables


def export_csv(publication: Publication, out: Path, *, decimal: str = "point", force: bool = False) -> WrittenTables:
    """Write a publication as CSV files with a codebook and import scripts. Gaze samples are not among them.

    Parameters
    ----------
    publication : Publication
    out : Path
        Folder to make.
    decimal : {'point', 'comma'}
    force : bool
        Replace a finished export.

    Raises
    ------
    ExportError
        If nothing may be published, the folder exists, the disk is full, or something in it would identify people.
    """
    dialect = DIALECTS[decimal]
    tables = csv_tables(publication)
    numbers = count(publication, tables)
    with publishing(out, "csv", publication, force=force) as folder:
        for name, content in csv_files(publication.name, tables, dialect).items():
            write_bytes(folder / name, content)
        write_bytes(folder / DATASHEET_NAME, datasheet(publication, numbers).encode("utf-8"))
    return WrittenTables(out, numbers, tuple(table.declaration for table in tables))


def csv_files(name: str, tables: list[Table], dialect: Dialect) -> dict[str, bytes]:
    """Return the files of a CSV export by name: data, codebook, scripts."""
    files = {f"{table.name}.csv": to_csv(table.declaration, table.rows, dialect) for table in tables}
    return files | {
        "codebook.csv": codebook_csv(tables, dialect),
        "codebook.md": codebook_page(name, tables, dialect).encode("utf-8"),
        "import.R": r_script(tables, dialect).encode("utf-8"),
        "import.sps": spss_script(tables, dialect).encode("utf-8"),
    }


def read_csv_folder(folder: Path, tables: tuple[PublishedTable, ...], decimal: str = "point") -> list[Table]:
    """Read the tables of a CSV export back; written again they give the same bytes.

    Parameters
    ----------
    folder : Path
        A finished export.
    tables : tuple of PublishedTable
        Their declarations.
    decimal : {'point', 'comma'}

    Raises
    ------
    ExportError
        If the folder is no CSV export, or a file was changed so that it fits its declaration no more.
    """
    if read_marker(folder)["kind"] != "csv":
        raise ExportError(f"{folder}: is no CSV export. Name a folder that emer export csv has made.")
    frames: list[tuple[PublishedTable, pd.DataFrame]] = [
        (table, from_csv(folder / f"{table.name}.csv", table, DIALECTS[decimal])) for table in tables
    ]
    return [Table(table, frame) for table, frame in frames]
