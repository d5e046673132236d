"""Say where a study stands and what to do next."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from data_schema.errors import SessionFileError, StudyError
from data_schema.session import open_session
from data_schema.study.folder import WITHDRAWN_NAME, StudyFolder, parse_session_name
from data_schema.study.freshness import study_freshness
from data_schema.wording import quoted

#: Status of a file that cannot be opened.
UNREADABLE = "unreadable"


@dataclass
class StudyStatus:
    """Counts of what a study holds, and the next command to type."""

    title: str
    root: str
    n_stimuli: int
    #: Sessions by status (complete, aborted, repaired, interrupted, recording, unreadable). A session that
    #: was resumed is complete if its runs together are.
    sessions: dict[str, int] = field(default_factory=dict)
    #: Sessions that were cut off and can be resumed, as (participant, session).
    unfinished: list[tuple[str, str]] = field(default_factory=list)
    n_participants: int = 0
    n_clips: int = 0
    n_clips_included: int = 0
    label_files: list[str] = field(default_factory=list)
    #: Why the clip index no longer fits the sessions and study.toml; empty if it does.
    clips_outdated: str = ""
    #: Included clips whose derived data are there and up to date.
    n_clips_derived: int = 0
    exports: list[str] = field(default_factory=list)
    #: Training exports that are older than the study, with what changed since: clips, labels, settings.
    exports_outdated: dict[str, list[str]] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    #: Runs that learnt from somebody who has withdrawn since.
    runs_withdrawn: list[str] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    next_step: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the status for JSON."""
        return asdict(self)

    def as_text(self) -> str:
        """Return the status as lines for people."""
        sessions = ", ".join(f"{count} {name}" for name, count in sorted(self.sessions.items())) or "none"
        return "\n".join(
            [
                f"{self.title} ({self.root})",
                f"  stimuli      {self.n_stimuli}",
                f"  sessions     {sessions}; {self.n_participants} participants",
                *(
                    f"  not ended    participant {participant}, session {session}: emer record resume {quoted(self.root)} "
                    f"--participant {participant} --session {session}"
                    for participant, session in self.unfinished
                ),
                f"  clips        {self.n_clips}, of which {self.n_clips_included} included"
                + (
                    f"; out of date ({self.clips_outdated}): emer clips {quoted(self.root)}"
                    if self.clips_outdated
                    else ""
                ),
                f"  signals      {self.n_clips_derived} of {self.n_clips_included} clips"
                + (f": emer signals {quoted(self.root)}" if 0 < self.n_clips_derived < self.n_clips_included else ""),
                f"  label files  {', '.join(self.label_files) or 'none'}",
                f"  exports      {', '.join(self.exports) or 'none'}",
                *(
                    f"  out of date  {name} ({' and '.join(changed)} changed since): emer export training {quoted(self.root)} "
                    f"{quoted(Path(self.root) / 'exports' / name)} --force"
                    for name, changed in sorted(self.exports_outdated.items())
                ),
                f"  runs         {', '.join(self.runs) or 'none'}",
                *(
                    f"  withdrawn    {name} learnt from somebody who has withdrawn: train it again, do not publish it"
                    for name in self.runs_withdrawn
                ),
                f"  reports      {', '.join(self.reports) or 'none'}",
                f"next: {self.next_step}",
            ]
        )


def study_status(study: StudyFolder) -> StudyStatus:
    """Look at a study folder.

    Raises
    ------
    ConfigError
        If ``study.toml`` cannot be used.
    """
    config = study.config
    status = StudyStatus(config.study.title, str(study.root), len(config.trial_stimuli))
    participants = set()
    for name, statuses in _statuses_by_session(study).items():
        if any(said != UNREADABLE for said in statuses):
            participants.add(name[0])
        said = session_status(statuses)
        status.sessions[said] = status.sessions.get(said, 0) + 1
        if said in ("aborted", "repaired", "interrupted"):
            status.unfinished.append(name)
    status.n_participants = len(participants)
    if study.clip_index_path.is_file():
        included = pd.read_parquet(study.clip_index_path, columns=["included"])["included"]
        status.n_clips, status.n_clips_included = len(included), int(included.sum())
    status.label_files = [path.stem for path in study.label_files()]
    status.exports = _folders_with(study, "exports", "manifest.json")
    status.runs = _folders_with(study, "models", "config.json")
    status.runs_withdrawn = [name for name in status.runs if (study.models_dir / name / WITHDRAWN_NAME).is_file()]
    status.reports = sorted(path.name for path in study.reports_dir.glob("*.html"))
    fresh = study_freshness(study, status.exports)
    status.clips_outdated, status.n_clips_derived, status.exports_outdated = fresh.clips, fresh.n_derived, fresh.exports
    status.next_step = _next_step(study, status)
    return status


def session_status(statuses: list[str]) -> str:
    """Return the status of a session from those of its runs, the first run first.

    A run that is being recorded, cannot be read or was not closed decides; otherwise the last
    run does: it is complete if it reached the end of the protocol, whatever cut off those before it.
    """
    for decisive in ("recording", UNREADABLE, "interrupted"):
        if decisive in statuses:
            return decisive
    return statuses[-1]


def _statuses_by_session(study: StudyFolder) -> dict[tuple[str, str], list[str]]:
    """Return the statuses of all runs, by participant and session."""
    found: dict[tuple[str, str], list[str]] = {}
    for path in study.session_files():
        named = parse_session_name(path)
        if named is None:
            continue
        try:
            with open_session(path) as session:
                said = session.status
        except SessionFileError:
            said = UNREADABLE
        found.setdefault((named.participant, named.session), []).append(said)
    return found


def _folders_with(study: StudyFolder, folder: str, name: str) -> list[str]:
    return sorted(path.parent.name for path in (study.root / folder).glob(f"*/{name}"))


def _next_step(study: StudyFolder, status: StudyStatus) -> str:
    root = quoted(study.root)
    try:
        study.check_stimuli()
    except StudyError:
        return f"emer doctor {root}    (the stimuli are not complete)"
    if status.sessions.get("interrupted"):
        return f"emer repair {root}    (a recording was interrupted; `emer record resume` repairs it and goes on)"
    if status.sessions.get("unreadable"):
        return f"emer check {root}    (a session file cannot be read)"
    if not status.sessions:
        return f"emer record rehearse {root} --participant P001 --headless --speed 10"
    if status.unfinished and not status.sessions.get("complete"):
        participant, session = status.unfinished[0]
        return f"emer record resume {root} --participant {participant} --session {session}    (or record the next one)"
    if not status.n_clips:
        return f"emer clips {root}"
    if status.clips_outdated:
        return f"emer clips {root}    ({status.clips_outdated})"
    if not status.label_files and not study.config.labels.database:
        if study.config.annotation.annotators:
            return _hand_out(study)
        return f"emer annotate simulate {root}    (or label yourself: emer annotate open {root} --task fer --annotator a01)"
    if not status.exports:
        return f"emer export training {root} {quoted(study.exports_dir / 'training')}"
    for name, changed in sorted(status.exports_outdated.items()):
        return (
            f"emer export training {root} {quoted(study.exports_dir / name)} --force    "
            f"({' and '.join(changed)} changed since)"
        )
    export = quoted(study.exports_dir / status.exports[0])
    if not status.runs:
        return f"emer train {export} --protocol er-7"
    if not status.reports:
        runs = " ".join(quoted(study.models_dir / run) for run in status.runs)
        return f"emer report {runs} --export {export} --out {quoted(study.reports_dir / 'report.html')}"
    return f"open {study.reports_dir / status.reports[0]}"


def _hand_out(study: StudyFolder) -> str:
    """Say what the lead of a study with named annotators does before any label is there."""
    root, first = quoted(study.root), study.config.annotation.annotators[0]
    if not (study.annotation_dir / "assignments.parquet").is_file():
        return f"emer annotate assign {root}    (share the clips among {', '.join(study.config.annotation.annotators)})"
    return (
        f"emer annotate open {root} --task fer --annotator {first}    "
        f"(or for another place: emer annotate bundle {root} --task fer --annotator {first} --out fer-{first})"
    )
