"""Check a session file against its layout and against itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from data_schema.errors import ConfigError, SessionFileError
from data_schema.session import markers
from data_schema.session.layout import (
    BLOBS,
    FRAMES,
    MARKERS,
    PACKETS,
    PRESENTATIONS,
    ROOT_ATTRIBUTES,
    STUDY_ATTRIBUTES,
    TABLES,
    Table,
)
from data_schema.session.reader import Session, open_session
from data_schema.study.folder import parse_session_name

_BLOCK_ROWS = 262_144


@dataclass(frozen=True)
class Finding:
    """One thing that `emer check` has to say.

    Parameters
    ----------
    level : str
        ``error`` (the data cannot be trusted), ``warning`` (usable, but look at it).
    hdf5_path : str
        Where in the file; empty for the file as a whole.
    message : str
        What, and the next step.
    """

    level: str
    hdf5_path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.hdf5_path}: " if self.hdf5_path else ""
        return f"{self.level}: {where}{self.message}"


def check_session(path: Path | str) -> list[Finding]:
    """Check one session file.

    Returns
    -------
    list of Finding
        Empty if all is well.

    Raises
    ------
    SessionFileError
        If the file cannot be opened as a session file at all.
    """
    path = Path(path)
    with open_session(path) as session:
        findings = [*_check_attributes(session), *_check_status(session)]
        for table in TABLES:
            findings += _check_table(session, table)
        for blob in BLOBS:
            if blob.since <= session.format_version and not isinstance(session.file.get(blob.path), h5py.Dataset):
                findings.append(Finding("error", blob.path, "is missing"))
        if not any(finding.level == "error" for finding in findings):
            findings += _check_video(session)
            findings += _check_trials(session)
        return findings


def _check_attributes(session: Session) -> list[Finding]:
    findings = []
    for attribute in ROOT_ATTRIBUTES:
        if attribute.name not in session.file.attrs:
            findings.append(Finding("error", "/", f"the attribute '{attribute.name}' is missing"))
    group = session.file.get("study")
    for attribute in STUDY_ATTRIBUTES:
        if group is None or attribute.name not in group.attrs:
            findings.append(Finding("error", "/study", f"the attribute '{attribute.name}' is missing"))
    if findings:
        return findings
    named = parse_session_name(session.path)
    stored = (session.participant, session.session)
    if named is not None and named != stored:
        findings.append(
            Finding(
                "error",
                "/",
                f"the file is named for participant {named[0]}, session {named[1]}, "
                f"but was recorded as {stored[0]}, session {stored[1]}. Was it renamed by hand?",
            )
        )
    try:
        session.config()
    except ConfigError as error:
        findings.append(Finding("warning", "/study", f"the stored configuration is of another version: {error}"))
    return findings


def _check_status(session: Session) -> list[Finding]:
    if session.status == "recording":
        return [Finding("warning", "", "is being recorded at this moment")]
    if session.status == "interrupted":
        return [Finding("error", "", f"the recording was interrupted; run `emer repair {session.path.name}`")]
    findings = []
    rows = session.table(MARKERS.path)[:]
    for kind in (markers.SAMPLES_DROPPED, markers.FRAMES_DROPPED):
        dropped = rows[rows["kind"] == kind.encode()]
        if len(dropped):
            count = int(np.nansum(dropped["value"]))
            findings.append(
                Finding("warning", MARKERS.path, f"{count} {kind.replace('_', ' ')}, counted while recording")
            )
    return findings


def _check_table(session: Session, table: Table) -> list[Finding]:
    dataset = session.file.get(table.path)
    if not isinstance(dataset, h5py.Dataset):
        if table.since > session.format_version:
            return []
        return [Finding("error", table.path, "is missing")]
    if dataset.dtype.names is None or dataset.ndim != 1:
        return [Finding("error", table.path, f"is no table: it has the type {dataset.dtype}")]
    missing = [column.name for column in table.columns if column.name not in dataset.dtype.names]
    if missing:
        return [Finding("error", table.path, f"lacks the columns {', '.join(missing)}")]
    if table.time_column and table.monotonic:
        return _check_times(session, table)
    return _check_readable(session, table)


def _check_readable(session: Session, table: Table) -> list[Finding]:
    view = session.table(table.path)
    try:
        for start in range(0, len(view), _BLOCK_ROWS):
            view[start : start + _BLOCK_ROWS]
    except SessionFileError as error:
        return [Finding("error", table.path, str(error))]
    return []


def _check_times(session: Session, table: Table) -> list[Finding]:
    view = session.table(table.path)
    last = None
    n_back = 0
    first_back = 0
    try:
        for start in range(0, len(view), _BLOCK_ROWS):
            times = view[start : start + _BLOCK_ROWS][table.time_column].astype(np.int64)
            if last is not None:
                times = np.concatenate(([last], times))
                start -= 1
            back = np.flatnonzero(np.diff(times) < 0)
            if len(back) and not n_back:
                first_back = start + int(back[0]) + 1
            n_back += len(back)
            last = int(times[-1])
    except SessionFileError as error:
        return [Finding("error", table.path, str(error))]
    if last == 0:
        return [
            Finding(
                "error",
                table.path,
                f"its last rows were never stored (the disk was full?); run `emer repair {session.path.name}`",
            )
        ]
    if n_back:
        return [
            Finding(
                "warning",
                table.path,
                f"{table.time_column} goes back {n_back} times, first at row {first_back}; "
                + (
                    "the recorder marked it, and rows are found by time all the same"
                    if not view.ordered
                    else "no marker says so, and finding rows by time is not reliable"
                ),
            )
        ]
    return []


def _check_video(session: Session) -> list[Finding]:
    video = session.video
    if video is None:
        if len(session.table(FRAMES.path)):
            return [Finding("error", PACKETS.path, "there are frames, but the stream's description is missing")]
        return []
    frames = video.frames
    if not len(frames):
        return [Finding("warning", FRAMES.path, "the session has a camera, but no frame was stored")]
    size = int(session.file[PACKETS.path].shape[0])
    offsets = frames["packet_offset"].astype(np.int64)
    ends = offsets + frames["packet_size"]
    if offsets[0] != 0 or np.any(offsets[1:] != ends[:-1]):
        return [Finding("error", FRAMES.path, "the packets of the frames overlap or leave holes")]
    if int(ends[-1]) > size:
        return [
            Finding(
                "error",
                FRAMES.path,
                f"the last frame ends at byte {int(ends[-1])}, but {PACKETS.path} holds {size}. "
                f"The recording probably stopped mid-write; run `emer repair {session.path.name}`",
            )
        ]
    if not frames["keyframe"][0]:
        return [
            Finding("error", FRAMES.path, "the first frame is no key frame, so nothing decodes before the next one")
        ]
    try:
        video.decode(len(frames) - 1)
    except SessionFileError as error:
        return [Finding("error", PACKETS.path, f"the last frame does not decode: {error}")]
    return []


def _check_trials(session: Session) -> list[Finding]:
    rows = session.table(PRESENTATIONS.path)[:]
    findings = []
    numbers = rows["trial_id"]
    if len(np.unique(numbers)) != len(numbers):
        findings.append(Finding("error", PRESENTATIONS.path, "two rows have the same trial_id"))
    if np.any(rows["t_offset_us"] < rows["t_onset_us"]):
        findings.append(Finding("error", PRESENTATIONS.path, "a clip ends before it begins"))
    if session.status == "complete" and not len(rows):
        findings.append(Finding("warning", PRESENTATIONS.path, "no clip was shown in this session"))
    return findings
