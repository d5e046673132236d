"""Build the clip index: which part of which recording is a clip, and whether it is good enough.

Everything later (labels, folds, exports) refers to a clip by its ``clip_id`` and to
the recording that it was cut from by its SHA-256.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data_schema.clips.apexes import Apex, clip_apex, marks_by_clip, read_apex_marks
from data_schema.clips.columns import CLIP_COLUMNS, CLIP_DTYPES
from data_schema.clips.rules import clip_part, exclusion_reason
from data_schema.clips.table import (
    IndexFacts,
    SeenSession,
    load_clip_index,
    marks_hash,
    read_index_facts,
    resolved_rule,
    write_clip_index,
)
from data_schema.errors import ExportError, SessionFileError
from data_schema.session import markers
from data_schema.session.layout import FLIPS, GAZE, MARKERS, decode_text
from data_schema.session.reader import Session, Trial, open_session
from data_schema.signals.gaze import sample_interval_us
from data_schema.study.folder import SessionName, StudyFolder, parse_session_name
from data_schema.study.sections import ClipsSection, QualitySection

__all__ = [
    "CLIP_COLUMNS",
    "BuiltIndex",
    "SkippedSession",
    "build_clip_index",
    "clip_id",
    "index_sessions",
    "index_study",
    "load_clip_index",
    "session_clips",
]

_log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class SkippedSession:
    """A session that gave no clips, and why."""

    path: Path
    reason: str


def clip_id(participant: str, session: str, trial_id: int) -> str:
    """Return the name of a clip."""
    return f"sub-{participant}_ses-{session}_trial-{trial_id:03d}"


@dataclass(frozen=True)
class BuiltIndex:
    """An index that is not written yet.

    Parameters
    ----------
    table : DataFrame
        Columns :data:`CLIP_COLUMNS`, one row a clip, also excluded ones.
    skipped : list of SkippedSession
    facts : IndexFacts
        What it was built from.
    n_hashed : int
        Session files that were read whole for their SHA-256; the others had not changed since the last index.
    """

    table: pd.DataFrame
    skipped: list[SkippedSession]
    facts: IndexFacts
    n_hashed: int


def index_study(study: StudyFolder, progress: Progress | None = None, *, hash_all: bool = False) -> BuiltIndex:
    """Look at all sessions of a study and cut them into clips by the study's rule.

    A session that cannot be read, is still being recorded or was interrupted is
    passed over and returned with the reason: one bad file does not stop a study.

    The hash of a session file is taken from the last index if the file has kept its size and the time that it was last
    written, and had been at rest for three seconds when it was hashed. Whoever computes from a session hashes it again.

    Parameters
    ----------
    study : StudyFolder
    progress : callable, optional
        Called with sessions done, sessions in all, and the name of the next.
    hash_all : bool
        Trust no hash of the last index.

    Raises
    ------
    ExportError
        If there are no sessions, or a file's name contradicts its content.
    LabelError
        If the rule asks for apexes and a label file cannot be read.
    """
    files = study.session_files()
    if not files:
        raise ExportError(
            f"{study.sessions_dir}: the study has no sessions yet. Record one: emer record rehearse {study.root} --headless"
        )
    config = study.config
    marks = read_apex_marks(study) if config.clips.rule == "apex" else None
    of_clips = {} if marks is None else marks_by_clip(marks)
    last = None if hash_all else read_index_facts(study.clip_index_path)
    known = {} if last is None else last.sessions
    rows: list[dict[str, Any]] = []
    skipped: list[SkippedSession] = []
    seen: dict[str, SeenSession] = {}
    n_hashed = 0
    for done, path in enumerate(files):
        if progress:
            progress(done, len(files), path.stem)
        name = path.relative_to(study.root).as_posix()
        try:
            with open_session(path) as session:
                _check_name(path, session)
                before = known.get(name)
                kept = before.sha256 if before is not None and before.trusted and before.same_file(path) else ""
                state = SeenSession.of(path, kept or session.sha256)
                n_hashed += not kept
                found = session_clips(
                    session, config.quality, name, rule=config.clips, sha256=state.sha256, apex_marks=of_clips
                )
                status = session.status
        except SessionFileError as error:
            seen[name] = SeenSession.of(path)
            skipped.append(SkippedSession(path, str(error)))
            continue
        seen[name] = state
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
    rows.sort(key=lambda row: (row["participant"], row["session"], row["trial_id"]))
    table = pd.DataFrame(rows, columns=list(CLIP_COLUMNS)).astype(CLIP_DTYPES)
    facts = IndexFacts(resolved_rule(config), seen, "" if marks is None else marks_hash(marks))
    return BuiltIndex(table, skipped, facts, n_hashed)


def index_sessions(study: StudyFolder, progress: Progress | None = None) -> tuple[pd.DataFrame, list[SkippedSession]]:
    """Return the clips of a study and the sessions that gave none, see :func:`index_study`."""
    built = index_study(study, progress)
    return built.table, built.skipped


def build_clip_index(study: StudyFolder, progress: Progress | None = None) -> pd.DataFrame:
    """Build the clip index and write ``clips.parquet``; sessions passed over are logged as warnings."""
    built = index_study(study, progress)
    for item in built.skipped:
        _log.warning("passed over: %s", item.reason)
    write_clip_index(study.clip_index_path, built.table, built.facts)
    return built.table


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


def session_clips(
    session: Session,
    quality: QualitySection,
    session_file: str,
    *,
    rule: ClipsSection | None = None,
    sha256: str | None = None,
    apex_marks: Mapping[str, pd.DataFrame] | None = None,
) -> list[dict[str, Any]]:
    """Cut one session into clips: one stimulus, or the part of it that the rule takes, is one clip.

    Parameters
    ----------
    session : Session
    quality : QualitySection
        The study's quality rule.
    session_file : str
        Path to store.
    rule : ClipsSection, optional
        Whole trials by default.
    sha256 : str, optional
        Of the session file, if it is known.
    apex_marks : mapping of str to DataFrame, optional
        From :func:`~data_schema.clips.apexes.marks_by_clip`, for the rule apex.
    """
    rule = rule or ClipsSection()
    cut, held = session.cut_trials(), session.held_trials()
    trials = [*session.trials(), *_unfinished(session, cut)]
    if not trials:
        return []
    sha256 = sha256 or session.sha256
    streams = _Streams.of(session)
    names = {trial.trial_id: clip_id(session.participant, session.session, trial.trial_id) for trial in trials}
    apexes = _apexes(session, sha256, names, apex_marks) if rule.rule == "apex" else {}
    rows = []
    for trial in sorted(trials, key=lambda trial: trial.trial_id):
        apex = apexes.get(trial.trial_id)
        part = clip_part(trial.t_onset_us, trial.t_offset_us, rule, apex.t_us if apex else None)
        whole = streams.measure(trial, trial.t_onset_us, trial.t_offset_us, quality)
        same = (part.t_start_us, part.t_end_us) == (trial.t_onset_us, trial.t_offset_us)
        mine = whole if same else streams.measure(trial, part.t_start_us, part.t_end_us, quality)
        if trial.trial_id in cut:
            damage = f"the trial was cut off: {cut[trial.trial_id]}"
        elif trial.trial_id in held:
            seconds = held[trial.trial_id]
            damage = f"the clip was held for {seconds:.1f} s while the participant was asked whether to stop"
        else:
            damage = ""
        reason = damage or part.problem or mine.reason
        rows.append(
            {
                "clip_id": names[trial.trial_id],
                "participant": session.participant,
                "session": session.session,
                "run": session.continues_run + 1,
                "trial_id": trial.trial_id,
                "stimulus_id": trial.stimulus_id,
                "target_emotion": trial.target_emotion,
                "session_file": session_file,
                "session_sha256": sha256,
                "t_trial_start_us": trial.t_onset_us,
                "t_trial_end_us": trial.t_offset_us,
                "t_start_us": part.t_start_us,
                "t_end_us": part.t_end_us,
                "t_apex_us": apex.t_us if apex else -1,
                "n_apex": apex.n_annotators if apex else 0,
                "apex_spread_s": apex.spread_s if apex else float("nan"),
                "n_face_frames": mine.n_frames,
                "gaze_valid_share": mine.gaze_share,
                "trial_included": not (damage or whole.reason),
                "included": not reason,
                "exclusion_reason": reason,
                "simulated": session.simulated,
            }
        )
    return rows


def _apexes(
    session: Session, sha256: str, names: Mapping[int, str], marks: Mapping[str, pd.DataFrame] | None
) -> dict[int, Apex]:
    """Return the apexes of a session's trials that have one."""
    marked = {number: name for number, name in names.items() if marks and name in marks}
    if not marks or not marked or session.video is None:
        return {}
    frames = session.video.frames[:]
    times, pts = frames["t_capture_us"].astype(np.int64), frames["pts"].astype(np.int64)
    found = {number: clip_apex(marks[name], sha256, times, pts) for number, name in marked.items()}
    return {number: apex for number, apex in found.items() if apex is not None}


@dataclass(frozen=True)
class _Measured:
    """How good a stretch of a trial is."""

    gaze_share: float
    n_frames: int
    reason: str


@dataclass(frozen=True)
class _Streams:
    """A session's streams, and the median interval of each: it says how much should be there, also for a replayed one."""

    session: Session
    frame_times: Any
    frame_interval: float
    gaze_interval: float
    has_camera: bool
    withheld: bool

    @classmethod
    def of(cls, session: Session) -> _Streams:
        times = session.video.frame_times_us if session.video is not None else np.zeros(0, dtype=np.int64)
        gaze_interval = sample_interval_us(session.table(GAZE)[:20_000]["t_system_us"].astype(np.int64))
        has_camera, withheld = session.video is not None, session.pictures_withheld
        return cls(session, times, sample_interval_us(times), gaze_interval, has_camera, withheld)

    def measure(self, trial: Trial, start: int, end: int, quality: QualitySection) -> _Measured:
        n_frames = int(np.searchsorted(self.frame_times, end) - np.searchsorted(self.frame_times, start))
        share = gaze_valid_share(self.session, start, end, self.gaze_interval)
        expected = (end - start) / self.frame_interval if self.frame_interval > 0 else 0.0
        if self.withheld or (not self.has_camera and quality.without_camera == "include"):
            # No camera failed, or the pictures were good enough for whoever holds them: what is not here is masked.
            quality = quality.model_copy(update={"min_frames_share": 0.0})
        reason = exclusion_reason(end - start, trial.completed, share, n_frames, expected, quality)
        return _Measured(share, n_frames, reason)


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
