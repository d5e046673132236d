"""What happens after each epoch: the checkpoints, the curves, the progress."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from emer_model.data.datamodule import FoldData
from emer_model.training.checkpoint import CheckpointInfo, save_checkpoint
from emer_model.training.run_state import BEST, LAST

#: Told the epoch, of how many at most, and a sentence.
EpochProgress = Callable[[int, int, str], None]


class BestAndLast(pl.Callback):
    """Keep the checkpoint that did best on the validation participants, and the last one.

    Of two epochs with the same score the one with the smaller validation loss is better.

    Parameters
    ----------
    folder : Path
        Where they are written.
    describe : callable
        Makes the description from an epoch (from 1) and its score.
    data : FoldData
        Whose normalisation is stored with them.
    """

    def __init__(self, folder: Path, describe: Callable[[int, float], CheckpointInfo], data: FoldData) -> None:
        self._folder, self._describe, self._data = folder, describe, data
        self._best_rank = (-math.inf, -math.inf)
        self.best_epoch = 0
        self.best_score = -math.inf

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the last checkpoint, and the best where this epoch is it."""
        epoch = trainer.current_epoch + 1
        score, loss = (float(trainer.callback_metrics[name]) for name in ("val_score", "val_loss"))
        rank = (score, -loss)
        names = [LAST]
        if rank > self._best_rank:
            self._best_rank, self.best_epoch, self.best_score = rank, epoch, score
            names.append(BEST)
        for name in names:
            save_checkpoint(
                self._folder / name,
                self._describe(epoch, score),
                pl_module.model,
                self._data.normalisation,
            )


class Curves(pl.Callback):
    """Collect one row of figures an epoch and say how training goes.

    Parameters
    ----------
    fold : int
        Number of the fold, for the rows.
    progress : callable, optional
        See `EpochProgress`.
    """

    def __init__(self, fold: int, progress: EpochProgress | None = None) -> None:
        self._fold, self._progress = fold, progress
        self._started = 0.0
        self.rows: list[dict[str, Any]] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the epoch's clock."""
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's row; Lightning calls this after validation."""
        figures = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
        epoch = trainer.current_epoch + 1
        row = {
            "fold": self._fold,
            "epoch": epoch,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "seconds": round(time.perf_counter() - self._started, 3),
        }
        self.rows.append(row | figures)
        if self._progress is not None:
            said = f"loss {figures['train_total']:.3f}, validation score {figures['val_score']:.3f}"
            self._progress(epoch, trainer.max_epochs or 0, said)
