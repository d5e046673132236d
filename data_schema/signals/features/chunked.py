"""Eye features per chunk of a clip, and the clip's fixation sequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_schema.signals.chunks import (
    ChunkStatistics,
    chunk_index,
    chunk_statistics,
    divide,
    entropy_per_chunk,
    mean_over_events,
    overlap_per_chunk,
)
from data_schema.signals.eye_signals import EyeSignals
from data_schema.signals.features.declaration import ENTROPY_GRID, EYE_FEATURE_NAMES, STATISTICS
from data_schema.signals.features.scanpath import grid_cells
from data_schema.signals.gaze import Bool, Float, Int, sample_interval_us

#: Of a chunk's samples this share needs gaze, or fixations and saccades are unknown: counted over less they would tell of
#: the loss, not of the eyes (our choice).
MIN_GAZE_SHARE = 0.25
#: What is masked then.
_NEEDS_GAZE = (
    "fixation_share",
    "fixation_rate",
    "fixation_duration_mean",
    "saccade_rate",
    "saccade_duration_mean",
    "saccade_amplitude_mean",
    "saccade_peak_velocity_mean",
)
#: Fewer samples on the grid have no entropy worth the name (our choice).
_MIN_ENTROPY_SAMPLES = 10


@dataclass(frozen=True)
class PupilBaseline:
    """The participant's pupil before stimuli, mm; NaN where it could not be measured.

    Parameters
    ----------
    session_mm : float
        Median over all pre-stimulus windows of the session.
    trial_mm : float
        Median just before this stimulus.
    """

    session_mm: float = float("nan")
    trial_mm: float = float("nan")


def eye_features(
    signals: EyeSignals, t_start_us: int, t_end_us: int, n_chunks: int, baseline: PupilBaseline
) -> tuple[npt.NDArray[np.float32], Bool]:
    """Compute all eye features of a clip per chunk.

    A chunk without a sample is masked; in a clip whose chunks are shorter than the sample interval all are, since what falls
    into one of them is chance.

    Parameters
    ----------
    signals : EyeSignals
    t_start_us, t_end_us : int
        The clip, end excluded.
    n_chunks : int
        Chunks of equal duration.
    baseline : PupilBaseline

    Returns
    -------
    values : ndarray of float32, shape (n_chunks, n_features)
        In the order of :data:`EYE_FEATURES`; 0 where masked, never NaN.
    mask : ndarray of bool, shape (n_chunks, n_features)
        True where the value was measured.

    Raises
    ------
    ValueError
        If the clip has no duration.
    """
    t_us = signals.gaze.t_us
    index = chunk_index(t_us, t_start_us, t_end_us, n_chunks)

    def over(values: Float) -> ChunkStatistics:
        return chunk_statistics(t_us, values, index, n_chunks)

    columns: dict[str, Float] = {}
    for name, values in _continuous_signals(signals, baseline).items():
        statistics = over(values)
        for statistic, _, _ in STATISTICS:
            columns[f"{name}_{statistic}"] = getattr(statistics, statistic)
    columns["pupil_trial_change_mean"] = over(signals.pupil_mm - baseline.trial_mm).mean
    columns["eye_disparity_mean"] = over(signals.disparity_norm).mean
    columns["centre_distance_mean"] = over(np.hypot(signals.gaze_deg[:, 0], signals.gaze_deg[:, 1])).mean
    spread = [over(signals.gaze_deg[:, axis]).sd for axis in (0, 1)]
    columns["dispersion"] = np.hypot(spread[0], spread[1])
    cells = grid_cells(signals.gaze.gaze_norm)
    n_cells = ENTROPY_GRID[0] * ENTROPY_GRID[1]
    columns["gaze_entropy"] = entropy_per_chunk(cells, n_cells, index, n_chunks, _MIN_ENTROPY_SAMPLES)
    gaze_share = over(signals.gaze.gaze_norm[:, 0]).valid_share
    columns["gaze_valid_share"] = gaze_share
    columns["pupil_valid_share"] = over(signals.pupil_mm).valid_share
    columns["openness_valid_share"] = over(signals.openness_mm).valid_share
    columns.update(_event_features(signals, t_start_us, t_end_us, n_chunks))
    for name in _NEEDS_GAZE:
        columns[name] = np.where(gaze_share >= MIN_GAZE_SHARE, columns[name], np.nan)

    values = np.stack([columns[name] for name in EYE_FEATURE_NAMES], axis=1)
    sampled = np.bincount(index[index >= 0], minlength=n_chunks) > 0
    if len(t_us) > 1 and (t_end_us - t_start_us) / n_chunks < sample_interval_us(t_us):
        sampled[:] = False
    mask = np.isfinite(values) & sampled[:, None]
    return np.where(mask, values, 0.0).astype(np.float32), np.asarray(mask, dtype=np.bool_)


def _continuous_signals(signals: EyeSignals, baseline: PupilBaseline) -> dict[str, Float]:
    return {
        "gaze_x": signals.gaze.gaze_norm[:, 0],
        "gaze_y": signals.gaze.gaze_norm[:, 1],
        "pupil_change": signals.pupil_mm - baseline.session_mm,
        "pupil_light_free_change": signals.pupil_light_free_mm - baseline.session_mm,
        "velocity": signals.movements.velocity_deg_s,
        "eye_distance": np.asarray(np.linalg.norm(signals.gaze.eye_mm, axis=1)),
        "openness": signals.openness_mm,
    }


def _event_features(signals: EyeSignals, t_start_us: int, t_end_us: int, n_chunks: int) -> dict[str, Float]:
    """Compute what belongs to fixations, saccades and blinks."""
    chunk_us = (t_end_us - t_start_us) / n_chunks
    fixations, saccades = signals.movements.fixations, signals.movements.saccades
    columns: dict[str, Float] = {}
    places: dict[str, Int] = {}
    for name, events in (("fixation", fixations), ("saccade", saccades), ("blink", signals.blinks)):
        places[name] = chunk_index(events["t_start_us"], t_start_us, t_end_us, n_chunks)
        began = places[name][places[name] >= 0]
        columns[f"{name}_rate"] = np.bincount(began, minlength=n_chunks) / (chunk_us / 1e6)
        inside_us = overlap_per_chunk(events["t_start_us"], events["t_end_us"], t_start_us, t_end_us, n_chunks)
        columns[f"{name}_share"] = divide(inside_us, np.full(n_chunks, chunk_us))
        durations_s = (events["t_end_us"] - events["t_start_us"]) / 1e6
        columns[f"{name}_duration_mean"] = mean_over_events(durations_s, places[name], n_chunks)
    for name in ("amplitude_deg", "peak_velocity_deg_s"):
        short = name.split("_d", maxsplit=1)[0]
        columns[f"saccade_{short}_mean"] = mean_over_events(saccades[name], places["saccade"], n_chunks)
    return columns


def fixation_sequence(signals: EyeSignals, t_start_us: int, t_end_us: int) -> Float:
    """Return the fixations of a clip, cut to the clip, in the order of time.

    Returns
    -------
    ndarray of float64, shape (m, 4)
        Columns of :data:`FIXATION_FEATURES`.
    """
    fixations = signals.movements.fixations
    start = np.maximum(fixations["t_start_us"], t_start_us)
    end = np.minimum(fixations["t_end_us"], t_end_us)
    keep = (end > start) & np.isfinite(fixations["x_norm"])
    columns = (
        fixations["x_norm"][keep],
        fixations["y_norm"][keep],
        (start[keep] - t_start_us) / 1e6,
        (end[keep] - start[keep]) / 1e6,
    )
    return np.stack(columns, axis=1).astype(np.float64)
