"""Open the derived data of one clip by its name."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from data_schema.clips.table import load_clip_index
from data_schema.derived.clips import DerivedClip, SessionDeriver
from data_schema.derived.sessions import check_unchanged, derive_tasks
from data_schema.derived.store import DerivedStore
from data_schema.errors import ExportError
from data_schema.session.reader import open_session
from data_schema.study.folder import StudyFolder


def open_derived(study: StudyFolder, clip_id: str, index: pd.DataFrame | None = None) -> DerivedClip:
    """Return the derived data of a clip; what is missing is computed and stored.

    For many clips of a session, :class:`~data_schema.derived.SessionDeriver` opens it once.

    Parameters
    ----------
    study : StudyFolder
    clip_id : str
    index : DataFrame, optional
        The clip index, where it is at hand.

    Raises
    ------
    ExportError
        If there is no such clip, or its session has changed since the clip index was built.
    """
    index = load_clip_index(study) if index is None else index
    tasks = derive_tasks(study, index[index["clip_id"] == clip_id])
    if not tasks:
        raise ExportError(
            f"{study.clip_index_path}: there is no clip '{clip_id}' with a length. `emer clips` lists them."
        )
    task = next(iter(tasks.values()))
    path = Path(task.session_path)
    with open_session(path) as session, DerivedStore(Path(task.target), task.session_sha256) as store:
        check_unchanged(path, session.sha256, task.session_sha256)
        deriver = SessionDeriver(session, task.settings, store)
        try:
            return deriver.clip(task.clips[0])
        finally:
            deriver.close()
