"""Summary features: one number a clip, the eye features over the whole clip and what only a whole clip has."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from data_schema.signals.chunks import chunk_index, chunk_statistics
from data_schema.signals.eye_signals import EyeSignals
from data_schema.signals.features.chunked import MIN_GAZE_SHARE, PupilBaseline, eye_features
from data_schema.signals.features.declaration import EYE_FEATURE_NAMES, SUMMARY_FEATURE_NAMES
from data_schema.signals.features.scanpath import (
    MIN_PAIRS,
    FocalPairs,
    focal_pairs,
    grid_cells,
    k_coefficient_change,
    stationary_entropy,
    transition_entropy,
)
from data_schema.signals.gaze import Bool, Float, Int, sample_interval_us

#: Length of the parts over which the pupil's peak and trough are looked for (our choice: a tenth of a dilation).
_PEAK_PART_S = 0.25
#: Of a part's samples this share needs a pupil.
_PEAK_VALID_SHARE = 0.5
#: Saccades that the main sequence is fitted to, degrees: smaller ones drown in noise, larger ones saturate (Bahill et al.
#: 1975 find it linear up to about 20).
_MAIN_SEQUENCE_DEG = (1.0, 20.0)
_MIN_SACCADES = 5
#: Largest and smallest amplitude must differ by this much for a slope.
_MIN_AMPLITUDE_RANGE_DEG = 2.0
#: Fewer have no percentiles but the median.
_MIN_FOR_PERCENTILES = 5


def summary_features(
    eye: EyeSignals,
    faces: npt.NDArray[Any] | None,
    span: tuple[int, int],
    baseline: PupilBaseline,
) -> tuple[npt.NDArray[np.float32], Bool]:
    """Compute the summary features of a clip.

    ``k_coefficient`` needs the session's other clips and is masked here; see
    :func:`~data_schema.signals.features.subjects.complete_session`.

    Parameters
    ----------
    eye : EyeSignals
        With half a second more than the clip on both sides.
    faces : structured ndarray, optional
        Analysed frames of the clip (``FACE_FRAME_DTYPE``); None or empty where there is no video.
    span : tuple of int
        Start and end (excluded) of the clip, microseconds.
    baseline : PupilBaseline

    Returns
    -------
    values : ndarray of float32, shape (n_features,)
        In the order of :data:`SUMMARY_FEATURES`; 0 where masked, never NaN.
    mask : ndarray of bool, shape (n_features,)

    Raises
    ------
    ValueError
        If the clip has no duration.
    """
    whole, known = eye_features(eye, *span, 1, baseline)
    found: dict[str, float] = {
        name: float(value) if is_known else float("nan")
        for name, value, is_known in zip(EYE_FEATURE_NAMES, whole[0], known[0], strict=True)
    }
    if np.isfinite(found["pupil_valid_share"]):
        found |= _pupil_course(eye, span, baseline)
    if found["gaze_valid_share"] >= MIN_GAZE_SHARE:
        found |= _movements(eye, span)
    if np.isfinite(found["blink_rate"]):
        found |= _blinks(eye, span)
    if faces is not None and len(faces):
        found |= _faces(faces)
    values = np.array([found.get(name, np.nan) for name in SUMMARY_FEATURE_NAMES])
    mask = np.isfinite(values)
    return np.where(mask, values, 0.0).astype(np.float32), np.asarray(mask, dtype=np.bool_)


def _pupil_course(eye: EyeSignals, span: tuple[int, int], baseline: PupilBaseline) -> dict[str, float]:
    start, end = span
    t_us = eye.gaze.t_us
    found: dict[str, float] = {}
    if len(t_us) > 1 and (end - start) / 4 >= sample_interval_us(t_us):
        quarters = chunk_statistics(t_us, eye.pupil_mm - baseline.session_mm, chunk_index(t_us, start, end, 4), 4)
        found = {f"pupil_change_quarter_{i + 1}": float(value) for i, value in enumerate(quarters.mean)}
    n_parts = max(1, round((end - start) / 1e6 / _PEAK_PART_S))
    parts = chunk_statistics(t_us, eye.pupil_mm - baseline.trial_mm, chunk_index(t_us, start, end, n_parts), n_parts)
    part_s = (end - start) / 1e6 / n_parts
    usable = np.isfinite(parts.mean) & (parts.valid_share >= _PEAK_VALID_SHARE)
    if usable.any():
        for name, at in (
            ("peak", int(np.argmax(np.where(usable, parts.mean, -np.inf)))),
            ("trough", int(np.argmin(np.where(usable, parts.mean, np.inf)))),
        ):
            found[f"pupil_{name}"] = float(parts.mean[at])
            found[f"pupil_{name}_latency"] = (at + 0.5) * part_s
    return found


def _began(events: npt.NDArray[np.void], span: tuple[int, int]) -> npt.NDArray[np.void]:
    return events[(events["t_start_us"] >= span[0]) & (events["t_start_us"] < span[1])]


def _spread(values: Float) -> float:
    return float(values.std()) if len(values) >= 2 else float("nan")


def _durations_s(events: npt.NDArray[np.void]) -> Float:
    return np.asarray((events["t_end_us"] - events["t_start_us"]) / 1e6)


def _movements(eye: EyeSignals, span: tuple[int, int]) -> dict[str, float]:
    fixations, saccades = _began(eye.movements.fixations, span), _began(eye.movements.saccades, span)
    durations = _durations_s(fixations)
    found = {"fixation_count": float(len(fixations)), "saccade_count": float(len(saccades))}
    found["fixation_duration_sd"] = _spread(durations)
    if len(durations):
        found["fixation_duration_median"] = float(np.median(durations))
    if len(durations) >= _MIN_FOR_PERCENTILES:
        found["fixation_duration_p10"], found["fixation_duration_p90"] = map(float, np.percentile(durations, [10, 90]))
    known = np.isfinite(saccades["amplitude_deg"])
    amplitudes = saccades["amplitude_deg"][known]
    found["saccade_amplitude_sd"] = _spread(amplitudes)
    if len(amplitudes):
        found["saccade_amplitude_median"] = float(np.median(amplitudes))
    found["saccade_main_sequence_slope"] = main_sequence_slope(amplitudes, saccades["peak_velocity_deg_s"][known])
    cells = grid_cells(np.stack([fixations["x_norm"], fixations["y_norm"]], axis=1))
    cells = cells[cells >= 0]
    found["scan_stationary_entropy"] = stationary_entropy(cells)
    found["scan_transition_entropy"] = transition_entropy(cells)
    return found | _focal(focal_pairs(eye.movements.fixations, eye.movements.saccades), span)


def _focal(pairs: FocalPairs, span: tuple[int, int]) -> dict[str, float]:
    inside: Int = np.flatnonzero((pairs.start_us >= span[0]) & (pairs.start_us < span[1]))
    mine = FocalPairs(pairs.start_us[inside], pairs.duration_s[inside], pairs.amplitude_deg[inside])
    found = {"k_pair_count": float(len(mine)), "k_coefficient_change": k_coefficient_change(mine, sum(span) / 2)}
    if len(mine) >= MIN_PAIRS:
        for name, values in (("duration", mine.duration_s), ("amplitude", mine.amplitude_deg)):
            found[f"k_{name}_mean"], found[f"k_{name}_sd"] = float(values.mean()), float(values.std())
    return found


def main_sequence_slope(amplitude_deg: Float, peak_velocity_deg_s: Float) -> float:
    """Return how much faster larger saccades are, deg/s per degree; NaN where too few or too alike saccades say it.

    Parameters
    ----------
    amplitude_deg, peak_velocity_deg_s : ndarray of float64, shape (n,)

    References
    ----------
    Bahill, Clark and Stark (1975), "The main sequence, a tool for studying human eye movements", Mathematical
    Biosciences 24.
    """
    low, high = _MAIN_SEQUENCE_DEG
    used = (amplitude_deg >= low) & (amplitude_deg <= high) & np.isfinite(peak_velocity_deg_s)
    x, y = amplitude_deg[used], peak_velocity_deg_s[used]
    if len(x) < _MIN_SACCADES or np.ptp(x) < _MIN_AMPLITUDE_RANGE_DEG:
        return float("nan")
    dx = x - x.mean()
    return float((dx * (y - y.mean())).sum() / (dx * dx).sum())


def _blinks(eye: EyeSignals, span: tuple[int, int]) -> dict[str, float]:
    durations = _durations_s(_began(eye.blinks, span))
    found = {"blink_count": float(len(durations)), "blink_duration_sd": _spread(durations)}
    if len(durations):
        found["blink_duration_max"] = float(durations.max())
    return found


def _faces(faces: npt.NDArray[Any]) -> dict[str, float]:
    """Summarise the analysed frames of a clip, in the order of time."""
    seen = faces[faces["found"].astype(bool)]
    found = {"face_found_share": len(seen) / len(faces)}
    for name, column in (("face_size", "size_px"), ("face_sharpness", "sharpness"), ("face_brightness", "brightness")):
        found[f"{name}_mean"] = _mean(seen[column].astype(np.float64))
    angles = np.stack([seen[f"{name}_deg"].astype(np.float64) for name in ("yaw", "pitch", "roll")], axis=1)
    for i, name in enumerate(("yaw", "pitch", "roll")):
        known = angles[np.isfinite(angles[:, i]), i]
        found[f"head_{name}_mean"], found[f"head_{name}_sd"] = _mean(known), _spread(known)
    # Neighbours only: over a frame without a face nobody knows where the head went.
    has_face = faces["found"].astype(bool)
    pair = np.flatnonzero(has_face[1:] & has_face[:-1])
    step_s = np.diff(faces["t_us"].astype(np.int64))[pair] / 1e6
    place = np.cumsum(has_face) - 1
    turn = np.linalg.norm(angles[place[pair + 1]] - angles[place[pair]], axis=1)
    usable = np.isfinite(turn) & (step_s > 0)
    if usable.any():
        found["head_speed"] = float(np.median(turn[usable] / step_s[usable]))
    return found


def _mean(values: Float) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
