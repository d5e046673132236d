"""The test fold chooses nothing: proved by changing it and finding the same bytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from data_schema.exports.reading import TrainingExport
from emer_model.training import RunConfig, train

#: Both kinds of choice: epochs with a moving average and pretraining on unlabelled eyes, and inner folds over participants.
MODELS = {
    "eyeface": {"epochs": 2, "pretrain_epochs": 1, "ema_decay": 0.5, "logit_adjustment": 1.0, "modality_dropout": 0.2},
    "stack": {"model_arguments": {"trees": 5, "inner_folds": 2}},
}


@pytest.fixture(scope="module")
def worlds(fixture, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same study four times, with other labels or other recordings of some people."""
    root = tmp_path_factory.mktemp("isolation")
    folders = {name: root / name for name in ("recorded", "relabelled", "replaced", "other_training")}
    fixture.write_export(folders["recorded"], participants=8, n_folds=4, face_px=28, frames=2)
    with TrainingExport.open(folders["recorded"]) as export:
        split = export.splits("subject")[0]
        shards = export.clips.set_index("clip_id")["shard"]
    for name in ("relabelled", "replaced", "other_training"):
        shutil.copytree(folders["recorded"], folders[name])
        changed = split.train if name == "other_training" else split.test

        def turn(frame: pd.DataFrame, changed: tuple[str, ...] = changed) -> pd.DataFrame:
            """Give each of these clips the labels of another."""
            rows = frame["clip_id"].isin(changed).to_numpy()
            labels = [c for c in frame if c.startswith(("er_", "fer_")) and not c.endswith(("n_raters", "decided_by"))]
            frame.loc[rows, labels] = np.roll(frame.loc[rows, labels].to_numpy(), 1, axis=0)
            return frame.astype({c: float for c in labels if c.endswith(("valence", "arousal", "intensity"))})

        fixture.change_targets(folders[name], turn)
    rng = np.random.default_rng(0)
    for shard in sorted(set(shards[list(split.test)])):
        with h5py.File(folders["replaced"] / shard, "r+") as file:
            for array in (array for array in file.values() if array.ndim > 1):
                kinds = {
                    "b": rng.random(array.shape) < 0.7,
                    "u": rng.integers(0, 256, array.shape),
                    "f": 30 * rng.random(array.shape),
                }
                array[...] = kinds[array.dtype.kind].astype(array.dtype)
    fixture.write_manifest(folders["replaced"])
    return folders


@pytest.fixture(scope="module")
def fold_of(worlds: dict[str, Path], tmp_path_factory: pytest.TempPathFactory):
    """Train the first fold alone, once in each world, and return its folder."""
    root = tmp_path_factory.mktemp("runs")

    def make(world: str, model: str) -> Path:
        out = root / f"{model}_{world}"
        if not out.exists():
            config = RunConfig.of("er-7", model, **MODELS[model])
            train(worlds[world], out, config, folds="0", device="cpu", threads=1)
        return out / "folds" / "fold-0"

    return make


def temperatures(fold: Path) -> dict[str, float]:
    metrics = json.loads((fold.parents[1] / "metrics.json").read_text(encoding="utf-8"))
    return metrics["targets"]["er_emotion"]["calibration"]["temperatures"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("world", ["relabelled", "replaced"])
def test_neither_labels_nor_recordings_of_test_participants_touch_a_checkpoint(fold_of, world: str, model: str) -> None:
    before, after = fold_of("recorded", model), fold_of(world, model)
    for file in ("best.safetensors", "last.safetensors", "validation.parquet"):
        assert (before / file).is_file() == (after / file).is_file()
        assert not (before / file).is_file() or (before / file).read_bytes() == (after / file).read_bytes(), file
    assert temperatures(before) == temperatures(after)
    tables = [pd.read_parquet(fold / "predictions.parquet") for fold in (before, after)]
    assert (tables[0]["target"] != tables[1]["target"]).mean() > 0.5  # the labels did change
    answers = [c for c in tables[0] if c.startswith("p_")] + ["prediction"]
    # With other labels every test answer has the same bits; other recordings do give others.
    assert tables[0][answers].equals(tables[1][answers]) == (world == "relabelled")


def test_labels_of_training_participants_do(fold_of) -> None:
    """Were it not so, the test above would prove nothing."""
    one, other = (fold_of(world, "eyeface") for world in ("recorded", "other_training"))
    assert (one / "best.safetensors").read_bytes() != (other / "best.safetensors").read_bytes()
    assert temperatures(one) != temperatures(other)
