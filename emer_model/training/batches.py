"""Which clips a step looks at: the order of an epoch, cut into batches and shared among processes.

The order follows from the seed and the number of the epoch alone, so that a training that
goes on after a kill meets the clips in the order in which it would have met them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np
import torch

from emer_model.data.arrays import Arrays
from emer_model.data.dataset import TARGET_PREFIX, Batch

#: Before the name of a target whose answers of another model are learned, in a batch.
SOFT_PREFIX = "soft/"


class Batches(Protocol):
    """Clips that come as batches of tensors by name, such as a ``ClipDataset``."""

    def __len__(self) -> int:
        """Count the clips."""

    def __getitems__(self, positions: list[int]) -> Batch:
        """Return the batch of these positions."""


class ArrayBatches:
    """Batches cut from arrays that lie in memory.

    Parameters
    ----------
    arrays : Arrays
        Clips of one part.
    soft : mapping of str to ndarray, shape (n_clips, outputs), optional
        Answers of another model by target, to learn from; rows of NaN where it has none.
    """

    def __init__(self, arrays: Arrays, soft: Mapping[str, np.ndarray] | None = None) -> None:
        self._n = len(arrays)
        self._whole: Batch = {name: _tensor(values) for name, values in arrays.inputs.items()}
        self._whole.update({TARGET_PREFIX + name: _tensor(values) for name, values in arrays.labels.items()})
        self._whole.update({SOFT_PREFIX + name: _tensor(values) for name, values in (soft or {}).items()})

    def __len__(self) -> int:
        return self._n

    def __getitems__(self, positions: list[int]) -> Batch:
        """Return the batch of these positions."""
        clips = torch.tensor(positions, dtype=torch.int64)  # (B,)
        return {name: values[clips] for name, values in self._whole.items()}


class WithSoftTargets:
    """The batches of another source, with a further model's answers beside the labels.

    Parameters
    ----------
    source : Batches
    soft : mapping of str to ndarray, shape (n_clips, outputs)
        By target; rows of NaN where there is none.
    """

    def __init__(self, source: Batches, soft: Mapping[str, np.ndarray]) -> None:
        self._source = source
        self._soft = {SOFT_PREFIX + name: _tensor(values) for name, values in soft.items()}

    def __len__(self) -> int:
        return len(self._source)

    def __getitems__(self, positions: list[int]) -> Batch:
        """Return the batch of these positions."""
        clips = torch.tensor(positions, dtype=torch.int64)  # (B,)
        return self._source.__getitems__(positions) | {name: values[clips] for name, values in self._soft.items()}


def epoch_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """Derive a seed for one epoch (from 1) of one process, unlike those of its neighbours."""
    return int(np.random.SeedSequence([seed & 0xFFFFFFFF, epoch, rank]).generate_state(1)[0])


def epoch_batches(
    n: int, batch_size: int, seed: int, epoch: int, rank: int = 0, world: int = 1
) -> Iterator[tuple[list[int], bool]]:
    """Yield a process's share of each batch of an epoch.

    All processes together see the batches that one process alone would see. A batch of fewer
    clips than processes leaves some without a clip: they get the batch's first one and are told
    that it does not count.

    Parameters
    ----------
    n : int
        Clips.
    batch_size : int
        Clips a step, over all processes.
    seed, epoch : int
        Decide the order.
    rank, world : int
        This process, and how many there are.

    Yields
    ------
    positions : list of int
    counts : bool
    """
    order = torch.randperm(n, generator=torch.Generator().manual_seed(epoch_seed(seed, epoch))).tolist()
    for start in range(0, n, batch_size):
        batch = order[start : start + batch_size]
        own = batch[rank::world]
        yield (own or batch[:1]), bool(own)


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))
