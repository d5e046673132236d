"""The files of a run have the columns that the reference page declares for them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pandas as pd
import pytest

from data_schema.cli import main
from data_schema.exports.columns import RUN_CURVES, RUN_METRICS, RUN_PREDICTIONS

pytest.importorskip("torch", reason="needs torch")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A fold of a small run."""
    path = Path(__file__).resolve().parents[2] / "emer_model" / "export_fixture.py"
    spec = importlib.util.spec_from_file_location("planted_export", path)
    planted = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(planted)
    folder = tmp_path_factory.mktemp("run")
    export = planted.write_export(folder / "export", face_px=28, frames=2)
    argv = ["train", str(export), "--protocol", "er-7", "--folds", "0", "--out", str(folder / "run"), "--epochs", "1"]
    assert main([*argv, "--model", "eye-only", "--device", "cpu"]) == 0
    return folder / "run"


def names(declared):
    return [column.name for column in declared]


def test_predictions(run):
    table = pd.read_parquet(run / "predictions.parquet")
    assert [name for name in table.columns if not name.startswith("p_")] == names(RUN_PREDICTIONS)[:-1]
    assert {str(table[name].dtype) for name in table.columns if name.startswith("p_")} == {"float32"}


def test_curves(run):
    table = pd.read_csv(run / "curves.csv")
    assert table["epoch"].tolist() == [1]
    fixed = [name for name in names(RUN_CURVES) if name == name.lower()]
    others = [name for name in table.columns if name not in fixed]
    assert set(fixed) <= set(table.columns)
    assert all(name.startswith(("train_", "val_er_emotion_")) for name in others), others


def test_metrics(run):
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert set(metrics) == {name for name in names(RUN_METRICS) if "." not in name}
    prefix = "targets.NAME."
    declared = {name.removeprefix(prefix) for name in names(RUN_METRICS) if name.startswith(prefix)}
    assert set(metrics["targets"]["er_emotion"]) == declared
