"""How the answers of members become the answer of a model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emer_model.fitted.predictors import Linear, Part

#: Log-probabilities below this are cut before they are weighed: 1 in 1,000. Ours, so that one sure mistake of a member
#: does not outweigh the others.
MIN_LOG_PROBABILITY = -6.9


class Combination(Part):
    """What all ways to combine share: members' answers and presence in, one answer out."""

    def forward(self, answers: Sequence[Tensor], present: Sequence[Tensor]) -> Tensor:
        """Combine answers, each (B, K_i), of members that a clip has, each (B,), to (B, K)."""
        raise NotImplementedError


class Only(Combination):
    """The answer of the only member."""

    kind = "only"

    def forward(self, answers: Sequence[Tensor], present: Sequence[Tensor]) -> Tensor:
        """Return the first answer (B, K)."""
        return answers[0]


class Pool(Combination):
    """A weighted mean of log-probabilities (a product of experts) or of values, over the members that a clip has.

    Parameters
    ----------
    members : int
    classes : bool
        Normalise to log-probabilities.
    """

    kind = "pool"

    def __init__(self, members: int, classes: bool) -> None:
        super().__init__(members=members, classes=classes)
        self.classes = classes
        self.weights = nn.Parameter(torch.full((members,), 1.0 / members), requires_grad=False)

    def forward(self, answers: Sequence[Tensor], present: Sequence[Tensor]) -> Tensor:
        """Combine answers, each (B, K); a clip without any member gets their weighted mean all the same."""
        stacked = torch.stack(list(answers), dim=1)  # (B, M, K)
        there = torch.stack(list(present), dim=1).to(stacked.dtype) * self.weights  # (B, M)
        there = torch.where(there.sum(dim=1, keepdim=True) > 0, there, self.weights)
        there = there / there.sum(dim=1, keepdim=True)
        pooled = (stacked * there[:, :, None]).sum(dim=1)  # (B, K)
        return torch.log_softmax(pooled, dim=1) if self.classes else pooled


class Weighed(Combination):
    """A linear model on the members' answers, as stacking fits it.

    Parameters
    ----------
    columns, outputs : int
        Answers of all members, and of the model.
    classes : bool
        Answer log-probabilities, not values.

    References
    ----------
    Wolpert (1992), Stacked generalization.
    """

    kind = "weighed"

    def __init__(self, columns: int, outputs: int, classes: bool) -> None:
        super().__init__(columns=columns, outputs=outputs, classes=classes)
        self.linear = Linear(columns, outputs, classes)

    def forward(self, answers: Sequence[Tensor], present: Sequence[Tensor]) -> Tensor:
        """Combine answers, each (B, K_i), to (B, K)."""
        return self.linear(join(answers))


def join(answers: Sequence[Tensor]) -> Tensor:
    """Put members' answers, each (B, K_i), side by side; log-probabilities are cut below `MIN_LOG_PROBABILITY`."""
    return torch.cat([a.clamp(min=MIN_LOG_PROBABILITY) if a.shape[1] > 1 else a for a in answers], dim=1)
