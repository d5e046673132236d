"""What a step is computed with: one CPU alone, or Lightning's Fabric on a GPU or on several processes.

Both run the same loop. Fabric is loaded only where it is needed: with what it brings along its
import takes three seconds and 200 MB, more than training on features in memory takes itself.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from emer_model.data.dataset import Batch
from emer_model.data.inputs import ask
from emer_model.models.output import ModelOutput
from emer_model.training import ranks

#: Asks a network about a batch.
Answer = Callable[[Batch], ModelOutput]


class Driver(Protocol):
    """Where and how steps are computed."""

    device: torch.device
    rank: int
    world: int
    plain: bool

    def set_up(self, network: nn.Module, optimiser: Any) -> tuple[Answer, Any]:
        """Bring both to the device; what comes back is asked and stepped, the network itself is stored."""

    def forward(self) -> AbstractContextManager[Any]:
        """Compute in the precision asked for within."""

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients, averaged over the processes."""

    def total(self, value: Tensor) -> Tensor:
        """Sum a value over the processes."""

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows (m, ...) of all processes as (world, m, ...); each has as many."""

    def share_buffers(self, network: nn.Module) -> None:
        """Give all processes the first one's statistics, such as those of batch normalisation."""


class PlainDriver:
    """One process on one device, in plain torch.

    Parameters
    ----------
    device : torch.device
    precision : str
        '32' or 'bf16'.
    """

    rank, world, plain = 0, 1, True

    def __init__(self, device: torch.device, precision: str = "32") -> None:
        self.device, self._mixed = device, precision == "bf16"

    def set_up(self, network: nn.Module, optimiser: Any) -> tuple[Answer, Any]:
        """See `Driver`."""
        return partial(ask, network.to(self.device)), optimiser

    def forward(self) -> AbstractContextManager[Any]:
        """See `Driver`."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if self._mixed else nullcontext()

    def backward(self, loss: Tensor) -> None:
        """See `Driver`."""
        loss.backward()

    def total(self, value: Tensor) -> Tensor:
        """See `Driver`."""
        return value

    def gather(self, rows: Tensor) -> Tensor:
        """See `Driver`."""
        return rows[None]

    def share_buffers(self, network: nn.Module) -> None:
        """See `Driver`."""


class FabricDriver:
    """Lightning's Fabric: a GPU, or several processes that torchrun began, each with its share of every batch.

    Parameters
    ----------
    device : torch.device
        'cpu' or 'cuda'; which GPU of the machine is the process's place on it.
    precision : str
        '32' or 'bf16'.
    """

    plain = False

    def __init__(self, device: torch.device, precision: str = "32") -> None:
        from lightning.fabric import Fabric
        from lightning.fabric.strategies import DDPStrategy

        self.rank, self.world = ranks.rank(), ranks.world()
        # Heads without a label in a batch and learned tokens of modalities that are there get no gradient in that step.
        strategy: Any = DDPStrategy(find_unused_parameters=True) if self.world > 1 else "auto"
        self._fabric = Fabric(
            accelerator=device.type,
            devices=ranks.local_world(),
            num_nodes=self.world // ranks.local_world(),
            strategy=strategy,
            precision="bf16-mixed" if precision == "bf16" else "32-true",
        )
        self._fabric.launch()
        self.device = self._fabric.device

    def set_up(self, network: nn.Module, optimiser: Any) -> tuple[Answer, Any]:
        """See `Driver`."""
        wrapped, stepped = self._fabric.setup(_AsDict(network), optimiser)
        return (lambda batch: ModelOutput(**wrapped({name: batch[name] for name in network.inputs}))), stepped

    def forward(self) -> AbstractContextManager[Any]:
        """See `Driver`; losses are computed within, as the network is."""
        return self._fabric.autocast()

    def backward(self, loss: Tensor) -> None:
        """See `Driver`."""
        self._fabric.backward(loss)

    def total(self, value: Tensor) -> Tensor:
        """See `Driver`."""
        return self._fabric.all_reduce(value.clone(), reduce_op="sum") if self.world > 1 else value

    def gather(self, rows: Tensor) -> Tensor:
        """See `Driver`."""
        return self._fabric.all_gather(rows) if self.world > 1 else rows[None]

    def share_buffers(self, network: nn.Module) -> None:
        """See `Driver`."""
        if self.world > 1:
            for buffer in network.buffers():
                torch.distributed.broadcast(buffer, 0)


class _AsDict(nn.Module):
    """Returns a network's output as a plain dict: Fabric changes what passes through it in place."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Any]:
        return dict(vars(self.network(**batch)))


def choose_driver(device: torch.device, precision: str) -> Driver:
    """Take plain torch for one process on a CPU, and Fabric otherwise."""
    if ranks.world() > 1 or device.type == "cuda":
        return FabricDriver(device, precision)
    return PlainDriver(device, precision)
