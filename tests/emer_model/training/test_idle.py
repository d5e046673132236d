"""Settings that do nothing for a model are said."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_schema.cli import main
from emer_model.training import RunConfig
from emer_model.training.idle import idle_settings


@pytest.mark.parametrize(
    ("model", "given", "idle"),
    [
        ("stack", {"epochs": 3, "dropout": 0.1, "auxiliary_targets": (), "refit": False}, ["epochs", "dropout"]),
        ("logistic-eye", {"auxiliary_targets": ("all",), "face_size_px": 16}, ["face_size_px", "auxiliary_targets"]),
        ("eyeface-stack", {"epochs": 3, "distillation": 0.5}, ["distillation"]),
        ("eyeface", {"epochs": 3, "distillation": 0.5, "refit": False}, ["refit"]),
        ("emert", {"modality_dropout": 0.2, "dropout": 0.1}, ["modality_dropout"]),
        ("eye-only", {"face_backbone": "compact"}, ["face_backbone", "face_training"]),
    ],
)
def test_what_does_nothing_is_known(model: str, given: dict, idle: list[str]) -> None:
    assert idle_settings(RunConfig.of("er-7", model)) == []
    assert idle_settings(RunConfig.of("er-7", model, **given)) == idle


def test_the_verb_says_so(tiny_export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", str(tiny_export), "--model", "majority", "--folds", "0", "--out", str(tmp_path / "run")]
    assert main([*command, "--epochs", "5", "--set", "ema_decay=0.9", "--set", "refit=false"]) == 0
    assert "--epochs, --set ema_decay: model 'majority' makes no use of them" in capsys.readouterr().err
