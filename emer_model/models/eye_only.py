"""The baseline that sees the eyes and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from emer_model.models.heads import PredictionHeads
from emer_model.models.modality_encoder import ModalityEncoder
from emer_model.models.output import ModelOutput


class EyeOnly(nn.Module):
    """Judge a clip from its eye chunks and fixations.

    Parameters
    ----------
    targets : mapping of str to int
        Outputs of each target: the number of classes, or 1.
    eye_features, fixation_features : int
        Columns of the two sequences.
    eye_chunks, fixations : int
        Their lengths.
    width : int
        Features of a token.
    layers : int
        Of the temporal convolutions over the chunks.
    head_widths : tuple of int
        Hidden units of the heads.
    dropout : float
        Everywhere.
    """

    name = "eye-only"
    inputs = ("eye", "eye_mask", "fixations", "fixation_mask")
    summary_line = "Temporal convolutions over eye chunks, and fixations; no face."
    defaults: ClassVar[dict[str, Any]] = {"dropout": 0.3}
    modalities = ("eye", "fixation")

    def __init__(
        self,
        targets: Mapping[str, int],
        eye_features: int,
        fixation_features: int = 4,
        eye_chunks: int = 32,
        fixations: int = 32,
        width: int = 64,
        layers: int = 2,
        head_widths: tuple[int, ...] = (),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.eye = ModalityEncoder(eye_features, eye_chunks, width, "tcn", layers, dropout, mask_channels=True)
        self.fixation = ModalityEncoder(fixation_features, fixations, width, "tcn", 0, dropout)
        self.dropout = nn.Dropout(dropout)
        self.heads = PredictionHeads(2 * width, targets, tuple(head_widths))

    def forward(self, eye: Tensor, eye_mask: Tensor, fixations: Tensor, fixation_mask: Tensor) -> ModelOutput:
        """Judge a batch of clips.

        Parameters
        ----------
        eye : Tensor, shape (B, C, eye_features)
            Normalised; eye_mask bool (B, C, eye_features).
        fixations : Tensor, shape (B, M, fixation_features)
            Normalised; fixation_mask bool (B, M).
        """
        eye_token, has_eye, eye_weights = self.eye(eye, eye_mask)  # (B, width), (B,), (B, C)
        fixation_token, has_fixation, fixation_weights = self.fixation(fixations, fixation_mask)
        present = torch.stack((has_eye, has_fixation), dim=1)  # (B, 2)
        # Nothing measured is zero, not what an encoder makes of nothing.
        clip = torch.cat((eye_token * present[:, :1], fixation_token * present[:, 1:]), dim=1)  # (B, 2 width)
        return ModelOutput(
            targets=self.heads(self.dropout(clip)),
            modality_mask=present,
            attention={"eye": eye_weights, "fixation": fixation_weights},
        )
