from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from emer_model.data.targets import target
from emer_model.fitted.model import FittedModel
from emer_model.understanding.attribution import attribute
from emer_model.understanding.features import group_columns

NAMES = {
    "eye": ("pupil_change_mean", "gaze_x_mean"),
    "summary": (
        "clip/pupil_change_quarter_2", "clip/scan_transition_entropy", "head/head_yaw_sd", "head/face_size_mean",
        "chunks/gaze_x_mean/slope", "fixations/x_norm/mean", "clip/blink_count",
    ),
    "fixation_places": ("fixations/cell_1_2", "fixations/log_duration/mean", "fixations/number"),
    "averages": ("averages/pupil_change_mean/mean", "averages/gaze_x_mean/mean"),
}  # fmt: skip


class _Clips:
    """Clips of two averages, as a dataset gives them."""

    def __init__(self, values: list[list[float]]) -> None:
        self.store = SimpleNamespace(names=NAMES)
        self._batch = {
            "averages": torch.tensor(values),
            "eye_mask": torch.ones(len(values), 1, 1, dtype=torch.bool),
        }

    def __len__(self) -> int:
        return len(self._batch["averages"])

    def __getitems__(self, places: list[int]) -> dict[str, torch.Tensor]:
        return {name: values[places] for name, values in self._batch.items()}


def _model(predictor: dict) -> FittedModel:
    members = {"a": {"view": "averages", "predictor": predictor}}
    return FittedModel("test", members, {"er_valence": {"members": ["a"], "combination": {"kind": "only"}}}).eval()


def test_columns_of_one_feature_belong_together() -> None:
    groups = group_columns(
        SimpleNamespace(names=NAMES),
        {"eye": 2, "summary": 7, "fixation_places": 3, "face_features": 5, "gaze_points": 2},
    )
    said = {name: [groups.names[i] for i in columns] for name, columns in groups.columns.items()}
    assert said["summary"] == [
        "pupil_change_mean", "scan_transition_entropy", "head", "face", "gaze_x_mean", "fixation x_norm", "blink_count",
    ]  # fmt: skip
    assert said["fixation_places"] == ["fixation place", "fixation duration_s", "fixation count"]
    assert set(said["face_features"]) == {"face"} and set(said["gaze_points"]) == {"gaze point"}
    modality = dict(zip(groups.names, groups.modalities, strict=True))
    assert modality["scan_transition_entropy"] == "fixations" and modality["blink_count"] == "eyes"
    assert modality["head"] == "face" and len(groups.names) == len(set(groups.names))


def test_a_linear_model_has_the_parts_that_it_adds_up() -> None:
    model = _model({"kind": "linear", "columns": 2, "outputs": 1, "classes": False})
    predictor = model.members["a"].predictor
    predictor.weights.copy_(torch.tensor([[2.0, -1.0]]))
    predictor.bias.fill_(0.5)
    found = attribute(model, _Clips([[1.0, 3.0], [-0.5, 0.25]]), [target("er_valence")], torch.device("cpu"))
    assert found.method == "integrated gradients" and found.groups.names == ("pupil_change_mean", "gaze_x_mean")
    np.testing.assert_allclose(found.parts[:, 0], [[2.0, -3.0], [-1.0, -0.25]], atol=1e-5)
    np.testing.assert_allclose(found.baseline[:, 0], 0.5)
    np.testing.assert_allclose(found.answers - found.baseline, found.parts.sum(axis=2), atol=1e-5)


def test_a_tree_has_no_gradient_and_yet_its_parts() -> None:
    model = _model(
        {"kind": "trees", "trees": 1, "nodes": 1, "leaves": 2, "depth": 1, "columns": 2, "width": 1, "outputs": 1,
         "classes": False}
    )  # fmt: skip
    trees = model.members["a"].predictor
    trees.left.fill_(-1)  # leaf 0
    trees.right.fill_(-2)  # leaf 1
    trees.feature.fill_(1)
    trees.threshold.fill_(0.5)
    trees.value.copy_(torch.tensor([[0.0], [2.0]]))
    found = attribute(model, _Clips([[9.0, 3.0], [9.0, 0.25]]), [target("er_valence")], torch.device("cpu"))
    assert found.method == "sampled Shapley values"
    np.testing.assert_allclose(found.parts[:, 0], [[0.0, 2.0], [0.0, 0.0]], atol=1e-6)
    assert found.answers[:, 0] == pytest.approx([2.0, 0.0])
