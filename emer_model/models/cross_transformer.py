"""Shared tokens ask, modality-specific tokens answer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from emer_model.models.pooling import masked_mean, present_or_all


class CrossAttention(nn.Module):
    """Multi-head attention with its own width per head.

    Parameters
    ----------
    features : int
        Features of a token.
    heads : int
        Attention heads.
    head_features : int
        Features of a head (64 in the reference: 8 heads are 512 wide although tokens are 64).
    dropout : float
        Dropout on the result.
    """

    def __init__(self, features: int = 64, heads: int = 8, head_features: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        self.heads = heads
        width = heads * head_features
        self.to_query = nn.Linear(features, width, bias=False)
        self.to_key = nn.Linear(features, width, bias=False)
        self.to_value = nn.Linear(features, width, bias=False)
        self.to_out = nn.Linear(width, features)
        self.dropout = nn.Dropout(dropout)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, key_mask: Tensor) -> Tensor:
        """Attend.

        Parameters
        ----------
        query : Tensor, shape (B, Q, features)
        key, value : Tensor, shape (B, K, features)
        key_mask : Tensor of bool, shape (B, K)
            True where a token may be attended to; at least one a row.

        Returns
        -------
        Tensor, shape (B, Q, features)
        """

        def split(x: Tensor) -> Tensor:  # (B, T, heads * head_features) -> (B, heads, T, head_features)
            return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

        attended = functional.scaled_dot_product_attention(
            split(self.to_query(query)),
            split(self.to_key(key)),
            split(self.to_value(value)),
            attn_mask=key_mask[:, None, None, :],  # (B, 1, 1, K)
        )  # (B, heads, Q, head_features)
        return self.dropout(self.to_out(attended.transpose(1, 2).flatten(2)))


class CrossBlock(nn.Module):
    """One layer: attention and a two-layer perceptron, each normalised before and added to its input.

    Parameters
    ----------
    features, heads, head_features, dropout
        See `CrossAttention`.
    mlp : int
        Hidden units of the perceptron.
    """

    def __init__(
        self, features: int = 64, heads: int = 8, head_features: int = 64, mlp: int = 64, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.norm_query = nn.LayerNorm(features)
        self.norm_key = nn.LayerNorm(features)
        self.norm_value = nn.LayerNorm(features)
        self.attention = CrossAttention(features, heads, head_features, dropout)
        self.norm_mlp = nn.LayerNorm(features)
        self.mlp = nn.Sequential(
            nn.Linear(features, mlp), nn.GELU(), nn.Dropout(dropout), nn.Linear(mlp, features), nn.Dropout(dropout)
        )

    def forward(self, target: Tensor, source: Tensor, source_mask: Tensor) -> Tensor:
        """Update target (B, Q, features) from source (B, K, features)."""
        attended = self.attention(self.norm_query(target), self.norm_key(source), self.norm_value(source), source_mask)
        target = target + attended
        return target + self.mlp(self.norm_mlp(target))


class CrossTransformer(nn.Module):
    """Fuse: queries from the shared tokens, keys and values from the specific tokens.

    Parameters
    ----------
    tokens : int
        Tokens of either side (72 in the reference: 8 faces, 32 eye rows, 32 gaze points).
    features, heads, head_features, mlp, dropout
        See `CrossBlock`.
    depth : int
        Layers.
    embedding_dropout : float
        Dropout after the position embeddings.
    """

    def __init__(
        self,
        tokens: int = 72,
        features: int = 64,
        depth: int = 2,
        heads: int = 8,
        head_features: int = 64,
        mlp: int = 64,
        dropout: float = 0.5,
        embedding_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.source_position = nn.Parameter(torch.randn(1, tokens, features))
        self.target_position = nn.Parameter(torch.randn(1, tokens, features))
        self.dropout = nn.Dropout(embedding_dropout)
        self.blocks = nn.ModuleList(CrossBlock(features, heads, head_features, mlp, dropout) for _ in range(depth))

    def forward(self, specific: Tensor, shared: Tensor, mask: Tensor) -> Tensor:
        """Fuse and average over the tokens that are there.

        Parameters
        ----------
        specific, shared : Tensor, shape (B, T, features)
        mask : Tensor of bool, shape (B, T)

        Returns
        -------
        Tensor, shape (B, features)
        """
        # A clip without a single valid token attends to its position embeddings: no NaN.
        mask = present_or_all(mask)
        source = self.dropout(specific + self.source_position)  # (B, T, features)
        target = self.dropout(shared + self.target_position)
        for block in self.blocks:
            target = block(target, source, mask)
        return masked_mean(target, mask)
