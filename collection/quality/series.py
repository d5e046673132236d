"""What the plots of the quality page draw, from the session file, thinned to what a page can show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_schema.clocks import fit_clock
from data_schema.errors import ClockError
from data_schema.session.layout import FLIPS, FRAMES, GAZE, TIME_SYNC
from data_schema.session.reader import Session

Float = npt.NDArray[np.float64]
#: Width of a bin over time, seconds; longer in sessions of more than half an hour.
_BIN_S = 1.0
_MOST_BINS = 1800


@dataclass(frozen=True)
class Series:
    """Numbers over time; seconds from the first sample.

    Parameters
    ----------
    start_us : int
        Host time of zero.
    bin_s : Float
        Middles of the bins, shape (n_bins,).
    loss_left, loss_right, loss_both : Float
        Share of samples without gaze in each bin; NaN where no sample came.
    gaze_hz, frame_hz : Float
        Rows per second in each bin.
    distance_mm : Float
        Mean distance of the eyes from the tracker.
    pupil_mm : Float
        Mean pupil diameter of both eyes.
    frame_interval_ms, flip_interval_ms : Float
        Times between neighbours.
    clock_s, clock_residual_ms : Float
        Residuals of the tracker's clock against the host's, after the fitted line.
    """

    start_us: int
    bin_s: Float
    loss_left: Float
    loss_right: Float
    loss_both: Float
    gaze_hz: Float
    frame_hz: Float
    distance_mm: Float
    pupil_mm: Float
    frame_interval_ms: Float
    flip_interval_ms: Float
    clock_s: Float
    clock_residual_ms: Float


def read_series(session: Session) -> Series:
    """Read a session's series."""
    gaze = session.table(GAZE)[:]
    frames = session.table(FRAMES)[:]["t_capture_us"].astype(np.int64)
    flips = session.table(FLIPS)[:]
    t_us = gaze["t_system_us"].astype(np.int64)
    both = np.concatenate([t_us, frames])
    start_us = int(both.min()) if len(both) else 0
    seconds = (int(both.max()) - start_us) / 1e6 if len(both) else 0.0
    width_s = max(_BIN_S, seconds / _MOST_BINS)
    n_bins = max(1, int(np.ceil(seconds / width_s)))
    at = np.clip(((t_us - start_us) / 1e6 / width_s).astype(int), 0, n_bins - 1)
    left, right = gaze["left_gaze_valid"] == 1, gaze["right_gaze_valid"] == 1
    n_samples = np.bincount(at, minlength=n_bins).astype(np.float64)

    def share(lost: npt.NDArray[np.bool_]) -> Float:
        return _divided(np.bincount(at, weights=lost, minlength=n_bins), n_samples)

    clock_s, residual_ms = _clock(session, start_us)
    return Series(
        start_us=start_us,
        bin_s=(np.arange(n_bins) + 0.5) * width_s,
        loss_left=share(~left),
        loss_right=share(~right),
        loss_both=share(~(left | right)),
        gaze_hz=n_samples / width_s,
        frame_hz=np.histogram((frames - start_us) / 1e6, bins=n_bins, range=(0, n_bins * width_s))[0] / width_s,
        distance_mm=_binned(at, n_bins, _distance_mm(gaze, _is_from_screen(session))),
        pupil_mm=_binned(at, n_bins, _pupil_mm(gaze)),
        frame_interval_ms=np.diff(frames) / 1e3,
        flip_interval_ms=_flip_intervals_ms(flips),
        clock_s=clock_s,
        clock_residual_ms=residual_ms,
    )


def _divided(total: Float, n: Float) -> Float:
    return np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)


def _binned(at: npt.NDArray[np.int64], n_bins: int, values: Float) -> Float:
    finite = np.isfinite(values)
    total = np.bincount(at[finite], weights=values[finite], minlength=n_bins)
    return _divided(total, np.bincount(at[finite], minlength=n_bins).astype(np.float64))


def _mean_of_eyes(left: Float, right: Float) -> Float:
    pair = np.stack([left, right])
    finite = np.isfinite(pair)
    return _divided(np.where(finite, pair, 0.0).sum(axis=0), finite.sum(axis=0).astype(np.float64))


def _eye(gaze: npt.NDArray[np.void], side: str, valid: str, values: Float) -> Float:
    return np.where(gaze[f"{side}_{valid}"] == 1, values, np.nan)


def _is_from_screen(session: Session) -> bool:
    """Tell whether eye positions are counted from a corner of the screen, as in imported recordings."""
    said = [str(device.get("details", {}).get("coordinates", "")) for device in session.devices]
    return any(text.startswith("display area") for text in said)


def _distance_mm(gaze: npt.NDArray[np.void], from_screen: bool) -> Float:
    """Return the distance from the tracker, or from the screen's plane where positions are counted from its corner."""
    eyes = [gaze[f"{side}_origin_user_mm"].astype(float) for side in ("left", "right")]
    away = [np.abs(eye[:, 2]) if from_screen else np.linalg.norm(eye, axis=1) for eye in eyes]
    return _mean_of_eyes(
        *(_eye(gaze, side, "origin_valid", mm) for side, mm in zip(("left", "right"), away, strict=True))
    )


def _pupil_mm(gaze: npt.NDArray[np.void]) -> Float:
    sides = [_eye(gaze, side, "pupil_valid", gaze[f"{side}_pupil_mm"].astype(float)) for side in ("left", "right")]
    return _mean_of_eyes(*sides)


def _flip_intervals_ms(flips: npt.NDArray[np.void]) -> Float:
    """Return intervals between flips of the same trial, shape (n,)."""
    same = np.diff(flips["trial_id"]) == 0
    return np.asarray(np.diff(flips["t_flip_us"].astype(np.int64))[same] / 1e3)


def _clock(session: Session, start_us: int) -> tuple[Float, Float]:
    pairs = session.table(TIME_SYNC)[:]
    device = pairs["t_device_us"].astype(np.int64)
    host = (pairs["t_request_us"].astype(np.int64) + pairs["t_response_us"].astype(np.int64)) // 2
    if len(pairs) < 3:
        rows = session.table(GAZE)[:]
        rows = rows[:: max(1, len(rows) // 4000)]
        device, host = rows["t_device_us"].astype(np.int64), rows["t_system_us"].astype(np.int64)
    try:
        model = fit_clock(device, host)
    except ClockError:
        return np.empty(0), np.empty(0)
    seconds, residuals = [], []
    for segment in model.segments:
        part = slice(segment.start, segment.stop)
        since = device[part] - segment.t_device_first_us
        predicted = device[part] + segment.offset_us + segment.drift_ppm * 1e-6 * since
        seconds.append((host[part] - start_us) / 1e6)
        residuals.append((host[part] - predicted) / 1e3)
    return np.concatenate(seconds), np.concatenate(residuals)
