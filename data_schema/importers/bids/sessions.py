"""One run of a BIDS dataset as a session file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_schema.errors import DataImportError
from data_schema.importers.bids.calibration import write_calibration
from data_schema.importers.bids.face_video import FacePackets
from data_schema.importers.bids.gaze import ORIGIN_US, RunGaze
from data_schema.importers.bids.reading import BidsDataset, BidsRun, records
from data_schema.publishing.bids.events import STIMULUS
from data_schema.session import markers
from data_schema.session.layout import (
    CONSENT,
    FACTS,
    FLIPS,
    FRAMES,
    GAZE,
    LUMINANCE,
    OPENNESS,
    PRESENTATIONS,
    RESPONSE_TEXTS,
    RESPONSES,
    make_row,
)
from data_schema.session.markers import MARKER_KINDS
from data_schema.session.validate import check_session
from data_schema.session.writer import SessionWriter
from data_schema.study.config import StudyConfig
from data_schema.study.sections import Stimulus
from data_schema.wording import counted

Rows = npt.NDArray[Any]
#: What is imported was made available to others.
_LANGUAGE = "en"


@dataclass(frozen=True)
class RunSettings:
    """What is known of a run beside its own tables.

    Parameters
    ----------
    config : StudyConfig
    simulated : bool
        True if a device of the run was simulated or replayed.
    sha256 : dict of str to str
        Of the stimuli, where the dataset says it.
    luminance : ndarray, dtype of ``/stimulus/luminance``
    facts : dict of str to str
        Of the participant.
    answers : tuple of dict
        The participant's answers to questionnaires in this run: questionnaire, occasion, scale, value.
    face_may_leave : bool
        True if the face video of all the participant's runs is published unblurred.
    first_trial : int
        Number of the first trial that has none.
    """

    config: StudyConfig
    simulated: bool
    sha256: Mapping[str, str]
    luminance: Rows
    facts: Mapping[str, str]
    answers: tuple[dict[str, Any], ...]
    face_may_leave: bool
    first_trial: int


@dataclass
class ImportedRun:
    """What became of a run.

    Parameters
    ----------
    path : Path
    n_samples, n_trials, n_frames : int
    notes : list of str
        What a person should know.
    """

    path: Path
    n_samples: int = 0
    n_trials: int = 0
    n_frames: int = 0
    notes: list[str] = field(default_factory=list)


def write_run_session(dataset: BidsDataset, run: BidsRun, path: Path, settings: RunSettings) -> ImportedRun:
    """Write the session file of a run.

    Raises
    ------
    DataImportError
        If a file of the run cannot be read, or the session would not be sound.
    """
    result = ImportedRun(path)
    screen = settings.config.screen
    gaze = RunGaze(dataset, run, (screen.width_px, screen.height_px), result.notes)
    recordings = gaze.recordings()
    face = FacePackets.of(dataset, run, result.notes)
    first = recordings[0].about if recordings else {}
    rate = float(first.get("SamplingFrequency") or 60.0)
    rates = {GAZE.path: rate, OPENNESS.path: rate} | ({FRAMES.path: face.rate_hz} if face is not None else {})
    writer = SessionWriter.create(
        path,
        participant=run.participant,
        session=run.session,
        config_json=settings.config.to_json(),
        devices=_devices(first, face, settings.simulated, _presented_by(dataset, run)),
        video=face.stream if face is not None else None,
        rates_hz=rates,
        simulated=settings.simulated,
    )
    try:
        for rows, openness in gaze.chunks():
            result.n_samples += len(rows)
            writer.append(GAZE.path, rows)
            if openness is not None:
                writer.append(OPENNESS.path, openness)
            writer.flush()
        if face is not None:
            for packet, row in face.packets():
                writer.append_packet(packet, row)
            result.n_frames = face.n_frames
        _write_people(writer, settings, face is not None)
        _write_luminance(writer, settings)
        write_calibration(writer, recordings, (screen.width_px, screen.height_px))
        _write_answers(writer, dataset, run, settings)
        closed_us = _write_events(writer, dataset, run, settings, result)
        writer.finish(t_system_us=closed_us)
    except BaseException:
        writer.discard()
        raise
    errors = [finding for finding in check_session(path) if finding.level == "error"]
    if errors:
        raise DataImportError(f"{run.stem}: the session file would not be sound: {errors[0]}")
    return result


def _presented_by(dataset: BidsDataset, run: BidsRun) -> dict[str, str]:
    """Return what the events say of the software that showed the stimuli."""
    path = run.file("events", ".tsv")
    about = dataset.sidecar(path).get("StimulusPresentation") if path is not None else None
    about = about if isinstance(about, dict) else {}
    named = {"software": about.get("SoftwareName"), "software_version": about.get("SoftwareVersion")}
    return {key: " ".join(str(text).split())[:100] for key, text in named.items() if text}


def _devices(
    about: Mapping[str, Any], face: FacePackets | None, simulated: bool, software: Mapping[str, str]
) -> list[dict[str, Any]]:
    details = {"imported": True, "published_origin_us": ORIGIN_US, **software}
    model = str(about.get("ManufacturersModelName") or about.get("Manufacturer") or "")
    tracker = {"role": "eye_tracker", "kind": "imported", "model": model, "simulated": simulated, "details": details}
    if face is None:
        # Nobody can tell a recording without a camera from one whose pictures stay with those who made it.
        details = {"imported": True, "withheld": True}
        return [
            tracker,
            {"role": "camera", "kind": "imported", "model": "", "simulated": simulated, "details": details},
        ]
    camera = {
        "role": "camera",
        "kind": "imported",
        "model": face.device,
        "simulated": simulated,
        "details": {"imported": True},
    }
    return [tracker, camera]


def _write_people(writer: SessionWriter, settings: RunSettings, with_face: bool) -> None:
    """Write what publication implies: the participant agreed to gaze and sharing, and to the face that is there."""
    face = with_face and settings.face_may_leave
    scopes = {"gaze": 1, "sharing": 1, "video": int(settings.face_may_leave or with_face), "face_sharing": int(face)}
    for scope, granted in scopes.items():
        row = make_row(CONSENT, t_system_us=ORIGIN_US, scope=scope, granted=granted, way="paper", language=_LANGUAGE)
        writer.append(CONSENT.path, row)
    for key, value in settings.facts.items():
        writer.append(FACTS.path, make_row(FACTS, t_system_us=ORIGIN_US, key=key, value=value))


def _write_luminance(writer: SessionWriter, settings: RunSettings) -> None:
    if len(settings.luminance):
        writer.append(LUMINANCE.path, settings.luminance)


def _us(text: str | None, otherwise: int = 0) -> int:
    return otherwise if text is None else ORIGIN_US + round(float(text) * 1e6)


def _number(text: str | None) -> float:
    return float("nan") if text is None else float(text)


def _whole(text: str | None) -> int:
    return 0 if text is None else int(float(text))


def _write_answers(writer: SessionWriter, dataset: BidsDataset, run: BidsRun, settings: RunSettings) -> None:
    for answer in settings.answers:
        writer.append(RESPONSES.path, make_row(RESPONSES, trial_id=0, text="", t_shown_us=0, t_answered_us=0, **answer))
    path = run.file("beh", ".tsv")
    if path is None:
        return
    table = dataset.table(path)
    if not {"trial", "scale", "value"} <= set(table.columns):
        return
    for row in records(table):
        text = row.get("text") or ""
        cells = {
            "trial_id": _whole(row["trial"]), "scale": row["scale"] or "", "text": text,
            "t_answered_us": _us(row.get("answered")), "t_shown_us": _us(row.get("answered")),
        }  # fmt: skip
        if row["value"] is None and text:
            writer.append(RESPONSE_TEXTS.path, make_row(RESPONSE_TEXTS, questionnaire="", occasion="", **cells))
        else:
            value = _number(row["value"])
            writer.append(RESPONSES.path, make_row(RESPONSES, value=value, questionnaire="", occasion="", **cells))


def shown_stimuli(events: pd.DataFrame) -> list[str | None]:
    """Return the identifier of the stimulus of each event, None where it is none.

    Our own export, and BEP044, have ``stim_id``; the standard has ``stim_file``.
    """
    if "stim_id" in events:
        return [None if name is None else str(name) for name in events["stim_id"]]
    if "stim_file" in events:
        return [None if name is None else stimulus_id(str(name)) for name in events["stim_file"]]
    return [None] * len(events)


def stimulus_id(file: str) -> str:
    """Return an identifier for a stimulus' file."""
    name = "".join(letter if letter.isalnum() or letter in "_-" else "-" for letter in file.rpartition(".")[0] or file)
    return name.strip("-")[:60] or "stimulus"


def _write_events(
    writer: SessionWriter, dataset: BidsDataset, run: BidsRun, settings: RunSettings, result: ImportedRun
) -> int:
    """Write trials, markers and refreshes; return when the recording was closed."""
    path = run.file("events", ".tsv")
    events = dataset.table(path) if path is not None else pd.DataFrame()
    stimuli = {item.id: item for item in settings.config.stimuli}
    names = shown_stimuli(events)
    kinds = events["trial_type"] if "trial_type" in events else pd.Series([None] * len(events), dtype=object)
    number, last_us, closed_us, passed = settings.first_trial, ORIGIN_US, None, 0
    if not (kinds == markers.RECORDING_STARTED).any():
        writer.marker(markers.RECORDING_STARTED, "imported from BIDS", t_system_us=ORIGIN_US)
    if run.run > 1 and not (kinds == markers.CONTINUES_RUN).any():
        writer.marker(markers.CONTINUES_RUN, "", value=float(run.run - 1), t_system_us=ORIGIN_US)
    for row, name, kind in zip(records(events), names, kinds, strict=True):
        if row.get("onset") is None:
            passed += 1
            continue
        onset_us = _us(row["onset"])
        last_us = max(last_us, onset_us)
        trial = _whole(row.get("trial"))
        if kind == markers.RECORDING_CLOSED:
            closed_us = onset_us
        elif name is not None and name in stimuli and (kind == STIMULUS or kind not in MARKER_KINDS):
            if row.get("trial") is None:
                trial, number = number, number + 1
            writer.append(PRESENTATIONS.path, _presentation(row, stimuli[name], trial, settings.sha256.get(name, "")))
            result.n_trials += 1
            last_us = max(last_us, onset_us + round(_number(row.get("duration") or "0") * 1e6))
        elif kind in MARKER_KINDS:
            message = row.get("message") or ""
            writer.marker(str(kind), message, _number(row.get("value")), onset_us, trial)
        else:
            passed += 1
    if passed:
        result.notes.append(
            f"{run.stem}: {counted(passed, 'event')} passed over: no stimulus and no marker of this toolkit"
        )
    _write_flips(writer, dataset, run)
    return closed_us if closed_us is not None else last_us


def _presentation(row: Mapping[str, Any], stimulus: Stimulus, trial: int, sha256: str) -> Rows:
    onset_us, length_s = _us(row["onset"]), _number(row.get("duration") or "0")
    last = row.get("last_flip")
    expected = row.get("duration_expected")
    return make_row(
        PRESENTATIONS,
        trial_id=trial,
        stimulus_id=stimulus.id,
        target_emotion=row.get("target_emotion") or str(stimulus.target_emotion),
        t_onset_us=onset_us,
        t_offset_us=_us(last) if last is not None else onset_us + round(length_s * 1e6),
        duration_expected_s=length_s if expected is None else float(expected),
        duration_actual_s=length_s,
        completed=1 if row.get("completed") is None else _whole(row["completed"]),
        n_flips=_whole(row.get("n_flips")),
        n_flips_late=_whole(row.get("n_flips_late")),
        n_flips_dropped=_whole(row.get("n_flips_dropped")),
        ended_early=_whole(row.get("ended_early")),
        stimulus_sha256=sha256,
    )


def _write_flips(writer: SessionWriter, dataset: BidsDataset, run: BidsRun) -> None:
    path = run.file("stim", ".tsv.gz", "screen")
    if path is None:
        return
    columns = [str(name) for name in dataset.sidecar(path).get("Columns", ())]
    if not {"timestamp", "trial", "due", "clip_time", "dropped_before"} <= set(columns):
        return
    for part in dataset.samples(path, columns):
        rows = FLIPS.empty(len(part))
        rows["trial_id"] = part["trial"]
        rows["t_flip_us"] = ORIGIN_US + np.round(part["timestamp"] * 1e6).astype(np.int64)
        rows["t_due_us"] = ORIGIN_US + np.round(part["due"] * 1e6).astype(np.int64)
        rows["clip_time_us"] = np.round(part["clip_time"] * 1e6).astype(np.int64)
        rows["n_dropped_before"] = part["dropped_before"]
        writer.append(FLIPS.path, rows)
