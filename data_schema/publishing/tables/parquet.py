"""``emer export parquet``: a dataset in the layout of the Hugging Face hub, loaded without a script.

``data/TABLE/train-00000-of-00001.parquet``, one folder a table and configuration; the gaze has one file a recording, so that
neither writer nor reader needs it all at once. The hub calls a dataset's only split ``train``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from data_schema.files import disk_problem
from data_schema.publishing.datasheet import DATASHEET_NAME, datasheet
from data_schema.publishing.folder import publishing
from data_schema.publishing.numbers import Numbers, WrittenTables, count
from data_schema.publishing.tables.arrow import shard_name, write_parquet
from data_schema.publishing.tables.build import LANDMARK_LEVELS, Table, build_tables, gaze_parts, landmark_parts
from data_schema.publishing.tables.card import dataset_card
from data_schema.publishing.tables.declarations import PublishedTable
from data_schema.publishing.tables.eye import GAZE_TABLE, LANDMARKS
from data_schema.session.layout import FRAMES, GAZE

if TYPE_CHECKING:
    import pandas as pd

    from data_schema.publishing.publication import Publication, PublishedRecording
    from data_schema.session.layout import Table as SessionTable

    Stream = tuple[PublishedTable, list[PublishedRecording], Callable[[PublishedRecording], Iterator[pd.DataFrame]]]

Progress = Callable[[int, int, str], None]
#: The table that is loaded where none is named.
_FIRST = "clips"


def export_parquet(
    publication: Publication,
    out: Path,
    *,
    force: bool = False,
    gaze: bool = True,
    kind: str = "parquet",
    progress: Progress | None = None,
    more: Callable[[Path, Numbers, tuple[PublishedTable, ...]], None] | None = None,
) -> WrittenTables:
    """Write a publication as Parquet tables with a dataset card and a datasheet.

    Parameters
    ----------
    publication : Publication
    out : Path
        Folder to make.
    force : bool
        Replace a finished export.
    gaze : bool
        Write every gaze sample, too.
    kind : str
        What the folder is marked as.
    progress : callable, optional
    more : callable, optional
        Writes further files into the unfinished folder.

    Raises
    ------
    ExportError
        If nothing may be published, the folder exists, the disk is full, or something in it would identify people.
    """
    tables = build_tables(publication)
    numbers = count(publication, tables)
    with publishing(out, kind, publication, force=force) as folder:
        for table in tables:
            _write(folder, table)
        declared = [table.declaration for table in tables]
        for table_of, recordings, parts in _streams(publication, gaze):
            rows = _stream(folder, table_of, recordings, parts, progress)
            if recordings:
                numbers.rows[table_of.name] = rows
                declared.append(table_of)
        ordered = in_card_order(declared)
        _write_text(folder / "README.md", dataset_card(publication, numbers, list(ordered)))
        _write_text(folder / DATASHEET_NAME, datasheet(publication, numbers))
        if more:
            more(folder, numbers, ordered)
    return WrittenTables(out, numbers, ordered)


def in_card_order(tables: list[PublishedTable]) -> tuple[PublishedTable, ...]:
    """Return the tables with the one first that is loaded where none is named."""
    return tuple(sorted(tables, key=lambda table: table.name != _FIRST))


def _write(folder: Path, table: Table) -> None:
    write_parquet(_config(folder, table.name) / shard_name(0, 1), table.declaration, [table.rows])


def _stream(
    folder: Path,
    table: PublishedTable,
    recordings: list[PublishedRecording],
    parts: Callable[[PublishedRecording], Iterator[pd.DataFrame]],
    progress: Progress | None,
) -> int:
    """Write a table, one file a recording; return its rows."""
    total = 0
    for number, recording in enumerate(recordings):
        if progress:
            progress(number, len(recordings), recording.name)
        path = _config(folder, table.name) / shard_name(number, len(recordings))
        total += write_parquet(path, table, parts(recording))
    return total


def _with_rows(publication: Publication, table: SessionTable) -> list[PublishedRecording]:
    found = []
    for recording in publication.recordings:
        with recording.open() as session:
            if session.n_rows(table):
                found.append(recording)
    return found


def _streams(publication: Publication, gaze: bool) -> Iterator[Stream]:
    if gaze:
        yield GAZE_TABLE, _with_rows(publication, GAZE), gaze_parts
    with_faces = [item for item in _with_rows(publication, FRAMES) if item.faces in LANDMARK_LEVELS]
    yield LANDMARKS, with_faces, landmark_parts


def _config(folder: Path, name: str) -> Path:
    path = folder / "data" / name
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_problem(error, path) from error
    return path


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise disk_problem(error, path) from error
