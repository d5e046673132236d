"""How good one recording is: the table of ``emer quality`` and of an export."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_schema.clocks import fit_clock
from data_schema.errors import ClockError
from data_schema.exports.columns import SESSION_QUALITY, meanings
from data_schema.session.layout import FRAMES, GAZE, TIME_SYNC, Table
from data_schema.session.reader import Session, Trial
from data_schema.session.screen import recorded_screen
from data_schema.session.table_view import TableView
from data_schema.session.validate import check_session
from data_schema.signals.gaps import Span
from data_schema.signals.gaze import Bool, Int, ScreenGeometry, combine_eyes, finite_rows
from data_schema.signals.quality import (
    FrameQuality,
    GazeQuality,
    frame_quality,
    gaze_of_eyes,
    judge_gaze,
    median_precision,
    precision_windows,
    window_samples,
)
from data_schema.study.folder import SessionName

#: Columns of ``quality.parquet`` and what they mean, in order.
QUALITY_COLUMNS: dict[str, str] = meanings(SESSION_QUALITY)

_GAZE_COLUMNS = ("left_gaze_norm", "right_gaze_norm", "left_gaze_valid", "right_gaze_valid")
#: Samples of gaze that are in memory at once: a minute or two.
_PART_SAMPLES = 65_536


@dataclass(frozen=True)
class SessionQuality:
    """Quality of one session; fields as in :data:`QUALITY_COLUMNS`, NaN where unknown."""

    participant: str
    session: str
    run: int
    duration_s: float
    gaze: GazeQuality
    frames: FrameQuality
    clock_drift_ppm: float
    clock_residual_us: float
    n_trials: int
    n_trials_started: int
    tracker: str
    camera: str
    warnings: tuple[str, ...]
    simulated: bool
    replayed: bool

    def as_row(self) -> dict[str, Any]:
        """Return the row of ``quality.parquet``, without what only an export knows."""
        return {
            "participant": self.participant,
            "session": self.session,
            "run": self.run,
            "duration_s": self.duration_s,
            "gaze_rate_hz": self.gaze.rate_hz,
            "gaze_effective_rate_hz": self.gaze.effective_rate_hz,
            "gaze_loss_left": self.gaze.loss_left,
            "gaze_loss_right": self.gaze.loss_right,
            "gaze_loss_both": self.gaze.loss_both,
            "gaze_rms_s2s_deg": self.gaze.rms_s2s_deg,
            "gaze_sd_deg": self.gaze.sd_deg,
            "gaze_longest_loss_s": self.gaze.longest_loss_s,
            "gaze_gaps": self.gaze.n_gaps,
            "frame_rate_hz": self.frames.rate_hz,
            "frame_loss": self.frames.loss,
            "frames_missed": self.frames.n_missed,
            "frame_gaps": self.frames.n_gaps,
            "clock_drift_ppm": self.clock_drift_ppm,
            "clock_residual_us": self.clock_residual_us,
            "n_trials": self.n_trials,
            "n_trials_started": self.n_trials_started,
            "tracker": self.tracker,
            "camera": self.camera,
            "warnings": "\n".join(self.warnings),
            "simulated": self.simulated,
            "replayed": self.replayed,
        }

    def as_json(self) -> dict[str, Any]:
        """Return the row with None for NaN, which JSON does not know."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in self.as_row().items()
        }


def measure_session(session: Session, screen: ScreenGeometry | None = None) -> SessionQuality:
    """Measure a recording over the whole session: a device that died shows as loss and as a gap.

    The session lasts from the first to the last of its streams and trials.

    Parameters
    ----------
    session : Session
    screen : ScreenGeometry, optional
        The one it was recorded on by default.
    """
    gaze_us = session.table(GAZE).columns(("t_system_us",))["t_system_us"].astype(np.int64, copy=False)
    frame_rows = session.table(FRAMES)[:]
    trials = session.trials()
    span_us = _span_us(gaze_us, frame_rows, trials)
    devices = session.devices
    left, right, precision = _gaze_in_parts(session.table(GAZE), gaze_us, screen or recorded_screen(session))
    gaze = judge_gaze(gaze_us, left, right, precision, span_us, _nominal_hz(devices, "eye_tracker", GAZE))
    frames = frame_quality(
        frame_rows["t_capture_us"].astype(np.int64),
        frame_rows["missed_before"],
        span_us,
        _nominal_hz(devices, "camera", FRAMES),
    )
    drift, residual = _clock(session)
    return SessionQuality(
        participant=session.participant,
        session=session.session,
        run=session.run,
        duration_s=(span_us[1] - span_us[0]) / 1e6 if span_us else 0.0,
        gaze=gaze,
        frames=frames,
        clock_drift_ppm=drift,
        clock_residual_us=residual,
        n_trials=sum(trial.completed for trial in trials),
        n_trials_started=len(trials),
        tracker=_device(devices, "eye_tracker"),
        camera=_device(devices, "camera"),
        # Told by the file's name alone: an export carries the text to other machines.
        warnings=tuple(
            str(finding).replace(str(session.path), session.path.name) for finding in check_session(session.path)
        ),
        simulated=session.simulated,
        replayed=any(device.get("replayed_from") for device in devices),
    )


def _gaze_in_parts(view: TableView, t_us: Int, screen: ScreenGeometry) -> tuple[Bool, Bool, tuple[float, float]]:
    """Return when each eye had gaze, and the precision; the gaze itself is in memory a part at a time."""
    size = window_samples(t_us)
    # Cut at whole windows, so that they are those of the recording in one piece.
    step = max(1, _PART_SAMPLES // size) * size
    left, right = np.zeros(len(t_us), dtype=np.bool_), np.zeros(len(t_us), dtype=np.bool_)
    windows = []
    for start in range(0, len(t_us), step):
        part = slice(start, min(len(t_us), start + step))
        sides = gaze_of_eyes(view.columns(_GAZE_COLUMNS, part.start, part.stop))
        left[part], right[part] = finite_rows(sides[0]), finite_rows(sides[1])
        windows.append(precision_windows(screen.norm_to_deg(combine_eyes(*sides, "average")), size))
    return left, right, median_precision(windows)


def _span_us(gaze_us: Int, frame_rows: Any, trials: list[Trial]) -> Span | None:
    """Return the first and the last time of the session, or None for an empty one."""
    times = [column for column in (gaze_us, frame_rows["t_capture_us"]) if len(column)]
    ends = [int(end) for column in times for end in (column.min(), column.max())]
    ends += [time_us for trial in trials for time_us in (trial.t_onset_us, trial.t_offset_us)]
    return (min(ends), max(ends)) if ends else None


def _nominal_hz(devices: list[dict[str, Any]], role: str, table: Table) -> float:
    """Return the rate that a device announced, NaN if there is none."""
    for device in devices:
        rates = device.get("rates_hz")
        if device.get("role") == role and isinstance(rates, dict) and table.path in rates:
            return float(rates[table.path])
    return float("nan")


def _clock(session: Session) -> tuple[float, float]:
    """Fit the tracker's clock, from its synchronisation pairs or else from the gaze stamps."""
    pairs = session.table(TIME_SYNC)[:]
    if len(pairs) >= 3:
        device = pairs["t_device_us"].astype(np.int64)
        system = (pairs["t_request_us"].astype(np.int64) + pairs["t_response_us"]) // 2
    else:
        stamps = session.table(GAZE).columns(("t_device_us", "t_system_us"))
        device, system = stamps["t_device_us"].astype(np.int64), stamps["t_system_us"].astype(np.int64)
    try:
        model = fit_clock(device, system)
    except ClockError:
        return float("nan"), float("nan")
    return model.drift_ppm, model.residual_sd_us


def _device(devices: list[dict[str, Any]], role: str) -> str:
    for device in devices:
        if device.get("role") == role:
            source = str(device.get("replayed_from") or "")
            kind = str(device.get("kind") or "unknown")
            return f"{kind}:{source}" if source else kind
    return "none"


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "-"


_Text = Callable[[SessionQuality], str]
#: Columns of the table that ``emer quality`` prints: title, width, text.
QUALITY_TABLE: tuple[tuple[str, int, _Text], ...] = (
    ("session", 22, lambda q: SessionName(q.participant, q.session, q.run).stem),
    ("minutes", 7, lambda q: _number(q.duration_s / 60.0, ".1f")),
    ("gaze Hz", 8, lambda q: _number(q.gaze.rate_hz, ".1f")),
    ("loss left", 9, lambda q: _number(q.gaze.loss_left, ".1%")),
    ("right", 6, lambda q: _number(q.gaze.loss_right, ".1%")),
    ("both", 6, lambda q: _number(q.gaze.loss_both, ".1%")),
    ("RMS deg", 7, lambda q: _number(q.gaze.rms_s2s_deg, ".3f")),
    ("SD deg", 7, lambda q: _number(q.gaze.sd_deg, ".3f")),
    ("frames/s", 8, lambda q: _number(q.frames.rate_hz, ".2f")),
    ("lost", 6, lambda q: _number(q.frames.loss, ".1%")),
    ("missed", 6, lambda q: str(q.frames.n_missed)),
    ("gaps", 4, lambda q: str(q.gaze.n_gaps + q.frames.n_gaps)),
    ("drift ppm", 9, lambda q: _number(q.clock_drift_ppm, ".1f")),
    ("trials", 8, lambda q: f"{q.n_trials} of {q.n_trials_started}"),
    ("warnings", 8, lambda q: str(len(q.warnings))),
    ("tracker", 12, lambda q: q.tracker),
)


def quality_row(measured: dict[str, Any], n_faces: int, n_frames: int, n_included: int) -> dict[str, Any]:
    """Complete a row of ``quality.parquet`` with what an export knows."""
    row = dict(measured)
    row["face_found_share"] = n_faces / n_frames if n_frames else float("nan")
    row["n_included"] = n_included
    return {name: row[name] for name in QUALITY_COLUMNS}
