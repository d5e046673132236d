"""Fixations in their order to a sequence of fixation tokens."""

from __future__ import annotations

from torch import Tensor, nn

from emer_model.models.sequence_encoder import SequenceEncoder


class FixationEncoder(nn.Module):
    """Encode the sequence of a clip's fixations.

    The reference's branch of this name sees the gaze point again (two columns);
    ours sees I-VT fixations: where, when and for how long.

    Parameters
    ----------
    features : int
        Columns of a fixation.
    hidden, layers, dropout
        See `SequenceEncoder`. A fixation is there or not, as a whole, so its mask
        is no input: padding comes after the last fixation and cannot reach it.
    """

    def __init__(self, features: int = 4, hidden: int = 128, layers: int = 3, dropout: float = 0.5) -> None:
        super().__init__()
        self.sequence = SequenceEncoder(features, hidden, layers, dropout, mask_channels=False)

    def forward(self, fixations: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode fixations.

        Parameters
        ----------
        fixations : Tensor, shape (B, M, features)
            Normalised, zero after the last fixation.
        mask : Tensor of bool, shape (B, M)

        Returns
        -------
        tokens : Tensor, shape (B, M, hidden)
        token_mask : Tensor of bool, shape (B, M)
        """
        return self.sequence(fixations, mask.unsqueeze(2).expand_as(fixations)), mask
