"""The apex of a clip's expression: the median of what annotators of the FER pass marked.

A mark names a camera frame of the recording, so that it means the same moment whatever part of the trial is the clip.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_schema.study.folder import StudyFolder

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Apex:
    """Where an expression is at its height.

    Parameters
    ----------
    t_us : int
        Host clock, median over annotators.
    n_annotators : int
    spread_s : float
        Time between the earliest and the latest annotator's apex.
    """

    t_us: int
    n_annotators: int
    spread_s: float


def read_apex_marks(study: StudyFolder) -> pd.DataFrame:
    """Read the apexes of the FER pass that hold now, of first showings, given by people (or simulated annotators).

    Returns
    -------
    DataFrame
        Rows of the log ``marks``; empty in a study without labels.
    """
    # Only here: a session's quality needs clips, but no label and none of the libraries that read them.
    from data_schema.labels.consensus import VOTING_KINDS
    from data_schema.labels.tables import current_marks, read_log

    marks = current_marks(read_log(study.label_places(), "marks"), "fer", ("apex",))
    voting = marks["annotator_kind"].isin(VOTING_KINDS) & (marks["repetition"] == 0)
    chosen: pd.DataFrame = marks[voting].reset_index(drop=True)
    return chosen


def clip_apex(
    marks: pd.DataFrame,
    session_sha256: str,
    frame_times_us: npt.NDArray[np.int64],
    frame_pts: npt.NDArray[np.int64],
) -> Apex | None:
    """Return the apex of one clip.

    Of an annotator who marked several, the one nearest to the middle one of all marks counts: an expression may rise twice,
    and what lies between two apexes is none.

    Parameters
    ----------
    marks : DataFrame
        The clip's, from :func:`read_apex_marks`.
    session_sha256 : str
        Marks of another recording do not count.
    frame_times_us, frame_pts : ndarray of int64, shape (n_frames,)
        Capture time and presentation time stamp of the session's camera frames.

    Returns
    -------
    Apex or None
        None if nobody marked a frame of this recording.
    """
    times: dict[str, list[int]] = {}
    n_foreign = 0
    for mark in marks.to_dict("records"):
        number, pts = int(mark["frame_index"]), mark["frame_pts"]
        same = mark["clip_sha256"] == session_sha256 and 0 <= number < len(frame_times_us)
        if same and (pd.isna(pts) or int(pts) == int(frame_pts[number])):
            times.setdefault(str(mark["annotator_id"]), []).append(int(frame_times_us[number]))
        else:
            n_foreign += 1
    if n_foreign:
        name = marks["clip_id"].iloc[0]
        _log.warning("%s: %d marks of an apex are of another recording and do not count", name, n_foreign)
    if not times:
        return None
    every = sorted(time for own in times.values() for time in own)
    middle = every[(len(every) - 1) // 2]
    votes = [min(own, key=lambda time: (abs(time - middle), time)) for own in times.values()]
    return Apex(round(float(np.median(votes))), len(votes), (max(votes) - min(votes)) / 1e6)


def marks_by_clip(marks: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the marks of each clip that has any."""
    return {str(name): group for name, group in marks.groupby("clip_id", sort=True)}
