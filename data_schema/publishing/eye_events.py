"""Fixations, saccades and blinks of the published clips, timed from the start of their recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_schema.clips.index import load_clip_index
from data_schema.derived import ClipSpan, DerivedStore, SessionDeriver
from data_schema.derived.sessions import check_unchanged, derive_tasks
from data_schema.session.reader import open_session
from data_schema.signals.eye_signals import EyeSignals

if TYPE_CHECKING:
    from data_schema.publishing.publication import Publication

Progress = Callable[[int, int, str], None]
#: The kinds of events, and the columns of each beside clip, start and duration.
EVENT_COLUMNS: dict[str, tuple[str, ...]] = {
    "fixations": ("x_norm", "y_norm"),
    "saccades": ("amplitude_deg", "peak_velocity_deg_s"),
    "blinks": (),
}


def eye_events(publication: Publication, progress: Progress | None = None) -> dict[str, pd.DataFrame]:
    """Return the eye events of all published clips.

    They come from the study's derived data; what is missing there is computed and stored. An event at the end of a clip is
    whole: it may begin before the clip or end after it.

    Parameters
    ----------
    publication : Publication
    progress : callable, optional
        Called with sessions done, sessions in all, and the name of the next.

    Returns
    -------
    dict of str to DataFrame
        By ``fixations``, ``saccades`` and ``blinks``: clip_id, t_start_s, duration_s and :data:`EVENT_COLUMNS`.

    Raises
    ------
    ExportError
        If a session has changed since the clip index was built.
    """
    rows: dict[str, list[pd.DataFrame]] = {kind: [] for kind in EVENT_COLUMNS}
    for published, origin_us, span, eye in _clips(publication, progress):
        found = {"fixations": eye.movements.fixations, "saccades": eye.movements.saccades, "blinks": eye.blinks}
        for kind, events in found.items():
            rows[kind].append(_frame(events, kind, published, origin_us, span))
    return {kind: _joined(parts, kind) for kind, parts in rows.items()}


def _clips(publication: Publication, progress: Progress | None) -> Iterator[tuple[str, int, ClipSpan, EyeSignals]]:
    names = publication.clip_names
    index = load_clip_index(publication.study)
    starts = dict(zip(publication.clips["clip_id"], publication.clips["t_start_s"], strict=True))
    tasks = derive_tasks(publication.study, index[index["clip_id"].isin(list(names))])
    for done, task in enumerate(tasks.values()):
        path = Path(task.session_path)
        if progress:
            progress(done, len(tasks), "")
        with open_session(path) as session, DerivedStore(Path(task.target), task.session_sha256) as store:
            check_unchanged(path, session.sha256, task.session_sha256)
            deriver = SessionDeriver(session, task.settings, store)
            for span in task.clips:
                published = names[span.clip_id].clip_id
                if published in starts:
                    origin_us = span.t_start_us - round(starts[published] * 1e6)
                    yield published, origin_us, span, deriver.eye(span)[0]


def _frame(events: npt.NDArray[np.void], kind: str, clip_id: str, origin_us: int, span: ClipSpan) -> pd.DataFrame:
    touching = events[(events["t_end_us"] > span.t_start_us) & (events["t_start_us"] < span.t_end_us)]
    cells: dict[str, Any] = {
        "clip_id": clip_id,
        "t_start_s": (touching["t_start_us"] - origin_us) / 1e6,
        "duration_s": (touching["t_end_us"] - touching["t_start_us"]) / 1e6,
    }
    cells |= {name: touching[name] for name in EVENT_COLUMNS[kind]}
    frame: pd.DataFrame = pd.DataFrame(cells, index=range(len(touching)))
    return frame


def _joined(parts: list[pd.DataFrame], kind: str) -> pd.DataFrame:
    filled = [part for part in parts if len(part)]
    columns = ["clip_id", "t_start_s", "duration_s", *EVENT_COLUMNS[kind]]
    joined = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=columns)
    ordered: pd.DataFrame = joined.sort_values(["clip_id", "t_start_s"], kind="stable", ignore_index=True)
    return ordered
