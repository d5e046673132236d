"""Train for missing modalities by taking away whole ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ModalityDropout(nn.Module):
    """Put a learned token in the place of each modality that is missing or taken away.

    While training, each modality that a clip has is taken away with probability `share`, but
    never all of them: where the draw would leave nothing, the clip keeps what it has. The same
    learned tokens stand for modalities that are really missing, then and afterwards, so the
    network meets at test time what it met in training.

    Parameters
    ----------
    modalities : int
        How many there are.
    width : int
        Features of a modality's token.
    share : float
        Probability of taking one away; 0 for none.

    References
    ----------
    Neverova et al. (2016), "ModDrop: Adaptive Multi-Modal Gesture Recognition", IEEE TPAMI.
    """

    def __init__(self, modalities: int, width: int = 64, share: float = 0.2) -> None:
        super().__init__()
        self.share = share
        self.missing = nn.Parameter(0.02 * torch.randn(modalities, width))

    def forward(self, tokens: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Replace.

        Parameters
        ----------
        tokens : Tensor, shape (B, modalities, width)
        present : Tensor of bool, shape (B, modalities)

        Returns
        -------
        tokens : Tensor, shape (B, modalities, width)
        kept : Tensor of bool, shape (B, modalities)
            The modalities that are left.
        """
        kept = present
        if self.training and self.share > 0.0:
            drawn = torch.rand(present.shape, device=present.device) >= self.share
            left = present & drawn
            kept = torch.where(left.any(dim=1, keepdim=True), left, present)
        return torch.where(kept.unsqueeze(2), tokens, self.missing.to(tokens.dtype)), kept
