"""Every modality judges by itself; the mean of what they say counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from emer_model.models.modality_encoder import ModalityEncoder
from emer_model.models.output import ModelOutput
from emer_model.models.two_stage_heads import JointHeads


class LateFusion(nn.Module):
    """Judge a clip by the mean of the judgements of face, eyes and fixations.

    The mean of values, and of log-probabilities, over the modalities that a clip has: a missing
    one has no say. Without any, every answer is zero, or the same for every class.

    Parameters
    ----------
    targets : mapping of str to int
        Outputs of each target: the number of classes, or 1.
    face_width, eye_features, fixation_features : int
        Values a step of each modality.
    face_frames, eye_chunks, fixations : int
        Steps of each modality.
    width : int
        Features of a token.
    head_widths : tuple of int
        Hidden units of each modality's heads.
    dropout : float
        Everywhere.
    """

    name = "late-fusion-network"
    inputs = ("face_features", "face_mask", "eye", "eye_mask", "fixations", "fixation_mask")
    summary_line = "A small network for each modality, and the mean of their answers."
    defaults: ClassVar[dict[str, Any]] = {"dropout": 0.3}
    modalities = ("face", "eye", "fixation")

    def __init__(
        self,
        targets: Mapping[str, int],
        face_width: int,
        eye_features: int,
        fixation_features: int = 4,
        face_frames: int = 8,
        eye_chunks: int = 32,
        fixations: int = 32,
        width: int = 64,
        head_widths: tuple[int, ...] = (),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.face = ModalityEncoder(face_width, face_frames, width, "tcn", 1, dropout)
        self.eye = ModalityEncoder(eye_features, eye_chunks, width, "tcn", 2, dropout, mask_channels=True)
        self.fixation = ModalityEncoder(fixation_features, fixations, width, "tcn", 0, dropout)
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({m: JointHeads(width, targets, tuple(head_widths)) for m in self.modalities})

    def forward(
        self,
        face_features: Tensor,
        face_mask: Tensor,
        eye: Tensor,
        eye_mask: Tensor,
        fixations: Tensor,
        fixation_mask: Tensor,
    ) -> ModelOutput:
        """Judge a batch of clips.

        Parameters
        ----------
        face_features : Tensor, shape (B, F, face_width)
            Normalised; face_mask bool (B, F).
        eye : Tensor, shape (B, C, eye_features)
            Normalised; eye_mask bool (B, C, eye_features).
        fixations : Tensor, shape (B, M, fixation_features)
            Normalised; fixation_mask bool (B, M).
        """
        encoded = {
            "face": self.face(face_features, face_mask),  # (B, width), (B,), (B, F)
            "eye": self.eye(eye, eye_mask),
            "fixation": self.fixation(fixations, fixation_mask),
        }
        present = torch.stack([has for _, has, _ in encoded.values()], dim=1)  # (B, 3)
        says = present.to(face_features.dtype)
        says = says / says.sum(dim=1, keepdim=True).clamp(min=1.0)  # (B, 3), rows sum to 1, or 0 without any modality
        fused: dict[str, Tensor] = {}
        for i, (name, (token, _, _)) in enumerate(encoded.items()):
            heads = self.heads[name]
            for target, answer in heads.split(heads(self.dropout(token))).items():  # (B, outputs)
                said = answer.log_softmax(dim=1) if answer.shape[1] > 1 else answer
                part = said * says[:, i : i + 1]
                fused[target] = fused[target] + part if target in fused else part
        return ModelOutput(
            targets=fused,
            modality_mask=present,
            attention={**{name: weights for name, (_, _, weights) in encoded.items()}, "modality": says},
        )
