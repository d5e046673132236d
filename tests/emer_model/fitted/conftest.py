"""A small planted world as arrays, for models that are fitted at once."""

from __future__ import annotations

import numpy as np
import pytest

from emer_model.data.arrays import Arrays

VALENCE = np.array([0.8, -0.7, -0.6, 0.3, -0.6, -0.7, 0.0])
POLARITY = np.array([0, 1, 1, 0, 1, 1, 2])


def make_world(people: int = 12, clips: int = 14, eye: int = 24, face: int = 12, seed: int = 0) -> Arrays:
    """Eyes follow the felt emotion, the face the shown one; on 0.4 of the clips the two differ."""
    rng = np.random.default_rng(seed)
    n = people * clips
    felt = rng.permutation(np.resize(np.arange(7), n))
    shown = np.where(rng.random(n) < 0.4, rng.integers(0, 7, n), felt)
    eye_of, face_of = np.random.default_rng(99).normal(size=(7, eye)), np.random.default_rng(98).normal(size=(7, face))
    summary = (eye_of[felt] + 1.5 * rng.normal(size=(n, eye))).astype(np.float32)
    face_summary = (face_of[shown] + 0.7 * rng.normal(size=(n, face))).astype(np.float32)
    mask = rng.random((n, eye)) > 0.05
    details = {kind: summary[:, i::4] for i, kind in enumerate(("averages", "extremes", "course", "rhythm"))}
    details["fixation_places"] = rng.normal(size=(n, 5)).astype(np.float32)
    present = np.ones(n, dtype=bool)
    mask[0], present[1] = False, False
    labels: dict[str, np.ndarray] = {}
    for task, emotion in (("er", felt), ("fer", shown)):
        labels[f"{task}_emotion"] = emotion.astype(np.int64)
        labels[f"{task}_polarity"] = POLARITY[emotion].astype(np.int64)
        labels[f"{task}_valence"] = np.clip(VALENCE[emotion] + 0.1 * rng.normal(size=n), -1, 1).astype(np.float32)
    inputs = {
        **details,
        "summary": np.where(mask, summary, 0).astype(np.float32),
        "eye_mask": np.repeat(mask[:, None], 4, axis=1),
        "fixation_mask": np.repeat(mask.any(axis=1)[:, None], 4, axis=1),
        "face_summary": np.where(present[:, None], face_summary, 0).astype(np.float32),
        "face_present": present,
    }
    participants = np.repeat([f"P{i:03d}" for i in range(people)], clips)
    return Arrays(inputs, labels, participants)


@pytest.fixture(scope="session")
def world() -> Arrays:
    return make_world()


@pytest.fixture(scope="session")
def strangers() -> Arrays:
    """Other people of the same world."""
    return make_world(people=8, seed=1)
