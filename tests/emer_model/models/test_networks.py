"""What holds for every network."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emer_model.data.inputs import INPUTS
from emer_model.models import NETWORKS, EmertReference, EyeOnly, FaceOnly, LateFusion, LstmConcatenation, Mult

each_network = pytest.mark.parametrize("kind", NETWORKS, ids=lambda kind: kind.name)

MASKS = ("face_mask", "eye_mask", "fixation_mask", "gaze_points_mask", "summary_mask")
MASKED = {
    "face_features": "face_mask",
    "eye": "eye_mask",
    "fixations": "fixation_mask",
    "gaze_points": "gaze_points_mask",
    "summary": "summary_mask",
}


def test_names_are_unique_and_described() -> None:
    assert len({kind.name for kind in NETWORKS}) == len(NETWORKS)
    for kind in NETWORKS:
        assert kind.summary_line[0].isupper() and kind.summary_line.endswith(".")
        assert set(kind.inputs) <= set(INPUTS)


@each_network
def test_each_answers_every_target_of_every_clip(kind, make_network, make_batch, ask) -> None:
    network = make_network(kind)
    output = ask(network, make_batch())
    assert {name: tuple(x.shape) for name, x in output.targets.items()} == {
        "er_emotion": (3, 7),
        "er_valence": (3, 1),
        "fer_emotion": (3, 7),
        "fer_intensity": (3, 1),
    }
    for name, weights in (output.attention or {}).items():
        assert torch.allclose(weights.sum(dim=1), torch.ones(3), atol=1e-5), name


@each_network
def test_what_is_masked_changes_nothing(kind, make_network, make_batch, ask, same) -> None:
    switches = {"unmasked": False, "random_rows": False} if kind is EmertReference else {}
    network, batch = make_network(kind, **switches), make_batch()
    changed = {}
    for name, mask in MASKED.items():
        # Missing at the end: an LSTM that sees no mask carries a hole in the middle on.
        batch[mask][:, batch[mask].shape[1] * 2 // 3 :] = False
        hidden = ~batch[mask]
        hidden = hidden if hidden.dim() == batch[name].dim() else hidden.unsqueeze(2).expand_as(batch[name])
        batch[name] = batch[name].masked_fill(hidden, 0.0)
        # Eye values are zero where they are missing, by contract; all others must not be looked at.
        value = 0.0 if name == "eye" and kind.name.startswith("emert") else 7.0
        changed[name] = batch[name].masked_fill(hidden, value)
    assert same(ask(network, batch), ask(network, {**batch, **changed}))


@each_network
def test_a_change_of_what_was_measured_changes_the_answer(kind, make_network, make_batch, ask, same) -> None:
    switches = {"random_rows": False} if kind is EmertReference else {}
    network, batch = make_network(kind, **switches), make_batch()
    before = ask(network, batch)
    for name in set(network.inputs) & set(MASKED):
        changed = {**batch, name: batch[name] + 1.0 + torch.arange(batch[name].shape[-1])}
        assert not same(before, ask(network, changed)), name


@each_network
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_missing_data_gives_finite_answers_and_gradients(kind, make_network, make_batch, ask, data) -> None:
    network, batch = make_network(kind).train(), make_batch(clips=4)
    for name in MASKS:
        missing = data.draw(st.sampled_from(["nothing", "all", "first clip", "some"]), label=name)
        if missing == "all":
            batch[name][:] = False
        elif missing == "first clip":
            batch[name][0] = False
        elif missing == "some":
            drawn = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
            batch[name] &= torch.rand(batch[name].shape, generator=drawn) < 0.3
    output = ask(network, batch)
    total = sum(x.float().square().sum() for x in output.targets.values())
    if output.shared_logits is not None:
        total = total + output.shared_logits.sum() + output.specific_logits.sum()
    total.backward()
    assert all(torch.isfinite(x).all() for x in output.targets.values())
    assert all(torch.isfinite(x).all() for x in (output.attention or {}).values())
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


@each_network
def test_a_clip_does_not_depend_on_its_neighbours(kind, make_network, make_batch, ask) -> None:
    switches = {"random_rows": False} if kind is EmertReference else {}
    network, batch = make_network(kind, **switches), make_batch()
    together = ask(network, batch).targets["er_emotion"][1:2]
    alone = ask(network, {name: values[1:2] for name, values in batch.items()}).targets["er_emotion"]
    assert torch.allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("kind", [kind for kind in NETWORKS if kind is not EmertReference], ids=lambda kind: kind.name)
def test_each_learns_what_its_inputs_tell(kind, make_network, make_batch, ask) -> None:
    network, batch = make_network(kind, dropout=0.0).train(), make_batch(clips=12)
    true = torch.arange(12) % 3
    shift = 2.0 * torch.nn.functional.one_hot(true, 3).float()  # (12, 3)
    for name in ("face_features", "eye", "fixations", "summary"):
        values = batch[name]
        values[..., :3] += shift if values.dim() == 2 else shift.unsqueeze(1)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(25):
        loss = torch.nn.functional.cross_entropy(ask(network, batch).targets["er_emotion"], true)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert min(losses[-3:]) < 0.6 * losses[0]


def test_baselines_do_not_see_the_other_side() -> None:
    assert not any(name.startswith("face") for name in EyeOnly.inputs)
    assert all(name.startswith("face") for name in FaceOnly.inputs)


def test_late_fusion_is_the_mean_over_the_modalities_that_are_there(make_network, make_batch, ask) -> None:
    network, batch = make_network(LateFusion), make_batch()
    whole = ask(network, batch)
    alone = []
    for kept in ("face_mask", "eye_mask", "fixation_mask"):
        only = {n: v & (n == kept) if n.endswith("_mask") else v for n, v in batch.items()}
        alone.append(ask(network, only).targets)
    for name in whole.targets:
        mean = sum(answers[name] for answers in alone) / 3
        assert torch.allclose(whole.targets[name], mean, atol=1e-5)
    batch["eye_mask"][0] = False
    assert torch.allclose(ask(network, batch).attention["modality"][0], torch.tensor([0.5, 0.0, 0.5]))


def test_mult_looks_from_every_modality_at_every_other(make_network, make_batch, ask, same) -> None:
    network, batch = make_network(Mult), make_batch()
    assert set(network.cross) == {
        f"{source}_to_{target}"
        for target in ("face", "eye", "fixation")
        for source in ("face", "eye", "fixation")
        if source != target
    }
    before = ask(network, batch)
    for pair in network.cross:
        blocks = network.cross[pair]
        kept = {name: value.clone() for name, value in blocks.state_dict().items()}
        torch.nn.init.normal_(blocks[0].attention.to_value.weight)
        assert not same(before, ask(network, batch)), pair
        blocks.load_state_dict(kept)


def test_lstms_keep_the_order_of_time(make_network, make_batch, ask, same) -> None:
    network, batch = make_network(LstmConcatenation), make_batch()
    turned = {**batch, "eye": batch["eye"].flip(1)}
    assert not same(ask(network, batch), ask(network, turned))


@each_network
def test_mixed_precision_gives_answers_near_those_of_full_precision(kind, make_network, make_batch, ask) -> None:
    switches = {"random_rows": False} if kind is EmertReference else {}
    network, batch = make_network(kind, **switches), make_batch()
    batch["eye_mask"][0] = False
    exact = ask(network, batch).targets
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = ask(network, batch).targets
    for name, values in exact.items():
        assert torch.allclose(values, mixed[name].float(), atol=0.1), name


@each_network
def test_weights_answer_the_same_targets_in_whatever_order_these_are_named(
    kind, make_network, make_batch, ask, same
) -> None:
    # A checkpoint's description is written in the order of names; the run's targets come in the order of protocols.
    named = {"er_valence": 1, "er_emotion": 7, "fer_polarity": 3, "fer_arousal": 1}
    network, read_back = (make_network(kind, targets=dict(order)) for order in (named.items(), sorted(named.items())))
    read_back.load_state_dict(network.state_dict())
    answers = []
    for one in (network, read_back):
        torch.manual_seed(0)  # the reference draws its rows when it is asked, too
        answers.append(ask(one, make_batch()))
    assert same(*answers)
