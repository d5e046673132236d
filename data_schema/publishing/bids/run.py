"""All files of one run: gaze of both eyes, eye movements, events, refreshes of the screen, the face.

A run is one task for a worker: it gets names and settings, opens the recording's published view, and returns what the
dataset's own pages say of it. Samples stream through; what is held at once is a block of rows and one clip.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_schema.publishing.bids.calibration import calibration_fields
from data_schema.publishing.bids.events import EVENT_COLUMNS, event_sidecar, event_table
from data_schema.publishing.bids.eye_movements import (
    CHOSEN,
    MESSAGE_COLUMN,
    MOVEMENT_COLUMNS,
    ClipSpan,
    ClipWatch,
    movement_columns,
    movement_notes,
)
from data_schema.publishing.bids.names import RunName
from data_schema.publishing.bids.physio import CHUNK_ROWS, EYES, GazeFacts, OpennessAt, column_notes, write_eyes
from data_schema.publishing.bids.tsv import GzipRows, seconds, write_json, write_tsv
from data_schema.publishing.bids.video import write_video
from data_schema.publishing.consent import FACE_LEVELS
from data_schema.publishing.derived_views import LANDMARK_COLUMNS
from data_schema.publishing.sessions import PublishedRecording, PublishedSession
from data_schema.session import markers
from data_schema.session.layout import (
    CALIBRATION_ATTEMPTS,
    CALIBRATION_TARGETS,
    FLIPS,
    FRAMES,
    GAZE,
    MARKERS,
    OPENNESS,
    PRESENTATIONS,
    VALIDATION_POINTS,
    Table,
    decode_text,
)
from data_schema.signals.eye_signals import SignalParameters

#: Name of the derivatives that hold eye movements.
EYE_MOVEMENTS = "eyemovements"
#: Name of the derivatives that hold landmarks of the face.
FACES = "faces"
SIMULATED_DATASET = (
    "SIMULATED DATA: it holds recordings of simulated or replayed devices; the field `Simulated` in the `.json` of a file names "
    "them. They say nothing about people."
)
SIMULATED = "SIMULATED DATA: a device of this recording was simulated or replayed. No person took part as shown. "

#: Markers that tell about the samples themselves; they stand among the messages of the tracker's events.
_ABOUT_GAZE = frozenset(
    {
        markers.CALIBRATION_STARTED, markers.CALIBRATION_ENDED, markers.CALIBRATION_CHOSEN, markers.DRIFT_CHECKED,
        markers.SAMPLES_DROPPED, markers.STREAM_SILENT, markers.STREAM_BACK, markers.RATE_LOW, markers.RATE_BACK,
        markers.TIME_WENT_BACK, markers.DEVICE_FAULT,
    }
)  # fmt: skip
_FLIP_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("timestamp", "s", "Time of the screen's refresh on the run's clock."),
    ("trial", "", "Number of the trial."),
    ("due", "s", "When the refresh was due."),
    ("clip_time", "s", "Time inside the clip of the picture that was shown."),
    ("dropped_before", "", "Refreshes just before in which no picture came."),
)


@dataclass(frozen=True)
class RunTask:
    """What a worker needs to write a run.

    Parameters
    ----------
    recording : PublishedRecording
    name : RunName
    root : Path
        The dataset.
    task : dict
        What all sidecars of the task say.
    parameters : SignalParameters
        Of the study.
    clips : tuple of ClipSpan
        The run's clips.
    """

    recording: PublishedRecording
    name: RunName
    root: Path
    task: dict[str, Any]
    parameters: SignalParameters
    clips: tuple[ClipSpan, ...]


@dataclass(frozen=True)
class RunFacts:
    """What the dataset's pages say of a run.

    Parameters
    ----------
    name : RunName
    gaze : GazeFacts or None
    rate_hz : float
        Of the gaze; NaN if there is none.
    tracker : str
    n_movements : int
        Fixations, saccades and blinks, with the study's choice of eye.
    video_s : float
        Length of the face video; 0 if none is published.
    files : tuple of str
        Recordings of the run, relative to the session's folder.
    n_landmarks : int
        Camera frames with landmarks; 0 if none are published.
    """

    name: RunName
    gaze: GazeFacts | None
    rate_hz: float
    tracker: str
    n_movements: int
    video_s: float
    files: tuple[str, ...]
    n_landmarks: int


def write_run(task: RunTask) -> RunFacts:
    """Write all files of a run.

    Raises
    ------
    ExportError
        If the disk is full.
    SessionFileError
        If the recording cannot be read.
    """
    with task.recording.open() as session:
        resolution = (session.screen.width_px, session.screen.height_px)
        _write_events(task, session)
        _write_flips(task, session)
        gaze, watch = _write_gaze(task, session, resolution)
        if gaze is not None:
            _write_movements(task, session, watch, resolution)
        video_s = write_video(task.root, task.name, session, task.recording.simulated, task.task["TaskName"])
        folder = task.name.file(task.root, "events", ".tsv").parent
        written = (f"beh/{path.name}" for path in folder.iterdir() if path.name.startswith(_stem(task.name)))
        files = sorted(name for name in written if name.endswith(("_physio.tsv.gz", "_events.tsv", "_stim.tsv.gz")))
        return RunFacts(
            task.name, gaze, session.tracker.rate_hz, session.tracker.name, len(watch.events[CHOSEN]), video_s,
            tuple(files), _write_landmarks(task, session),
        )  # fmt: skip


def _stem(name: RunName) -> str:
    return name.path("events", ".tsv").name.removesuffix("events.tsv")


def _all_rows(session: PublishedSession, table: Table) -> npt.NDArray[Any]:
    chunks = list(session.rows(table))
    return np.concatenate(chunks) if chunks else table.empty(0)


def _write_events(task: RunTask, session: PublishedSession) -> None:
    table = event_table(_all_rows(session, PRESENTATIONS), _all_rows(session, MARKERS))
    kinds = {str(kind) for kind in table["trial_type"]}
    write_tsv(task.name.file(task.root, "events", ".tsv"), {name: table[name] for name, _, _ in EVENT_COLUMNS})
    about = event_sidecar(session.screen, session.refresh_hz, _told(task), kinds, session.presented_by)
    write_json(task.name.file(task.root, "events", ".json"), about)


def _told(task: RunTask) -> dict[str, Any]:
    """Return what a sidecar says first: the task, and in plain words whether it is simulated."""
    about = dict(task.task)
    if task.recording.simulated:
        about["TaskDescription"] = SIMULATED + str(about["TaskDescription"])
        about["Simulated"] = True
    return about


def _write_flips(task: RunTask, session: PublishedSession) -> None:
    if not session.n_rows(FLIPS):
        return
    path = task.name.file(task.root, "stim", ".tsv.gz", recording="screen")
    first_us = None
    with GzipRows(path) as file:
        for rows in session.rows(FLIPS, CHUNK_ROWS):
            first_us = int(rows["t_flip_us"][0]) if first_us is None else first_us
            file.write(
                [
                    seconds(rows["t_flip_us"]), rows["trial_id"], seconds(rows["t_due_us"]),
                    seconds(rows["clip_time_us"]), rows["n_dropped_before"],
                ]
            )  # fmt: skip
    about: dict[str, Any] = {
        "TaskName": task.task["TaskName"],
        "Simulated": True if task.recording.simulated else None,
        "Description": "Refreshes of the screen while clips played; there are none between clips.",
        "SamplingFrequency": session.refresh_hz,
        "StartTime": (first_us or 0) / 1e6,
        "Columns": [name for name, _, _ in _FLIP_COLUMNS],
    }
    about |= {name: {"Description": text} | ({"Units": unit} if unit else {}) for name, unit, text in _FLIP_COLUMNS}
    write_json(task.name.file(task.root, "stim", ".json", recording="screen"), about)


def _write_gaze(
    task: RunTask, session: PublishedSession, resolution: tuple[int, int]
) -> tuple[GazeFacts | None, ClipWatch]:
    watch = ClipWatch(task.clips, session.screen, task.parameters)
    if not session.n_rows(GAZE):
        return None, watch
    with_openness = bool(session.n_rows(OPENNESS))
    openness = OpennessAt(session.rows(OPENNESS, CHUNK_ROWS)) if with_openness else None
    paths = {eye: task.name.file(task.root, "physio", ".tsv.gz", recording=name) for name, eye in EYES.items()}
    facts = write_eyes(session.gaze(CHUNK_ROWS), paths, resolution, openness, watch)
    watch.close()
    # A tracker of one eye leaves the other without a single valid sample: that eye was not recorded.
    for eye, other in (("left", "right"), ("right", "left")):
        if not facts.valid[eye] and facts.valid[other]:
            paths.pop(eye).unlink()
    attempts, targets = _all_rows(session, CALIBRATION_ATTEMPTS), _all_rows(session, CALIBRATION_TARGETS)
    points = _all_rows(session, VALIDATION_POINTS)
    for name, eye in EYES.items():
        if eye in paths:
            about = _gaze_sidecar(task, session, facts, eye, with_openness)
            about |= calibration_fields(attempts, targets, points, resolution, eye)
            write_json(task.name.file(task.root, "physio", ".json", recording=name), about)
    return facts, watch


def _gaze_sidecar(
    task: RunTask, session: PublishedSession, facts: GazeFacts, eye: str, with_openness: bool
) -> dict[str, Any]:
    rate = session.tracker.rate_hz
    distance_m = facts.distance_m[eye]
    by_tobii = "tobii" in session.tracker.name.lower()
    about: dict[str, Any] = {
        "TaskName": task.task["TaskName"],
        "Simulated": True if task.recording.simulated else None,
        "PhysioType": "eyetrack",
        "RecordedEye": eye,
        "SampleCoordinateSystem": "gaze-on-screen",
        "SamplingFrequency": round(rate, 4) if math.isfinite(rate) else 0.0,
        "StartTime": facts.first_us / 1e6,
        "ManufacturersModelName": session.tracker.name or None,
        "Manufacturer": "Tobii" if by_tobii else None,
        "EyeTrackingMethod": "simulated" if task.recording.simulated else "P-CR" if by_tobii else None,
        "EyeTrackerDistance": round(distance_m, 3) if math.isfinite(distance_m) else None,
        "RawDataFilters": "none by this toolkit; what the tracker itself does is not known",
        "SampleCount": facts.n_samples,
        "ValidShare": round(facts.valid[eye] / facts.n_samples, 6),
    }
    return about | column_notes(eye, with_openness)


def _messages(session: PublishedSession) -> Iterator[tuple[int, str]]:
    rows = _all_rows(session, MARKERS)
    for kind, row in zip(decode_text(rows["kind"]), rows, strict=True):
        if kind in _ABOUT_GAZE:
            value = float(row["value"])
            yield int(row["t_system_us"]), f"{kind} {value:g}" if math.isfinite(value) else str(kind)


def _write_movements(task: RunTask, session: PublishedSession, watch: ClipWatch, resolution: tuple[int, int]) -> None:
    messages = list(_messages(session))
    names = [name for name, _, _ in (*MOVEMENT_COLUMNS, MESSAGE_COLUMN)]
    for recording, eye in EYES.items():
        if not task.name.file(task.root, "physio", ".tsv.gz", recording=recording).exists():
            continue
        columns = movement_columns(watch.events[eye], resolution, messages)
        if not len(columns[0]):
            continue
        with GzipRows(task.name.file(task.root, "physioevents", ".tsv.gz", recording=recording)) as file:
            file.write(columns)
        about = {
            "TaskName": task.task["TaskName"],
            "Simulated": True if task.recording.simulated else None,
            "Columns": names,
            "OnsetSource": "timestamp",
            **movement_notes(task.parameters, eye, with_message=True),
        }
        write_json(task.name.file(task.root, "physioevents", ".json", recording=recording), about)
    derived = task.root / "derivatives" / EYE_MOVEMENTS
    columns = movement_columns(watch.events[CHOSEN], resolution)
    write_tsv(
        task.name.file(derived, "events", ".tsv", desc=EYE_MOVEMENTS),
        dict(zip([name for name, _, _ in MOVEMENT_COLUMNS], columns, strict=True)),
    )
    notes = movement_notes(task.parameters, task.parameters.fixations.eye, with_message=False)
    write_json(
        task.name.file(derived, "events", ".json", desc=EYE_MOVEMENTS),
        {"TaskName": task.task["TaskName"], "Simulated": True if task.recording.simulated else None, **notes},
    )


def _write_landmarks(task: RunTask, session: PublishedSession) -> int:
    """Write the landmarks of the face, where they may leave; return how many frames were looked at."""
    allowed = FACE_LEVELS.index(session.faces) >= FACE_LEVELS.index("landmarks")
    if not allowed or not session.n_rows(FRAMES) or not task.clips:
        return 0
    table = session.landmarks()
    if not len(table):
        return 0
    trials = {clip_id: str(int(clip_id.rpartition("-")[2])) for clip_id in table["clip_id"].unique()}
    cells: dict[str, Any] = {
        "timestamp": seconds(np.round(table["t_s"].to_numpy() * 1e6)),
        "trial": table["clip_id"].map(trials),
    }
    notes: dict[str, Any] = {
        "TaskName": task.task["TaskName"],
        "Simulated": True if task.recording.simulated else None,
        "Description": "Landmarks of the face in the camera's pictures that were looked at, clip by clip.",
        "timestamp": {"Description": "Time of the picture on the run's clock.", "Units": "s"},
        "trial": {"Description": "Number of the trial, as in the events."},
    }
    for column in LANDMARK_COLUMNS:
        if column.name not in ("clip_id", "t_s"):
            cells[column.name] = table[column.name]
            notes[column.name] = {"Description": column.meaning} | ({"Units": column.unit} if column.unit else {})
    derived = task.root / "derivatives" / FACES
    write_tsv(task.name.file(derived, "beh", ".tsv", desc="landmarks"), cells)
    write_json(task.name.file(derived, "beh", ".json", desc="landmarks"), notes)
    return len(table)
