from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from data_schema.errors import TrainingError
from emer_model.models import Emert, EyeFace
from emer_model.models.modality_dropout import ModalityDropout
from emer_model.models.statistics_encoder import step_statistics
from emer_model.models.step_dropout import StepDropout

each_encoder = pytest.mark.parametrize("encoder", ["tcn", "transformer", "statistics"])
each_pooling = pytest.mark.parametrize("pooling", ["cls", "attention", "mean"])


def test_a_network_for_an_export_of_emers_size_stays_below_a_million_parameters() -> None:
    targets = {"er_emotion": 7, "er_polarity": 3, "er_valence": 1, "er_arousal": 1}
    targets |= {"fer_emotion": 7, "fer_polarity": 3, "fer_valence": 1, "fer_arousal": 1, "fer_intensity": 1}
    network = EyeFace(targets, face_width=512, eye_features=39, summary_features=400)
    assert sum(p.numel() for p in network.parameters()) < 300_000


@each_encoder
@each_pooling
def test_attention_tells_where_it_looked(make_network, make_batch, ask, encoder: str, pooling: str) -> None:
    network, batch = make_network(EyeFace, encoder=encoder, pooling=pooling), make_batch()
    batch["eye_mask"][:, 10:] = False
    batch["face_mask"][:, 2] = False
    attention = ask(network, batch).attention
    expected = {"face": (3, 8), "fixation": (3, 12)}
    if encoder != "statistics":
        expected["eye"] = (3, 16)
        assert (attention["eye"][:, 10:] == 0).all()
    if pooling != "mean":
        expected["modality"] = (3, 4)
    assert {name: tuple(x.shape) for name, x in attention.items()} == expected
    assert (attention["face"][:, 2] == 0).all()
    for weights in attention.values():
        assert torch.allclose(weights.sum(dim=1), torch.ones(3), atol=1e-5)


@each_encoder
def test_a_missing_value_is_told_from_an_average_one(make_network, make_batch, ask, same, encoder: str) -> None:
    network, batch = make_network(EyeFace, encoder=encoder), make_batch()
    batch["eye"][:, 3, 2] = 0.0
    measured = ask(network, batch)
    batch["eye_mask"][:, 3, 2] = False
    assert not same(measured, ask(network, batch))


@each_encoder
def test_time_matters(make_network, make_batch, ask, same, encoder: str) -> None:
    network, batch = make_network(EyeFace, encoder=encoder), make_batch()
    turned = {**batch, "eye": batch["eye"].flip(1)}
    assert not same(ask(network, batch), ask(network, turned))


def test_missing_modalities_have_tokens_of_their_own(make_network, make_batch, ask) -> None:
    network, batch = make_network(EyeFace), make_batch()
    batch["eye_mask"][:] = False
    before = ask(network, batch).targets["er_emotion"]
    with torch.no_grad():
        network.modality_dropout.missing[1].normal_()  # of the eye chunks
    assert not torch.allclose(before, ask(network, batch).targets["er_emotion"], atol=1e-5)
    whole = make_batch()
    before = ask(network, whole).targets["er_emotion"]
    with torch.no_grad():
        network.modality_dropout.missing.normal_()
    assert torch.equal(before, ask(network, whole).targets["er_emotion"])


def test_modalities_are_taken_away_in_training_alone_and_never_all_of_them() -> None:
    torch.manual_seed(0)
    layer = ModalityDropout(3, width=2, share=0.5)
    tokens, present = torch.ones(2000, 3, 2), torch.ones(2000, 3, dtype=torch.bool)
    present[:500, 0] = False
    present[:100] = False  # nothing at all: stays nothing
    kept_tokens, kept = layer(tokens, present)
    assert not (kept & ~present).any()
    assert kept[100:].any(dim=1).all()
    # A half each; of three, the eighth draw that leaves nothing keeps everything: 1/2 + 1/8.
    assert kept[500:].float().mean(dim=0).tolist() == pytest.approx([0.625] * 3, abs=0.04)
    assert torch.equal(kept_tokens[~kept], layer.missing.expand(2000, 3, 2)[~kept])
    assert (kept_tokens[kept] == 1).all()
    assert torch.equal(layer.eval()(tokens, present)[1], present)


def test_the_linear_path_forgets_what_was_taken_away(make_network, make_batch, ask) -> None:
    network, batch = make_network(EyeFace), make_batch()
    batch["summary_mask"][:] = False
    batch["face_mask"][:] = False
    before = ask(network, batch).targets["er_emotion"]
    torch.nn.init.normal_(network.heads.linear.weight)
    assert torch.allclose(before, ask(network, batch).targets["er_emotion"], atol=1e-6)


@pytest.mark.parametrize("linear_path", [True, False])
def test_felt_targets_hear_of_shown_ones_and_not_the_other_way(make_network, make_batch, ask, linear_path) -> None:
    network, batch = make_network(EyeFace, linear_path=linear_path), make_batch()
    answers = ask(network, batch).targets
    for name, hears in (("er_emotion", True), ("fer_intensity", False)):
        gradient = torch.autograd.grad(answers[name].sum(), network.heads.shown.layers[0].weight, retain_graph=True)[0]
        rows = gradient[:7].abs().max() > 0  # of the shown emotion
        assert bool(rows) is hears
    deaf = make_network(EyeFace, shown_to_felt=False)
    assert deaf.heads.join is None
    ask(deaf, batch)


@pytest.mark.parametrize("targets", [{"er_emotion": 7}, {"fer_emotion": 7}, {"fer_intensity": 1, "er_polarity": 3}])
def test_heads_of_any_protocol_come_in_its_order(make_network, make_batch, ask, targets: dict[str, int]) -> None:
    network = make_network(EyeFace, targets=targets, head_widths=[8])
    answers = ask(network, make_batch()).targets
    assert [(name, x.shape[1]) for name, x in answers.items()] == list(targets.items())


def test_statistics_are_those_of_the_measured_steps() -> None:
    values = torch.zeros(1, 8, 2)
    values[0, :, 0] = torch.tensor([0.0, 1, 2, 3, 4, 5, 6, 99])
    mask = torch.ones(1, 8, 2, dtype=torch.bool)
    mask[0, 7, 0] = False
    mask[0, :, 1] = False
    values = values * mask
    mean, spread, slope, share, *quarters = step_statistics(values, mask)[0].unflatten(0, (8, 2))[:, 0].tolist()
    assert mean == pytest.approx(3.0)
    assert spread == pytest.approx(2.0, abs=1e-2)
    assert slope == pytest.approx(3.5, abs=0.05)  # one a step, over half a clip of seven steps
    assert share == pytest.approx(7 / 8)
    assert quarters == pytest.approx([0.5, 2.5, 4.5, 6.0])
    assert (step_statistics(values, mask)[0].unflatten(0, (8, 2))[:, 1] == 0).all()


def test_step_dropout_takes_a_feature_from_all_steps() -> None:
    torch.manual_seed(0)
    layer = StepDropout(0.25)
    dropped = layer(torch.ones(200, 5, 8))
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert dropped.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.05)
    assert torch.equal(layer.eval()(dropped), dropped)


def test_what_is_not_known_is_said() -> None:
    with pytest.raises(TrainingError, match="no pooling 'max'"):
        EyeFace({"er_emotion": 7}, 4, 4, pooling="max")
    with pytest.raises(TrainingError, match="no sequence encoder 'lstm'"):
        EyeFace({"er_emotion": 7}, 4, 4, encoder="lstm")


def test_the_trunk_takes_a_tenth_of_the_work_of_emerts_head() -> None:
    # Multiplications, so that no other process can spoil it; benchmarks/train_speed.py measures time.
    # LSTMs are not counted, which makes EMERT's head look lighter than it is.
    batch = {
        "face_features": torch.randn(4, 8, 512),
        "face_mask": torch.ones(4, 8, dtype=torch.bool),
        "eye": torch.randn(4, 32, 39),
        "eye_mask": torch.ones(4, 32, 39, dtype=torch.bool),
        "fixations": torch.randn(4, 32, 4),
        "fixation_mask": torch.ones(4, 32, dtype=torch.bool),
        "summary": torch.randn(4, 240),
        "summary_mask": torch.ones(4, 240, dtype=torch.bool),
    }

    def work(network: torch.nn.Module) -> int:
        with FlopCounterMode(display=False) as counter:
            network(**{name: batch[name] for name in network.inputs}).targets["er_emotion"].sum().backward()
        return counter.get_total_flops()

    trunk = work(EyeFace({"er_emotion": 7}, face_width=512, eye_features=39, summary_features=240))
    assert 0 < trunk < work(Emert({"er_emotion": 7}, face_width=512, eye_features=39)) / 10
