"""Models that need no epochs are fitted on the validation participants too, and judged for calibration without them."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from emer_model.training import RunConfig, train


@pytest.fixture(scope="module")
def both_ways(tiny_export: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Fold 0 of a plain model, fitted on the training participants alone, and on those of validation too."""
    folders = tmp_path_factory.mktemp("refit") / "alone", tmp_path_factory.mktemp("refit") / "both"
    for folder, refit in zip(folders, (False, True), strict=True):
        config = RunConfig("er-3", "logistic-eye", refit=refit, allow_missing_classes=True)
        train(tiny_export, folder, config, folds="0", device="cpu", threads=1)
    return folders[0] / "folds" / "fold-0", folders[1] / "folds" / "fold-0"


def test_the_kept_model_knows_the_validation_participants(both_ways: tuple[Path, Path]) -> None:
    alone, both = both_ways
    records = [json.loads((folder / "fold.json").read_text(encoding="utf-8")) for folder in both_ways]
    assert [record["fitted_on"] for record in records] == [["train"], ["train", "validation"]]
    assert records[0]["clips"] == records[1]["clips"]
    answers = [
        pd.read_parquet(folder / "predictions.parquet").filter(regex="^p_").to_numpy() for folder in (alone, both)
    ]
    assert not np.allclose(*answers)


def test_where_stimuli_are_tested_calibration_does_not_know_those_of_validation(
    own_export: Path, fixture: ModuleType, tmp_path: Path
) -> None:
    """Inner folds keep people apart, and would know the stimuli from others: the answers are of the training part alone."""
    path = own_export / "folds.json"
    folds = json.loads(path.read_text(encoding="utf-8"))
    shown = {f"s{i}": i % 3 for i in range(7)}
    path.write_text(json.dumps(folds | {"n_stimulus_folds": 3, "stimuli": shown}), encoding="utf-8")
    fixture.write_manifest(own_export)
    answers = []
    for refit in (False, True):
        config = RunConfig("er-3", "logistic-eye", refit=refit, allow_missing_classes=True, scheme="cross-stimulus")
        train(own_export, tmp_path / str(refit), config, folds="0", device="cpu", threads=1)
        answers.append(pd.read_parquet(tmp_path / str(refit) / "folds/fold-0/validation.parquet"))
    assert len(answers[0]) and answers[0].equals(answers[1])


def test_calibration_sees_answers_about_strangers(both_ways: tuple[Path, Path]) -> None:
    """As sure as one who never met them: within the folds' chance of a model fitted on others, not of a perfect memory."""
    tables = [pd.read_parquet(folder / "validation.parquet") for folder in both_ways]
    hits = [float((table["target"] == table["prediction"]).mean()) for table in tables]
    assert list(tables[0]["clip_id"]) == list(tables[1]["clip_id"])
    assert hits[1] < 0.95 and abs(hits[0] - hits[1]) < 0.35
