"""Which frame of the stimulus stood on the participant's screen, and where on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from annotation.evidence.eyes import StimulusTrack, Times
from annotation.evidence.guarded import GuardedFrames
from annotation.playback.frames import FrameSource

if TYPE_CHECKING:
    from data_schema.session.reader import Session, Trial

#: A flip stores its frame's time rounded to whole microseconds, a frame's own time may be rounded otherwise. Far
#: below the distance of two frames.
ROUNDING_US = 500


def shown_frames(frames: FrameSource, clip_time_us: Times) -> Times:
    """Return the frame that each flip showed, from the time inside the file that the presenter stored for it.

    Parameters
    ----------
    frames : FrameSource
        Of the stimulus' file.
    clip_time_us : ndarray of int64, shape (m,)
        The stored presentation times.
    """
    times_us = np.asarray(frames.pts, dtype=np.float64) * float(frames.time_base) * 1e6
    place = np.searchsorted(times_us, np.asarray(clip_time_us, dtype=np.float64) + ROUNDING_US, side="right") - 1
    return np.clip(place, 0, len(frames) - 1).astype(np.int64)


def stimulus_track(
    session: Session,
    trial: Trial | int,
    stimulus_path: Path,
    *,
    t_start_us: int | None = None,
    open_frames: Callable[[Path], FrameSource] | None = None,
) -> StimulusTrack:
    """Open the stimulus of a trial as it was seen, flip by flip.

    Recordings of other systems have no flips: there each frame is taken to have come at its own time after the onset.

    Parameters
    ----------
    session : Session
    trial : Trial or int
        The trial, or its number.
    stimulus_path : Path
        The stimulus' file.
    t_start_us : int, optional
        The clip's onset on the host clock; the trial's first flip by default.
    open_frames : callable, optional
        Opens the file; `annotation.playback.open_video` by default.

    Returns
    -------
    StimulusTrack
        Its frames belong to the caller, who closes them.

    Raises
    ------
    MediaError
        If the file is missing, has no video or does not decode.
    """
    from data_schema.session.layout import FLIPS

    number = trial if isinstance(trial, int) else trial.trial_id
    shown = trial if not isinstance(trial, int) else {one.trial_id: one for one in session.trials()}.get(number)
    table = session.table(FLIPS)
    if shown is None:
        rows = table[:]
    else:
        rows = table.between(shown.t_onset_us, shown.t_offset_us + 1)
    rows = rows[rows["trial_id"] == number]
    if open_frames is None:
        from annotation.playback import open_video

        open_frames = open_video
    frames = GuardedFrames(open_frames(stimulus_path))
    if shown is not None and not len(rows):
        return _evenly_played(frames, shown, t_start_us)
    flip_us = rows["t_flip_us"].astype(np.int64)
    onset_us = t_start_us if t_start_us is not None else int(flip_us[0]) if len(flip_us) else 0
    return StimulusTrack(frames, flip_us - onset_us, shown_frames(frames, rows["clip_time_us"].astype(np.int64)))


def _evenly_played(frames: GuardedFrames, shown: Trial, t_start_us: int | None) -> StimulusTrack:
    """Return the track of a stimulus whose flips nobody wrote down."""
    times_us = np.asarray(frames.pts, dtype=np.float64) * float(frames.time_base) * 1e6
    times_us = np.round(times_us - times_us[0]).astype(np.int64)
    played = np.flatnonzero(times_us <= shown.t_offset_us - shown.t_onset_us)
    onset_us = t_start_us if t_start_us is not None else shown.t_onset_us
    return StimulusTrack(frames, times_us[played] + (shown.t_onset_us - onset_us), played.astype(np.int64))
