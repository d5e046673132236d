"""A temporal convolutional network: each step sees its neighbours, further away in each layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from emer_model.models.step_dropout import StepDropout


class DilatedBlock(nn.Module):
    """Mix each step with one `dilation` before and one after it, and add the result to it.

    Parameters
    ----------
    width : int
        Features of a step.
    dilation : int
        Distance of the neighbours, steps.
    dropout : float
        `StepDropout` on what is added.
    """

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Linear(3 * width, width)
        self.dropout = StepDropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, width) to the same shape."""
        normed = self.norm(x)
        steps = x.shape[1]
        # A convolution of width 3, written as one matrix product over shifted copies: on short
        # sequences a quarter less time than Conv1d and its backward pass take on a CPU.
        padded = functional.pad(normed, (0, 0, self.dilation, self.dilation))  # (B, T + 2 dilation, width)
        before, after = padded[:, :steps], padded[:, 2 * self.dilation :]
        return x + self.dropout(functional.gelu(self.mix(torch.cat((before, normed, after), dim=2))))


class TcnEncoder(nn.Module):
    """Encode a sequence by dilated convolutions (not causal: a clip is over when it is judged).

    Parameters
    ----------
    width : int
        Features of a step.
    layers : int
        The dilation doubles with each: 1, 2, 4, ...
    dropout : float
        See `DilatedBlock`.

    References
    ----------
    Bai, Kolter and Koltun (2018), "An Empirical Evaluation of Generic Convolutional and
    Recurrent Networks for Sequence Modeling", arXiv 1803.01271.
    """

    def __init__(self, width: int = 64, layers: int = 2, dropout: float = 0.3) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(DilatedBlock(width, 2**i, dropout) for i in range(layers)))

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Map steps (B, T, width) with mask (B, T) to the same shape; missing steps stay zero on the way in."""
        return self.blocks(steps * mask.unsqueeze(2).to(steps.dtype))
