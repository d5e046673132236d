"""What every model of the package returns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ModelOutput:
    """Outputs of a batch.

    Parameters
    ----------
    targets : dict of Tensor, shape (B, outputs)
        Logits of a classified target, the value of a continuous one.
    shared_logits, specific_logits : Tensor, shape (B, modalities, modalities), or None
        The discriminator's answers for each modality's shared (adversarial) and
        specific tokens; None for models without one.
    modality_mask : Tensor of bool, shape (B, modalities), or None
        True where a clip has the modality at all.
    attention : dict of Tensor, or None
        Where the model looked, each row summing to 1: by modality over its own steps, such as
        ``eye`` (B, C), and ``modality`` (B, modalities) over the modalities in the order of the
        model's ``modalities``. None for models that do not weigh what they see.
    """

    targets: dict[str, Tensor]
    shared_logits: Tensor | None = None
    specific_logits: Tensor | None = None
    modality_mask: Tensor | None = None
    attention: dict[str, Tensor] | None = None
