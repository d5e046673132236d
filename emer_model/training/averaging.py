"""A running average of a network's weights, which answers more steadily than the weights themselves.

References
----------
Polyak & Juditsky (1992), "Acceleration of stochastic approximation by averaging", SIAM J.
Control Optim. 30(4); the exponential form as in Tarvainen & Valpola (2017), "Mean teachers
are better role models", NeurIPS, section 3.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class WeightAverage:
    """Keep the exponential average of a network's trained weights.

    What is not trained, and statistics such as those of batch normalisation, are the network's own.

    Parameters
    ----------
    network : nn.Module
        Is not changed.
    decay : float
        Share of the old average that a step keeps, such as 0.99. In the first steps less is
        kept, (1 + t) / (10 + t), so that the first weights, which are chance, are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.network = copy.deepcopy(network).eval()
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take the weights after a step into the average."""
        self.steps += 1
        keep = min(self.decay, (1 + self.steps) / (10 + self.steps))
        averaged: list[Tensor] = []
        current: list[Tensor] = []
        for old, new in zip(self.network.parameters(), network.parameters(), strict=True):
            if new.requires_grad:
                averaged.append(old)
                current.append(new)
        torch._foreach_lerp_(averaged, current, 1.0 - keep)
        for old, new in zip(self.network.buffers(), network.buffers(), strict=True):
            old.copy_(new)
