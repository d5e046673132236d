from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from data_schema.errors import TrainingError
from emer_model.data.targets import MISSING_CLASS, target
from emer_model.training.batches import SOFT_PREFIX, ArrayBatches, epoch_batches
from emer_model.training.fitting import fit_network
from emer_model.training.learning import pretrain_eyes
from emer_model.training.loss import LossWeights, TrainingLoss, log_priors
from emer_model.training.optimiser import Adam
from emer_model.training.resume import StateFile

TARGETS, AUXILIARY = (target("er_emotion"),), (target("er_valence"),)


def tensors(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# ---------------------------------------------------------------- what is learned, and kept


@pytest.fixture(scope="module")
def whole(make_clips, make_network, settings):
    """A training that nothing interrupted."""
    return fit_network(make_network(), make_clips(80), make_clips(30, 1), TARGETS, settings(), 3, auxiliary=AUXILIARY)


def test_learns_and_keeps_the_best_epoch(whole, make_clips) -> None:
    scores = [row["val_score"] for row in whole.rows]
    assert whole.best_score == max(scores) > 0.3  # chance is 1/7
    assert whole.rows[whole.best_epoch - 1]["val_score"] == whole.best_score
    assert not whole.network.training
    clips = make_clips(30, 1)
    batch = ArrayBatches(clips).__getitems__(list(range(30)))
    with torch.inference_mode():
        answers = whole.network(**{name: batch[name] for name in whole.network.inputs}).targets["er_emotion"].argmax(1)
    right = [(answers.numpy() == k)[clips.labels["er_emotion"] == k].mean() for k in range(7)]
    assert np.mean(right) == pytest.approx(whole.best_score)


def test_leaves_the_chance_of_others_alone(make_clips, make_network, settings) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    fit_network(make_network(), make_clips(16), make_clips(16, 1), TARGETS, settings(epochs=1), 3, auxiliary=AUXILIARY)
    assert torch.equal(torch.rand(1), expected)


def test_averaged_weights_are_what_is_judged_and_kept(whole, make_clips, make_network, settings) -> None:
    plain = fit_network(
        make_network(), make_clips(80), make_clips(30, 1), TARGETS, settings(ema_decay=0.0), 3, auxiliary=AUXILIARY
    )
    # The same steps were taken, since the average changes none of them.
    assert [row["train_total"] for row in plain.rows] == [row["train_total"] for row in whole.rows]
    assert not same(plain.last, whole.last)


def test_stops_when_validation_does_not_improve(make_clips, make_network, settings) -> None:
    config = settings(epochs=30, patience=2, learning_rate=1e-12)
    fitted = fit_network(make_network(), make_clips(16), make_clips(16, 1), TARGETS, config, 3, auxiliary=AUXILIARY)
    assert len(fitted.rows) == 3


# ---------------------------------------------------------------- going on


class Interruption(Exception):
    pass


@pytest.mark.parametrize("epoch", [1, 3])
def test_goes_on_with_the_same_bits(whole, make_clips, make_network, settings, tmp_path: Path, epoch: int) -> None:
    state = StateFile(tmp_path / "state.pt", "same")
    state.due = lambda: True  # type: ignore[method-assign]
    seen: list[int] = []

    def interrupt(now: int, *_: object) -> None:
        seen.append(now)
        if now == epoch + 1 and len(seen) == now:
            raise Interruption

    arguments = (make_clips(80), make_clips(30, 1), TARGETS, settings(), 3)
    with pytest.raises(Interruption):
        fit_network(make_network(), *arguments, auxiliary=AUXILIARY, state=state, watchers=[interrupt])
    again = fit_network(make_network(), *arguments, auxiliary=AUXILIARY, state=state, watchers=[interrupt])
    assert seen == [*range(1, epoch + 2), *range(epoch + 1, 5)]
    assert same(again.last, whole.last) and same(tensors(again.network), tensors(whole.network))
    assert (again.best_epoch, again.best_score) == (whole.best_epoch, whole.best_score)
    without_time = [[{k: v for k, v in row.items() if k != "seconds"} for row in f.rows] for f in (again, whole)]
    assert without_time[0] == without_time[1]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"\x80\x04cposix\nsystem\n."])
def test_a_state_that_cannot_be_read_is_left_alone(tmp_path: Path, content: bytes, caplog) -> None:
    (tmp_path / "state.pt").write_bytes(content)
    assert StateFile(tmp_path / "state.pt", "x").read() is None
    assert "begins anew" in caplog.text


def test_a_state_runs_no_code_and_of_another_training_is_left_alone(tmp_path: Path, caplog) -> None:
    class Malice:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"x": Malice()}, tmp_path / "state.pt")
    state = StateFile(tmp_path / "state.pt", "x")
    assert state.read() is None and not (tmp_path / "ran").exists()
    state.write({"epoch": 1})
    assert state.read()["epoch"] == 1
    assert StateFile(tmp_path / "state.pt", "y").read() is None and "other settings" in caplog.text
    state.remove()
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- batches


def test_processes_together_see_the_batches_of_one() -> None:
    alone = [positions for positions, _ in epoch_batches(25, 8, seed=1, epoch=2)]
    shares = [list(epoch_batches(25, 8, 1, 2, rank, 3)) for rank in range(3)]
    for step, batch in enumerate(alone):
        counted = [position for share in shares for position in share[step][0] if share[step][1]]
        assert sorted(counted) == sorted(batch)
    assert sorted(position for batch in alone for position in batch) == list(range(25))
    assert [share[3][1] for share in shares] == [True, False, False]  # a last batch of one clip
    assert alone != [positions for positions, _ in epoch_batches(25, 8, seed=1, epoch=3)]


# ---------------------------------------------------------------- the loss


def output_of(logits: torch.Tensor):
    from emer_model.models.output import ModelOutput

    return ModelOutput(targets={"er_emotion": logits})


def test_logit_adjustment_asks_more_of_rare_classes() -> None:
    true = np.array([0] * 9 + [1])
    loss = TrainingLoss(TARGETS, LossWeights(), priors=log_priors(TARGETS, {"er_emotion": true}), logit_adjustment=1.0)
    plain = TrainingLoss(TARGETS, LossWeights())
    for k, rises in ((0, False), (1, True)):
        batch = {"target/er_emotion": torch.tensor([k])}
        adjusted, usual = (f(output_of(torch.zeros(1, 7)), batch)["task"].item() for f in (loss, plain))
        assert (adjusted > usual) is rises
    # Menon et al., equation 10: cross-entropy of logits with the log prior added; one clip is added to each class.
    prior = torch.log(torch.tensor([10.0, 2, 1, 1, 1, 1, 1]) / 17)
    assert adjusted == pytest.approx(-torch.log_softmax(prior, 0)[1].item(), rel=1e-6)


def test_soft_targets_count_by_their_weight_and_missing_ones_do_not() -> None:
    logits = torch.tensor([[2.0, 0, 0, 0, 0, 0, 0], [0.0, 1, 0, 0, 0, 0, 0]])
    soft = torch.full((2, 7), float("nan"))
    soft[0] = 1 / 7
    batch = {"target/er_emotion": torch.tensor([0, MISSING_CLASS]), SOFT_PREFIX + "er_emotion": soft}
    task = TrainingLoss(TARGETS, LossWeights(), distillation=3.0)(output_of(logits), batch)["task"]
    log_p = torch.log_softmax(logits[0], 0)
    assert task.item() == pytest.approx((-log_p[0] - 3 * log_p.mean()).item() / 4, rel=1e-6)


def test_pretraining_changes_the_eye_encoder_alone(make_clips, make_network, settings) -> None:
    network = make_network()
    before = tensors(network)
    pretrain_eyes(network, make_clips(24), settings(pretrain_epochs=1), 0)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith("eye.") for name in changed)


# ---------------------------------------------------------------- what fails


def test_a_cpu_without_memory_says_what_to_change(make_clips, make_network, settings, monkeypatch) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: you tried to allocate"
        )

    monkeypatch.setattr("emer_model.training.drivers.ask", exhausted)
    with pytest.raises(TrainingError, match=r"cpu has too little memory.*smaller --batch-size than 8.*fewer --workers"):
        fit_network(make_network(), make_clips(16), make_clips(16, 1), TARGETS, settings(), 3, auxiliary=AUXILIARY)


@pytest.mark.gpu
def test_a_gpu_learns_as_a_cpu_does(whole, make_clips, make_network, settings) -> None:
    fitted = fit_network(
        make_network(), make_clips(80), make_clips(30, 1), TARGETS, settings(precision="bf16"), 3, auxiliary=AUXILIARY,
        device=torch.device("cuda"),
    )  # fmt: skip
    assert fitted.best_score == pytest.approx(whole.best_score, abs=0.25)


@pytest.mark.parametrize("decoupled", [False, True])
def test_our_adam_takes_the_steps_of_torchs(decoupled: bool) -> None:
    torch.manual_seed(0)
    weights = [torch.randn(5, 3), torch.randn(4), torch.randn(2)]
    ours = [torch.nn.Parameter(w.clone()) for w in weights]
    theirs = [torch.nn.Parameter(w.clone()) for w in weights]
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    other = kind(theirs, lr=0.1, weight_decay=0.05, fused=True)
    optimiser = Adam(ours, 0.1, 0.05, decoupled)
    for step in range(4):
        if step == 2:  # goes on from its state
            state, optimiser = optimiser.state_dict(), Adam(ours, 0.5, 0.05, decoupled)
            optimiser.load_state_dict(state)
        for group in (ours, theirs):
            for parameter in group[: 3 if step else 2]:  # one has no gradient at first
                parameter.grad = torch.cos(parameter.detach() + step)
        optimiser.step(), other.step()
        optimiser.zero_grad(), other.zero_grad()
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
