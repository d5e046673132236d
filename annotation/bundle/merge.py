"""Bring labels home: from bundles, and from copies of label files.

Rows keep their ids, so merging twice, or several files in any order, gives the same rows. A row is only ever added.
What does not fit is named and left out; the rest is merged all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotation.bundle.admission import Admitted, admissions
from annotation.bundle.contents import BundleError
from annotation.bundle.homecoming import Homecoming
from annotation.bundle.keys import BundleKey, key_path, keys_of, read_key
from annotation.identity import study_identity
from data_schema.clips.index import load_clip_index
from data_schema.errors import EmerError, LabelError
from data_schema.labels import LabelStore, Record, SeatTakenError, TraceSamples
from data_schema.labels.log_reading import select_rows
from data_schema.labels.sqlite_file import opened_for_reading, read_meta, tables_of
from data_schema.study import StudyFolder

#: Samples come after their traces.
LOGS: tuple[str, ...] = ("labels", "marks", "traces", "trace_samples", "guesses", "steps", "decisions")
#: Problems of one kind that are named; the others are counted.
_MAX_NAMED = 5

Progress = Callable[[int, int, str], None]


@dataclass
class MergedFile:
    """What became of one file.

    Parameters
    ----------
    path : Path
    annotator_id, task : str
        Empty where the file does not say.
    n_added, n_present : dict
        Rows added, and rows that were there already, by log.
    problems : list of str
        What was left out, and why. Empty if all is home.
    notes : list of str
        What the lab should know besides.
    """

    path: Path
    annotator_id: str = ""
    task: str = ""
    n_added: dict[str, int] = field(default_factory=dict)
    n_present: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def merge_labels(
    study: StudyFolder, paths: Iterable[Path], progress: Progress | None = None
) -> tuple[list[MergedFile], list[Admitted]]:
    """Merge label files into the study's.

    Parameters
    ----------
    study : StudyFolder
    paths : iterable of Path
        Label files, or folders with label files somewhere in them, such as bundles.
    progress : callable, optional
        Called with files done, files in all, and a name.

    Returns
    -------
    files : list of MergedFile
        What became of each.
    admitted : list of Admitted
        How the annotators among them did in their admission tests.

    Raises
    ------
    BundleError
        If there is no label file at all.
    """
    files = label_files(paths)
    hashes = _clip_hashes(study)
    merged = []
    for done, path in enumerate(files):
        if progress:
            progress(done, len(files), path.name)
        result = MergedFile(path)
        try:
            _merge_one(study, path, hashes, result)
        except EmerError as error:
            result.problems.append(f"{error} Nothing of this file was merged.")
        except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
            # A file that was made to do harm must not keep the others from coming home.
            result.problems.append(
                f"{path}: holds what this toolkit never writes ({error}); another program altered it. Ask the "
                "annotator for the file as the tool wrote it. Nothing of this file was merged."
            )
        merged.append(result)
    if progress:
        progress(len(files), len(files), "")
    return merged, admissions(study, {(file.annotator_id, file.task) for file in merged if file.annotator_id})


def label_files(paths: Iterable[Path]) -> list[Path]:
    """Return the label files that paths name, sorted.

    Raises
    ------
    BundleError
        If a path does not exist, or nothing is found.
    """
    found: set[Path] = set()
    for path in paths:
        if path.is_dir():
            inside = {file for file in path.rglob("*.sqlite") if file.is_file()}
            if not inside:
                raise BundleError(f"{path}: no label file (*.sqlite) in this folder. Name the one that came back.")
            found |= inside
        elif path.is_file():
            found.add(path)
        else:
            raise BundleError(f"{path}: there is no such file or folder. Check the name.")
    return sorted(found)


def _merge_one(study: StudyFolder, path: Path, hashes: Mapping[str, str], result: MergedFile) -> None:
    with opened_for_reading(path, foreign_rows=True) as connection:
        meta = read_meta(connection)
    annotator, kind = meta.get("annotator_id", ""), meta.get("annotator_kind", "human")
    result.annotator_id, result.task = annotator, meta.get("task", "")
    identity = study_identity(study)
    if meta.get("study_id", "") not in ("", identity.study_id):
        raise LabelError(f"{path}: belongs to another study ('{meta.get('study_title', '')}'). Merge it there.")
    target = study.config.labels.database or study.labels_dir / f"{annotator}.sqlite"
    if isinstance(target, Path) and target.exists() and target.samefile(path):
        result.notes.append("is the study's own file")
        return
    home = Homecoming(_keys(study, meta, path), hashes, study.config.labels.emotions, (annotator, kind))
    written = _as_written(path)
    rows = {log: home.translated(log, written[log]) for log in LOGS}
    rows["guesses"] = [*rows["guesses"], *home.withheld_guesses(rows["labels"], rows["guesses"])]
    result.problems += _counted(home.problems)
    if home.n_changed:
        result.notes.append(
            f"{home.n_changed} rows are of recordings that changed since; `emer annotate status` says how many labels"
        )
    with LabelStore.open(
        target, annotator, kind, study_title=study.config.study.title, study_id=identity.study_id,
        emotions=study.config.labels.emotions, by_lab=True,
    ) as store:  # fmt: skip
        try:
            store.take_seat()
        except SeatTakenError:
            result.notes.append(
                f"{annotator}'s labels are open in a window; it shows what came home when it is opened again"
            )
        known = {log: {_identity(row): row for row in store.log(log)} for log in LOGS}
        fresh: list[Record] = []
        conflicts: list[str] = []
        for log in LOGS:
            added, result.n_present[log] = _new_rows(rows[log], known[log], conflicts, path.name, store.place)
            result.n_added[log] = len(added)
            fresh += added
        # One transaction: a kill leaves the study's file as it was.
        store.add_records(fresh)
    result.problems += _counted({"": conflicts})


def _as_written(path: Path) -> dict[str, list[Any]]:
    """Return the rows of all logs in the order of their commit, as they stood at one moment.

    Not by time: undo goes back through the order of the work, and an annotator's clock may have been set back.
    """
    with opened_for_reading(path, foreign_rows=True) as connection:
        present = tables_of(connection)
        return {log: select_rows(connection, log, None) if log in present else [] for log in LOGS}


def _keys(study: StudyFolder, meta: Mapping[str, str], path: Path) -> list[BundleKey]:
    """Return the keys by which a file's names can be read; none for a file that was not made in a bundle."""
    bundle_id = meta.get("bundle_id", "")
    if not bundle_id:
        return []
    first = read_key(key_path(study, bundle_id)) if bundle_id.isalnum() else None
    annotator = meta.get("annotator_id", "")
    if first is None or first.annotator_id != annotator:
        raise BundleError(
            f"{path}: says that it is of bundle '{bundle_id}' and annotator '{annotator}', which do not go together. "
            "Ask the annotator for the file as the tool wrote it."
        )
    # The file's own key last, since the last one holds: another bundle may have had other guesses.
    return [*(key for key in keys_of(study, annotator) if key.bundle_id != bundle_id), first]


def _new_rows(
    rows: Iterable[Record],
    known: Mapping[object, Record],
    conflicts: list[str],
    theirs: str,
    ours: str,
) -> tuple[list[Record], int]:
    """Return the rows that are not there yet, and how many are; rows that differ go to `conflicts`."""
    new: dict[object, Record] = {}
    n_present = 0
    for row in rows:
        there = known.get(_identity(row), new.get(_identity(row)))
        if there is None:
            new[_identity(row)] = row
        elif there == row:
            n_present += 1
        else:
            conflicts.append(
                f"{_difference(there, row)}: {ours} and {theirs} contradict each other. Rows never change, "
                "so one file was altered outside the toolkit; the study's stays. Compare both with a backup"
            )
    return list(new.values()), n_present


def _identity(row: Record) -> object:
    return (row.trace_id, row.chunk) if isinstance(row, TraceSamples) else row.row_id


def _difference(ours: Record, theirs: Record) -> str:
    name = f"trace {ours.trace_id}" if isinstance(ours, TraceSamples) else f"row {ours.row_id}"
    for column, value in ours.cells().items():
        other = theirs.cells().get(column)
        if other != value:
            return f"{name} has {column} {str(value)[:40]!r} and {str(other)[:40]!r}"
    return name


def _counted(problems: Mapping[str, list[str]]) -> list[str]:
    """Return problems with the first few of each kind named and the others counted."""
    said = []
    for kind, found in problems.items():
        prefix = f"{kind}: " if kind else ""
        said += [f"{prefix}{text}" for text in found[:_MAX_NAMED]]
        if len(found) > _MAX_NAMED:
            said.append(f"{prefix}and {len(found) - _MAX_NAMED} more")
    return said


def _clip_hashes(study: StudyFolder) -> dict[str, str]:
    clips = load_clip_index(study)
    return dict(zip(clips["clip_id"].astype(str), clips["session_sha256"].astype(str), strict=True))
