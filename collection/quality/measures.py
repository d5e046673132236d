"""Everything that the quality page of a session says, as numbers: the content of its JSON file."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

import numpy as np

from collection.protocol.self_report import count_checks
from collection.quality.calibrations import attempts_of, drift_checks, used_validation
from collection.quality.gaps import find_losses, summarise_losses
from collection.quality.wording import methods_text, verdict
from collection.questionnaires.scoring import score_session
from data_schema import __version__
from data_schema.clips.index import session_clips
from data_schema.exports.session_quality import measure_session
from data_schema.session import markers
from data_schema.session.layout import (
    CONSENT,
    FLIPS,
    MARKERS,
    PREFLIGHT,
    PRESENTATIONS,
    RESPONSES,
    SECOND_FRAMES,
    decode_text,
)
from data_schema.session.reader import Session
from data_schema.session.screen import recorded_screen
from data_schema.signals.gaze import sample_interval_us
from data_schema.study.config import StudyConfig
from data_schema.study.folder import StudyFolder

#: Name and version of the JSON's format.
FORMAT = {"format": "emer-quality", "format_version": 1}


def measure(
    session: Session, config: StudyConfig, session_file: str = "", study: StudyFolder | None = None
) -> dict[str, Any]:
    """Measure one session; the study's configuration holds the rule by which trials are included.

    `study` is where its own questionnaires are looked for.

    Returns
    -------
    dict
        JSON types; numbers that are not known are None.
    """
    screen = recorded_screen(session, config.screen)
    base = measure_session(session, screen)
    attempts = attempts_of(session, screen)
    losses = find_losses(session)
    data: dict[str, Any] = {
        **FORMAT,
        "software": f"emer-toolkit {__version__}",
        "made_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "session": {
            "file": session.path.name,
            "sha256": session.sha256,
            "participant": session.participant,
            "session": session.session,
            "run": session.run,
            "created_utc": session.created_utc,
            "status": session.status,
            "simulated": session.simulated,
            "replayed": base.replayed,
            "duration_s": base.duration_s,
            "versions": session.versions,
        },
        "devices": session.devices,
        "screen": asdict(screen),
        "gaze": {"nominal_hz": _nominal_hz(session), **asdict(base.gaze)},
        "gaps": [asdict(row) for row in summarise_losses(losses, base.duration_s)],
        "camera": {**asdict(base.frames), "second": _second_camera(session)},
        "clock": {"drift_ppm": base.clock_drift_ppm, "residual_us": base.clock_residual_us},
        "calibration": {
            "attempts": attempts,
            "validation": used_validation(attempts),
            "drift_checks": drift_checks(session),
            "limits": _limits(config),
        },
        "flips": _flips(session, config),
        "trials": _trials(session, config, session_file or session.path.name),
        "answers": _answers(session),
        "questionnaires": [asdict(scored) for scored in score_session(session, study)],
        "consent": _consent(session),
        "preflight": _preflight(session),
        "events": _events(session),
        "warnings": list(base.warnings),
    }
    data["verdict"] = verdict(data)
    data["methods_text"] = methods_text(data)
    return without_nan(data)


def without_nan(data: dict[str, Any]) -> dict[str, Any]:
    """Return the same in JSON types, with None for what is no number."""
    text = json.dumps(data, default=_plain)
    return json.loads(text, parse_constant=lambda _name: None)  # type: ignore[no-any-return]


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)


def _nominal_hz(session: Session) -> float:
    for device in session.devices:
        if device.get("role") == "eye_tracker":
            return float(dict(device.get("rates_hz") or {}).get("/eye/gaze", math.nan))
    return math.nan


def _limits(config: StudyConfig) -> dict[str, Any]:
    section = config.calibration
    return {
        "max_accuracy_deg": section.max_accuracy_deg,
        "max_precision_rms_deg": section.max_precision_rms_deg,
        "max_loss": section.max_loss,
        "max_drift_deg": section.max_drift_deg,
    }


def _second_camera(session: Session) -> dict[str, Any] | None:
    rows = session.table(SECOND_FRAMES)[:]
    if not len(rows):
        return None
    t_us = rows["t_capture_us"].astype(np.int64)
    seconds = (t_us[-1] - t_us[0]) / 1e6
    return {
        "n_frames": len(rows),
        "rate_hz": (len(rows) - 1) / seconds if seconds > 0 else math.nan,
        "n_missed": int(rows["missed_before"].sum()),
    }


def _flips(session: Session, config: StudyConfig) -> dict[str, Any]:
    shown = session.table(PRESENTATIONS)[:]
    flips = session.table(FLIPS)[:]
    n_flips, n_dropped = int(shown["n_flips"].sum()), int(shown["n_flips_dropped"].sum())
    period_us = sample_interval_us(flips["t_flip_us"].astype(np.int64))
    return {
        "n_flips": n_flips,
        "n_late": int(shown["n_flips_late"].sum()),
        "n_dropped": n_dropped,
        "n_due": n_flips + n_dropped,
        "n_clips_ended_early": int(shown["ended_early"].sum()),
        "median_interval_ms": period_us / 1e3,
        "refresh_hz": 1e6 / period_us if period_us > 0 else math.nan,
        "expected_refresh_hz": config.screen.refresh_hz,
    }


def _trials(session: Session, config: StudyConfig, session_file: str) -> list[dict[str, Any]]:
    shown = {int(row["trial_id"]): row for row in session.table(PRESENTATIONS)[:]}
    not_shown = _ends_not_shown(session)
    trials = []
    for clip in session_clips(session, config.quality, session_file):
        row = shown.get(clip["trial_id"])
        if row is None:
            continue  # cut off while its clip played; listed below
        trials.append(
            {
                "trial_id": clip["trial_id"],
                "stimulus_id": clip["stimulus_id"],
                "target_emotion": clip["target_emotion"],
                "included": bool(clip["included"]),
                "reason": clip["exclusion_reason"],
                "gaze_loss": 1.0 - clip["gaze_valid_share"],
                "n_face_frames": clip["n_face_frames"],
                "duration_s": _shown_s(row),
                "duration_expected_s": float(row["duration_expected_s"]),
                "n_flips_dropped": int(row["n_flips_dropped"]),
                "ended_early": bool(row["ended_early"]),
                "end_not_shown": not_shown.get(clip["trial_id"], ""),
                "t_start_us": clip["t_start_us"],
                "t_end_us": clip["t_end_us"],
            }
        )
    known = {trial["trial_id"] for trial in trials}
    trials += [item for item in _lost_trials(session) if item["trial_id"] not in known]
    return sorted(trials, key=lambda trial: int(trial["trial_id"]))


def _ends_not_shown(session: Session) -> dict[int, str]:
    """Return for each trial whose clip ended early what its marker says was not shown: "the last 3 frames (0.10 s)"."""
    rows = session.table(MARKERS)[:]
    rows = rows[rows["kind"] == markers.CLIP_ENDED_EARLY.encode()]
    said = {}
    for row, message in zip(rows, decode_text(rows["message"]), strict=True):
        frames, _, _ = str(message).partition(" of ")
        # Files of earlier versions name the stimulus alone, and the value is not what is missing.
        if frames.startswith("the last "):
            said[int(row["trial_id"])] = f"{frames} ({float(row['value']):.2f} s)"
    return said


def _shown_s(row: np.void) -> float:
    """Return for how long a clip was shown; files before 1.1 know the first and the last flip only."""
    actual_s = float(row["duration_actual_s"])
    return actual_s if math.isfinite(actual_s) else (int(row["t_offset_us"]) - int(row["t_onset_us"])) / 1e6


def _lost_trials(session: Session) -> list[dict[str, Any]]:
    """Return trials that began and gave no presentation."""
    rows = session.table(MARKERS)[:]
    words = {
        markers.TRIAL_SKIPPED: "skipped by the operator",
        markers.TRIAL_INTERRUPTED: "interrupted",
        markers.TRIAL_STARTED: "it did not end",
    }
    lost: dict[int, dict[str, Any]] = {}
    for kind in (markers.TRIAL_STARTED, markers.TRIAL_SKIPPED, markers.TRIAL_INTERRUPTED):
        for row in rows[(rows["kind"] == kind.encode()) & (rows["trial_id"] > 0)]:
            said = str(decode_text(row["message"].reshape(1))[0])
            item = lost.setdefault(
                int(row["trial_id"]), {"trial_id": int(row["trial_id"]), "stimulus_id": said, "included": False}
            )
            item["reason"] = words[kind] + (f": {said}" if kind == markers.TRIAL_INTERRUPTED and said else "")
    return list(lost.values())


def _answers(session: Session) -> dict[str, Any]:
    rows = session.table(RESPONSES)[:]
    in_trials = rows[rows["trial_id"] > 0]
    attention = in_trials[in_trials["scale"] == b"attention"]
    n_checks, n_failed = count_checks(rows)
    times_s = (in_trials["t_answered_us"] - in_trials["t_shown_us"]) / 1e6
    return {
        "n_answers": len(in_trials),
        "median_answer_s": float(np.median(times_s)) if len(times_s) else math.nan,
        "n_attentive": int((attention["value"] > 0).sum()),
        "n_attention_asked": len(attention),
        "n_checks": n_checks,
        "n_checks_failed": n_failed,
    }


def _consent(session: Session) -> dict[str, bool]:
    rows = session.table(CONSENT)[:]
    return {str(scope): bool(row["granted"]) for scope, row in zip(decode_text(rows["scope"]), rows, strict=True)}


def _preflight(session: Session) -> list[dict[str, Any]]:
    rows = session.table(PREFLIGHT)[:]
    texts = {name: decode_text(rows[name]) for name in ("check", "level", "message", "override_reason")}
    return [{name: str(column[i]) for name, column in texts.items()} for i in range(len(rows))]


#: Markers that the page lists one by one.
_LISTED = (
    markers.OPERATOR_MARK, markers.OPERATOR_NOTE, markers.PAUSED, markers.WENT_ON, markers.TRIAL_SKIPPED,
    markers.TRIAL_INTERRUPTED, markers.PARTICIPANT_STOPPED, markers.DEVICE_FAULT, markers.STREAM_SILENT,
    markers.STREAM_BACK, markers.CAMERA_LOST, markers.RATE_LOW, markers.RATE_BACK, markers.SAMPLES_DROPPED,
    markers.FRAMES_DROPPED, markers.CLOCK_STEPPED, markers.DISK_LOW, markers.PREFLIGHT_OVERRIDDEN,
    markers.CLIP_ENDED_EARLY, markers.CONTINUES_RUN, markers.REPAIRED, markers.RECORDING_ABORTED,
)  # fmt: skip


def _events(session: Session) -> list[dict[str, Any]]:
    rows = session.table(MARKERS)[:]
    start_us = int(rows["t_system_us"].min()) if len(rows) else 0
    kinds, messages = decode_text(rows["kind"]), decode_text(rows["message"])
    return [
        {"t_s": (int(row["t_system_us"]) - start_us) / 1e6, "kind": str(kind), "message": str(message)}
        for row, kind, message in zip(rows, kinds, messages, strict=True)
        if kind in _LISTED
    ]
