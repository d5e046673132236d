"""Gradient reversal: identity forwards, the opposite gradient backwards.

References
----------
Ganin and Lempitsky (2015), "Unsupervised Domain Adaptation by Backpropagation", ICML.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None


def reverse_gradient(x: Tensor, strength: float = 1.0) -> Tensor:
    """Return `x` unchanged; its gradient is multiplied by ``-strength``."""
    return _ReverseGradient.apply(x, strength)
