"""Summary features of a clip, computed from its chunks and fixations as the exporter computes them from samples."""

from __future__ import annotations

import numpy as np

from data_schema.signals.features import EYE_FEATURE_NAMES, SUMMARY_FEATURE_NAMES


def clip_summary(
    eye: np.ndarray, eye_mask: np.ndarray, fixations: np.ndarray, fixation_mask: np.ndarray, duration_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Summarise clips; what needs samples or a camera is masked.

    Parameters
    ----------
    eye, eye_mask : ndarray, shape (n_clips, chunks, 39)
    fixations : ndarray, shape (n_clips, fixations, 4)
    fixation_mask : ndarray of bool, shape (n_clips, fixations)
    duration_s : ndarray, shape (n_clips,)

    Returns
    -------
    summary : ndarray of float32, shape (n_clips, 79)
        0 where masked.
    mask : ndarray of bool, shape (n_clips, 79)
    """
    n, chunks, _ = eye.shape
    columns: dict[str, np.ndarray] = {}
    count = eye_mask.sum(axis=1)  # (n, 39)
    mean = _ratio(np.where(eye_mask, eye, 0.0).sum(axis=1), count)
    time = ((np.arange(chunks) + 0.5) / chunks)[None, :, None] * duration_s[:, None, None]  # (n, C, 1)
    for i, name in enumerate(EYE_FEATURE_NAMES):
        source = EYE_FEATURE_NAMES.index(name.replace("_slope", "_mean")) if name.endswith("_slope") else i
        here, values = eye_mask[:, :, source], eye[:, :, source].astype(np.float64)
        columns[name] = _slope(values, here, time[:, :, 0]) if name.endswith("_slope") else mean[:, i]
    pupil = EYE_FEATURE_NAMES.index("pupil_change_mean")
    for quarter in range(4):
        part = slice(quarter * chunks // 4, (quarter + 1) * chunks // 4)
        here = eye_mask[:, part, pupil]
        columns[f"pupil_change_quarter_{quarter + 1}"] = _ratio(
            np.where(here, eye[:, part, pupil], 0.0).sum(axis=1), here.sum(axis=1)
        )
    trial = EYE_FEATURE_NAMES.index("pupil_trial_change_mean")
    values, here = eye[:, :, trial].astype(np.float64), eye_mask[:, :, trial]
    some = here.any(axis=1)
    for name, best in (
        ("pupil_peak", np.where(here, values, -np.inf).argmax(axis=1)),
        ("pupil_trough", np.where(here, values, np.inf).argmin(axis=1)),
    ):
        columns[name] = np.where(some, values[np.arange(n), best], np.nan)
        columns[f"{name}_latency"] = np.where(some, time[np.arange(n), best, 0], np.nan)
    columns |= _fixation_columns(fixations, fixation_mask)
    table = np.stack([columns.get(name, np.full(n, np.nan)) for name in SUMMARY_FEATURE_NAMES], axis=1)
    mask = np.isfinite(table)
    return np.where(mask, table, 0.0).astype(np.float32), mask


def _fixation_columns(fixations: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    duration = np.where(mask, fixations[:, :, 3].astype(np.float64), np.nan)
    step = np.linalg.norm(np.diff(fixations[:, :, :2].astype(np.float64), axis=1), axis=2)
    amplitude = np.where(mask[:, 1:], 30.0 * step, np.nan)  # a screen is about 30 degrees wide
    return {
        "fixation_count": mask.sum(axis=1).astype(np.float64),
        "fixation_duration_sd": np.nanstd(duration, axis=1),
        "fixation_duration_p10": np.nanpercentile(duration, 10, axis=1),
        "fixation_duration_median": np.nanmedian(duration, axis=1),
        "fixation_duration_p90": np.nanpercentile(duration, 90, axis=1),
        "saccade_amplitude_sd": np.nanstd(amplitude, axis=1),
        "saccade_amplitude_median": np.nanmedian(amplitude, axis=1),
    }


def _ratio(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Divide; NaN where there is nothing."""
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _slope(values: np.ndarray, here: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Least-squares slope over the chunks that are there, three or more. Shapes (n, chunks)."""
    count = here.sum(axis=1)
    centre = _ratio(np.where(here, time, 0.0).sum(axis=1), count)
    away = np.where(here, time - centre[:, None], 0.0)
    slope = (away * values).sum(axis=1) / np.maximum((away**2).sum(axis=1), 1e-9)
    return np.where(count >= 3, slope, np.nan)
