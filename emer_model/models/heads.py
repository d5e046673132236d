"""From the fused representation of a clip to what is asked of it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn


class PredictionHead(nn.Sequential):
    """A narrowing perceptron (64-32-16-8 in the reference).

    Parameters
    ----------
    features : int
        Features of a clip.
    outputs : int
        Classes, or 1 for a continuous target.
    widths : tuple of int
        Hidden units of the layers in between; empty for a linear head.
    """

    def __init__(self, features: int, outputs: int, widths: tuple[int, ...] = (32, 16, 8)) -> None:
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.Linear(features, width), nn.LeakyReLU()]
            features = width
        super().__init__(*layers, nn.Linear(features, outputs))


class PredictionHeads(nn.ModuleDict):
    """One head a target.

    Parameters
    ----------
    features : int
        Features of a clip.
    targets : mapping of str to int
        Outputs of each target.
    widths : tuple of int
        See `PredictionHead`.
    """

    def __init__(self, features: int, targets: Mapping[str, int], widths: tuple[int, ...] = (32, 16, 8)) -> None:
        super().__init__({name: PredictionHead(features, n, widths) for name, n in targets.items()})

    def forward(self, clip: Tensor) -> dict[str, Tensor]:
        """Map clips (B, features) to (B, outputs) for each target."""
        return {name: head(clip) for name, head in self.items()}
