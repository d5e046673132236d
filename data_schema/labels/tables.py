"""Logs as data frames: many files read into one long table, and what holds now."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from data_schema.errors import LabelError
from data_schema.labels.log_reading import select_rows
from data_schema.labels.models import LABEL_COLUMNS, TRAINING_VIEW, LabelColumn, columns_of
from data_schema.labels.records import LOGS, Record, TraceSamples
from data_schema.labels.sqlite_file import opened_for_reading, read_meta, resolve_label_path, tables_of
from data_schema.labels.store import is_server

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger(__name__)
_KEY = ["annotator_id", "clip_id", "task", "repetition"]
_SORT = ["annotator_id", "created_utc", "row_id"]
_DTYPES = {"text": "object", "bytes": "object", "number": "float64", "integer": "Int64"}


def label_frame(rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """Build the long table from rows whose cells follow `LABEL_COLUMNS`.

    Returns
    -------
    DataFrame
        Text columns are objects with None where nothing was said, numbers are
        float64 with NaN, integers are Int64 with NA.
    """
    return _frame(rows, LABEL_COLUMNS)


def read_labels(paths: Iterable[Path | str] | Path | str) -> pd.DataFrame:
    """Merge the labels of many files, or of a database, into one long table of all their rows.

    Superseded rows are there too. A row that is in several files (copies of one
    file) comes once. The result does not depend on the order of `paths`.

    Parameters
    ----------
    paths : iterable of Path or str
        Label files and ``postgresql://`` addresses; a database is read by the lab's role.

    Returns
    -------
    DataFrame
        One row a label row, columns `LABEL_COLUMNS`, sorted by annotator and time.

    Raises
    ------
    LabelError
        If a file is missing, damaged, foreign or newer; if two files have a row
        of one id with different content, or give one annotator two kinds.
    """
    return read_log(paths, "labels")


def read_log(paths: Iterable[Path | str] | Path | str, log: str) -> pd.DataFrame:
    """Merge one log of many files, or of a database, as `read_labels` does the labels.

    Parameters
    ----------
    paths : iterable of Path or str
        As in `read_labels`.
    log : {'labels', 'marks', 'traces', 'trace_samples', 'guesses', 'steps', 'decisions'}
        Which log. A file of version 1 has labels alone.

    Returns
    -------
    DataFrame
        All rows, those that were replaced or taken back too, sorted by annotator
        and time; ``trace_samples`` has one row a chunk, sorted by trace.
    """
    table = LOGS[_known(log)][0]
    columns = columns_of(table)
    rows = [tuple(getattr(record, column.name) for column in columns) for record in read_records(paths, log)]
    return _frame(rows, columns)


def read_records(paths: Iterable[Path | str] | Path | str, log: str) -> list[Any]:
    """Merge one log of many files as `read_log`, as values such as `LabelRecord` or `MarkRecord`.

    What it returns can be handed to `LabelStore.add_records`.
    """
    rows: dict[tuple[Any, ...], Record] = {}
    origin: dict[tuple[Any, ...], str] = {}
    kinds: dict[str, tuple[str, str]] = {}
    for place in _places(paths):
        with _opened(place) as (connection, annotators):
            for annotator, kind in annotators.items():
                known_kind, known_place = kinds.setdefault(annotator, (kind, place))
                if kind != known_kind:
                    raise LabelError(
                        f"annotator '{annotator}' is {known_kind} in {known_place} but {kind} in {place}. "
                        "Two annotators share one id: give one of them another."
                    )
            found = _rows_of(connection, _known(log), place)
        for record in found:
            identity = _identity(record)
            if rows.setdefault(identity, record) != record:
                raise LabelError(
                    f"{_difference(rows[identity], record)}: {origin[identity]} and {place} contradict each other. "
                    "Rows never change, so one file was altered outside the toolkit: compare both with a backup "
                    "and take the altered one away."
                )
            origin.setdefault(identity, place)
    return sorted(rows.values(), key=_sort_key)


def current_labels(labels: pd.DataFrame) -> pd.DataFrame:
    """Return the labels that hold now: not superseded and not taken back.

    Where an annotator went on in two copies of a file, a clip has two last
    labels; the newer one holds (by time, then row id) and a warning is logged.
    Nobody's row supersedes another annotator's.

    Parameters
    ----------
    labels : DataFrame
        From `read_labels`. A table that was passed through here before comes
        back unchanged.
    """
    import pandas as pd

    replaced = pd.MultiIndex.from_frame(labels.loc[labels["supersedes"].notna(), ["annotator_id", "supersedes"]])
    is_tip = ~pd.MultiIndex.from_frame(labels[["annotator_id", "row_id"]]).isin(replaced)
    tips = labels[is_tip].sort_values(_SORT, kind="stable")
    branched = tips.duplicated(_KEY, keep="last")
    if branched.any():
        where = sorted({f"{row.annotator_id}: {row.clip_id} ({row.task})" for row in tips[branched].itertuples()})
        _log.warning(
            "%d labels were given twice in separate copies of a file; the newer one holds: %s",
            len(where), ", ".join(where[:5]) + (", ..." if len(where) > 5 else ""),
        )  # fmt: skip
    holds = tips[~branched]
    said: pd.DataFrame = holds[holds["emotion"].notna() | holds["skip_reason"].notna()].reset_index(drop=True)
    return said


def current_votes(labels: pd.DataFrame) -> pd.DataFrame:
    """Return the labels that hold now and say what their annotator thinks: those of the training block are left out.

    Repeats are among them; whoever counts annotators takes `repetition` 0 alone.

    Parameters
    ----------
    labels : DataFrame
        From `read_labels`, or from `current_labels`.
    """
    # Only then: a label of the training block may have replaced another, or been replaced.
    holds = current_labels(labels)
    is_training = holds["view"].astype("string").str.startswith(TRAINING_VIEW).fillna(False).astype(bool)
    votes: pd.DataFrame = holds[~is_training].reset_index(drop=True)
    return votes


def current_marks(marks: pd.DataFrame, task: str | None = None, kinds: Iterable[str] = ()) -> pd.DataFrame:
    """Return the marks of frames that were not taken back.

    Parameters
    ----------
    marks : DataFrame
        From `read_log`.
    task : {'fer', 'er'}, optional
        Only this pass.
    kinds : iterable of str
        Only these, such as apex; all by default.
    """
    removed = set(marks["removes"].dropna())
    holds = marks[marks["removes"].isna() & ~marks["row_id"].isin(removed) & marks["frame_index"].notna()]
    if task is not None:
        holds = holds[holds["task"] == task]
    wanted = set(kinds)
    chosen: pd.DataFrame = holds[holds["kind"].isin(wanted)] if wanted else holds
    return chosen


def _frame(rows: Iterable[Sequence[Any]], columns: Sequence[LabelColumn]) -> pd.DataFrame:
    import pandas as pd

    names = [column.name for column in columns]
    data = pd.DataFrame([tuple(row) for row in rows], columns=names, dtype=object)
    frame: pd.DataFrame = data.astype({c.name: _DTYPES[c.kind] for c in columns if _DTYPES[c.kind] != "object"})
    if "repetition" in names:
        frame["repetition"] = frame["repetition"].astype("int64")
    return frame


def _known(log: str) -> str:
    if log not in LOGS:
        raise LabelError(f"there is no log '{log}'. Known: {', '.join(LOGS)}.")
    return log


def _places(paths: Iterable[Path | str] | Path | str) -> list[str]:
    given = [paths] if isinstance(paths, (str, Path)) else paths
    return sorted({str(path) if is_server(path) else str(resolve_label_path(path)) for path in given})


@contextlib.contextmanager
def _opened(place: str) -> Iterator[tuple[Connection, dict[str, str]]]:
    """Open a file or a database; also give the kind of each annotator in it."""
    if is_server(place):
        from data_schema.labels.postgres import opened_by_lab

        with opened_by_lab(place) as (connection, annotators):
            yield connection, annotators
        return
    with opened_for_reading(Path(place)) as connection:
        meta = read_meta(connection)
        yield connection, {meta.get("annotator_id", ""): meta.get("annotator_kind", "")}


def _rows_of(connection: Connection, log: str, place: str) -> list[Record]:
    """Return all rows of a log; none where the file is older than the log."""
    if not is_server(place) and log not in tables_of(connection):
        return []
    rows = select_rows(connection, log, None)
    return _checked(rows, log, place) if is_server(place) else rows


def _checked(rows: Iterable[Record], log: str, place: str) -> list[Record]:
    """Leave out, and name, rows that no store writes: an annotator may reach a database with any program."""
    kept: list[Record] = []
    refused: list[str] = []
    for row in rows:
        try:
            row.check()
        except LabelError as error:
            name = row.row_id if not isinstance(row, TraceSamples) else f"trace {row.trace_id}, chunk {row.chunk}"
            refused.append(f"{name} of {row.annotator_id}: {error}")
        else:
            kept.append(row)
    if refused:
        _log.warning(
            "%s: %d rows of the %s were not written by this toolkit and are left out: %s%s",
            place, len(refused), log, "; ".join(refused[:5]), "; ..." if len(refused) > 5 else "",
        )  # fmt: skip
    return kept


def _identity(record: Record) -> tuple[Any, ...]:
    if isinstance(record, TraceSamples):
        return (record.trace_id, record.chunk)
    return (record.row_id,)


def _sort_key(record: Record) -> tuple[Any, ...]:
    if isinstance(record, TraceSamples):
        return (record.annotator_id, record.trace_id, record.chunk)
    return tuple(str(getattr(record, name)) for name in _SORT)


def _difference(first: Record, second: Record) -> str:
    what = "row " + first.row_id if not isinstance(first, TraceSamples) else f"chunk of trace {first.trace_id}"
    ours, theirs = first.cells(), second.cells()
    name = next((name for name, value in ours.items() if theirs.get(name) != value), "")
    return f"{what} has {name} {ours.get(name)!r} and {theirs.get(name)!r}"
