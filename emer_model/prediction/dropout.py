"""Ask one network many times with dropout left on: a cheap ensemble of its own.

References
----------
Gal and Ghahramani (2016), "Dropout as a Bayesian approximation: representing model
uncertainty in deep learning", ICML.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from emer_model.models.modality_dropout import ModalityDropout
from emer_model.models.step_dropout import StepDropout


class WithDropout(nn.Module):
    """A network that goes on dropping features when it is asked, and is in evaluation mode else.

    What it drops are single features. Whole modalities stay: that a clip has a face is known.

    Parameters
    ----------
    network : nn.Module
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.inputs: tuple[str, ...] = tuple(network.inputs)
        self.eval()

    def train(self, mode: bool = True) -> WithDropout:
        """Switch to evaluation, whatever is asked for, and dropout on."""
        super().train(False)
        for module in dropouts(self.network):
            module.training = True
        return self

    def forward(self, **inputs: Any) -> Any:
        """Judge a batch of clips."""
        return self.network(**inputs)


def dropouts(network: nn.Module) -> list[nn.Module]:
    """Return the parts of a network that drop single features in training."""
    found: list[nn.Module] = []
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            drops = module.p > 0
        elif isinstance(module, StepDropout):
            drops = module.share > 0
        else:
            drops = isinstance(module, nn.RNNBase | nn.MultiheadAttention) and module.dropout > 0
        if drops and not isinstance(module, ModalityDropout):
            found.append(module)
    return found
