"""A small session with planted losses, a validation, a skipped trial and an override."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_schema.session import markers
from data_schema.session.layout import (
    CALIBRATION_ATTEMPTS,
    CONSENT,
    GAZE,
    NOTIFICATIONS,
    PREFLIGHT,
    PRESENTATIONS,
    VALIDATION_POINTS,
    make_row,
)
from data_schema.session.writer import SessionWriter
from data_schema.study.folder import StudyFolder
from data_schema.study.scaffold import init_study

START_US = 7_000_000_000
RATE_HZ = 300.0
SECONDS = 30.0
#: Start and length of planted losses, seconds.
BLINKS = ((2.0, 0.2), (4.0, 0.15), (9.0, 0.3))
FLICKERS = ((5.0, 0.01),)
AWAY = ((14.0, 1.5),)
SILENT = ((18.0, 0.8),)
UNPLUGGED = ((24.0, 2.0),)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    return init_study(
        tmp_path_factory.mktemp("quality") / "study", title="A <study>", clips_per_emotion=1, clip_s=1.0,
        emotions=("happiness", "fear"), settings={"quality": {"min_frames_share": 0.0, "max_gaze_loss": 0.2}},
    )  # fmt: skip


@pytest.fixture(scope="module")
def session_path(study: StudyFolder) -> Path:
    """Return a session without a camera: trial 1 is fine, trial 2 has lost gaze, trial 3 was skipped."""
    path = study.session_path("P001", "01")
    devices = [{"role": "eye_tracker", "kind": "tobii", "model": "Spectrum", "rates_hz": {GAZE.path: RATE_HZ}}]
    writer = SessionWriter.create(
        path, participant="P001", session="01", config_json=study.config.to_json(), devices=devices,
        rates_hz={GAZE.path: RATE_HZ},
    )  # fmt: skip
    with writer:
        writer.marker(markers.RECORDING_STARTED, "", t_system_us=START_US)
        writer.append(GAZE.path, _gaze())
        _write_calibration(writer)
        _write_trials(writer)
        _write_rest(writer)
        writer.flush(force=True)
        writer.finish(t_system_us=START_US + round(SECONDS * 1e6))
    return path


def _gaze() -> np.ndarray:
    n = round(SECONDS * RATE_HZ)
    since_s = np.arange(n) / RATE_HZ
    rows = GAZE.empty(n)
    rows["t_system_us"] = START_US + np.round(since_s * 1e6)
    rows["t_device_us"] = rows["t_system_us"] - 10**8
    gaze = np.random.default_rng(3).normal(0.5, 0.002, (n, 2))
    lost = np.zeros(n, dtype=bool)
    for start_s, length_s in (*BLINKS, *FLICKERS, *AWAY):
        lost |= (since_s >= start_s) & (since_s < start_s + length_s)
    for eye in ("left", "right"):
        rows[f"{eye}_gaze_norm"] = np.where(lost[:, None], np.nan, gaze)
        rows[f"{eye}_gaze_valid"] = ~lost
        rows[f"{eye}_origin_user_mm"], rows[f"{eye}_origin_valid"] = (0.0, 0.0, 640.0), 1
        rows[f"{eye}_pupil_mm"], rows[f"{eye}_pupil_valid"] = 3.1, 1
    here = np.ones(n, dtype=bool)
    for start_s, length_s in (*SILENT, *UNPLUGGED):
        here &= ~((since_s >= start_s) & (since_s < start_s + length_s))
    return rows[here]


def _write_calibration(writer: SessionWriter) -> None:
    for attempt_id, kind, gate, validates in (
        (1, "calibration", "", 0), (2, "validation", "failed", 1), (3, "calibration", "", 0),
        (4, "validation", "overridden", 3),
    ):  # fmt: skip
        writer.append(
            CALIBRATION_ATTEMPTS.path,
            make_row(
                CALIBRATION_ATTEMPTS, t_system_us=START_US + attempt_id, attempt_id=attempt_id, kind=kind, gate=gate,
                status="success", chosen=int(kind == "calibration"), blob_offset=-1, eyes="both", n_points=5,
                validates=validates, note="glasses <thick>" if gate == "overridden" else "",
            ),
        )  # fmt: skip
        if kind == "validation":
            for x, accuracy_deg in ((0.25, 0.6), (0.75, 1.8)):
                for eye in ("left", "right"):
                    row = make_row(
                        VALIDATION_POINTS, attempt_id=attempt_id, eye=eye, target_norm=(x, 0.5),
                        accuracy_deg=accuracy_deg + (attempt_id == 2), precision_rms_s2s_deg=0.2,
                        precision_sd_deg=0.3, data_loss=0.0, offset_deg=(accuracy_deg, 0.0), bcea_deg2=0.1,
                        n_samples=150,
                    )  # fmt: skip
                    writer.append(VALIDATION_POINTS.path, row)
    writer.marker(markers.CALIBRATION_CHOSEN, "", 3.0, START_US + 10)
    writer.marker(markers.DRIFT_CHECKED, "", 0.7, START_US + 20_000_000)


def _write_trials(writer: SessionWriter) -> None:
    for trial_id, start_s in ((-1, 0.2), (1, 6.0), (2, 13.0)):
        start_us = START_US + round(start_s * 1e6)
        writer.marker(markers.TRIAL_STARTED, "happiness-1", t_system_us=start_us, trial_id=trial_id)
        row = make_row(
            PRESENTATIONS, trial_id=trial_id, stimulus_id="happiness-1", target_emotion="happiness",
            t_onset_us=start_us, t_offset_us=start_us + 3_000_000, duration_expected_s=3.0, n_flips=180,
            n_flips_late=1, completed=1, duration_actual_s=3.01, n_flips_dropped=400 if trial_id == 2 else 2,
            ended_early=trial_id == 2,
        )  # fmt: skip
        if trial_id == 2:
            said = "the last 3 frames of happiness-1 were not shown"
            writer.marker(markers.CLIP_ENDED_EARLY, said, 0.1, t_system_us=start_us + 3_000_000, trial_id=2)
        writer.append(PRESENTATIONS.path, row)
        writer.marker(markers.TRIAL_ENDED, "", t_system_us=start_us + 3_100_000, trial_id=trial_id)
    writer.marker(markers.TRIAL_STARTED, "fear-1", t_system_us=START_US + 20_000_000, trial_id=3)
    writer.marker(markers.TRIAL_SKIPPED, "fear-1", t_system_us=START_US + 20_100_000, trial_id=3)


def _write_rest(writer: SessionWriter) -> None:
    lost_us = START_US + round(UNPLUGGED[0][0] * 1e6)
    writer.append(NOTIFICATIONS.path, make_row(NOTIFICATIONS, t_system_us=lost_us, kind="CONNECTION_LOST"))
    for scope, granted in (("video", 0), ("gaze", 1)):
        row = make_row(CONSENT, t_system_us=START_US, scope=scope, granted=granted, way="screen", language="en")
        writer.append(CONSENT.path, row)
    writer.append(
        PREFLIGHT.path,
        make_row(PREFLIGHT, t_system_us=START_US, check="disk", level="error", override_reason="disk is <fine>"),
    )
