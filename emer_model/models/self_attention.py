"""Tokens look at each other, and tell where they looked."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emer_model.models.arguments import check_multiple
from emer_model.models.pooling import present_or_all
from emer_model.models.step_dropout import StepDropout


class SelfAttentionBlock(nn.Module):
    """A transformer layer, normalised before, that returns its attention.

    Parameters
    ----------
    width : int
        Features of a token.
    heads : int
        Must divide `width`.
    mlp : int
        Hidden units of the perceptron.
    dropout : float
        `StepDropout` on what is added.

    Raises
    ------
    TrainingError
        If `heads` does not divide `width`.

    References
    ----------
    Vaswani et al. (2017), "Attention Is All You Need", section 3.2; normalisation before each
    part as in Xiong et al. (2020), "On Layer Normalization in the Transformer Architecture".
    """

    def __init__(self, width: int = 64, heads: int = 4, mlp: int = 128, dropout: float = 0.3) -> None:
        super().__init__()
        check_multiple("width", width, heads, "heads")
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.to_query_key_value = nn.Linear(width, 3 * width)
        self.to_out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, mlp), nn.GELU(), nn.Linear(mlp, width), StepDropout(dropout))
        self.dropout = StepDropout(dropout)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Update the tokens.

        Parameters
        ----------
        tokens : Tensor, shape (B, T, width)
        mask : Tensor of bool, shape (B, T), optional
            True where a token may be looked at.

        Returns
        -------
        tokens : Tensor, shape (B, T, width)
        attention : Tensor, shape (B, T, T)
            How much token i looked at token j, mean over the heads; a row sums to 1.
        """
        joined = self.to_query_key_value(self.norm_attention(tokens))  # (B, T, 3 width)
        joined = joined.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (3, B, heads, T, width / heads)
        query, key, value = joined[0], joined[1], joined[2]
        scores = (query @ key.transpose(2, 3)).float() * key.shape[3] ** -0.5  # (B, heads, T, T)
        if mask is not None:
            scores = scores.masked_fill(~present_or_all(mask)[:, None, None, :], float("-inf"))
        weights = torch.softmax(scores, dim=3).to(tokens.dtype)
        attended = (weights @ value).transpose(1, 2).flatten(2)  # (B, T, width)
        tokens = tokens + self.dropout(self.to_out(attended))
        return tokens + self.mlp(self.norm_mlp(tokens)), weights.mean(dim=1)


class TransformerEncoder(nn.Module):
    """Encode a sequence by self attention over the steps that are there.

    Parameters
    ----------
    width, heads, mlp, dropout
        See `SelfAttentionBlock`.
    layers : int
        Blocks.
    """

    def __init__(self, width: int = 64, layers: int = 2, heads: int = 4, mlp: int = 128, dropout: float = 0.3) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(SelfAttentionBlock(width, heads, mlp, dropout) for _ in range(layers))

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Map steps (B, T, width) with mask (B, T) to the same shape."""
        for block in self.blocks:
            steps, _ = block(steps, mask)
        return steps
