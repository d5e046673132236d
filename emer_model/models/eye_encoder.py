"""Eye behaviour over time to a sequence of eye tokens."""

from __future__ import annotations

from torch import Tensor, nn

from emer_model.models.sequence_encoder import SequenceEncoder


class EyeEncoder(nn.Module):
    """Encode the named eye features of consecutive chunks of a clip.

    Parameters
    ----------
    features : int
        Eye features of a chunk (39 in the reference).
    hidden, layers, dropout, mask_channels
        See `SequenceEncoder`.
    """

    def __init__(
        self, features: int, hidden: int = 128, layers: int = 3, dropout: float = 0.5, mask_channels: bool = True
    ) -> None:
        super().__init__()
        self.sequence = SequenceEncoder(features, hidden, layers, dropout, mask_channels)

    def forward(self, eye: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode chunks.

        Parameters
        ----------
        eye : Tensor, shape (B, C, features)
            Normalised features, zero where missing.
        mask : Tensor of bool, shape (B, C, features)

        Returns
        -------
        tokens : Tensor, shape (B, C, hidden)
        token_mask : Tensor of bool, shape (B, C)
            True for chunks in which at least one feature was measured.
        """
        return self.sequence(eye, mask), mask.any(dim=2)
