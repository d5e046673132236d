"""Eye features over chunks of the clip: what is planted, what people add, and what is missing."""

from __future__ import annotations

import numpy as np

from benchmarks.worlds.people import Clips
from benchmarks.worlds.settings import WorldSettings
from data_schema.signals.features import EYE_FEATURE_NAMES
from data_schema.vocabularies import EMOTIONS

CHUNKS = 32
_AT = {name: i for i, name in enumerate(EYE_FEATURE_NAMES)}
_PUPIL = [_AT[name] for name in ("pupil_change_mean", "pupil_light_free_change_mean", "pupil_trial_change_mean")]
#: Typical level and size of features in their units; the rest is made from its unit in `_scales`. Ours.
_LEVEL = {
    "gaze_x_mean": (0.5, 0.1),
    "gaze_y_mean": (0.5, 0.08),
    "pupil_change_mean": (0.1, 0.3),
    "pupil_light_free_change_mean": (0.05, 0.25),
    "pupil_trial_change_mean": (0.05, 0.2),
    "velocity_mean": (40.0, 12.0),
    "eye_distance_mean": (640.0, 25.0),
    "openness_mean": (9.0, 1.2),
    "gaze_valid_share": (0.94, 0.05),
    "pupil_valid_share": (0.92, 0.05),
    "openness_valid_share": (0.93, 0.05),
    "gaze_entropy": (1.8, 0.5),
    "fixation_rate": (2.6, 0.6),
    "fixation_duration_mean": (0.28, 0.07),
    "saccade_rate": (2.4, 0.6),
    "saccade_amplitude_mean": (4.5, 1.5),
    "saccade_peak_velocity_mean": (220.0, 60.0),
    "fixation_share": (0.75, 0.1),
    "blink_rate": (0.3, 0.2),
    "centre_distance_mean": (7.0, 2.0),
}


def eye_chunks(clips: Clips, settings: WorldSettings, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw the eye features of all clips.

    Returns
    -------
    eye : ndarray of float32, shape (n_clips, CHUNKS, 39)
        In their units; 0 where masked.
    mask : ndarray of bool, shape (n_clips, CHUNKS, 39)
    """
    n, features = len(clips.felt), len(EYE_FEATURE_NAMES)
    mixing = rng.normal(size=(6, features)) / np.sqrt(6)
    drift = 0.7 * rng.normal(size=(n, 6)) @ mixing + 0.7 * rng.normal(size=(n, features))
    values = settings.clip_noise * drift[:, None] + settings.chunk_noise * _wander(rng, (n, CHUNKS, features), 0.5)
    for plant in (_averages, _course, _shapes, _rhythms, _lags, _interactions, _bursts, _hiding):
        plant(values, clips, settings, rng)
    own_size = np.exp(settings.subject_scale * rng.normal(size=(settings.people, features)))
    own_level = settings.subject_offset * rng.normal(size=(settings.people, features))
    values = values * own_size[clips.person][:, None] + own_level[clips.person][:, None]
    mask = _measured(settings, rng, n, features)
    return np.where(mask, _in_units(values), 0.0).astype(np.float32), mask


def _wander(rng: np.random.Generator, shape: tuple[int, ...], keep: float) -> np.ndarray:
    """Draw noise that remembers a share of its last step; the steps are axis 1; variance 1."""
    noise = rng.normal(size=shape)
    for step in range(1, shape[1]):
        noise[:, step] = keep * noise[:, step - 1] + np.sqrt(1 - keep**2) * noise[:, step]
    return noise


def _some(rng: np.random.Generator, count: int) -> np.ndarray:
    """Choose features that are no pupil means."""
    return rng.choice([i for i in range(len(EYE_FEATURE_NAMES)) if i not in _PUPIL], count, replace=False)


def _averages(values: np.ndarray, clips: Clips, settings: WorldSettings, rng: np.random.Generator) -> None:
    where = _some(rng, 14)
    effect = settings.averages * rng.normal(size=(len(EMOTIONS), len(where)))
    values[:, :, where] += (clips.strength[:, None] * effect[clips.felt])[:, None]


def _course(values: np.ndarray, clips: Clips, settings: WorldSettings, rng: np.random.Generator) -> None:
    quarters = rng.normal(size=(len(EMOTIONS), 4))
    quarters -= quarters.mean(axis=1, keepdims=True)
    course = np.repeat(quarters, CHUNKS // 4, axis=1)  # (7, C)
    values[:, :, _PUPIL] += settings.course * (clips.strength[:, None] * course[clips.felt])[:, :, None]
    shared = _wander(rng, (len(clips.felt), CHUNKS, 1), 0.8)
    values[:, :, _PUPIL] = 0.7 * values[:, :, _PUPIL] + 0.5 * settings.chunk_noise * shared


def _shapes(values: np.ndarray, clips: Clips, settings: WorldSettings, rng: np.random.Generator) -> None:
    where = _some(rng, 4)
    time = (np.arange(CHUNKS) + 0.5) / CHUNKS
    waves = np.sqrt(2) * np.cos(np.pi * np.outer(np.arange(1, 5), time))  # (4, C)
    mixture = rng.normal(size=(len(EMOTIONS), len(where), len(waves)))
    mixture /= np.linalg.norm(mixture, axis=2, keepdims=True)  # one size for all: only the order differs
    values[:, :, where] += settings.shape * (mixture @ waves)[clips.felt].transpose(0, 2, 1)


def _rhythms(values: np.ndarray, clips: Clips, settings: WorldSettings, rng: np.random.Generator) -> None:
    periods = np.array([3.0, 4.0, 5.0, 6.5, 8.5, 11.0, 16.0])  # chunks
    for feature in _some(rng, 3):
        period = rng.permutation(periods)[clips.felt]
        phase = rng.uniform(0, 2 * np.pi, len(clips.felt))
        wave = np.sqrt(2) * np.sin(2 * np.pi * np.arange(CHUNKS) / period[:, None] + phase[:, None])
        values[:, :, feature] += settings.rhythm * wave


def _lags(values: np.ndarray, clips: Clips, settings: WorldSettings, rng: np.random.Generator) -> None:
    for leader, follower in _some(rng, 4).reshape(2, 2):
        lag = rng.permutation(np.arange(-3, 4))[clips.felt]
        source = _wander(rng, (len(clips.felt), CHUNKS + 6), 0.3)
        steps = np.arange(CHUNKS)[None, :] + 3
        values[:, :, leader] += settings.lag * np.take_along_axis(source, np.broadcast_to(steps, (len(lag), CHUNKS)), 1)
        values[:, :, follower] += settings.lag * np.take_along_axis(source, steps - lag[:, None], 1)


def _interactions(values: np.ndarray, clips: Clips, settings: WorldSettings, rng: np.random.Generator) -> None:
    n = len(clips.felt)
    if not settings.interaction:
        return
    bits = (clips.felt[:, None] >> np.arange(3)) & 1  # (n, 3)
    for first, second in _some(rng, 4).reshape(2, 2):  # the sign of a product
        sign = rng.choice([-1.0, 1.0], n)
        values[:, :, first] += settings.interaction * sign[:, None]
        values[:, :, second] += settings.interaction * (sign * (2 * bits[:, 0] - 1))[:, None]
    for feature in _some(rng, 2):  # far from the middle, on either side
        away = rng.choice([-1.0, 1.0], n) * bits[:, 1]
        values[:, :, feature] += 1.5 * settings.interaction * away[:, None]
    first, second = _some(rng, 2)  # above two thresholds at once
    high = rng.random(n) < 0.5
    both = np.where(bits[:, 2] == 1, True, False)
    values[:, :, first] += settings.interaction * np.where(both | high, 1.0, -1.0)[:, None]
    values[:, :, second] += settings.interaction * np.where(both | ~high, 1.0, -1.0)[:, None]


def _bursts(values: np.ndarray, clips: Clips, settings: WorldSettings, rng: np.random.Generator) -> None:
    where = _some(rng, 8)
    pattern = rng.normal(size=(len(EMOTIONS), len(where)))
    begin = rng.integers(0, CHUNKS - 3, len(clips.felt))
    steps = np.arange(CHUNKS)
    inside = (steps >= begin[:, None]) & (steps < begin[:, None] + 3)  # (n, C)
    values[:, :, where] += (
        settings.burst * inside[:, :, None] * (clips.strength[:, None] * pattern[clips.felt])[:, None]
    )


def _hiding(values: np.ndarray, clips: Clips, settings: WorldSettings, rng: np.random.Generator) -> None:
    where = _some(rng, 5)
    effect = settings.hiding * rng.normal(size=len(where))
    values[:, :, where] += clips.masked[:, None, None] * effect


def _measured(settings: WorldSettings, rng: np.random.Generator, n: int, features: int) -> np.ndarray:
    """Draw what was measured: stretches without eyes, chunks without events, clips without anything."""
    mask = np.ones((n, CHUNKS, features), dtype=bool)
    begin, length = rng.integers(0, CHUNKS, n), rng.integers(4, 22, n)
    gone = rng.random(n) < settings.eye_missing
    steps = np.arange(CHUNKS)
    mask[gone[:, None] & (steps >= begin[:, None]) & (steps < (begin + length)[:, None])] = False
    mask &= rng.random((n, CHUNKS, 1)) > 0.02
    for name, share in (("saccade_", 0.08), ("blink_duration", 0.6), ("fixation_duration", 0.05)):
        seldom = [i for i, feature in enumerate(EYE_FEATURE_NAMES) if feature.startswith(name)]
        mask[:, :, seldom] &= rng.random((n, CHUNKS, 1)) > share
    mask &= (rng.random(n) >= settings.eye_absent)[:, None, None]
    return mask


def _in_units(values: np.ndarray) -> np.ndarray:
    """Give standard values the level, size and bounds of their features."""
    result = np.empty_like(values)
    for i, name in enumerate(EYE_FEATURE_NAMES):
        level, size = _scales(name)
        signed = (
            name.endswith("_slope")
            or level == 0.0
            or name in ("gaze_x_mean", "gaze_y_mean")
            or name.startswith("pupil")
        )
        if name.endswith("share"):
            result[..., i] = np.clip(level + size * values[..., i], 0.0, 1.0)
        elif signed and not name.endswith("_sd"):
            result[..., i] = level + size * values[..., i]
        else:  # never negative: skewed as durations and amplitudes are
            result[..., i] = level * np.exp(np.clip(size / level * values[..., i], -4, 4))
    return result


def _scales(name: str) -> tuple[float, float]:
    if name in _LEVEL:
        return _LEVEL[name]
    if name.endswith("_slope"):
        return 0.0, 0.2 * _LEVEL.get(name.replace("_slope", "_mean"), (0.0, 1.0))[1]
    if name.endswith("_sd"):
        size = _LEVEL.get(name.replace("_sd", "_mean"), (0.0, 1.0))[1]
        return 0.6 * size, 0.2 * size
    if name == "blink_share":
        return 0.06, 0.03
    return (0.0, 0.02) if name == "eye_disparity_mean" else (1.0, 0.35)
