"""A sequence in a few numbers: how high, how steady, how rising, and how in each quarter."""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: Parts of the clip that are averaged apart: ours, after the finding that the pupil's change
#: over quarters of a clip tells more than its mean.
QUARTERS = 4


class StatisticsEncoder(nn.Module):
    """Encode the statistics of each feature over the steps in which it was measured.

    Mean, standard deviation, slope, the mean of each quarter, and the share of steps that were
    measured, through a perceptron. Has no steps to weigh, so it tells no attention.

    Parameters
    ----------
    features : int
        Values a step.
    width : int
        Features of the result.
    dropout : float
        Dropout after the hidden layer.
    """

    def __init__(self, features: int, width: int = 64, dropout: float = 0.3) -> None:
        super().__init__()
        self.perceptron = nn.Sequential(
            nn.Linear((4 + QUARTERS) * features, 2 * width),
            nn.LayerNorm(2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
        )

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Map values and mask (B, T, features) to (B, width)."""
        return self.perceptron(step_statistics(values, mask))


def step_statistics(values: Tensor, mask: Tensor) -> Tensor:
    """Describe each feature over time.

    Parameters
    ----------
    values : Tensor, shape (B, T, features)
        Normalised, zero where missing.
    mask : Tensor of bool, shape (B, T, features)

    Returns
    -------
    Tensor, shape (B, (4 + quarters) * features)
        Mean, standard deviation, slope (per half clip) and measured share of each feature, and
        its mean in each quarter; zero where nothing was measured.
    """
    weight = mask.to(values.dtype)  # (B, T, features)
    count = weight.sum(dim=1).clamp(min=1.0)  # (B, features)
    mean = (values * weight).sum(dim=1) / count
    centred = (values - mean.unsqueeze(1)) * weight
    # The small number under the root keeps the gradient of a constant feature finite.
    spread = ((centred**2).sum(dim=1) / count + 1e-6).sqrt() - 1e-3
    time = torch.linspace(-1.0, 1.0, values.shape[1], device=values.device, dtype=values.dtype)[None, :, None]
    lag = (time - (time * weight).sum(dim=1, keepdim=True) / count.unsqueeze(1)) * weight  # (B, T, features)
    slope = (lag * centred).sum(dim=1) / ((lag**2).sum(dim=1) + 1e-2)
    parts = [mean, spread, slope, weight.mean(dim=1)]
    for quarter_values, quarter_weight in zip(
        values.tensor_split(QUARTERS, dim=1), weight.tensor_split(QUARTERS, dim=1), strict=True
    ):
        parts.append((quarter_values * quarter_weight).sum(dim=1) / quarter_weight.sum(dim=1).clamp(min=1.0))
    return torch.cat(parts, dim=1)
