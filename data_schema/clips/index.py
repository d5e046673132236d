"""The clip index: which part of which recording is a clip, and whether it is good enough.

Everything later (labels, folds, exports) refers to a clip by its ``clip_id`` and to
the recording that it was cut from by its SHA-256.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data_schema.errors import ExportError, SessionFileError
from data_schema.files import read_table, write_table
from data_schema.session import markers
from data_schema.session.layout import FLIPS, GAZE, MARKERS, decode_text
from data_schema.session.reader import Session, Trial, open_session
from data_schema.signals.gaze import sample_interval_us
from data_schema.study.folder import SessionName, StudyFolder, parse_session_name
from data_schema.study.sections import QualitySection

_log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]

#: Columns of ``clips.parquet`` and what they mean, in order.
CLIP_COLUMNS: dict[str, str] = {
    "clip_id": "Name of the clip: sub-P001_ses-01_trial-003. The runs of a resumed session share its name.",
    "participant": "Pseudonym of the participant.",
    "session": "Name of the session.",
    "trial_id": "Number of the trial in the session.",
    "stimulus_id": "The stimulus that was shown.",
    "target_emotion": "Emotion that the stimulus is meant to induce. Never an input of a model.",
    "session_file": "The session file (of this run), relative to the study folder, with forward slashes.",
    "session_sha256": "SHA-256 of the session file when the index was built.",
    "t_start_us": "Start of the clip on the host clock, microseconds.",
    "t_end_us": "End of the clip (excluded).",
    "n_face_frames": "Camera frames in the clip.",
    "gaze_valid_share": "Share of the expected gaze samples that have gaze from either eye.",
    "included": "True if the clip satisfies the study's quality rule.",
    "exclusion_reason": "Why not; empty if included.",
    "simulated": "True if a device of the recording was simulated or replayed.",
}

_DTYPES = {
    "trial_id": "int32",
    "t_start_us": "int64",
    "t_end_us": "int64",
    "n_face_frames": "int32",
    "gaze_valid_share": "float64",
    "included": "bool",
    "simulated": "bool",
}


@dataclass(frozen=True)
class SkippedSession:
    """A session that gave no clips, and why."""

    path: Path
    reason: str


def clip_id(participant: str, session: str, trial_id: int) -> str:
    """Return the name of a clip."""
    return f"sub-{participant}_ses-{session}_trial-{trial_id:03d}"


def index_sessions(study: StudyFolder, progress: Progress | None = None) -> tuple[pd.DataFrame, list[SkippedSession]]:
    """Look at all sessions of a study and cut them into clips.

    A session that cannot be read, is still being recorded or was interrupted is
    passed over and returned with the reason: one bad file does not stop a study.

    Parameters
    ----------
    study : StudyFolder
    progress : callable, optional
        Called with sessions done, sessions in all, and the name of the next.

    Returns
    -------
    clips : DataFrame
        Columns :data:`CLIP_COLUMNS`, one row a clip, also excluded ones.
    skipped : list of SkippedSession

    Raises
    ------
    ExportError
        If there are no sessions, or a file's name contradicts its content.
    """
    files = study.session_files()
    if not files:
        raise ExportError(
            f"{study.sessions_dir}: the study has no sessions yet. Record one: emer record rehearse {study.root} --headless"
        )
    rows: list[dict[str, Any]] = []
    skipped: list[SkippedSession] = []
    for done, path in enumerate(files):
        if progress:
            progress(done, len(files), path.stem)
        try:
            with open_session(path) as session:
                _check_name(path, session)
                found = session_clips(session, study.config.quality, path.relative_to(study.root).as_posix())
                status = session.status
        except SessionFileError as error:
            skipped.append(SkippedSession(path, str(error)))
            continue
        if status in ("recording", "interrupted"):
            step = "wait until it is closed" if status == "recording" else f"run `emer repair {path}`"
            skipped.append(SkippedSession(path, f"{path.name}: the recording is not closed ({status}); {step}"))
            continue
        if not found:
            skipped.append(SkippedSession(path, f"{path.name}: no stimulus was shown, so there is no clip in it"))
        rows += found
    if progress:
        progress(len(files), len(files), "")
    _check_unique(rows)
    table = pd.DataFrame(rows, columns=list(CLIP_COLUMNS)).astype(_DTYPES)
    return table, skipped


def build_clip_index(study: StudyFolder, progress: Progress | None = None) -> pd.DataFrame:
    """Build the clip index and write ``clips.parquet``; sessions passed over are logged as warnings."""
    table, skipped = index_sessions(study, progress)
    for item in skipped:
        _log.warning("passed over: %s", item.reason)
    write_table(study.clip_index_path, table)
    return table


def load_clip_index(path: Path | StudyFolder) -> pd.DataFrame:
    """Read the clip index.

    Parameters
    ----------
    path : Path or StudyFolder
        ``clips.parquet``, or the study that has it.

    Raises
    ------
    ExportError
        If it is missing or damaged.
    """
    file = path.clip_index_path if isinstance(path, StudyFolder) else Path(path)
    return read_table(file, tuple(CLIP_COLUMNS), "clip index", f"Build it with: emer clips {file.parent}")


def _check_name(path: Path, session: Session) -> None:
    named = parse_session_name(path)
    inside = SessionName(session.participant, session.session, session.continues_run + 1)
    if named is None or named[:2] != inside[:2]:
        raise ExportError(
            f"{path.name}: the file says inside that it is participant {inside[0]}, session {inside[1]}. It was "
            f"renamed or copied; give it back its name {inside.stem}.h5, or take it away."
        )


def _check_unique(rows: list[dict[str, Any]]) -> None:
    """Refuse two recordings of one trial: the runs of a session have no trial in common."""
    seen: dict[str, str] = {}
    for row in rows:
        other = seen.setdefault(row["clip_id"], row["session_file"])
        if other != row["session_file"]:
            raise ExportError(
                f"{row['session_file']}: trial {row['trial_id']} is in {other}, too. A resumed session goes on with "
                f"the next trial, so one of the files does not belong here; take it away."
            )


def session_clips(session: Session, rule: QualitySection, session_file: str) -> list[dict[str, Any]]:
    """Cut one session into clips: one whole stimulus is one clip.

    Parameters
    ----------
    session : Session
    rule : QualitySection
        The study's quality rule.
    session_file : str
        Path to store.
    """
    cut, held = session.cut_trials(), session.held_trials()
    trials = [*session.trials(), *_unfinished(session, cut)]
    if not trials:
        return []
    sha256 = session.sha256
    frame_times = session.video.frame_times_us if session.video is not None else np.zeros(0, dtype=np.int64)
    # A stream's own median interval says how much should be there, also for a replayed one.
    frame_interval = sample_interval_us(frame_times)
    gaze_interval = sample_interval_us(session.table(GAZE)[:20_000]["t_system_us"].astype(np.int64))
    rows = []
    for trial in trials:
        start, end = trial.t_onset_us, trial.t_offset_us
        n_frames = int(np.searchsorted(frame_times, end) - np.searchsorted(frame_times, start))
        share = gaze_valid_share(session, start, end, gaze_interval)
        expected = (end - start) / frame_interval if frame_interval > 0 else 0.0
        reason = exclusion_reason(trial, share, n_frames, expected, rule)
        if trial.trial_id in cut:
            reason = f"the trial was cut off: {cut[trial.trial_id]}"
        elif trial.trial_id in held:
            seconds = held[trial.trial_id]
            reason = f"the clip was held for {seconds:.1f} s while the participant was asked whether to stop"
        rows.append(
            {
                "clip_id": clip_id(session.participant, session.session, trial.trial_id),
                "participant": session.participant,
                "session": session.session,
                "trial_id": trial.trial_id,
                "stimulus_id": trial.stimulus_id,
                "target_emotion": trial.target_emotion,
                "session_file": session_file,
                "session_sha256": sha256,
                "t_start_us": start,
                "t_end_us": end,
                "n_face_frames": n_frames,
                "gaze_valid_share": share,
                "included": not reason,
                "exclusion_reason": reason,
                "simulated": session.simulated,
            }
        )
    return rows


def _unfinished(session: Session, cut: dict[int, str]) -> list[Trial]:
    """Return the trials that were cut off while their stimulus played: they have flips, but no presentation."""
    flips = session.table(FLIPS)[:]
    missing = (set(cut) - {trial.trial_id for trial in session.trials()}) & set(flips["trial_id"].tolist())
    if not missing:
        return []
    rows = session.table(MARKERS)[:]
    rows = rows[rows["kind"] == markers.TRIAL_STARTED.encode()]
    stimuli = dict(zip(rows["trial_id"].tolist(), decode_text(rows["message"]), strict=True))
    targets = {stimulus.id: str(stimulus.target_emotion) for stimulus in session.config().stimuli}
    found = []
    for number in sorted(missing):
        times = flips["t_flip_us"][flips["trial_id"] == number]
        name = str(stimuli.get(number, ""))
        span = int(times[0]), int(times[-1])
        found.append(Trial(number, name, targets.get(name, "neutral"), *span, completed=False))
    return found


def gaze_valid_share(session: Session, t_start_us: int, t_end_us: int, interval_us: float) -> float:
    """Return the share of the expected samples that have gaze; samples never sent count as lost."""
    rows = session.table(GAZE).between(t_start_us, t_end_us)
    if not len(rows) or t_end_us <= t_start_us:
        return 0.0
    valid = int(((rows["left_gaze_valid"] == 1) | (rows["right_gaze_valid"] == 1)).sum())
    expected = (t_end_us - t_start_us) / interval_us if interval_us > 0 else 0.0
    # A clip holds one sample more or less than its length says: that is no loss.
    return float(min(1.0, valid / max(len(rows), expected - 1.0)))


def exclusion_reason(
    trial: Trial, gaze_share: float, n_frames: int, frames_expected: float, rule: QualitySection
) -> str:
    """Return why a clip is left out, or an empty text.

    A study without a camera sets ``min_frames_share = 0``, one without a tracker
    ``max_gaze_loss = 1``: then what is missing is masked instead.
    """
    if trial.t_offset_us <= trial.t_onset_us:
        return "the stimulus has no duration"
    if not trial.completed:
        return "the stimulus did not play to its end"
    if 1.0 - gaze_share > rule.max_gaze_loss:
        return f"gaze lost in {1.0 - gaze_share:.0%} of the samples (at most {rule.max_gaze_loss:.0%})"
    frames_share = n_frames / frames_expected if frames_expected > 0 else 0.0
    # One frame of rounding at the clip's edges is no loss.
    if rule.min_frames_share > 0 and n_frames + 1 < rule.min_frames_share * max(frames_expected, 2.0):
        return f"{frames_share:.0%} of the camera frames (at least {rule.min_frames_share:.0%})"
    return ""
