"""One modality over time to one token, by the encoder asked for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from data_schema.errors import TrainingError
from emer_model.models.arguments import check_multiple
from emer_model.models.pooling import HEADS, AttentionPooling
from emer_model.models.self_attention import TransformerEncoder
from emer_model.models.statistics_encoder import StatisticsEncoder
from emer_model.models.step_dropout import StepDropout
from emer_model.models.tcn_encoder import TcnEncoder

#: Encoders of a sequence by name; 'statistics' is a perceptron on statistics over time.
SEQUENCE_ENCODERS: tuple[str, ...] = ("tcn", "transformer", "statistics")


class StepEmbedding(nn.Module):
    """Map the values of each step to a token that knows what was missing and when it was.

    Parameters
    ----------
    features : int
        Values a step.
    steps : int
        Longest sequence.
    width : int
        Features of a token.
    mask_channels : bool
        Give the validity of each value as a further input.
    """

    def __init__(self, features: int, steps: int, width: int, mask_channels: bool) -> None:
        super().__init__()
        self.mask_channels = mask_channels
        self.embed = nn.Linear(features * (2 if mask_channels else 1), width)
        self.position = nn.Parameter(0.02 * torch.randn(steps, width))

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Map values and mask (B, T, features) to tokens (B, T, width)."""
        if self.mask_channels:
            values = torch.cat((values, mask.to(values.dtype)), dim=2)  # (B, T, 2 features)
        return self.embed(values) + self.position[: values.shape[1]]


class ModalityEncoder(nn.Module):
    """Encode a sequence of steps, some of them missing, and pool it to one token.

    Parameters
    ----------
    features : int
        Values a step.
    steps : int
        Longest sequence.
    width : int
        Features of a token.
    encoder : str
        'tcn', 'transformer' or 'statistics'.
    layers : int
        Of the encoder; 0 looks at each step by itself.
    dropout : float
        Dropout of embedding and encoder.
    mask_channels : bool
        See `StepEmbedding`. Of use where the values of a step can be missing one by one.

    Raises
    ------
    TrainingError
        If there is no such encoder, or `width` cannot be shared by the heads of the pooling.
    """

    def __init__(
        self,
        features: int,
        steps: int,
        width: int = 64,
        encoder: str = "tcn",
        layers: int = 2,
        dropout: float = 0.3,
        mask_channels: bool = False,
    ) -> None:
        super().__init__()
        if encoder not in SEQUENCE_ENCODERS:
            raise TrainingError(f"There is no sequence encoder '{encoder}'. Known: {', '.join(SEQUENCE_ENCODERS)}.")
        check_multiple("width", width, HEADS, "heads")
        self.dropout = StepDropout(dropout)
        self.statistics: nn.Module | None = None
        if encoder == "statistics":
            self.statistics = StatisticsEncoder(features, width, dropout)
            return
        self.embedding = StepEmbedding(features, steps, width, mask_channels)
        if encoder == "tcn":
            self.sequence: nn.Module = TcnEncoder(width, layers, dropout)
        else:
            self.sequence = TransformerEncoder(width, layers, dropout=dropout)
        self.norm = nn.LayerNorm(width)
        self.pooling = AttentionPooling(width)

    def encode(self, values: Tensor, mask: Tensor, steps: Tensor) -> Tensor:
        """Encode over time, without pooling; not for 'statistics'.

        Parameters
        ----------
        values : Tensor, shape (B, T, features)
            Zero where missing.
        mask : Tensor of bool, shape (B, T, features)
            Looked at with mask channels alone.
        steps : Tensor of bool, shape (B, T)
            True where anything was measured.

        Returns
        -------
        Tensor, shape (B, T, width)
        """
        return self.norm(self.sequence(self.dropout(self.embedding(values, mask)), steps))

    def forward(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Encode and pool.

        Parameters
        ----------
        values : Tensor, shape (B, T, features)
        mask : Tensor of bool, shape (B, T, features) or (B, T)
            True where a value was measured; what is elsewhere must be finite, and counts as zero.

        Returns
        -------
        token : Tensor, shape (B, width)
        present : Tensor of bool, shape (B,)
            True where anything was measured.
        weights : Tensor, shape (B, T), or None
            How much each step counted; None where the encoder has no steps.
        """
        steps = mask if mask.dim() == 2 else mask.any(dim=2)  # (B, T)
        mask = mask.unsqueeze(2) if mask.dim() == 2 else mask  # (B, T, 1 or features)
        values = values * mask
        if self.statistics is not None:
            return self.statistics(values, mask.expand_as(values)), steps.any(dim=1), None
        token, weights = self.pooling(self.encode(values, mask, steps), steps)
        return token, steps.any(dim=1), weights


class SummaryEncoder(nn.Sequential):
    """Encode the summary features of a whole clip, with the mask of each, by a perceptron.

    Maps values and masks (B, 2 * features) to a token (B, width).

    Parameters
    ----------
    features : int
        Summary features; 0 where an export has none.
    width : int
        Features of the token.
    dropout : float
        Dropout of inputs (half of it) and of the hidden layer.
    """

    def __init__(self, features: int, width: int = 64, dropout: float = 0.3) -> None:
        super().__init__(
            nn.Dropout(dropout / 2),
            nn.Linear(2 * features, width),
            nn.LayerNorm(width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
        )
