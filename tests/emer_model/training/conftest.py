"""Small clips in memory, whose label shows in the eyes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from emer_model.data.arrays import Arrays
from emer_model.registry import build_model
from emer_model.training import RunConfig


@pytest.fixture(scope="session")
def make_clips():
    """Make clips of random numbers, in which one eye feature is high for each class."""

    def make(n: int, seed: int = 0) -> Arrays:
        rng = np.random.default_rng(seed)
        felt = rng.integers(0, 7, n)
        eye = rng.normal(size=(n, 8, 7)).astype(np.float32)
        eye += 2.0 * np.eye(7, dtype=np.float32)[felt][:, None]
        inputs = {
            "face_features": rng.normal(size=(n, 2, 6)).astype(np.float32),
            "face_mask": np.ones((n, 2), dtype=bool),
            "eye": eye,
            "eye_mask": np.ones(eye.shape, dtype=bool),
            "fixations": rng.normal(size=(n, 4, 4)).astype(np.float32),
            "fixation_mask": np.ones((n, 4), dtype=bool),
            "summary": rng.normal(size=(n, 3)).astype(np.float32),
            "summary_mask": np.ones((n, 3), dtype=bool),
        }
        valence = rng.uniform(-1, 1, n).astype(np.float32)
        valence[::5] = np.nan
        return Arrays(inputs, {"er_emotion": felt, "er_valence": valence}, np.repeat("P001", n))

    return make


@pytest.fixture(scope="session")
def make_network():
    """Build the small trunk with the same first weights each time."""

    def make(**changes):
        sizes = {"face_width": 6, "eye_features": 7, "summary_features": 3, "face_frames": 2, "eye_chunks": 8}
        arguments = {
            "targets": {"er_emotion": 7, "er_valence": 1},
            **sizes,
            "fixations": 4,
            "width": 32,
            "dropout": 0.1,
            **changes,
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return build_model("eyeface", arguments)

    return make


@pytest.fixture(scope="session")
def settings():
    """Settings of a short training."""

    def make(**changes):
        return RunConfig.of(
            "er-7", "eyeface", **({"epochs": 4, "ema_decay": 0.9, "batch_size": 8, "learning_rate": 5e-3} | changes)
        )

    return make
