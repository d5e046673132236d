"""Bring all shards of an export into its unfinished folder: take over what is there, compute the rest."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from data_schema.derived import derive_tasks, derived_settings
from data_schema.derived.sessions import check_unchanged
from data_schema.errors import EmerError
from data_schema.exports.manifest import MANIFEST_NAME, read_manifest
from data_schema.exports.shards import ShardSettings, ShardSummary, ShardTask, read_summary
from data_schema.session.reader import file_sha256
from data_schema.study.folder import StudyFolder
from data_schema.work import run_tasks

Progress = Callable[[int, int, str], None]

#: Below this size of all sessions together, hashing them here takes less time than starting processes.
_POOL_BYTES = 2_000_000_000


def shard_settings(study: StudyFolder) -> ShardSettings:
    """Return the array settings that ``study.toml`` asks for."""
    export = study.config.export
    return ShardSettings(
        face_frames=export.face_frames,
        face_size_px=export.face_size_px,
        eye_chunks=export.eye_chunks,
        max_fixations=export.max_fixations,
        faces=export.faces,
        jpeg_quality=export.jpeg_quality,
        light=study.config.faces.light,
        derived=derived_settings(study.config),
    )


def shard_tasks(
    study: StudyFolder, clips: pd.DataFrame, settings: ShardSettings, partial: Path
) -> dict[str, ShardTask]:
    """Return one task a session, by the shard's path within the export; the longest first."""
    tasks = {}
    for name, derive in derive_tasks(study, clips).items():
        shard = f"shards/{name}.h5"
        tasks[shard] = ShardTask(
            derive.session_path,
            derive.session_sha256,
            derive.clips,
            settings,
            str((partial / shard).resolve()),
            derive.target,
        )
    return tasks


def clean(partial: Path, keep: set[str]) -> None:
    """Remove what an interrupted export, or a worker that was killed, left and this one does not want."""
    for path in sorted(partial.rglob("*")):
        if path.is_file() and path.relative_to(partial).as_posix() not in keep:
            path.unlink()


def compute_shards(
    compute: Callable[[ShardTask], ShardSummary],
    tasks: dict[str, ShardTask],
    out: Path,
    workers: int,
    scheduler: str,
    progress: Progress | None,
) -> dict[str, ShardSummary]:
    """Bring all shards into OUT.partial, taking over what is there.

    Parameters
    ----------
    compute : callable
        Computes one shard, here or in another process.
    tasks : dict of str to ShardTask
        By the shard's path within the export.
    out : Path
        The export that is replaced, if there is one.
    workers, scheduler
        As in :func:`data_schema.work.run_tasks`.
    progress : callable, optional
        Called with clips done, clips in all, and the session just finished.
    """
    total = sum(len(task.clips) for task in tasks.values())
    summaries: dict[str, ShardSummary] = {}
    done = 0

    def finished(shard: str, summary: ShardSummary) -> None:
        nonlocal done
        summaries[shard] = summary
        done += len(tasks[shard].clips)
        if progress:
            progress(done, total, Path(shard).stem)

    if progress:
        progress(0, total, "")
    for shard, summary in _taken_over(tasks, out, workers):
        finished(shard, summary)
    waiting = {shard: task for shard, task in tasks.items() if shard not in summaries}
    for shard, result in run_tasks(compute, waiting, workers=workers, scheduler=scheduler):
        finished(shard, _result(result))
    return summaries


def _result(result: ShardSummary | EmerError) -> ShardSummary:
    if isinstance(result, EmerError):
        raise result
    return result


@dataclass(frozen=True)
class _Earlier:
    """A shard that may be taken over: of an interrupted export, or of the one that is replaced."""

    task: ShardTask
    old: str
    old_sha256: str


def _taken_over(tasks: dict[str, ShardTask], out: Path, workers: int) -> list[tuple[str, ShardSummary]]:
    """Take over the shards that are wanted and whole; hashing is spread over processes where there is much of it."""
    known = _old_files(out)
    candidates = {
        shard: _Earlier(task, str((out / shard).resolve()), str(known.get(shard, {}).get("sha256", "")))
        for shard, task in tasks.items()
        if Path(task.target).is_file() or shard in known
    }
    size = sum(Path(item.task.session_path).stat().st_size for item in candidates.values() if _exists(item))
    few = size < _POOL_BYTES
    found = run_tasks(_take_over, candidates, workers=1 if few else workers)
    return [(shard, summary) for shard, summary in found if isinstance(summary, ShardSummary)]


def _exists(item: _Earlier) -> bool:
    return Path(item.task.session_path).is_file()


def _old_files(out: Path) -> dict[str, Any]:
    """Return the files of the export that is being replaced, by the manifest."""
    if not (out / MANIFEST_NAME).is_file():
        return {}
    return dict(read_manifest(out)["files"])


def _take_over(item: _Earlier) -> ShardSummary | None:
    """Use a shard of the interrupted or of the earlier export, if it is the one that is wanted and whole."""
    task = item.task
    target, old = Path(task.target), Path(item.old)
    summary = read_summary(target, task.key) if target.is_file() else None
    if summary is None and item.old_sha256 and old.is_file():
        summary = read_summary(old, task.key)
        if summary is not None and file_sha256(old) == item.old_sha256:
            _link(old, target)
        else:
            summary = None
    if summary is not None and Path(task.session_path).is_file():
        # A shard that is computed has this checked where the session is open anyway.
        check_unchanged(Path(task.session_path), file_sha256(Path(task.session_path)), task.session_sha256)
    return summary


def _link(old: Path, target: Path) -> None:
    """Give a file a second name, so that it is neither read nor written again; copy it where the drive has no links."""
    target.unlink(missing_ok=True)
    try:
        os.link(old, target)
    except OSError:
        shutil.copy2(old, target)
