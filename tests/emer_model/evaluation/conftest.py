"""Predictions of planted quality, without any model."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from data_schema.vocabularies import EMOTIONS

COLUMNS = ["clip_id", "fold", "participant", "target_name", "target", "prediction", "target_value", "prediction_value"]


@pytest.fixture(scope="session")
def planted() -> SimpleNamespace:
    """Make tables of predictions of the same clips, more or less right."""
    n, people = 240, 12
    world = np.random.default_rng(0)
    clips = [f"sub-P{i % people:02d}_ses-01_trial-{i // people:03d}" for i in range(n)]
    participants = [f"P{i % people:02d}" for i in range(n)]
    truth = {name: world.integers(0, 7, n) for name in ("er_emotion", "fer_emotion")}
    values = {name: world.integers(-4, 5, n) / 4 for name in ("er_valence", "fer_valence")}
    names = np.array(EMOTIONS, dtype=object)

    def classes(quality: float, seed: int = 0, target: str = "er_emotion", sharpness: float = 1.0) -> pd.DataFrame:
        rng = np.random.default_rng([seed, 1])
        logits = rng.normal(size=(n, 7))
        logits[np.arange(n), truth[target]] += 4.0 * quality
        chances = np.exp(sharpness * logits)
        chances /= chances.sum(axis=1, keepdims=True)
        table = pd.DataFrame({"clip_id": clips, "participant": participants})
        table["fold"] = table["participant"].str[1:].astype(int) % 3
        table["target_name"], table["target"] = target, names[truth[target]]
        table["prediction"] = names[chances.argmax(axis=1)]
        table["target_value"] = table["prediction_value"] = np.float32(np.nan)
        for k, name in enumerate(EMOTIONS):
            table[f"p_{name}"] = chances[:, k].astype(np.float32)
        return table[[*COLUMNS, *(f"p_{name}" for name in EMOTIONS)]]

    def scale(noise: float, seed: int = 0, target: str = "er_valence") -> pd.DataFrame:
        rng = np.random.default_rng([seed, 2])
        table = classes(0.0)[COLUMNS].assign(target_name=target, target=None, prediction=None)
        table["target_value"] = values[target].astype(np.float32)
        table["prediction_value"] = np.clip(values[target] + noise * rng.normal(size=n), -1, 1).astype(np.float32)
        return table

    masked = pd.Series(truth["er_emotion"] != truth["fer_emotion"], index=clips, dtype="boolean")
    masked.iloc[:20] = pd.NA
    stimuli = [f"film-{i // people % 5}" for i in range(n)]
    clip_table = pd.DataFrame({"clip_id": clips, "participant": participants, "session": "01", "stimulus_id": stimuli})
    return SimpleNamespace(classes=classes, scale=scale, masked=masked, clips=clip_table)
