"""Every network goes through the trainer, on one fold of the tiny export."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from data_schema.errors import UsageError
from emer_model.models import EmertReference, EyeFace, EyeOnly, FaceOnly, LateFusion, LstmConcatenation, Mult


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        # What is learned beside, from all targets, and without labels first.
        (EyeFace, {"auxiliary_targets": ("all",), "pretrain_epochs": 1, "model_arguments": {"width": 16}}),
        (EmertReference, {"model_arguments": {"bgr": False}}),
        (EyeOnly, {"pretrain_epochs": 1, "model_arguments": {"width": 16}}),
        (FaceOnly, {}),
        (LstmConcatenation, {}),
        (LateFusion, {"model_arguments": {"width": 16}}),
        (Mult, {"model_arguments": {"width": 16, "layers": 1}}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_each_trains_and_answers_the_test_clips_of_a_fold(kind, changes, tiny_export, tiny_config, tmp_path) -> None:
    from emer_model.training import train

    config = tiny_config(model=kind.name, epochs=1, face_backbone="descriptor", face_training="frozen", **changes)
    train(tiny_export, tmp_path / "run", config, device="cpu", threads=1, folds="0")
    record = json.loads((tmp_path / "run" / "folds" / "fold-0" / "fold.json").read_text(encoding="utf-8"))
    answers = pd.read_parquet(tmp_path / "run" / "folds" / "fold-0" / "predictions.parquet")
    assert record["epochs"] == 1 and record["parameters"] > 0
    assert len(answers) == record["clips"]["test"] == 14
    assert answers.filter(regex="^p_").sum(axis=1).to_numpy() == pytest.approx(1.0, abs=1e-5)


def test_colours_of_a_frozen_backbone_are_not_the_networks_to_choose(
    tiny_export: Path, tiny_config, tmp_path: Path
) -> None:
    from emer_model.training import train

    config = tiny_config(model="emert-reference", face_backbone="descriptor", face_training="frozen")
    with pytest.raises(UsageError, match="--set bgr=false, or choose --face-training full"):
        train(tiny_export, tmp_path / "run", config, device="cpu", threads=1, folds="0")
    assert not (tmp_path / "run" / "folds").exists()


def test_a_trained_backbone_is_fed_as_the_quirk_says() -> None:
    from emer_model.models import Emert
    from emer_model.training.faces import with_backbone

    face = {"backbone": "compact", "training": "full"}
    fed = {}
    for bgr in (False, True):
        network = Emert({"er_emotion": 7}, face_width=128, eye_features=6, bgr=bgr)
        fed[bgr] = with_backbone(network, face).backbone.preprocessing()
    assert fed == {False: "rgb imagenet", True: "bgr unit"}
