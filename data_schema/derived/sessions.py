"""Derive whole sessions, each a task that can be sent to another process or machine."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from data_schema.derived.clips import SessionDeriver, clip_keys
from data_schema.derived.parameters import DerivedSettings, derived_settings
from data_schema.derived.spans import ClipSpan, clip_spans
from data_schema.derived.store import DerivedStore, derived_path
from data_schema.errors import ExportError
from data_schema.session.reader import open_session
from data_schema.study.folder import StudyFolder


@dataclass(frozen=True)
class DeriveTask:
    """One session to derive.

    Parameters
    ----------
    session_path : str
    session_sha256 : str
        What the clip index says of it.
    clips : tuple of ClipSpan
    settings : DerivedSettings
    target : str
        The session's file of derived data.
    """

    session_path: str
    session_sha256: str
    clips: tuple[ClipSpan, ...]
    settings: DerivedSettings
    target: str


@dataclass(frozen=True)
class DeriveSummary:
    """What was done to a session.

    Parameters
    ----------
    n_clips : int
    n_computed : int
        Clips of which something was missing.
    parts : dict of str to int
        How many clips each part was computed of: eye, faces, features.
    clip_seconds : float
        Length of those clips.
    seconds : float
        Time that it took.
    """

    n_clips: int
    n_computed: int
    parts: dict[str, int]
    clip_seconds: float
    seconds: float


def check_unchanged(path: Path, sha256: str, indexed_sha256: str) -> None:
    """Refuse a session that is not the one that the clip index was built from.

    Raises
    ------
    ExportError
        If the hashes differ.
    """
    if sha256 != indexed_sha256:
        raise ExportError(
            f"{path.name}: the file has changed since the clip index was built. Run `emer clips --hash-all` and try again."
        )


def derive_tasks(study: StudyFolder, clips: pd.DataFrame) -> dict[str, DeriveTask]:
    """Return one task a session, the longest first, by the name of its file.

    Parameters
    ----------
    study : StudyFolder
    clips : DataFrame
        Rows of the clip index; those without a length are left out.
    """
    settings = derived_settings(study.config)
    tasks = {}
    for name, group in clips[clips["t_end_us"] > clips["t_start_us"]].groupby("session_file", sort=True):
        # The name in the study, not the one that a link leads to: links may all lead to files of one name.
        path = study.root.resolve() / str(name)
        tasks[path.stem] = DeriveTask(
            str(path),
            str(group["session_sha256"].iloc[0]),
            clip_spans(group),
            settings,
            str(derived_path(study.derived_dir.resolve(), path)),
        )
    return dict(sorted(tasks.items(), key=lambda item: (-sum(clip.duration_s for clip in item[1].clips), item[0])))


def derive_session(task: DeriveTask) -> DeriveSummary:
    """Compute what is missing of a session's clips and store it, one clip in memory at a time.

    Raises
    ------
    ExportError
        If the session is not the one that the clip index knows, or the disk is full.
    SessionFileError
        If the session cannot be read.
    """
    started = time.monotonic()
    path = Path(task.session_path)
    n_computed, clip_seconds = 0, 0.0
    parts: Counter[str] = Counter()
    with open_session(path) as session, DerivedStore(Path(task.target), task.session_sha256) as store:
        check_unchanged(path, session.sha256, task.session_sha256)
        deriver = SessionDeriver(session, task.settings, store)
        try:
            for clip in task.clips:
                missing = deriver.complete(clip)
                if missing:
                    parts.update(missing)
                    n_computed += 1
                    clip_seconds += clip.duration_s
                    store.commit_now_and_then()
        finally:
            deriver.close()
    return DeriveSummary(len(task.clips), n_computed, dict(parts), clip_seconds, time.monotonic() - started)


def stale_clips(study: StudyFolder, clips: pd.DataFrame) -> list[str]:
    """Return the clips whose derived data are missing or out of date, by the clip index and the settings alone.

    Sessions are not opened: that a file changed since the clip index was built shows when they are derived.
    """
    stale: list[str] = []
    for task in derive_tasks(study, clips).values():
        store = DerivedStore(Path(task.target), task.session_sha256)
        try:
            for clip in task.clips:
                keys = clip_keys(task.session_sha256, clip, task.settings)
                if not all(store.is_fresh(clip.clip_id, part, key) for part, key in keys.items()):
                    stale.append(clip.clip_id)
        finally:
            store.close()
    return stale
