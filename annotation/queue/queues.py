"""One annotator's queue, read fast: it stands between a double click and the first frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from annotation.items import Block, Item
from annotation.queue.order import Role
from annotation.queue.places import LOST_TABLE, assignments_path
from data_schema.errors import ExportError, LabelError, UsageError
from data_schema.labels import check_annotator_id
from data_schema.study.folder import StudyFolder
from data_schema.vocabularies import TASKS

_WHOSE = ("annotator_id", "task")
_QUEUE = ("item_id", "block", "role", "clip_id", "repetition", "position")
_CLIP = ("clip_id", "session_file", "session_sha256", "trial_id", "stimulus_id")
#: The whole trial is judged, whatever part of it is the clip; an index of version 1 knows whole trials alone.
_TRIAL = {"t_trial_start_us": "t_start_us", "t_trial_end_us": "t_end_us", "trial_included": "included"}
# Looked up ten thousand times at each start, where calling an Enum takes as long as making the item.
_BLOCK = {block.value: block for block in Block}
_ROLE = {role.value: role for role in Role}


@dataclass(frozen=True)
class QueuedClip:
    """An item with what only the lab knows about it.

    Parameters
    ----------
    item : Item
    role : Role
    session_file : str
        Relative to the study folder.
    trial_id : int
    stimulus_id : str
    t_start_us, t_end_us : int
        The whole trial on the session's host clock; the end is excluded.
    """

    item: Item
    role: Role
    session_file: str
    trial_id: int
    stimulus_id: str
    t_start_us: int
    t_end_us: int


def read_queue(study: StudyFolder, task: str, annotator_id: str) -> list[QueuedClip]:
    """Read an annotator's queue of a pass.

    Where study.toml lists no annotators, whoever comes gets all clips: the queue is made, or extended by
    new clips, here. Clips that left the study, or are excluded now, are left out.

    Raises
    ------
    UsageError
        If the pass or the annotator is unknown.
    LabelError
        If nothing is assigned to the annotator, or none of it can be judged any more.
    ExportError
        If the clip table or the table of assignments is missing or damaged.
    """
    if task not in TASKS:
        raise UsageError(f"the pass is '{task}', expected one of {', '.join(TASKS)}.")
    check_annotator_id(annotator_id)
    listed = study.config.annotation.annotators
    if listed and annotator_id not in listed:
        raise UsageError(
            f"'{annotator_id}' is not among the annotators of study.toml ({', '.join(listed)}). Mind the spelling, or "
            "add the name to annotators in [annotation] and run `emer annotate assign`."
        )
    clips = _clips(study)
    rows = _rows(study, task, annotator_id)
    if not listed and not {clip for clip, cells in clips.items() if cells["included"]} <= {r["clip_id"] for r in rows}:
        # Only now: it brings pandas, and half a second.
        from annotation.queue.assignments import extend_assignments

        extend_assignments(study, [annotator_id])
        rows = _rows(study, task, annotator_id)
    if not rows:
        raise LabelError(
            f"{study.root}: no clips are assigned to {annotator_id} in the pass {task}. Hand them out: "
            f"emer annotate assign {study.root}"
        )
    queue = _join(rows, clips, task)
    if not queue:
        raise LabelError(
            f"{study.clip_index_path}: has none of the {len(rows)} clips that were assigned to {annotator_id}, or "
            "excludes them all. Hand out the clips that it has: emer annotate assign " + str(study.root)
        )
    return queue


def read_all_queues(study: StudyFolder) -> dict[tuple[str, str], list[QueuedClip]]:
    """Read all queues that are frozen, by annotator and pass; nothing is handed out here.

    Raises
    ------
    ExportError
        If the clip table is missing, or one of the tables is damaged.
    """
    if not assignments_path(study).exists():
        return {}
    clips = _clips(study)
    table = _read(assignments_path(study), (*_WHOSE, *_QUEUE), "table of assignments", LOST_TABLE)
    rows: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(table, key=lambda row: row["position"]):
        rows[row["annotator_id"], row["task"]].append(row)
    queues = {key: _join(own, clips, key[1]) for key, own in rows.items()}
    return {key: queue for key, queue in queues.items() if queue}


def _join(rows: Sequence[dict[str, Any]], clips: dict[str, dict[str, Any]], task: str) -> list[QueuedClip]:
    queue: list[QueuedClip] = []
    for row in rows:
        clip = clips.get(row["clip_id"])
        if clip is None or not clip["included"]:
            continue
        item = Item(
            item_id=row["item_id"],
            clip_id=row["clip_id"],
            clip_sha256=clip["session_sha256"],
            task=task,
            repetition=row["repetition"],
            block=_BLOCK[row["block"]],
            position=len(queue),
        )
        place = (clip["session_file"], clip["trial_id"], clip["stimulus_id"], clip["t_start_us"], clip["t_end_us"])
        queue.append(QueuedClip(item, _ROLE[row["role"]], *place))
    return queue


def _rows(study: StudyFolder, task: str, annotator_id: str) -> list[dict[str, Any]]:
    path = assignments_path(study)
    if not path.exists():
        return []
    table = _load(path, (*_WHOSE, *_QUEUE), "table of assignments", LOST_TABLE)
    mine = [whose == (annotator_id, task) for whose in zip(*(table[name].to_pylist() for name in _WHOSE), strict=True)]
    # A queue lies in the file in one piece an extension: only those pieces become Python's objects.
    rows: list[dict[str, Any]] = []
    start = 0
    for is_mine, run in groupby(mine):
        length = sum(1 for _ in run)
        if is_mine:
            rows += _as_rows(table.slice(start, length), _QUEUE)
        start += length
    return sorted(rows, key=lambda row: row["position"])


def _clips(study: StudyFolder) -> dict[str, dict[str, Any]]:
    path = study.clip_index_path
    if not path.is_file():
        raise ExportError(f"{path}: there is no clip index here. Build it with: emer clips {study.root}")
    next_step = f"Build it with: emer clips {study.root}"
    table = _load(path, (*_CLIP, *_TRIAL.values()), "clip index", next_step, optional=tuple(_TRIAL))
    rows = _as_rows(table, tuple(table.column_names))
    return {row["clip_id"]: row | {name: row[wide] for wide, name in _TRIAL.items() if wide in row} for row in rows}


def _read(path: Path, columns: tuple[str, ...], what: str, next_step: str) -> list[dict[str, Any]]:
    return _as_rows(_load(path, columns, what, next_step), columns)


def _load(path: Path, columns: tuple[str, ...], what: str, next_step: str, optional: tuple[str, ...] = ()) -> pa.Table:
    """Read some columns; filters of pyarrow and tables of pandas cost more to import than they save."""
    try:
        with pq.ParquetFile(path) as file:
            missing = [name for name in columns if name not in file.schema_arrow.names]
            if missing:
                raise ExportError(f"{path}: the {what} lacks the column(s) {', '.join(missing)}. {next_step}")
            there = [name for name in optional if name in file.schema_arrow.names]
            return file.read(columns=[*columns, *there])
    except (OSError, pa.ArrowException) as error:
        raise ExportError(f"{path}: the {what} cannot be read: {error}. {next_step}") from error


def _as_rows(table: pa.Table, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    cells = [table[name].to_pylist() for name in columns]
    return [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)]
