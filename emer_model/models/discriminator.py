"""Tell from a subspace which modality it came from."""

from __future__ import annotations

from torch import Tensor, nn

from emer_model.models.gradient_reversal import reverse_gradient
from emer_model.models.pooling import masked_mean


class ModalityDiscriminator(nn.Module):
    """Classify the time-mean of a subspace into its modality.

    Seen through gradient reversal for the shared subspace, which is thereby taught
    to hide its modality, and directly for the specific ones, which are taught to show it.

    Parameters
    ----------
    modalities : int
        How many there are.
    projection : int
        Features of a token.
    """

    def __init__(self, modalities: int = 3, projection: int = 64) -> None:
        super().__init__()
        self.classifier = nn.Linear(projection, modalities)

    def forward(self, tokens: Tensor, mask: Tensor, adversarial: bool) -> Tensor:
        """Classify tokens (B, T, projection) with mask (B, T): logits (B, modalities)."""
        mean = masked_mean(tokens, mask)  # (B, projection)
        return self.classifier(reverse_gradient(mean) if adversarial else mean)
