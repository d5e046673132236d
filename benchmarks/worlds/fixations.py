"""Sequences of fixations: where and for how long."""

from __future__ import annotations

import numpy as np

from benchmarks.worlds.people import Clips
from benchmarks.worlds.settings import WorldSettings
from data_schema.vocabularies import EMOTIONS

FIXATIONS = 32
#: Places on the screen that draw the gaze, share of width and height; ours.
SPOTS = np.array([[0.3, 0.3], [0.7, 0.3], [0.5, 0.5], [0.3, 0.7], [0.7, 0.7], [0.15, 0.5], [0.85, 0.5]])


def fixation_sequences(
    clips: Clips, settings: WorldSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw fixations of each clip's beginning.

    Returns
    -------
    fixations : ndarray of float32, shape (n_clips, FIXATIONS, 4)
        x_norm, y_norm, onset_s, duration_s in order of time; 0 where masked.
    mask : ndarray of bool, shape (n_clips, FIXATIONS)
    """
    n, classes = len(clips.felt), len(EMOTIONS)
    liking = np.exp(2.0 * settings.places * rng.normal(size=(classes, len(SPOTS))))
    liking /= liking.sum(axis=1, keepdims=True)
    length = settings.durations * rng.normal(size=classes)
    spread = np.exp(0.5 * settings.durations * rng.normal(size=classes))
    bias = 0.05 * settings.subject_offset * rng.normal(size=(settings.people, 2))
    pace = 0.2 * settings.subject_offset * rng.normal(size=settings.people)

    share = liking[clips.felt].cumsum(axis=1)  # (n, spots)
    spot = (share[:, None, :] > rng.random((n, FIXATIONS, 1))).argmax(axis=2)
    place = SPOTS[spot] + bias[clips.person][:, None] + 0.06 * rng.normal(size=(n, FIXATIONS, 2))
    logs = (pace[clips.person] + length[clips.felt] * clips.strength + 0.15 * rng.normal(size=n))[:, None]
    duration = 0.26 * np.exp(logs + 0.4 * spread[clips.felt][:, None] * rng.normal(size=(n, FIXATIONS)))
    duration = np.clip(duration, 0.06, 2.5)
    pause = 0.03 + 0.05 * rng.random((n, FIXATIONS))
    onset = np.cumsum(duration + pause, axis=1) - duration
    count = rng.integers(FIXATIONS // 2, FIXATIONS + 1, n)
    mask = np.arange(FIXATIONS) < count[:, None]
    values = np.concatenate([place, onset[:, :, None], duration[:, :, None]], axis=2)
    return np.where(mask[:, :, None], values, 0.0).astype(np.float32), mask
