"""Each modality's own and shared subspaces."""

from __future__ import annotations

from torch import Tensor, nn


class SubspaceProjections(nn.Module):
    """Project every modality into a subspace of its own and into one that all share.

    Parameters
    ----------
    modalities : tuple of str
        Names of the modalities.
    hidden : int
        Features of a token before.
    projection : int
        Features of a token after.

    References
    ----------
    Liu et al. (2025), arXiv 2512.16485: modality-adversarial feature decoupling.
    """

    def __init__(self, modalities: tuple[str, ...], hidden: int = 128, projection: int = 64) -> None:
        super().__init__()
        self.specific = nn.ModuleDict({name: nn.Linear(hidden, projection) for name in modalities})
        self.shared = nn.Linear(hidden, projection)

    def forward(self, tokens: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Project the tokens (B, T, hidden) of each modality to (B, T, projection), twice.

        Returns
        -------
        specific, shared : dict of Tensor
            By modality.
        """
        specific = {name: self.specific[name](x) for name, x in tokens.items()}
        shared = {name: self.shared(x) for name, x in tokens.items()}
        return specific, shared
