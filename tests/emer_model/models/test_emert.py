from __future__ import annotations

import pytest
import torch

from emer_model.faces.backbones import build_backbone
from emer_model.models import QUIRKS, Emert, EmertReference
from emer_model.models.gradient_reversal import reverse_gradient
from emer_model.models.reference_quirks import digit_order, draw_rows
from emer_model.models.with_backbone import WithBackbone


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def parts(network: torch.nn.Module) -> dict[str, int]:
    return {name: count(part) for name, part in network.named_children() if count(part)}


def test_the_reference_has_its_parameters_part_by_part() -> None:
    reference = EmertReference({"er_emotion": 7}, face_width=512, eye_features=39)
    assert parts(reference) == {
        "face": 512 * 128 + 128,
        # Three LSTM layers of 128: 4 gates, input and hidden weights, two biases.
        "eye": 4 * 128 * (39 + 128 + 2) + 2 * 4 * 128 * (128 + 128 + 2),
        "fixation": 4 * 128 * (2 + 128 + 2) + 2 * 4 * 128 * (128 + 128 + 2),
        "projections": 4 * (128 * 64 + 64),  # three specific, one shared
        "discriminator": 64 * 3 + 3,
        # Positions of both sides; of two layers: queries, keys, values, the way out, a perceptron, four norms.
        "transformer": 2 * 72 * 64 + 2 * (3 * 64 * 512 + 512 * 64 + 64 + 2 * (64 * 64 + 64) + 4 * 2 * 64),
        "heads": (64 * 32 + 32) + (32 * 16 + 16) + (16 * 8 + 8) + (8 * 7 + 7),
        "unused": (512 * 1000 + 1000) + (768 * 7 + 7),  # ImageNet's classifier; one over 768 features
    }
    whole = WithBackbone(build_backbone("resnet18"), reference)
    assert count(whole.backbone) == 11_176_512  # torchvision's resnet18 has 11,689,512 with ImageNet's classifier
    assert count(whole) == 12_768_233


def test_without_quirks_only_masks_fixations_and_heads_change_the_count() -> None:
    plain = Emert({"er_emotion": 7}, face_width=512, eye_features=39)
    assert parts(plain) == {
        "face": 65_664,
        "eye": 350_720 + 4 * 128 * 39,  # a mask channel for each eye feature
        "fixation": 331_776 + 4 * 128 * 2,  # when and how long, beside where
        "projections": 33_024,
        "discriminator": 195,
        "transformer": 289_152,
        "heads": 64 * 7 + 7,
    }
    assert 11_176_512 + count(plain) == 12_268_490


@pytest.mark.parametrize("quirk", QUIRKS)
def test_every_quirk_is_off_by_default_and_does_something(make_network, make_batch, ask, same, quirk: str) -> None:
    plain, odd = make_network(Emert), make_network(Emert, **{quirk: True})
    batch = make_batch()
    batch["eye_mask"][:, 3:6] = False
    batch["fixation_mask"][:, 9:] = False
    if quirk == "bgr":  # of the backbone
        assert (plain.bgr, odd.bgr) == (False, True)
    elif quirk == "unused_layers":
        assert plain.unused is None
        assert count(odd) == count(plain) + (12 * 1000 + 1000) + (768 * 7 + 7)
        assert not any(p.requires_grad for p in odd.unused.parameters())
    elif quirk == "gaze_points":
        assert odd.inputs == (*plain.inputs[:4], "gaze_points", "gaze_points_mask")
        assert ask(odd, batch).targets["er_emotion"].shape == (3, 7)
    elif quirk in ("no_mask_channels", "reference_heads"):
        assert count(plain) != count(odd)
        ask(odd, batch)
    else:
        odd.load_state_dict(plain.state_dict())
        assert not same(ask(plain, batch), ask(odd, batch))


def test_answers_change_from_run_to_run_with_random_rows_alone(make_network, make_batch, ask, same) -> None:
    batch = make_batch()
    plain, odd = make_network(Emert), make_network(EmertReference)
    assert same(ask(plain, batch), ask(plain, batch))
    assert not same(ask(odd, batch), ask(odd, batch))
    still = make_network(EmertReference, random_rows=False)
    assert same(ask(still, batch), ask(still, batch))


def test_frames_are_ordered_by_the_last_digit_of_their_number() -> None:
    # The middles of eight parts of 300 frames: 18, 56, 93, 131, 168, 206, 243, 281.
    assert digit_order(8) == [3, 7, 2, 6, 1, 5, 0, 4]
    assert sorted(digit_order(15)) == list(range(15))


def test_rows_are_drawn_from_neighbours_with_their_masks() -> None:
    torch.manual_seed(0)
    values = torch.arange(20.0).reshape(1, 20, 1).expand(4, 20, 1)
    drawn, mask = draw_rows(values, values.long() % 2 == 0)
    assert ((drawn - values).abs() <= 1).all()
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(mask, drawn.long() % 2 == 0)


def test_unmasked_takes_missing_steps_for_real_ones(make_network, make_batch, ask, same) -> None:
    batch = make_batch()
    batch["fixation_mask"][:, 6:] = False
    changed = {**batch, "fixations": batch["fixations"].clone()}
    changed["fixations"][:, 6:] = 5.0
    plain, odd = make_network(Emert), make_network(Emert, unmasked=True)
    assert same(ask(plain, batch), ask(plain, changed))
    assert not same(ask(odd, batch), ask(odd, changed))
    batch["fixation_mask"][:] = False
    assert ask(odd, batch).modality_mask.all()


def test_gaze_points_may_have_a_mask_for_both_coordinates(make_network, make_batch, ask, same) -> None:
    network, batch = make_network(Emert, gaze_points=True), make_batch()
    batch["gaze_points_mask"][:, 4:] = False
    twice = {**batch, "gaze_points_mask": batch["gaze_points_mask"].unsqueeze(2).expand(-1, -1, 2)}
    assert same(ask(network, batch), ask(network, twice))


def test_gradient_is_reversed_and_scaled() -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reverse_gradient(x, 0.5)
    assert torch.equal(y, x)
    (3.0 * y).sum().backward()
    assert torch.equal(x.grad, torch.tensor([-1.5, -1.5]))


def test_discriminator_pushes_shared_and_specific_subspaces_opposite_ways(make_network) -> None:
    discriminator = make_network(Emert).discriminator
    tokens = torch.randn(4, 5, 16, requires_grad=True)
    mask = torch.ones(4, 5, dtype=torch.bool)
    true = torch.tensor([0, 1, 2, 0])
    gradients = []
    for adversarial in (False, True):
        loss = torch.nn.functional.cross_entropy(discriminator(tokens, mask, adversarial), true)
        gradients.append(torch.autograd.grad(loss, tokens)[0])
    assert gradients[0].abs().max() > 0
    assert torch.allclose(gradients[0], -gradients[1])


def test_queries_are_shared_tokens_and_keys_are_specific_tokens(make_network) -> None:
    transformer = make_network(Emert).transformer
    shared, specific = torch.randn(2, 36, 16), torch.randn(2, 36, 16)
    mask = torch.ones(2, 36, dtype=torch.bool)
    mask[:, 10:] = False
    before = transformer(specific, shared, mask)
    changed = specific.clone()
    changed[:, 10:] = 9.0  # keys that no one may attend to
    assert torch.allclose(before, transformer(changed, shared, mask), atol=1e-6)
    changed[:, :10] = 9.0
    assert not torch.allclose(before, transformer(changed, shared, mask), atol=1e-3)


def test_the_discriminators_answers_are_those_of_three_modalities(make_network, make_batch, ask) -> None:
    output = ask(make_network(Emert), make_batch())
    assert output.shared_logits.shape == output.specific_logits.shape == (3, 3, 3)
