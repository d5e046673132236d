"""Eye features: what they are called, what they mean, and how they are computed.

:data:`EYE_FEATURES` is the one declaration: its order is the order of the last
axis of ``/eye`` in a training export, and it is written into the manifest.

Nothing here knows a label. The pupil is referred to the participant's own
diameter before stimuli, so that its changes can be compared between people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_schema.signals.chunks import (
    ChunkStatistics,
    chunk_index,
    chunk_statistics,
    divide,
    mean_over_events,
    overlap_per_chunk,
)
from data_schema.signals.eye_signals import EyeSignals
from data_schema.signals.gaze import Bool, Float, Int

#: Raise it whenever a feature's numbers change: exports made before are then computed anew.
FEATURE_VERSION = 1


@dataclass(frozen=True)
class EyeFeature:
    """One named feature.

    Parameters
    ----------
    name : str
        Signal and statistic.
    unit : str
    definition : str
        One sentence.
    """

    name: str
    unit: str
    definition: str


_STATISTICS = (
    ("mean", "{unit}", "Mean of {what} over the chunk's valid samples."),
    ("sd", "{unit}", "Population standard deviation of {what} over the chunk's valid samples (two or more)."),
    ("slope", "{unit}/s", "Least-squares slope of {what} over time (three valid samples or more)."),
)
_CONTINUOUS = (
    ("gaze_x", "share of screen width", "horizontal gaze, 0 at the left edge"),
    ("gaze_y", "share of screen height", "vertical gaze, 0 at the top edge"),
    ("pupil_change", "mm", "pupil diameter minus the participant's median before stimuli in this session"),
    ("velocity", "deg/s", "angular velocity of gaze (I-VT, 20 ms window)"),
    ("eye_distance", "mm", "distance between the eyes and the origin of the tracker's coordinates"),
    ("openness", "mm", "eye openness, mean of the eyes"),
)
_SINGLE = (
    EyeFeature("gaze_valid_share", "share", "Share of the chunk's samples with gaze from either eye."),
    EyeFeature("pupil_valid_share", "share", "Share of the chunk's samples with a trustworthy pupil diameter."),
    EyeFeature("openness_valid_share", "share", "Share of the chunk's samples with eye openness."),
    EyeFeature("pupil_trial_change_mean", "mm", "Mean pupil diameter minus its median just before this stimulus."),
    EyeFeature("eye_disparity_mean", "share of screen width", "Mean of left minus right horizontal gaze."),
    EyeFeature("centre_distance_mean", "deg", "Mean angle between gaze and the screen's centre."),
    EyeFeature("dispersion", "deg", "Root mean square angle of gaze around its mean in the chunk."),
    EyeFeature("fixation_share", "share", "Share of the chunk's time spent in fixations (I-VT)."),
    EyeFeature("fixation_rate", "1/s", "Fixations that begin in the chunk, per second."),
    EyeFeature("fixation_duration_mean", "s", "Mean whole duration of the fixations that begin in the chunk."),
    EyeFeature("saccade_rate", "1/s", "Saccades that begin in the chunk, per second."),
    EyeFeature("saccade_amplitude_mean", "deg", "Mean angle between the ends of the saccades that begin in the chunk."),
    EyeFeature("saccade_peak_velocity_mean", "deg/s", "Mean highest velocity of the saccades that begin in the chunk."),
    EyeFeature("blink_share", "share", "Share of the chunk's time spent in blinks."),
    EyeFeature("blink_rate", "1/s", "Blinks that begin in the chunk, per second."),
)


def _declare() -> tuple[EyeFeature, ...]:
    declared = [
        EyeFeature(f"{signal}_{statistic}", unit.format(unit=signal_unit), text.format(what=what))
        for signal, signal_unit, what in _CONTINUOUS
        for statistic, unit, text in _STATISTICS
    ]
    return (*declared, *_SINGLE)


#: All eye features, in the order of the arrays.
EYE_FEATURES: tuple[EyeFeature, ...] = _declare()
EYE_FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in EYE_FEATURES)

#: Columns of a clip's fixation sequence.
FIXATION_FEATURES: tuple[EyeFeature, ...] = (
    EyeFeature("x_norm", "share of screen width", "Mean horizontal gaze of the fixation, 0 at the left edge."),
    EyeFeature("y_norm", "share of screen height", "Mean vertical gaze of the fixation, 0 at the top edge."),
    EyeFeature("onset_s", "s", "Start of the fixation after the start of the clip (0 if it began before)."),
    EyeFeature("duration_s", "s", "Duration of the fixation within the clip."),
)


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
    """
    t_us = signals.gaze.t_us
    index = chunk_index(t_us, t_start_us, t_end_us, n_chunks)

    def over(values: Float) -> ChunkStatistics:
        return chunk_statistics(t_us, values, index, n_chunks)

    columns: dict[str, Float] = {}
    for name, values in _continuous_signals(signals, baseline).items():
        statistics = over(values)
        for statistic, _, _ in _STATISTICS:
            columns[f"{name}_{statistic}"] = getattr(statistics, statistic)
    columns["pupil_trial_change_mean"] = over(signals.pupil_mm - baseline.trial_mm).mean
    columns["eye_disparity_mean"] = over(signals.disparity_norm).mean
    columns["centre_distance_mean"] = over(np.hypot(signals.gaze_deg[:, 0], signals.gaze_deg[:, 1])).mean
    spread = [over(signals.gaze_deg[:, axis]).sd for axis in (0, 1)]
    columns["dispersion"] = np.hypot(spread[0], spread[1])
    columns["gaze_valid_share"] = over(signals.gaze.gaze_norm[:, 0]).valid_share
    columns["pupil_valid_share"] = over(signals.pupil_mm).valid_share
    columns["openness_valid_share"] = over(signals.openness_mm).valid_share
    columns.update(_event_features(signals, t_start_us, t_end_us, n_chunks))

    values = np.stack([columns[name] for name in EYE_FEATURE_NAMES], axis=1)
    sampled = np.bincount(index[index >= 0], minlength=n_chunks) > 0
    mask = np.isfinite(values) & sampled[:, None]
    return np.where(mask, values, 0.0).astype(np.float32), np.asarray(mask, dtype=np.bool_)


def _continuous_signals(signals: EyeSignals, baseline: PupilBaseline) -> dict[str, Float]:
    return {
        "gaze_x": signals.gaze.gaze_norm[:, 0],
        "gaze_y": signals.gaze.gaze_norm[:, 1],
        "pupil_change": signals.pupil_mm - baseline.session_mm,
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
    durations_s = (fixations["t_end_us"] - fixations["t_start_us"]) / 1e6
    columns["fixation_duration_mean"] = mean_over_events(durations_s, places["fixation"], n_chunks)
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
