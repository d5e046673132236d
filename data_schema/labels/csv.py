"""Labels as CSV: out, and in again byte for byte.

Two headers are known, each exact in its columns and their order:

* the whole log (`LOG_COLUMNS`): what `export` writes; ids and times survive;
* labels alone (`ENTRY_COLUMNS`): what was gathered in a spreadsheet or another
  program; who and when are added on import. `clip_sha256` may be left empty
  where the study's clip table is at hand.

UTF-8, commas, one line feed a row, an empty cell for nothing, numbers written so
that they read back as the same number. An import is checked to its last line
before anything is stored.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_schema.atomic import write_atomically
from data_schema.errors import LabelError
from data_schema.labels.checks import LabelValueError
from data_schema.labels.entry_cells import SAMPLE_DTYPE
from data_schema.labels.label import LABEL_FIELDS, Label, LabelRecord
from data_schema.labels.models import COLUMN_NAMES, LABEL_COLUMNS, TRACE_SAMPLE, LabelColumn, columns_of
from data_schema.labels.records import LOGS
from data_schema.labels.store import AddedRows, LabelStore
from data_schema.vocabularies import EMOTIONS

if TYPE_CHECKING:
    import pandas as pd

LOG_COLUMNS: tuple[str, ...] = COLUMN_NAMES
ENTRY_COLUMNS: tuple[str, ...] = tuple(name for name in COLUMN_NAMES if name in LABEL_FIELDS)
_BY_NAME = {column.name: column for column in LABEL_COLUMNS}
#: Bad rows printed before the rest are only counted.
_MAX_REPORTED = 20


def labels_to_csv(labels: pd.DataFrame) -> bytes:
    """Return a long label table (`read_labels`) as the bytes of a CSV file.

    Raises
    ------
    LabelError
        If columns are missing.
    """
    return log_to_csv(labels, "labels")


def log_to_csv(table: pd.DataFrame, log: str) -> bytes:
    """Return a log (`read_log`) as the bytes of a CSV file.

    Of ``trace_samples`` each sample is a row, with its trace and chunk.

    Raises
    ------
    LabelError
        If columns are missing.
    """
    columns = [(column.name, column.kind) for column in columns_of(LOGS[log][0])]
    missing = [name for name, _ in columns if name not in table.columns]
    if missing:
        raise LabelError(f"the table of {log} lacks the columns {', '.join(missing)}. Take it from read_log.")
    if log == "trace_samples":
        table, columns = _one_sample_a_row(table)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([name for name, _ in columns])
    cells = [_texts(table[name], kind) for name, kind in columns]
    writer.writerows(zip(*cells, strict=True))
    return buffer.getvalue().encode("utf-8")


def _one_sample_a_row(table: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    import numpy as np
    import pandas as pd

    names = ["annotator_id", "trace_id", "chunk"]
    chunks = [np.frombuffer(chunk, dtype=SAMPLE_DTYPE) for chunk in table["samples"]]
    rows = table[names].loc[table.index.repeat([len(chunk) for chunk in chunks])].reset_index(drop=True)
    samples = pd.DataFrame(np.concatenate([np.empty(0, SAMPLE_DTYPE), *chunks]))
    kinds = {"i": "integer", "f": "number"}
    columns = [("annotator_id", "text"), ("trace_id", "text"), ("chunk", "integer")]
    columns += [(name, kinds[np.dtype(kind).kind]) for name, kind in TRACE_SAMPLE]
    return pd.concat([rows, samples], axis=1), columns


def write_labels_csv(labels: pd.DataFrame, path: Path, *, overwrite: bool = False) -> None:
    """Write a long label table as CSV, whole or not at all.

    Raises
    ------
    LabelError
        If the file exists and `overwrite` is false, or the folder cannot be written to.
    """
    write_whole(path, labels_to_csv(labels), overwrite=overwrite)


def write_whole(path: Path, data: bytes, *, overwrite: bool) -> None:
    """Write bytes beside `path` and give them its name when they are complete."""
    if path.exists() and not overwrite:
        raise LabelError(f"{path}: exists already. Choose another name, or add --force to replace it.")
    try:
        write_atomically(path, data)
    except OSError as error:
        raise LabelError(f"{path}: cannot be written ({error.strerror or error}). Check folder and disk.") from error


def read_labels_csv(
    path: Path,
    *,
    clip_hashes: Mapping[str, str] | None = None,
    emotions: Sequence[str] = EMOTIONS,
    annotator: tuple[str, str] | None = None,
) -> list[LabelRecord] | list[Label]:
    """Read and check a CSV file of labels.

    Parameters
    ----------
    path : Path
        The file.
    clip_hashes : mapping of str to str, optional
        SHA-256 by clip of the study. With it, unknown clips and clips whose file
        changed since they were labelled are refused.
    emotions : sequence of str
        Emotions that the study offers.
    annotator : tuple of str, optional
        Id and kind; rows of others are refused.

    Returns
    -------
    list of LabelRecord or list of Label
        By the header: the whole log, or labels alone.

    Raises
    ------
    LabelError
        If the file cannot be read or has bad rows; each is named with its line
        (up to 20).
    """
    header, rows = _read_rows(path)
    log = header == list(LOG_COLUMNS)
    records: list[LabelRecord] = []
    labels: list[Label] = []
    seen: dict[str, int] = {}
    judged: dict[tuple[str, str, int], int] = {}
    problems: list[str] = []
    for line, cells in rows:
        try:
            values = _parse_row(cells, header)
            _check_clip(values, clip_hashes)
            if log:
                record = LabelRecord(**values)
                record.check()
                _check_log_row(record, seen, line, emotions, annotator)
                records.append(record)
            else:
                label = Label(**values)
                label.check_emotions(emotions)
                _check_once(label, judged, line)
                labels.append(label)
        except LabelError as error:
            problems.append(f"line {line}: {error}")
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems[:_MAX_REPORTED])
        rest = f"\n  and {len(problems) - _MAX_REPORTED} more" if len(problems) > _MAX_REPORTED else ""
        raise LabelError(
            f"{path}: {len(problems)} of {len(rows)} rows cannot be labels; nothing was imported. "
            f"Mend them and import again.\n{listed}{rest}"
        )
    return records if log else labels


def import_labels_csv(path: Path, store: LabelStore, *, clip_hashes: Mapping[str, str] | None = None) -> AddedRows:
    """Import a CSV file into a store: all of its rows or none.

    Rows that the store has already (by id, or as the current label with the same
    content) are counted and not added again.

    Raises
    ------
    LabelError
        As `read_labels_csv` and `LabelStore.add_records`.
    """
    found = read_labels_csv(
        path,
        clip_hashes=clip_hashes,
        emotions=store.emotions,
        annotator=(store.annotator_id, store.annotator_kind),
    )
    records = [row for row in found if isinstance(row, LabelRecord)]
    if records:
        return store.add_records(records)
    holds = {record.key: record.label for record in store.current()}
    new = [label for label in found if isinstance(label, Label) and holds.get(label.key) != label]
    store.add_many(new)
    return AddedRows(len(new), len(found) - len(new))


def _texts(column: pd.Series[Any], kind: str) -> list[str]:
    values = column.astype(object).where(column.notna(), None)
    if kind == "number":
        return ["" if value is None else repr(float(value)) for value in values]
    if kind == "integer":
        return ["" if value is None else str(int(value)) for value in values]
    return ["" if value is None else str(value) for value in values]


def _read_rows(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header and, for each row, the line it starts in and its cells."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise LabelError(f"{path}: there is no such file. Check the name.") from None
    except OSError as error:
        raise LabelError(f"{path}: cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise LabelError(
            f"{path}: not UTF-8 text (byte {error.start}). Save it as 'CSV UTF-8' and try again."
        ) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for cells in reader:
            if cells:
                rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise LabelError(f"{path}: line {line}: no valid CSV ({error}). Nothing was imported.") from None
    if not rows:
        columns = ",".join(ENTRY_COLUMNS)
        raise LabelError(f"{path}: the file is empty. Its first line must name the columns: {columns}")
    _, header = rows.pop(0)
    _check_header(path, header)
    return header, rows


def _check_header(path: Path, header: list[str]) -> None:
    if header in (list(LOG_COLUMNS), list(ENTRY_COLUMNS)):
        return
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise LabelError(f"{path}: the columns are not separated by commas. Save it as comma-separated UTF-8.")
    expected = LOG_COLUMNS if "row_id" in header else ENTRY_COLUMNS
    parts = []
    for name in header:
        if name not in expected:
            near = difflib.get_close_matches(name, expected, n=1, cutoff=0.6)
            parts.append(f"unknown column '{name}'" + (f" (did you mean '{near[0]}'?)" if near else ""))
    missing = [name for name in expected if name not in header]
    if missing:
        parts.append(f"missing {', '.join(missing)}")
    if not parts:
        parts.append("a column is there twice" if len(set(header)) < len(header) else "the order differs")
    raise LabelError(f"{path}: line 1: {'; '.join(parts)}. The first line must be exactly: {','.join(expected)}")


def may_be_empty(column: LabelColumn) -> str:
    """Return whether a cell of a column may be empty, and what that means."""
    if column.name == "clip_sha256":
        return "yes, in the study: filled in from its clip index"
    if column.name == "repetition":
        return "yes: 0"
    if column.name in ("view", "comment"):
        return "yes"
    return "yes" if column.nullable else "no"


def _parse_row(cells: list[str], header: list[str]) -> dict[str, Any]:
    if len(cells) != len(header):
        raise LabelError(f"{len(cells)} cells, expected {len(header)}.")
    return {name: _parse_cell(name, cell) for name, cell in zip(header, cells, strict=True)}


def _parse_cell(name: str, cell: str) -> Any:
    column = _BY_NAME[name]
    if cell == "" and (column.nullable or column.kind != "text"):
        # An empty repetition is the first showing: spreadsheets leave it empty.
        return None if column.nullable else 0
    if column.kind == "text":
        return cell
    try:
        return float(cell) if column.kind == "number" else int(cell)
    except ValueError:
        expected = "a number with a decimal point" if column.kind == "number" else "an integer"
        raise LabelValueError(name, cell, f"{expected}, or nothing") from None


def _check_clip(values: dict[str, Any], clip_hashes: Mapping[str, str] | None) -> None:
    if clip_hashes is None:
        return
    clip_id, given = values["clip_id"], values["clip_sha256"]
    known = clip_hashes.get(clip_id)
    if known is None:
        near = difflib.get_close_matches(clip_id, list(clip_hashes), n=1, cutoff=0.8)
        raise LabelValueError("clip_id", clip_id, "a clip of the study", f"Did you mean '{near[0]}'?" if near else "")
    if given == "":
        values["clip_sha256"] = known
    elif given != known:
        raise LabelValueError(
            "clip_sha256", f"{given[:12]}...", f"{known[:12]}...", "The recording changed since this label was given."
        )


def _check_once(label: Label, judged: dict[tuple[str, str, int], int], line: int) -> None:
    """Refuse a second label of the same clip and task: nobody can say which one is meant."""
    first = judged.setdefault(label.key, line)
    if first != line:
        showing = f", repetition {label.repetition}" if label.repetition else ""
        raise LabelError(
            f"{label.clip_id}, task {label.task}{showing} is labelled in line {first} already. Keep one of the two; "
            "where the clip was shown again, number the later showing in the column repetition."
        )


def _check_log_row(
    record: LabelRecord,
    seen: dict[str, int],
    line: int,
    emotions: Sequence[str],
    annotator: tuple[str, str] | None,
) -> None:
    first = seen.setdefault(record.row_id, line)
    if first != line:
        raise LabelValueError("row_id", record.row_id, f"a new id; line {first} has this one")
    if not record.takes_back:
        record.label.check_emotions(emotions)
    if annotator and (record.annotator_id, record.annotator_kind) != annotator:
        raise LabelValueError(
            "annotator_id",
            f"{record.annotator_id} ({record.annotator_kind})",
            f"{annotator[0]} ({annotator[1]})",
            "Import each annotator's rows into their own file.",
        )
