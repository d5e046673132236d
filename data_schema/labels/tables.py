"""Labels as data frames: many files read into one long table, and what holds now."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import select

from data_schema.errors import LabelError
from data_schema.labels.database import opened_for_reading, read_meta, resolve_label_path
from data_schema.labels.models import COLUMN_NAMES, LABEL_COLUMNS, LabelRow

_log = logging.getLogger(__name__)
_KEY = ["annotator_id", "clip_id", "task", "repetition"]
_SORT = ["annotator_id", "created_utc", "row_id"]


def label_frame(rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """Build the long table from rows whose cells follow `LABEL_COLUMNS`.

    Returns
    -------
    DataFrame
        Text columns are objects with None where nothing was said, numbers are
        float64 with NaN, integers are Int64 with NA.
    """
    data = pd.DataFrame([tuple(row) for row in rows], columns=list(COLUMN_NAMES), dtype=object)
    dtypes = {"text": "object", "number": "float64", "integer": "Int64"}
    frame: pd.DataFrame = data.astype(
        {column.name: dtypes[column.kind] for column in LABEL_COLUMNS if column.kind != "text"}
    )
    frame["repetition"] = frame["repetition"].astype("int64")
    return frame


def read_labels(paths: Iterable[Path | str]) -> pd.DataFrame:
    """Merge label files into one long table of all their rows, superseded ones too.

    A row that is in several files (copies of one file) comes once. The result
    does not depend on the order of `paths`.

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
    rows: dict[str, tuple[Any, ...]] = {}
    origin: dict[str, Path] = {}
    kinds: dict[str, tuple[str, Path]] = {}
    columns = [getattr(LabelRow, name) for name in COLUMN_NAMES]
    for path in sorted({resolve_label_path(path) for path in paths}):
        with opened_for_reading(path) as connection:
            meta = read_meta(connection)
            found = [tuple(row) for row in connection.execute(select(*columns))]
        annotator, kind = meta.get("annotator_id", ""), meta.get("annotator_kind", "")
        known_kind, known_path = kinds.setdefault(annotator, (kind, path))
        if kind != known_kind:
            raise LabelError(
                f"annotator '{annotator}' is {known_kind} in {known_path} but {kind} in {path}. "
                "Two annotators share one id: give one of them another."
            )
        for row in found:
            row_id = str(row[0])
            if rows.setdefault(row_id, row) != row:
                raise LabelError(
                    f"{_difference(row_id, rows[row_id], row)}: {origin[row_id]} and {path} contradict each other. "
                    "Rows never change, so one file was altered outside the toolkit: compare both with a backup "
                    "and take the altered one away."
                )
            origin.setdefault(row_id, path)
    return label_frame(sorted(rows.values(), key=_sort_key))


def current_labels(labels: pd.DataFrame) -> pd.DataFrame:
    """Return the labels that hold now: not superseded and not taken back.

    Where an annotator went on in two copies of a file, a clip has two last
    labels; the newer one holds (by time, then row id) and a warning is logged.

    Parameters
    ----------
    labels : DataFrame
        From `read_labels`. A table that was passed through here before comes
        back unchanged.
    """
    superseded = set(labels["supersedes"].dropna())
    tips = labels[~labels["row_id"].isin(superseded)].sort_values(_SORT, kind="stable")
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


def _sort_key(row: Sequence[Any]) -> tuple[str, ...]:
    return tuple(str(row[COLUMN_NAMES.index(name)]) for name in _SORT)


def _difference(row_id: str, first: tuple[Any, ...], second: tuple[Any, ...]) -> str:
    for name, a, b in zip(COLUMN_NAMES, first, second, strict=True):
        if a != b:
            return f"row {row_id} has {name} {a!r} and {b!r}"
    return f"row {row_id} differs"
