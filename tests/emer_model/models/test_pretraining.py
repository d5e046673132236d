from __future__ import annotations

import pytest
import torch

from data_schema.errors import TrainingError
from emer_model.models import EyeFace, FaceOnly
from emer_model.models.pretraining import draw_spans, pretraining_of


def smooth_eyes(clips: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
    """Six features that follow one slow wave of a clip's own phase; some values are missing."""
    draw = torch.Generator().manual_seed(3)
    phase = 6.28 * torch.rand(clips, 1, 1, generator=draw)
    eye = torch.sin(phase + torch.linspace(0, 6.28, 16)[None, :, None] + torch.arange(6) / 3)
    mask = torch.rand(eye.shape, generator=draw) < 0.9
    return eye * mask, mask


def test_hidden_chunks_are_learned_from_their_neighbours_without_labels(make_network) -> None:
    network = make_network(EyeFace, dropout=0.0, width=32, layers=2)
    head = {name: p.clone() for name, p in network.named_parameters() if not name.startswith("eye.")}
    before = {name: p.clone() for name, p in network.eye.named_parameters()}
    task = pretraining_of(network, features=6).train()
    eye, mask = smooth_eyes()
    optimiser = torch.optim.Adam(task.parameters(), lr=1e-2)
    draw = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(40):
        loss = task(eye, mask, draw).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    # The mean of what is hidden would be wrong by the variance, a half.
    assert sum(losses[-5:]) / 5 < 0.2 < losses[0]
    now = dict(network.named_parameters())
    assert all(torch.equal(now[name], value) for name, value in head.items())
    assert not torch.equal(before["embedding.embed.weight"], network.eye.embedding.embed.weight)


def test_nothing_of_a_hidden_chunk_reaches_the_prediction(make_network) -> None:
    task = pretraining_of(make_network(EyeFace), features=6)
    eye, mask = smooth_eyes(4)
    first = task(eye, mask, torch.Generator().manual_seed(5))
    other = torch.where(first.hidden.unsqueeze(2), eye + 3.0, eye)
    second = task(other, mask, torch.Generator().manual_seed(5))
    assert torch.equal(first.hidden, second.hidden)
    assert torch.equal(first.predicted, second.predicted)
    assert first.loss != second.loss


def test_values_that_were_not_measured_do_not_count(make_network) -> None:
    task = pretraining_of(make_network(EyeFace), features=6)
    eye, mask = smooth_eyes(4)
    first = task(eye, mask, torch.Generator().manual_seed(5))
    hidden_and_missing = first.hidden.unsqueeze(2) & ~mask
    assert hidden_and_missing.any()
    again = task(eye.masked_fill(hidden_and_missing, 9.0), mask, torch.Generator().manual_seed(5))
    assert first.loss == again.loss
    nothing = task(eye, torch.zeros_like(mask))
    nothing.loss.backward()
    assert nothing.loss == 0.0


def test_spans_cover_about_their_share_and_every_clip() -> None:
    hidden = draw_spans(300, 32, 0.25, 3, torch.Generator().manual_seed(0))
    assert hidden.any(dim=1).all()
    assert 0.18 < hidden.float().mean().item() < 0.26
    assert draw_spans(5, 2, 0.25, 3).shape == (5, 2)


def test_networks_without_such_an_encoder_are_refused(make_network) -> None:
    with pytest.raises(TrainingError, match=r"'face-only' has no eye encoder.*pretrain_epochs to 0"):
        pretraining_of(make_network(FaceOnly), features=6)
    with pytest.raises(TrainingError, match="'statistics' has no steps"):
        pretraining_of(make_network(EyeFace, encoder="statistics"), features=6)
