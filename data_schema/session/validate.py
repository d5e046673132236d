"""Check a session file against its layout and against itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from data_schema.errors import ConfigError, SessionFileError
from data_schema.session import markers
from data_schema.session.layout import (
    BLOBS,
    CALIBRATION_ATTEMPTS,
    CALIBRATION_DATA,
    FRAMES,
    GAZE,
    MARKERS,
    PACKETS,
    PRESENTATIONS,
    ROOT_ATTRIBUTES,
    SECOND_FRAMES,
    SECOND_PACKETS,
    STUDY_ATTRIBUTES,
    TABLES,
    Blob,
    Table,
    decode_text,
)
from data_schema.session.reader import Session, TableView, open_session
from data_schema.session.video import SessionVideo
from data_schema.study.folder import parse_session_name

_BLOCK_ROWS = 65_536

#: A stream that begins later, ends earlier or pauses longer than this is worth a warning. Chosen by
#: us: as long as the silence after which the recorder raises its alarm.
COVERAGE_TOLERANCE_S = 2.0

#: Streams that deliver without pause while a session runs.
_STEADY_STREAMS = (GAZE, FRAMES, SECOND_FRAMES)

#: Markers that an operator must hear of, and what is said of them.
_NOTABLE_MARKERS: dict[str, str] = {
    markers.RECORDING_ABORTED: "the session was ended before its protocol: {detail}",
    markers.REPAIRED: "was repaired: {detail}",
    markers.DEVICE_FAULT: "{n} device faults: {detail}",
    markers.STREAM_SILENT: "a stream fell silent {n} times: {detail}",
    markers.CAMERA_LOST: "a camera was lost {n} times: {detail}",
    markers.RATE_LOW: "a stream was too slow {n} times: {detail}",
    markers.SAMPLES_DROPPED: "{total:.0f} samples dropped, counted while recording: {detail}",
    markers.FRAMES_DROPPED: "{total:.0f} frames dropped, counted while recording: {detail}",
    markers.CLOCK_STEPPED: "the wall clock was set {n} times: {detail}",
    markers.DISK_LOW: "the disk ran low: {detail}",
    markers.PREFLIGHT_OVERRIDDEN: "was started in spite of a failed check: {detail}",
    markers.CLIP_ENDED_EARLY: "{n} clips ended early: {detail}",
}


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
    #: False where `emer repair` cannot help, such as a file renamed by hand.
    repairable: bool = True

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
            findings += _check_coverage(session)
            findings += _check_video(session, session.video, FRAMES, PACKETS)
            findings += _check_video(session, session.second_video, SECOND_FRAMES, SECOND_PACKETS)
            findings += _check_calibration(session)
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
    if named is not None and named[:2] != stored:
        findings.append(
            Finding(
                "error",
                "/",
                f"the file is named for participant {named[0]}, session {named[1]}, "
                f"but was recorded as {stored[0]}, session {stored[1]}. Was it renamed by hand? Give it its old name.",
                repairable=False,
            )
        )
    findings += _check_run(session)
    try:
        session.config()
    except ConfigError as error:
        findings.append(Finding("warning", "/study", f"the stored configuration is of another version: {error}"))
    return findings


def _check_run(session: Session) -> list[Finding]:
    """Compare the run in the file's name with the marker that a resumed session begins with."""
    named = parse_session_name(session.path)
    if named is None or not isinstance(session.file.get(MARKERS.path), h5py.Dataset):
        return []
    earlier = session.continues_run
    if named.run == 1 and earlier:
        text = (
            f"goes on where run {earlier} of the session ended, but is named as its first run. Was it renamed by hand?"
        )
        return [Finding("error", "/", f"{text} Give it back its name, such as ..._run-{earlier + 1:02d}.h5.", False)]
    if named.run > 1 and not earlier:
        text = f"is named run {named.run}, but no marker says that it goes on from an earlier run"
        return [Finding("warning", MARKERS.path, text, False)]
    return []


def _check_status(session: Session) -> list[Finding]:
    if session.status == "recording":
        return [Finding("warning", "", "is being recorded at this moment")]
    if session.status == "interrupted":
        return [Finding("error", "", f"the recording was interrupted; run `emer repair {session.path}`")]
    rows = session.table(MARKERS.path)[:]
    findings = []
    for kind, said in _NOTABLE_MARKERS.items():
        noted = rows[rows["kind"] == kind.encode()]
        if len(noted):
            total = float(np.nansum(noted["value"]))
            texts = sorted(set(decode_text(noted["message"])))
            detail = "; ".join(texts[:3]) + ("; ..." if len(texts) > 3 else "")
            findings.append(Finding("warning", MARKERS.path, said.format(n=len(noted), total=total, detail=detail)))
    return findings


def _check_coverage(session: Session) -> list[Finding]:
    """Find a stream that began late, ended early or has a long hole: a dead device leaves a sound file."""
    spans = {}
    findings = []
    for table in _STEADY_STREAMS:
        view = session.table(table.path)
        if not len(view):
            continue
        first, last, holes_s = _span_and_holes(view, table.time_column)
        spans[table.path] = (first, last)
        if len(holes_s):
            findings.append(
                Finding(
                    "warning",
                    table.path,
                    f"{len(holes_s)} holes of more than {COVERAGE_TOLERANCE_S:g} s, the longest {holes_s.max():.1f} s",
                )
            )
    trials = session.trials()
    if trials:
        spans["the trials"] = (trials[0].t_onset_us, max(trial.t_offset_us for trial in trials))
    if not spans:
        return findings
    first, last = min(span[0] for span in spans.values()), max(span[1] for span in spans.values())
    for path, (begin, end) in spans.items():
        if path == "the trials":
            continue
        for late_s, said in (
            ((begin - first) / 1e6, "begins {:.1f} s late"),
            ((last - end) / 1e6, "ends {:.1f} s early"),
        ):
            if late_s > COVERAGE_TOLERANCE_S:
                findings.append(Finding("warning", path, said.format(late_s) + ", against what else the session holds"))
    return findings


def _span_and_holes(view: TableView, column: str) -> tuple[int, int, npt.NDArray[np.float64]]:
    """Return first and last time and the steps, in seconds, that are too long; block by block, for long recordings."""
    first, last = int(view[0][column]), int(view[0][column])
    holes: list[npt.NDArray[np.float64]] = []
    for start in range(0, len(view), _BLOCK_ROWS):
        times = view[start : start + _BLOCK_ROWS][column].astype(np.int64)
        steps_s = np.diff(times, prepend=last) / 1e6
        holes.append(steps_s[steps_s > COVERAGE_TOLERANCE_S])
        last = int(times[-1])
    return first, last, np.concatenate(holes)


def _check_table(session: Session, table: Table) -> list[Finding]:
    dataset = session.file.get(table.path)
    if not isinstance(dataset, h5py.Dataset):
        if table.since > session.format_version:
            return []
        return [Finding("error", table.path, "is missing")]
    if dataset.dtype.names is None or dataset.ndim != 1:
        return [Finding("error", table.path, f"is no table: it has the type {dataset.dtype}")]
    missing = [
        column.name
        for column in table.columns
        if column.name not in dataset.dtype.names and column.since <= session.format_version
    ]
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
                f"its last rows were never stored (the disk was full?); run `emer repair {session.path}`",
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


def _check_video(session: Session, video: SessionVideo | None, table: Table, blob: Blob) -> list[Finding]:
    if video is None:
        if len(session.table(table.path)):
            return [Finding("error", blob.path, "there are frames, but the stream's description is missing")]
        return []
    frames = video.frames
    if not len(frames):
        return [Finding("warning", table.path, "the session has a camera, but no frame was stored")]
    size = int(session.file[blob.path].shape[0])
    offsets = frames["packet_offset"].astype(np.int64)
    ends = offsets + frames["packet_size"]
    if offsets[0] != 0 or np.any(offsets[1:] != ends[:-1]):
        return [Finding("error", table.path, "the packets of the frames overlap or leave holes")]
    if int(ends[-1]) > size:
        return [
            Finding(
                "error",
                table.path,
                f"the last frame ends at byte {int(ends[-1])}, but {blob.path} holds {size}. "
                f"The recording probably stopped mid-write; run `emer repair {session.path}`",
            )
        ]
    if not frames["keyframe"][0]:
        return [Finding("error", table.path, "the first frame is no key frame, so nothing decodes before the next one")]
    try:
        video.decode(len(frames) - 1)
    except SessionFileError as error:
        return [Finding("error", blob.path, f"the last frame does not decode: {error}")]
    return []


def _check_calibration(session: Session) -> list[Finding]:
    """Find attempts whose calibration data are not in the file."""
    rows = session.table(CALIBRATION_ATTEMPTS)[:]
    rows = rows[rows["blob_offset"] >= 0]
    dataset = session.file.get(CALIBRATION_DATA.path)
    size = int(dataset.shape[0]) if isinstance(dataset, h5py.Dataset) else 0
    lost = rows[rows["blob_offset"] + rows["blob_size"] > size]
    if not len(lost):
        return []
    numbers = ", ".join(str(number) for number in lost["attempt_id"])
    message = f"the calibration data of attempt {numbers} are missing, so it cannot be used again on a tracker"
    return [Finding("warning", CALIBRATION_ATTEMPTS.path, message)]


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
