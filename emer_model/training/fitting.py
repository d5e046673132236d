"""Train one network: the only loop there is, for a fold of a run, a member of a stack, one process or several.

What an epoch does follows from the weights before it, the seed and its number, and from nothing
else. So a training that was killed goes on from the state after its last stored epoch and ends with
the same bits.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data_schema.errors import TrainingError
from emer_model.data.arrays import Arrays
from emer_model.data.dataset import ClipDataset
from emer_model.data.targets import Target
from emer_model.training import ranks
from emer_model.training.averaging import WeightAverage
from emer_model.training.batches import ArrayBatches, Batches, WithSoftTargets, epoch_batches, epoch_seed
from emer_model.training.config import RunConfig
from emer_model.training.drivers import Driver, PlainDriver, choose_driver
from emer_model.training.environment import give_back_large_pieces, release_memory
from emer_model.training.exhaustion import memory_advice
from emer_model.training.loss import TrainingLoss, log_priors, loss_weights
from emer_model.training.optimiser import make_optimiser
from emer_model.training.resume import StateFile, copied
from emer_model.training.validation import judge, to_device

_log = logging.getLogger(__name__)

#: Told the epoch (from 1), how many there are at most, and the figures of the epoch.
Watch = Callable[[int, int, dict[str, float]], None]

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Fitted:
    """What came out of a training.

    Parameters
    ----------
    network : nn.Module
        The one given, with the weights that did best on the validation clips, in evaluation mode.
    last : dict of Tensor
        Weights after the last epoch, as they were judged then.
    rows : list of dict
        Figures by epoch: ``epoch``, ``learning_rate``, ``seconds``, ``train_*``, ``val_*``.
    best_epoch : int
    best_score : float
        Of the validation clips.
    """

    network: nn.Module
    last: dict[str, Tensor]
    rows: list[dict[str, float]]
    best_epoch: int
    best_score: float


def fit_network(
    network: nn.Module,
    train: Arrays | ClipDataset,
    validation: Arrays | ClipDataset,
    targets: tuple[Target, ...],
    config: RunConfig,
    seed: int,
    *,
    auxiliary: tuple[Target, ...] = (),
    device: torch.device = _CPU,
    soft: Mapping[str, np.ndarray] | None = None,
    pretrain: Callable[[nn.Module], None] | None = None,
    state: StateFile | None = None,
    watchers: Sequence[Watch] = (),
    together: bool = True,
) -> Fitted:
    """Train a network and keep the epoch that judges the validation clips best.

    Of two epochs with the same score the one with the smaller validation loss is better. With
    ``config.ema_decay`` the average of the weights is what is judged and kept.

    Parameters
    ----------
    network : nn.Module
        With its first weights; names its ``inputs``.
    train, validation : Arrays or ClipDataset
        Clips of different participants, with labels of all targets.
    targets : tuple of Target
        What is asked for; they alone choose the best epoch.
    config : RunConfig
        Of it: epochs, patience, batch_size, learning_rate, weight_decay, gradient_clip, precision,
        ema_decay, logit_adjustment, distillation.
    seed : int
        Decides order and chance of every epoch.
    auxiliary : tuple of Target
        What is learned beside; missing labels do not matter.
    device : torch.device
        Where to compute.
    soft : mapping of str to ndarray, shape (n_clips, outputs), optional
        Answers of another model for the training clips by target, of weight ``config.distillation``.
    pretrain : callable, optional
        Learns without labels; called with the network, on its device, unless a state is gone on with.
    state : StateFile, optional
        Where to keep the state after epochs; one that is there is gone on with.
    watchers : sequence of callable
        See `Watch`; in the first process only.
    together : bool
        Share the work with the other processes that torchrun began, if there are any; all of them must be here then.

    Returns
    -------
    Fitted

    Raises
    ------
    TrainingError
        If the loss is no number, or the memory does not suffice.
    """
    with _own_chance(device), memory_advice(config, device):
        driver = choose_driver(device, config.precision) if together else PlainDriver(device, config.precision)
        training = _Training(network, train, targets, auxiliary, config, seed, driver, soft)
        training.begin(state, pretrain)
        source = _batches(validation)
        while training.epoch < config.epochs and training.waited < config.patience:
            row = training.run_epoch(source)
            if training.driver.rank == 0:
                for watch in watchers:
                    watch(training.epoch, config.epochs, row)
                if state is not None and state.due():
                    state.write(training.state())
        return training.result()


class _Training:
    """The network, what makes it better, and how far it has come."""

    def __init__(
        self,
        network: nn.Module,
        train: Arrays | ClipDataset,
        targets: tuple[Target, ...],
        auxiliary: tuple[Target, ...],
        config: RunConfig,
        seed: int,
        driver: Driver,
        soft: Mapping[str, np.ndarray] | None,
    ) -> None:
        self.targets, self.auxiliary, self.config, self.seed = targets, auxiliary, config, seed
        self.network, self.train = network, _batches(train, soft)
        if "faces" in network.inputs:
            network.to(memory_format=torch.channels_last)
            if driver.device.type == "cpu":
                give_back_large_pieces()
        self.driver = driver
        self.optimiser = make_optimiser(network, config, plain=self.driver.plain)
        self.answer, self.stepped = self.driver.set_up(network, self.optimiser)
        every = (*targets, *auxiliary)
        self.loss = TrainingLoss(
            every,
            loss_weights(targets),
            priors=log_priors(every, {t.name: _labels(train, t.name) for t in every if t.classes}),
            logit_adjustment=config.logit_adjustment,
            distillation=config.distillation,
            divisor=self._divisor,
        ).to(self.driver.device)
        self.average = WeightAverage(network, config.ema_decay) if config.ema_decay else None
        self._counts = True
        self.epoch = self.waited = self.best_epoch = 0
        self.best_rank = (-math.inf, -math.inf)
        self.best: dict[str, Tensor] = {}
        self.rows: list[dict[str, float]] = []

    @property
    def judged(self) -> nn.Module:
        """The network that is judged and kept: the average, where there is one."""
        return self.network if self.average is None else self.average.network

    def begin(self, state: StateFile | None, pretrain: Callable[[nn.Module], None] | None) -> None:
        """Go on from a state, or learn without labels first where that is asked for."""
        found = None if state is None else state.read()
        epoch = found["epoch"] if found else 0
        if self.driver.world > 1 and ranks.tell_all(epoch) != epoch:
            raise TrainingError(
                "The processes of torchrun do not see the same run folder. Put --out on a disk that all of them share."
            )
        if found is not None:
            self._restore(found)
            _log.info("goes on after epoch %d", self.epoch)
        elif pretrain is not None:
            torch.manual_seed(epoch_seed(self.seed, 0))
            pretrain(self.network)
            if self.average is not None:
                self.average = WeightAverage(self.network, self.config.ema_decay)

    def run_epoch(self, validation: Batches) -> dict[str, float]:
        """Train for an epoch, judge the validation clips, and remember the weights if they are the best."""
        began = time.perf_counter()
        self.epoch += 1
        if self.epoch == 1 or "faces" in self.network.inputs:
            release_memory()
        rate = self._set_learning_rate()
        torch.manual_seed(epoch_seed(self.seed, self.epoch, self.driver.rank))
        self.network.train()
        sums: dict[str, Tensor] = {}
        driver, n = self.driver, len(self.train)
        for positions, counts in epoch_batches(
            n, self.config.batch_size, self.seed, self.epoch, driver.rank, driver.world
        ):
            for name, value in self._step(positions, counts).items():
                sums[name] = sums.get(name, 0.0) + value
        steps = -(-n // self.config.batch_size)
        terms = {f"train_{name}": float(driver.total(v)) / (steps * driver.world) for name, v in sums.items()}
        if not math.isfinite(terms["train_total"]):
            raise TrainingError(
                f"The loss became {terms['train_total']} in epoch {self.epoch}. Lower --learning-rate, or use --precision 32."
            )
        driver.share_buffers(self.network)
        if self.average is not None:
            driver.share_buffers(self.average.network)
        self.optimiser.zero_grad()
        self.judged.eval()
        figures = judge(self.judged, validation, self.targets, self.auxiliary, self.config.batch_size, driver)
        if not math.isfinite(figures["val_loss"]):
            raise TrainingError(
                f"The loss on validation clips became {figures['val_loss']} in epoch {self.epoch}. Lower --learning-rate, or use "
                "--precision 32."
            )
        self._remember(figures["val_score"], figures["val_loss"])
        seconds = round(time.perf_counter() - began, 3)
        row = {"epoch": self.epoch, "learning_rate": rate, "seconds": seconds, **terms, **figures}
        self.rows.append(row)
        return row

    def result(self) -> Fitted:
        """Put the best weights into the network."""
        self.optimiser.zero_grad()  # their memory is needed for the second model that is read back
        last = copied(self.judged.state_dict())
        self.network.load_state_dict(last | self.best)
        return Fitted(self.network.eval(), last, self.rows, self.best_epoch, self.best_rank[0])

    def state(self) -> dict[str, Any]:
        """Return all that the next epoch depends on, as tensors and plain values."""
        return {
            "epoch": self.epoch,
            "waited": self.waited,
            "best_epoch": self.best_epoch,
            "best_rank": list(self.best_rank),
            "best": self.best,
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.network.state_dict(),
            "steps_averaged": 0 if self.average is None else self.average.steps,
            "optimiser": self.optimiser.state_dict(),
            "rows": self.rows,
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self.epoch, self.waited, self.best_epoch = state["epoch"], state["waited"], state["best_epoch"]
        self.best_rank, self.best, self.rows = tuple(state["best_rank"]), state["best"], state["rows"]
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.network.load_state_dict(state["average"])
            self.average.steps = state["steps_averaged"]

    def _step(self, positions: list[int], counts: bool) -> dict[str, Tensor]:
        """Take one step; `counts` is False where the clips are another process's."""
        batch = to_device(self.train.__getitems__(positions), self.driver.device)
        self._counts = counts
        with self.driver.forward():
            terms = self.loss(self.answer(batch), batch)
        self.optimiser.zero_grad(set_to_none=True)
        self.driver.backward(terms["total"] if counts else 0.0 * terms["total"])
        if self.config.gradient_clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
        self.stepped.step()
        if self.average is not None:
            self.average.update(self.network)
        return {name: value.detach() if counts else torch.zeros_like(value) for name, value in terms.items()}

    def _set_learning_rate(self) -> float:
        """Let the learning rate fall to zero along a half cosine, as in the reference."""
        rate = 0.5 * self.config.learning_rate * (1.0 + math.cos(math.pi * (self.epoch - 1) / self.config.epochs))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return rate

    def _remember(self, score: float, loss: float) -> None:
        """Keep the weights of the best epoch; what is never trained is in the network anyway."""
        self.waited = 0 if score > self.best_rank[0] else self.waited + 1
        if (score, -loss) > self.best_rank:
            self.best_rank, self.best_epoch = (score, -loss), self.epoch
            frozen = {name for name, p in self.network.named_parameters() if not p.requires_grad}
            self.best = copied({k: v for k, v in self.judged.state_dict().items() if k not in frozen})

    def _divisor(self, count: Tensor) -> Tensor:
        """Divide by the clips of all processes; gradients are then averaged over these."""
        if self.driver.world == 1:
            return count.clamp(min=1)
        own = count if self._counts else torch.zeros_like(count)
        return self.driver.total(own).clamp(min=1) / self.driver.world


def _batches(source: Arrays | ClipDataset, soft: Mapping[str, np.ndarray] | None = None) -> Batches:
    """Return clips as batches of tensors."""
    if isinstance(source, Arrays):
        return ArrayBatches(source, soft)
    return WithSoftTargets(source, soft) if soft else source


def _labels(source: Arrays | ClipDataset, name: str) -> np.ndarray:
    """Return the encoded labels of a part."""
    return source.labels[name] if isinstance(source, Arrays) else source.labels(name)


@contextmanager
def _own_chance(device: torch.device) -> Iterator[None]:
    """Leave the random numbers of whoever asks for a training as they are."""
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device.type == "cuda" else []):
        yield
