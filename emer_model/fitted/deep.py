"""A network among the members: trained on inner folds as they are, by a function that the trainer lends.

Fitted models stand below training, so they cannot call it; whoever fits a recipe with a network gives it the function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from emer_model.data.arrays import Arrays
from emer_model.data.targets import Target
from emer_model.fitted.folds import inner_folds
from emer_model.fitted.learner import ROWS

#: Of the participants that a network is trained on, one in so many chooses its best epoch. Ours: a network that is not
#: stopped in time is worse than one that has seen a seventh fewer people.
STOPPING_SHARE = 7


class NetworkFit(Protocol):
    """Trains a fresh network; returns it with the arguments of its constructor."""

    def __call__(
        self, train: Arrays, validation: Arrays, targets: tuple[Target, ...], auxiliary: tuple[Target, ...], seed: int
    ) -> tuple[nn.Module, dict[str, Any]]:
        """Train on clips; those of other participants choose the best epoch by `targets`."""


@dataclass(frozen=True)
class DeepFit:
    """A network trained on all clips, with what networks like it answer for participants that they have not seen.

    Parameters
    ----------
    network : nn.Module
    arguments : dict
        Of its constructor.
    out_of_fold : dict of str to ndarray of float32, shape (n, K)
        Log-probabilities or values by target.
    """

    network: nn.Module
    arguments: dict[str, Any]
    out_of_fold: dict[str, np.ndarray]


def cross_fit_network(
    fit: NetworkFit,
    train: Arrays,
    targets: tuple[Target, ...],
    auxiliary: tuple[Target, ...],
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    seed: int,
) -> DeepFit:
    """Train a network for each inner fold, keep its answers for the others, and train one on all clips.

    Parameters
    ----------
    fit : callable
    train : Arrays
    targets, auxiliary : tuple of Target
        What is asked for, and what is learned beside; all of them are answered.
    folds : sequence of (ndarray of int, ndarray of int)
    seed : int
    """
    answered = (*targets, *auxiliary)
    out_of_fold = {t.name: np.empty((len(train), t.n_outputs), dtype=np.float32) for t in answered}
    for number, (fitted, held) in enumerate(folds):
        network, _ = _train(fit, train.take(fitted), targets, auxiliary, seed + number)
        answers = _ask(network, train.take(held), answered)
        for name, values in answers.items():
            out_of_fold[name][held] = values
    network, arguments = _train(fit, train, targets, auxiliary, seed + len(folds))
    return DeepFit(network.cpu().eval(), arguments, out_of_fold)


def _train(
    fit: NetworkFit, clips: Arrays, targets: tuple[Target, ...], auxiliary: tuple[Target, ...], seed: int
) -> tuple[nn.Module, dict[str, Any]]:
    learning, stopping = inner_folds(clips.participants, STOPPING_SHARE, seed)[0]
    return fit(clips.take(learning), clips.take(stopping), targets, auxiliary, seed)


def _ask(network: nn.Module, clips: Arrays, targets: tuple[Target, ...]) -> dict[str, np.ndarray]:
    """Ask a network, in blocks."""
    device = next(network.parameters()).device
    parts: dict[str, list[np.ndarray]] = {declared.name: [] for declared in targets}
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(clips), ROWS):
            rows = {name: clips.inputs[name][start : start + ROWS] for name in network.inputs}
            output = network(**{name: torch.from_numpy(values).to(device) for name, values in rows.items()})
            for declared in targets:
                answer = output.targets[declared.name].float()
                answer = torch.log_softmax(answer, dim=1) if declared.classes else answer
                parts[declared.name].append(answer.cpu().numpy())
    return {name: np.concatenate(values) for name, values in parts.items()}
