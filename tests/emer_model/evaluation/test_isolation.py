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
    "logistic-both": {},
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


def fold_of(export: Path, out: Path, model: str) -> Path:
    """Train the first fold alone and return its folder."""
    train(export, out, RunConfig.of("er-7", model, **MODELS[model]), folds="0", device="cpu", threads=1)
    return out / "folds" / "fold-0"


def temperatures(fold: Path) -> dict[str, float]:
    metrics = json.loads((fold.parents[1] / "metrics.json").read_text(encoding="utf-8"))
    return metrics["targets"]["er_emotion"]["calibration"]["temperatures"]


@pytest.mark.parametrize("model", MODELS)
def test_neither_labels_nor_recordings_of_test_participants_touch_a_checkpoint(
    worlds: dict[str, Path], tmp_path: Path, model: str
) -> None:
    folds = {name: fold_of(worlds[name], tmp_path / name, model) for name in ("recorded", "relabelled", "replaced")}
    tables = {name: pd.read_parquet(fold / "predictions.parquet") for name, fold in folds.items()}
    answers = [c for c in tables["recorded"] if c.startswith("p_")] + ["prediction"]
    for name in ("relabelled", "replaced"):
        for file in ("best.safetensors", "last.safetensors", "validation.parquet"):
            path = folds["recorded"] / file
            assert path.is_file() == (folds[name] / file).is_file()
            assert not path.is_file() or path.read_bytes() == (folds[name] / file).read_bytes(), f"{name}: {file}"
        assert temperatures(folds[name]) == temperatures(folds["recorded"])
        assert (tables[name]["target"] != tables["recorded"]["target"]).mean() > 0.5  # the labels did change
    assert tables["relabelled"][answers].equals(tables["recorded"][answers])
    assert not tables["replaced"][answers].equals(tables["recorded"][answers])  # and so did what was recorded


def test_labels_of_training_participants_do(worlds: dict[str, Path], tmp_path: Path) -> None:
    """Were it not so, the test above would prove nothing."""
    one, other = (fold_of(worlds[name], tmp_path / name, "logistic-both") for name in ("recorded", "other_training"))
    assert (one / "best.safetensors").read_bytes() != (other / "best.safetensors").read_bytes()
    assert temperatures(one) != temperatures(other)
