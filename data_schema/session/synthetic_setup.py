"""What comes before the trials of a synthetic session: consent, checks, a calibration, the light of the stimuli."""

from __future__ import annotations

import numpy as np

from data_schema.session import markers
from data_schema.session.layout import (
    CALIBRATION_ATTEMPTS,
    CALIBRATION_DATA,
    CALIBRATION_POINTS,
    CALIBRATION_TARGETS,
    CONSENT,
    FACTS,
    LUMINANCE,
    PREFLIGHT,
    RESPONSE_TEXTS,
    VALIDATION_POINTS,
    make_row,
)
from data_schema.session.writer import SessionWriter
from data_schema.study.config import StudyConfig

#: Targets of the synthetic calibration and of its validation, shares of the display area.
_CALIBRATION_TARGETS = ((0.5, 0.5), (0.1, 0.1), (0.9, 0.1), (0.1, 0.9), (0.9, 0.9))
_VALIDATION_TARGETS = ((0.5, 0.2), (0.2, 0.5), (0.8, 0.5), (0.5, 0.8))
#: A target's time, much too short for a person: all fits into the half second before the first trial.
_TARGET_US = 45_000
#: Frames a second for which luminance is stored.
_LUMINANCE_HZ = 5.0
_CALIBRATION, _VALIDATION = 1, 2


def write_setup(writer: SessionWriter, rng: np.random.Generator, config: StudyConfig, start_us: int) -> None:
    """Write consent, facts and checks before `start_us`, and a short calibration with its validation after it."""
    before_us = start_us - 60_000_000
    for scope in ("video", "gaze", "sharing"):
        writer.append(
            CONSENT.path,
            make_row(CONSENT, t_system_us=before_us, scope=scope, granted=1, way="simulated", language="en"),
        )
    for key, value in (("vision_aid", "none"), ("dominant_eye", "right")):
        writer.append(FACTS.path, make_row(FACTS, t_system_us=before_us, key=key, value=value))
    for check, measured, message in (
        ("disk", 100.0, "100 GB are free"),
        ("eye_tracker", 300.0, "the eye tracker delivers 300.0 samples a second"),
    ):
        row = make_row(PREFLIGHT, t_system_us=before_us, check=check, level="good", value=measured, message=message)
        writer.append(PREFLIGHT.path, row)
    _write_calibration(writer, rng, config, start_us + 20_000)


def _write_calibration(writer: SessionWriter, rng: np.random.Generator, config: StudyConfig, t_us: int) -> None:
    data = b"synthetic calibration"
    offset = writer.append_blob(CALIBRATION_DATA.path, data)
    kinds = {_CALIBRATION: ("calibration", _CALIBRATION_TARGETS), _VALIDATION: ("validation", _VALIDATION_TARGETS)}
    for attempt_id, (kind, targets) in kinds.items():
        begin_us = t_us + (attempt_id - 1) * len(_CALIBRATION_TARGETS) * _TARGET_US
        writer.marker(markers.CALIBRATION_STARTED, kind, float(attempt_id), begin_us)
        validates = attempt_id == _VALIDATION
        end_us = begin_us
        for number, target in enumerate(targets):
            shown_us = begin_us + number * _TARGET_US
            end_us = shown_us + _TARGET_US
            row = make_row(
                CALIBRATION_TARGETS, attempt_id=attempt_id, target_norm=target,
                t_shown_us=shown_us, t_collected_us=end_us, outcome="collected",
            )  # fmt: skip
            writer.append(CALIBRATION_TARGETS.path, row)
            for eye in ("left", "right"):
                if validates:
                    _write_validation_point(writer, rng, attempt_id, eye, target, (shown_us, end_us))
                else:
                    _write_samples(writer, rng, attempt_id, eye, target)
        writer.append(
            CALIBRATION_ATTEMPTS.path,
            make_row(
                CALIBRATION_ATTEMPTS, t_system_us=begin_us, attempt_id=attempt_id, kind=kind,
                status="success", chosen=not validates, blob_offset=-1 if validates else offset,
                blob_size=0 if validates else len(data), t_end_us=end_us, eyes=config.calibration.eyes,
                n_points=len(targets), validates=_CALIBRATION if validates else 0, gate="passed" if validates else "",
            ),
        )  # fmt: skip
        writer.marker(markers.CALIBRATION_ENDED, f"{kind}: success", float(attempt_id), end_us)
        if validates:
            writer.marker(markers.CALIBRATION_CHOSEN, "the only attempt", float(_CALIBRATION), end_us)


def _write_samples(
    writer: SessionWriter, rng: np.random.Generator, attempt_id: int, eye: str, target: tuple[float, float]
) -> None:
    for _ in range(3):
        gaze = np.asarray(target) + rng.normal(0, 0.005, 2)
        row = make_row(
            CALIBRATION_POINTS, attempt_id=attempt_id, eye=eye, target_norm=target, gaze_norm=gaze, validity=1
        )
        writer.append(CALIBRATION_POINTS.path, row)


def _write_validation_point(
    writer: SessionWriter,
    rng: np.random.Generator,
    attempt_id: int,
    eye: str,
    target: tuple[float, float],
    window_us: tuple[int, int],
) -> None:
    offset = rng.normal(0, 0.3, 2)
    row = make_row(
        VALIDATION_POINTS, attempt_id=attempt_id, eye=eye, target_norm=target,
        accuracy_deg=float(np.hypot(*offset)), precision_rms_s2s_deg=0.12, precision_sd_deg=0.2, data_loss=0.01,
        offset_deg=offset, bcea_deg2=0.15, n_samples=12, t_from_us=window_us[0], t_until_us=window_us[1],
    )  # fmt: skip
    writer.append(VALIDATION_POINTS.path, row)


def write_luminance(writer: SessionWriter, rng: np.random.Generator, config: StudyConfig, trial_s: float) -> None:
    """Write the luminance of every stimulus: a level of its own that wavers."""
    n = max(1, round(trial_s * _LUMINANCE_HZ))
    for stimulus in config.stimuli:
        rows = LUMINANCE.empty(n)
        rows["stimulus_id"] = stimulus.id.encode()
        rows["clip_time_us"] = np.round(np.arange(n) * 1e6 / _LUMINANCE_HZ)
        rows["luminance"] = np.clip(rng.uniform(0.1, 0.5) + rng.normal(0, 0.02, n), 0, 1)
        writer.append(LUMINANCE.path, rows)


def write_free_text(writer: SessionWriter, trial_id: int, shown_us: int, answered_us: int) -> None:
    """Write what the participant says of a trial in words of their own."""
    row = make_row(
        RESPONSE_TEXTS, trial_id=trial_id, scale="free_text", text=f"synthetic words on trial {trial_id}",
        t_shown_us=shown_us, t_answered_us=answered_us,
    )  # fmt: skip
    writer.append(RESPONSE_TEXTS.path, row)
