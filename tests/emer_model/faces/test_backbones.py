"""Face backbones: their own preprocessing, and a first half that can be frozen."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from data_schema.errors import TrainingError
from emer_model.faces.backbones import FACE_BACKBONES, build_backbone
from emer_model.models.output import ModelOutput
from emer_model.models.with_backbone import WithBackbone


class Mean(nn.Module):
    """The smallest network over face features."""

    name = "mean"
    inputs = ("face_features", "eye")

    def __init__(self, width: int, inputs: tuple[str, ...] = inputs) -> None:
        super().__init__()
        self.inputs = inputs
        self.head = nn.Linear(width, 3)

    def forward(self, face_features, eye) -> ModelOutput:
        return ModelOutput(targets={"er_polarity": self.head(face_features.mean(dim=1)) + 0 * eye.sum()})


def batch(clips: int = 3, frames: int = 2, px: int = 32) -> dict[str, torch.Tensor]:
    made = torch.Generator().manual_seed(0)
    faces = torch.randint(0, 256, (clips, frames, px, px, 3), generator=made, dtype=torch.uint8)
    mask = torch.ones(clips, frames, dtype=torch.bool)
    mask[1, 1] = False
    return {"faces": faces, "face_mask": mask, "eye": torch.ones(clips, 4, 2)}


def step(model: WithBackbone) -> None:
    model.train()
    model(**batch()).targets["er_polarity"].square().sum().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad


@pytest.mark.parametrize("name", FACE_BACKBONES)
def test_pictures_are_prepared_as_the_weights_expect(name: str) -> None:
    grey = torch.full((1, 32, 32, 3), 128, dtype=torch.uint8)
    red = torch.tensor([255, 0, 0], dtype=torch.uint8).expand(1, 32, 32, 3)
    ours, bgr = build_backbone(name), build_backbone(name, bgr=True)
    plain = build_backbone(name, normalise=False)
    expected = (128 / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    assert torch.allclose(ours.prepare(grey)[0, :, 5, 5], expected, atol=1e-6)
    assert torch.allclose(plain.prepare(red)[0, :, 5, 5], torch.tensor([1.0, 0.0, 0.0]))
    assert torch.allclose(bgr.prepare(red).flip(1), ours.prepare(red))
    assert ours.prepare(grey.repeat(2, 1, 1, 1)).is_contiguous(memory_format=torch.channels_last)
    assert not any("image" in key for key in ours.state_dict())  # as in files of others


def test_both_halves_are_the_whole() -> None:
    for name in FACE_BACKBONES:
        backbone = build_backbone(name)
        lower = {id(p) for module in backbone.bottom_modules() for p in module.parameters()}
        images = torch.randn(2, 3, 32, 32, requires_grad=True)
        backbone.eval()
        assert torch.equal(backbone(images), backbone.top(backbone.bottom(images)))
        backbone.bottom(images).sum().backward()
        reached = {id(p) for p in backbone.parameters() if p.grad is not None}
        assert reached == lower, name
    assert sum(p.numel() for p in build_backbone("resnet18").parameters()) == 11_176_512


def test_half_freezes_the_first_half_and_its_statistics() -> None:
    torch.manual_seed(0)
    model = WithBackbone(build_backbone("compact"), Mean(128), half=True)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    step(model)
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert {"network.head.weight", "backbone.layers.6.weight", "backbone.layers.7.running_mean"} <= changed
    assert not any(key.startswith(f"backbone.layers.{i}.") for i in range(6) for key in changed)
    assert all(p.grad is None for module in model.backbone.bottom_modules() for p in module.parameters())
    assert not any(module.training for module in model.backbone.bottom_modules())
    assert model.backbone.layers[7].training

    full = WithBackbone(build_backbone("compact"), Mean(128), half=False)
    before = {key: value.clone() for key, value in full.state_dict().items()}
    step(full)
    assert not torch.equal(before["backbone.layers.0.weight"], full.backbone.layers[0].weight)
    assert not torch.equal(before["backbone.layers.1.running_mean"], full.backbone.layers[1].running_mean)


def test_frames_without_a_face_are_not_looked_at() -> None:
    model = WithBackbone(build_backbone("compact"), Mean(128)).train()
    assert model.inputs == ("faces", "eye", "face_mask")
    one, other = batch(), batch()
    other["faces"][1, 1] = 255
    statistics = []
    for given in (one, other):
        model.backbone.layers[1].reset_running_stats()
        features = model.features(given["faces"], given["face_mask"])
        assert features.shape == (3, 2, 128)
        assert features.dtype == torch.float32
        assert not features[1, 1].any()
        assert features[1, 0].any()
        statistics.append(model.backbone.layers[1].running_mean.clone())
    assert torch.equal(*statistics)
    nobody = torch.zeros(3, 2, dtype=torch.bool)
    assert not model.features(one["faces"], nobody).any()


def test_a_graph_for_export_gives_the_same_without_looking_at_the_mask_first(monkeypatch: pytest.MonkeyPatch) -> None:
    model = WithBackbone(build_backbone("compact"), Mean(128)).eval()
    given = batch()
    with torch.no_grad():
        expected = model.features(given["faces"], given["face_mask"])
        monkeypatch.setattr("torch.compiler.is_exporting", lambda: True)
        monkeypatch.setattr(torch.Tensor, "nonzero", None)
        exported = model.features(given["faces"], given["face_mask"])
    assert torch.allclose(exported, expected, atol=1e-5)
    assert not exported[1, 1].any()


def test_bf16_features_come_out_as_float32() -> None:
    model = WithBackbone(build_backbone("compact"), Mean(128)).eval()
    given = batch()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert model.features(given["faces"], given["face_mask"]).dtype == torch.float32


def test_networks_that_see_no_single_frames_are_refused() -> None:
    with pytest.raises(TrainingError, match="'mean' does not look at single face frames.*it takes eye"):
        WithBackbone(build_backbone("compact"), Mean(128, ("eye",)))
    with pytest.raises(TrainingError, match="takes face_summary, which is computed before training"):
        WithBackbone(build_backbone("compact"), Mean(128, ("face_features", "face_summary")))
