"""From tokens over time to one token, without what is missing."""

from __future__ import annotations

from torch import Tensor, nn

from emer_model.models.arguments import check_multiple

#: Heads that weigh the steps of a sequence: ours.
HEADS = 4


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Average tokens (B, T, D) over time where `mask` (B, T) is True: (B, D), zero where nothing is."""
    weight = mask.to(tokens.dtype).unsqueeze(1)  # (B, 1, T)
    return (weight @ tokens).squeeze(1) / weight.sum(dim=2).clamp(min=1.0)


def present_or_all(mask: Tensor) -> Tensor:
    """Return `mask` (B, T), but all True in rows without a single True: a softmax over nothing is NaN."""
    return mask | ~mask.any(dim=1, keepdim=True)


class AttentionPooling(nn.Module):
    """Weigh the steps of a sequence, several times over, and add them up.

    Each head scores every step by a linear map of its token and takes a weighted sum of its
    own slice of the tokens' features. The scores begin at zero: each head begins with the plain
    mean, and departs from it where that helps.

    Parameters
    ----------
    width : int
        Features of a token.
    heads : int
        Must divide `width`.

    Raises
    ------
    TrainingError
        If it does not.
    """

    def __init__(self, width: int, heads: int = HEADS) -> None:
        super().__init__()
        check_multiple("width", width, heads, "heads")
        self.score = nn.Linear(width, heads, bias=False)  # a softmax does not see a bias
        nn.init.zeros_(self.score.weight)
        self.combine = nn.Linear(width, width)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Pool.

        Parameters
        ----------
        tokens : Tensor, shape (B, T, width)
        mask : Tensor of bool, shape (B, T), optional
            True for steps that are there; all by default.

        Returns
        -------
        pooled : Tensor, shape (B, width)
        weights : Tensor, shape (B, T)
            Mean over the heads; a row sums to 1.
        """
        scores = self.score(tokens).float().transpose(1, 2)  # (B, heads, T)
        if mask is not None:
            scores = scores.masked_fill(~present_or_all(mask).unsqueeze(1), float("-inf"))
        weights = scores.softmax(dim=2).to(tokens.dtype)  # (B, heads, T)
        values = tokens.unflatten(2, (weights.shape[1], -1)).transpose(1, 2)  # (B, heads, T, width / heads)
        attended = (weights.unsqueeze(2) @ values).flatten(1)  # (B, width)
        return self.combine(attended), weights.mean(dim=1)
