"""Marks out of ELAN files: each is of the camera frame that lies nearest to where the annotation begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data_schema.errors import LabelError
from data_schema.labels.entries import Judged, Mark
from data_schema.labels.models import MARK_KINDS
from data_schema.labels.store import AddedRows, LabelStore
from data_schema.publishing.elan.document import Document, Tier
from data_schema.publishing.elan.labels import ElanSource, clip_of
from data_schema.publishing.elan.reading import read_eaf
from data_schema.publishing.elan.tiers import field_tier

_FLAG = "flag"


@dataclass(frozen=True)
class Frames:
    """The camera frames of a recording.

    Parameters
    ----------
    times_us : ndarray of int64, shape (n_frames,)
        Microseconds since the recording's origin.
    pts : ndarray of int64, shape (n_frames,)
    """

    times_us: npt.NDArray[np.int64]
    pts: npt.NDArray[np.int64]

    def nearest(self, t_us: float) -> int:
        """Return the number of the frame that is nearest in time."""
        return int(np.argmin(np.abs(self.times_us - t_us)))


def read_elan_marks(
    paths: Sequence[Path], source: ElanSource, frames: Callable[[str], Frames]
) -> dict[tuple[str, str], list[Mark]]:
    """Read the marks of an annotator.

    Parameters
    ----------
    paths : sequence of Path
    source : ElanSource
    frames : callable
        Gives the frames of the recording of a clip, by the study's name of the clip.

    Returns
    -------
    dict
        Marks by clip and kind. A kind that has a tier in a file is there for all clips of the file, also without marks.

    Raises
    ------
    LabelError
        If a file cannot be read, or a mark lies in no clip.
    """
    found: dict[tuple[str, str], list[Mark]] = {}
    for path in paths:
        document = read_eaf(path)
        for kind in MARK_KINDS:
            tiers = [document.tier(field_tier(source.task, kind, rater)) for rater in source.raters]
            tier = next((item for item in tiers if item is not None), None)
            if tier is None:
                continue
            for clip in _clips(document, source):
                found.setdefault((clip, kind), [])
            for mark in _marks(document, tier, kind, source, frames, path):
                found[mark.about.clip_id, kind].append(mark)
    return found


def _clips(document: Document, source: ElanSource) -> list[str]:
    tier = document.tier("clips")
    return [source.clips[item.value] for item in tier.annotations if item.value in source.clips] if tier else []


def _marks(
    document: Document, tier: Tier, kind: str, source: ElanSource, frames: Callable[[str], Frames], path: Path
) -> list[Mark]:
    zero_us = float(document.properties.get("zero_s", 0.0)) * 1e6
    marks = []
    for item in tier.annotations:
        try:
            clip = clip_of(document, tier, item, source)
        except LabelError as error:
            raise LabelError(f"{path.name}: tier {tier.name}, {item.start_ms / 1000:.3f} s: {error}") from None
        about = Judged(clip, source.hashes[clip], source.task)
        if kind == _FLAG:
            marks.append(Mark(about, kind))
            continue
        of = frames(clip)
        if not len(of.times_us):
            raise LabelError(f"{path.name}: tier {tier.name}: the recording of {clip} has no camera frames to mark.")
        index = of.nearest(zero_us + item.start_ms * 1000)
        marks.append(Mark(about, kind, frame_index=index, frame_pts=int(of.pts[index])))
    return marks


def import_elan_marks(marks: dict[tuple[str, str], list[Mark]], store: LabelStore, task: str) -> AddedRows:
    """Bring an annotator's marks to what the files say: new ones are added, those that are gone taken back.

    Parameters
    ----------
    marks : dict
        From :func:`read_elan_marks`.
    store : LabelStore
    task : {'er', 'fer'}
    """
    holds = [row for row in store.marks(task) if (row.clip_id, row.kind) in marks and not row.repetition]
    known = {(row.clip_id, row.kind, row.frame_index) for row in holds}
    said = {(mark.about.clip_id, kind, mark.frame_index): mark for (_, kind), group in marks.items() for mark in group}
    new = [mark for key, mark in said.items() if key not in known]
    gone = [
        Mark(row.about, row.kind, row.frame_index, row.frame_pts, removes=row.row_id)
        for row in holds
        if (row.clip_id, row.kind, row.frame_index) not in said
    ]
    store.write([*new, *gone])
    return AddedRows(len(new) + len(gone), len(said) - len(new))
