from __future__ import annotations

import pytest
import torch

from data_schema.errors import UsageError
from emer_model.faces.resnet import ResNet18
from emer_model.models import MODELS, Emert, build_model
from emer_model.models.gradient_reversal import reverse_gradient


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.fixture
def emert() -> Emert:
    torch.manual_seed(0)
    return Emert({"er_emotion": 7, "fer_intensity": 1}, eye_features=6, face_backbone="compact").eval()


def inputs(batch: int = 3, px: int = 28) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    return {
        "faces": torch.randint(0, 256, (batch, 8, px, px, 3), dtype=torch.uint8, generator=draw),
        "face_mask": torch.ones(batch, 8, dtype=torch.bool),
        "eye": torch.randn(batch, 32, 6, generator=draw),
        "eye_mask": torch.ones(batch, 32, 6, dtype=torch.bool),
        "fixations": torch.randn(batch, 32, 4, generator=draw),
        "fixation_mask": torch.ones(batch, 32, dtype=torch.bool),
    }


def test_resnet_has_the_parameters_of_torchvisions_trunk() -> None:
    # torchvision's resnet18 has 11,689,512, of which 513,000 are its ImageNet classifier.
    assert count(ResNet18()) == 11_176_512 == 11_689_512 - 513_000


def test_reference_structure_part_by_part() -> None:
    reference = Emert({"er_emotion": 7}, eye_features=39, fixation_features=2, mask_channels=False)
    assert {name: count(part) for name, part in reference.named_children()} == {
        "face": 11_176_512 + 512 * 128 + 128,
        "eye": 350_720,
        "fixation": 331_776,
        "projections": 4 * (128 * 64 + 64),  # three specific, one shared
        "discriminator": 195,
        "transformer": 289_152,
        "heads": 2_807,
    }
    assert count(reference) == 12_249_850
    # The reference counts 12.77 million: with two layers that its forward pass never uses,
    # the ImageNet classifier and a Linear(768, 7).
    assert count(reference) + 513_000 + (768 * 7 + 7) == 12_768_233


def test_gradient_is_reversed_and_scaled() -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reverse_gradient(x, 0.5)
    assert torch.equal(y, x)
    (3.0 * y).sum().backward()
    assert torch.equal(x.grad, torch.tensor([-1.5, -1.5]))


def test_discriminator_pushes_shared_and_specific_subspaces_opposite_ways(emert: Emert) -> None:
    from emer_model.training.loss import modality_loss

    tokens = torch.randn(4, 5, 64, requires_grad=True)
    mask = torch.ones(4, 5, dtype=torch.bool)
    gradients = []
    for adversarial in (False, True):
        logits = emert.discriminator(tokens, mask, adversarial).unsqueeze(1).expand(4, 3, 3)
        gradients.append(torch.autograd.grad(modality_loss(logits, None), tokens)[0])
    assert gradients[0].abs().max() > 0
    assert torch.allclose(gradients[0], -gradients[1])


def test_output_shapes(emert: Emert) -> None:
    output = emert(**inputs())
    assert output.targets["er_emotion"].shape == (3, 7)
    assert output.targets["fer_intensity"].shape == (3, 1)
    assert output.shared_logits.shape == output.specific_logits.shape == (3, 3, 3)


@pytest.mark.parametrize(
    ("values", "mask", "where"),
    [
        ("faces", "face_mask", (slice(None), slice(5, 8))),
        ("fixations", "fixation_mask", (slice(None), slice(20, 32))),
    ],
)
def test_what_is_masked_changes_nothing(emert: Emert, values: str, mask: str, where: tuple) -> None:
    given = inputs()
    given[mask][where] = False
    before = emert(**given)
    given[values][where] = 77
    after = emert(**given)
    assert torch.allclose(before.targets["er_emotion"], after.targets["er_emotion"], atol=1e-6)


def test_a_missing_chunk_is_told_from_an_average_one(emert: Emert) -> None:
    given = inputs()
    given["eye"][:, 3] = 0
    measured = emert(**given).targets["er_emotion"]
    given["eye_mask"][:, 3] = False
    missing = emert(**given).targets["er_emotion"]
    assert not torch.allclose(measured, missing, atol=1e-6)


def test_a_clip_without_eyes_and_without_anything_gives_finite_answers_and_gradients(emert: Emert) -> None:
    given = inputs()
    for name in ("eye_mask", "fixation_mask"):
        given[name][0] = False
    for name in ("face_mask", "eye_mask", "fixation_mask"):
        given[name][1] = False
    emert.train()
    output = emert(**given)
    assert output.modality_mask.tolist() == [[True, False, False], [False] * 3, [True] * 3]
    output.targets["er_emotion"].sum().backward()
    assert torch.isfinite(output.targets["er_emotion"]).all()
    assert all(torch.isfinite(p.grad).all() for p in emert.parameters() if p.grad is not None)


def test_queries_are_shared_tokens_and_keys_are_specific_tokens(emert: Emert) -> None:
    transformer = emert.transformer
    shared, specific = torch.randn(2, 72, 64), torch.randn(2, 72, 64)
    mask = torch.ones(2, 72, dtype=torch.bool)
    mask[:, 10:] = False
    before = transformer(specific, shared, mask)
    changed = specific.clone()
    changed[:, 10:] = 9.0  # keys that no one may attend to
    assert torch.allclose(before, transformer(changed, shared, mask), atol=1e-6)
    changed[:, :10] = 9.0
    assert not torch.allclose(before, transformer(changed, shared, mask), atol=1e-3)


def test_face_only_ignores_the_eyes() -> None:
    model = build_model("face-only", {"targets": {"er_emotion": 7}, "face_backbone": "compact"}).eval()
    given = inputs()
    before = model(**given).targets["er_emotion"]
    given["eye"] = given["eye"] + 1
    given["fixations"] = given["fixations"] + 1
    assert torch.equal(before, model(**given).targets["er_emotion"])


def test_names_that_are_not_known_are_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'emert'"):
        build_model("emrt", {})
    with pytest.raises(UsageError, match="no face backbone 'resnet19'"):
        Emert({"er_emotion": 7}, eye_features=6, face_backbone="resnet19")
    assert set(MODELS) == {"emert", "face-only"}
