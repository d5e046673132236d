"""What training makes small: the tasks, what another model answers, and EMERT's two modality terms.

References
----------
Weights of the modality terms from the public code of Liu et al. (kejun1/EMER): 0.01, 0.01 and 1
for classes, valence and arousal; 0.3, 0.1 and 1 for intensity.
Logit adjustment: Menon et al. (2021), "Long-tail learning via logit adjustment", ICLR, equation 10.
Distillation: Hinton et al. (2015), "Distilling the knowledge in a neural network", section 2, at
temperature 1, since the answers learned from are calibrated ones and not logits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from emer_model.data.dataset import TARGET_PREFIX, Batch
from emer_model.data.targets import MISSING_CLASS, Target
from emer_model.models.output import ModelOutput
from emer_model.training.batches import SOFT_PREFIX

#: Turns how many clips of a batch count into what their sum is divided by.
Divisor = Callable[[Tensor], Tensor]


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


def at_least_one(count: Tensor) -> Tensor:
    """Divide by the clips of this process; by one where there are none."""
    return count.clamp(min=1)


def log_priors(targets: tuple[Target, ...], labels: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Return the logarithm of how often each class occurs in the training part, by target.

    One clip is added to each class, so that a class that does not occur there has a prior too.

    Parameters
    ----------
    targets : tuple of Target
        Continuous ones are left out.
    labels : mapping of str to ndarray of int, shape (n_clips,)
        Encoded labels of the training part.
    """
    priors = {}
    for declared in targets:
        if declared.classes:
            true = labels[declared.name]
            counts = 1.0 + np.bincount(true[true != MISSING_CLASS], minlength=len(declared.classes))
            priors[declared.name] = torch.tensor(np.log(counts / counts.sum()), dtype=torch.float32)
    return priors


class TrainingLoss(nn.Module):
    """Add up the terms of a batch.

    Parameters
    ----------
    targets : tuple of Target
        All targets with a head; a clip without a label adds nothing for it.
    weights : LossWeights
        See `loss_weights`.
    priors : mapping of str to Tensor, shape (n_classes,), optional
        See `log_priors`; needed for logit adjustment.
    logit_adjustment : float
        Times of the log prior that are added to logits while training (tau); 0 for none. A network
        so trained answers as if all classes were equally frequent.
    distillation : float
        Weight of the other model's answers beside the labels' weight of 1, where a batch has them.
    divisor : callable
        See `Divisor`; several processes divide by what they have together.
    """

    def __init__(
        self,
        targets: tuple[Target, ...],
        weights: LossWeights,
        *,
        priors: Mapping[str, Tensor] | None = None,
        logit_adjustment: float = 0.0,
        distillation: float = 0.0,
        divisor: Divisor = at_least_one,
    ) -> None:
        super().__init__()
        self.targets, self.weights = targets, weights
        self.distillation, self.divisor = distillation, divisor
        for name, prior in (priors or {}).items() if logit_adjustment else ():
            self.register_buffer(f"shift_{name}", logit_adjustment * prior, persistent=False)

    def forward(self, output: ModelOutput, batch: Batch) -> dict[str, Tensor]:
        """Compute the terms of a batch.

        Returns
        -------
        dict of Tensor
            ``total``, ``task``, and ``shared`` and ``specific`` where the model has a discriminator.
        """
        task = torch.stack([self._target(t, output.targets[t.name], batch) for t in self.targets]).sum()
        terms = {"task": task, "total": self.weights.task * task}
        if output.shared_logits is not None and output.specific_logits is not None:
            terms["shared"] = modality_loss(output.shared_logits, output.modality_mask, self.divisor)
            terms["specific"] = modality_loss(output.specific_logits, output.modality_mask, self.divisor)
            terms["total"] = (
                terms["total"] + self.weights.shared * terms["shared"] + self.weights.specific * terms["specific"]
            )
        return terms

    def _target(self, target: Target, output: Tensor, batch: Batch) -> Tensor:
        """Compute the task term of one target."""
        output = output.float()
        shift = getattr(self, f"shift_{target.name}", None)
        adjusted = output if shift is None else output + shift
        hard = task_loss(target, adjusted, batch[TARGET_PREFIX + target.name], self.divisor)
        soft = batch.get(SOFT_PREFIX + target.name)
        if not self.distillation or soft is None:
            return hard
        learned = soft_loss(target, output, soft, self.divisor)
        return (hard + self.distillation * learned) / (1.0 + self.distillation)


def task_loss(target: Target, output: Tensor, true: Tensor, divisor: Divisor = at_least_one) -> Tensor:
    """Cross-entropy of classes (B, K), SmoothL1 of a value (B, 1), over the clips with a label (B,)."""
    output = output.float()
    if target.classes:
        total = functional.cross_entropy(output, true, ignore_index=MISSING_CLASS, reduction="sum")
        present = true != MISSING_CLASS
    else:
        present = ~torch.isnan(true)
        total = functional.smooth_l1_loss(output.squeeze(1)[present], true[present], reduction="sum")
    return total / divisor(present.sum())


def soft_loss(target: Target, output: Tensor, soft: Tensor, divisor: Divisor = at_least_one) -> Tensor:
    """Cross-entropy towards probabilities (B, K), SmoothL1 towards values (B, 1); rows of NaN do not count."""
    present = ~torch.isnan(soft).any(dim=1)  # (B,)
    output, soft = output[present], soft[present]
    if target.classes:
        total = -(soft * functional.log_softmax(output, dim=1)).sum()
    else:
        total = functional.smooth_l1_loss(output, soft, reduction="sum")
    return total / divisor(present.sum())


def modality_loss(logits: Tensor, mask: Tensor | None, divisor: Divisor = at_least_one) -> Tensor:
    """Cross-entropy of the discriminator (B, M, M) over the modalities that a clip has (B, M)."""
    batch, modalities, _ = logits.shape
    true = torch.arange(modalities, device=logits.device).expand(batch, modalities)
    if mask is not None:
        true = torch.where(mask, true, MISSING_CLASS)
    total = functional.cross_entropy(
        logits.float().flatten(0, 1), true.flatten(), ignore_index=MISSING_CLASS, reduction="sum"
    )
    return total / divisor((true != MISSING_CLASS).sum())
