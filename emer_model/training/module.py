"""One training as Lightning sees it."""

from __future__ import annotations

import math
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn

from data_schema.errors import TrainingError
from emer_model.data.dataset import TARGET_PREFIX, Batch
from emer_model.data.inputs import ask
from emer_model.data.targets import Target, is_present
from emer_model.evaluation.metrics import MAIN_METRIC, classification_metrics, continuous_metrics
from emer_model.training.loss import TrainingLoss, loss_weights


class EmotionTraining(pl.LightningModule):
    """Train a model and judge it on whole validation folds.

    Parameters
    ----------
    model : nn.Module
        Names its inputs, returns a ``ModelOutput``.
    targets : tuple of Target
        What the protocol asks for; they alone choose the best epoch.
    auxiliary : tuple of Target
        What is learned beside.
    epochs : int
        Length of the cosine.
    learning_rate, weight_decay : float
        Of Adam.
    """

    def __init__(
        self,
        model: nn.Module,
        targets: tuple[Target, ...],
        auxiliary: tuple[Target, ...] = (),
        epochs: int = 60,
        learning_rate: float = 1e-3,
        weight_decay: float = 5e-4,
    ) -> None:
        super().__init__()
        self.model, self.targets = model, targets
        self.loss = TrainingLoss((*targets, *auxiliary), loss_weights(targets))
        self.epochs, self.learning_rate, self.weight_decay = epochs, learning_rate, weight_decay
        self._seen: list[dict[str, Tensor]] = []

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Compute the loss of a batch."""
        terms = self._terms(batch)
        if not torch.isfinite(terms["total"]):
            raise TrainingError(
                f"The loss became {terms['total'].item()} in epoch {self.current_epoch + 1}. "
                "Lower --learning-rate, or use --precision 32."
            )
        for name, value in terms.items():
            self.log(f"train_{name}", value, on_step=False, on_epoch=True, batch_size=len(next(iter(batch.values()))))
        return terms["total"]

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Keep the outputs of a batch until the whole fold has been seen."""
        output = ask(self.model, batch)
        self.log(
            "val_loss", self.loss(output, batch)["task"], on_epoch=True, batch_size=len(next(iter(batch.values())))
        )
        kept = {t.name: output.targets[t.name].float().cpu() for t in self.targets}
        kept.update({TARGET_PREFIX + t.name: batch[TARGET_PREFIX + t.name].cpu() for t in self.targets})
        self._seen.append(kept)

    def on_validation_epoch_end(self) -> None:
        """Compute the metrics of the whole validation fold."""
        scores = []
        for declared in self.targets:
            output = torch.cat([kept[declared.name] for kept in self._seen]).numpy()
            true = torch.cat([kept[TARGET_PREFIX + declared.name] for kept in self._seen]).numpy()
            figures = fold_metrics(declared, output, true)
            main = figures[MAIN_METRIC["classes" if declared.classes else "continuous"]]
            # A constant answer has no CCC: no better than no agreement at all.
            scores.append(0.0 if math.isnan(main) else main)
            for name, value in figures.items():
                self.log(f"val_{declared.name}_{name}", value)
        self.log("val_score", float(np.mean(scores)))
        self._seen.clear()

    def configure_optimizers(self) -> dict[str, Any]:
        """Adam and a half cosine, as in the reference."""
        optimiser = torch.optim.Adam(
            self.model.parameters(),
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            # Lightning cannot clip gradients of a fused optimiser in mixed precision.
            fused=self.trainer.precision == "32-true",
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=self.epochs),
        }

    def _terms(self, batch: Batch) -> dict[str, Tensor]:
        return self.loss(ask(self.model, batch), batch)


def fold_metrics(declared: Target, output: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Judge outputs (n, outputs) against encoded labels (n,), leaving out missing labels."""
    present = is_present(declared, true)
    if declared.classes:
        return classification_metrics(true[present], output[present].argmax(axis=1), len(declared.classes))
    return continuous_metrics(true[present], np.clip(output[present, 0], declared.low, declared.high))
