"""EMERT's loss: the task, and two modality terms.

References
----------
Weights from the public code of Liu et al. (kejun1/EMER): 0.01, 0.01 and 1 for
classes, valence and arousal; 0.3, 0.1 and 1 for intensity.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from emer_model.data.dataset import TARGET_PREFIX, Batch
from emer_model.data.targets import MISSING_CLASS, Target
from emer_model.models.output import ModelOutput


@dataclass(frozen=True)
class LossWeights:
    """Weights of the shared (adversarial), the specific and the task term."""

    shared: float = 0.01
    specific: float = 0.01
    task: float = 1.0


INTENSITY_WEIGHTS = LossWeights(0.3, 0.1, 1.0)


def loss_weights(targets: tuple[Target, ...]) -> LossWeights:
    """Choose the reference's weights for what a protocol asks for."""
    return INTENSITY_WEIGHTS if all(t.name.endswith("_intensity") for t in targets) else LossWeights()


class EmertLoss(nn.Module):
    """Add up the task terms and the modality terms.

    Parameters
    ----------
    targets : tuple of Target
        All targets with a head; a clip without a label adds nothing for it.
    weights : LossWeights
        See `loss_weights`.
    """

    def __init__(self, targets: tuple[Target, ...], weights: LossWeights) -> None:
        super().__init__()
        self.targets, self.weights = targets, weights

    def forward(self, output: ModelOutput, batch: Batch) -> dict[str, Tensor]:
        """Compute the terms of a batch.

        Returns
        -------
        dict of Tensor
            ``total``, ``task``, and ``shared`` and ``specific`` where the model has a discriminator.
        """
        task = torch.stack(
            [task_loss(t, output.targets[t.name], batch[TARGET_PREFIX + t.name]) for t in self.targets]
        ).sum()
        terms = {"task": task, "total": self.weights.task * task}
        if output.shared_logits is not None and output.specific_logits is not None:
            terms["shared"] = modality_loss(output.shared_logits, output.modality_mask)
            terms["specific"] = modality_loss(output.specific_logits, output.modality_mask)
            terms["total"] = (
                terms["total"] + self.weights.shared * terms["shared"] + self.weights.specific * terms["specific"]
            )
        return terms


def task_loss(target: Target, output: Tensor, true: Tensor) -> Tensor:
    """Cross-entropy of classes (B, K), SmoothL1 of a value (B, 1), over the clips with a label (B,)."""
    output = output.float()
    if target.classes:
        total = functional.cross_entropy(output, true, ignore_index=MISSING_CLASS, reduction="sum")
        present = true != MISSING_CLASS
    else:
        present = ~torch.isnan(true)
        total = functional.smooth_l1_loss(output.squeeze(1)[present], true[present], reduction="sum")
    return total / present.sum().clamp(min=1)


def modality_loss(logits: Tensor, mask: Tensor | None) -> Tensor:
    """Cross-entropy of the discriminator (B, M, M) over the modalities that a clip has (B, M)."""
    batch, modalities, _ = logits.shape
    true = torch.arange(modalities, device=logits.device).expand(batch, modalities)
    if mask is not None:
        true = torch.where(mask, true, MISSING_CLASS)
    total = functional.cross_entropy(
        logits.float().flatten(0, 1), true.flatten(), ignore_index=MISSING_CLASS, reduction="sum"
    )
    return total / (true != MISSING_CLASS).sum().clamp(min=1)
