"""Adam, with the weight decay of the reference or apart from the gradient.

torch's own optimiser classes load its compiler when the first one is made: 800 modules and 100 MB, for training
on features in memory a quarter of all. The functions below them, which do the work, need none of it.

References
----------
Kingma and Ba (2015), "Adam: a method for stochastic optimization", ICLR, algorithm 1.
Loshchilov and Hutter (2019), "Decoupled weight decay regularization", ICLR, algorithm 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.adamw import adamw

from emer_model.training.config import RunConfig

_BETA1, _BETA2, _EPS = 0.9, 0.999, 1e-8


class Adam:
    """Adam in torch's fused form: the steps of ``torch.optim.Adam(..., fused=True)``, bit for bit.

    Parameters
    ----------
    parameters : iterable of Parameter
        To be trained.
    lr : float
    weight_decay : float
    decoupled : bool
        As ``torch.optim.AdamW``: the decay is no part of the gradient.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, weight_decay: float, decoupled: bool = False) -> None:
        self.parameters = list(parameters)
        #: As of torch's optimisers, so that whoever sets the rate need not know which one this is.
        self.param_groups: list[dict[str, Any]] = [{"lr": lr}]
        self._weight_decay, self._update = weight_decay, adamw if decoupled else adam
        self._state: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients; they are never kept as zeros."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters that have a gradient."""
        places = [i for i, parameter in enumerate(self.parameters) if parameter.grad is not None]
        for i in places:
            if i not in self._state:
                moments = [torch.zeros_like(self.parameters[i], memory_format=torch.preserve_format) for _ in range(2)]
                self._state[i] = (torch.zeros((), dtype=torch.float32), *moments)
        state = [self._state[i] for i in places]
        self._update(
            [self.parameters[i] for i in places],
            [self.parameters[i].grad for i in places],
            [mean for _, mean, _ in state],
            [square for _, _, square in state],
            [],
            [steps for steps, _, _ in state],
            fused=True,
            amsgrad=False,
            beta1=_BETA1,
            beta2=_BETA2,
            lr=self.param_groups[0]["lr"],
            weight_decay=self._weight_decay,
            eps=_EPS,
            maximize=False,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return steps and moments by the parameter's place."""
        return {"lr": self.param_groups[0]["lr"], "state": {i: list(values) for i, values in self._state.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.param_groups[0]["lr"] = state["lr"]
        self._state = {}
        for i, (steps, *moments) in state["state"].items():
            like = [torch.empty_like(self.parameters[i]).copy_(moment) for moment in moments]
            self._state[i] = (steps.clone(), like[0], like[1])


def make_optimiser(network: nn.Module, config: RunConfig, *, plain: bool) -> Any:
    """Make what trains a network.

    Networks with a class attribute ``decoupled_weight_decay`` get AdamW, others Adam, as in the reference.

    Parameters
    ----------
    network : nn.Module
        May be wrapped with a face backbone. Parameters that need no gradient are left alone.
    config : RunConfig
        Of it: learning_rate, weight_decay.
    plain : bool
        Make ours; Fabric takes torch's classes only.
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    decoupled = bool(getattr(getattr(network, "network", network), "decoupled_weight_decay", False))
    if plain:
        return Adam(trained, config.learning_rate, config.weight_decay, decoupled)
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    return kind(trained, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
