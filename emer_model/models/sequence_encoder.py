"""The reference's encoder of a sequence of measurements: stacked LSTMs."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SequenceEncoder(nn.Module):
    """Encode a sequence of rows with missing values by a stack of LSTMs.

    Parameters
    ----------
    features : int
        Values a row.
    hidden : int
        Features of a token.
    layers : int
        Stacked LSTMs.
    dropout : float
        Dropout on the tokens (the reference has none between the layers).
    mask_channels : bool
        Give the validity of each value as a further input. The reference does not.
    """

    def __init__(
        self, features: int, hidden: int = 128, layers: int = 3, dropout: float = 0.5, mask_channels: bool = True
    ) -> None:
        super().__init__()
        self.mask_channels = mask_channels
        self.lstm = nn.LSTM(features * (2 if mask_channels else 1), hidden, layers, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, rows: Tensor, mask: Tensor) -> Tensor:
        """Encode rows.

        Parameters
        ----------
        rows : Tensor, shape (B, T, features)
            Normalised values, zero where missing.
        mask : Tensor of bool, shape (B, T, features)
            True where a value was measured; not looked at without `mask_channels`.

        Returns
        -------
        Tensor, shape (B, T, hidden)
        """
        if self.mask_channels:
            rows = torch.cat((rows, mask.to(rows.dtype)), dim=2)  # (B, T, 2 * features)
        tokens, _ = self.lstm(rows)  # (B, T, hidden)
        return self.dropout(tokens)
