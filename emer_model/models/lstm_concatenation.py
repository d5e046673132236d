"""The usual first baseline: an LSTM for each modality, and their means side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from emer_model.models.heads import PredictionHeads
from emer_model.models.output import ModelOutput
from emer_model.models.pooling import masked_mean
from emer_model.models.sequence_encoder import SequenceEncoder


class LstmConcatenation(nn.Module):
    """Judge a clip from one LSTM for each modality.

    Parameters
    ----------
    targets : mapping of str to int
        Outputs of each target: the number of classes, or 1.
    face_width, eye_features, fixation_features : int
        Values a step of each modality.
    hidden : int
        Width of the LSTMs.
    layers : int
        Depth of the LSTMs.
    head_widths : tuple of int
        Hidden units of the heads.
    dropout : float
        Dropout of tokens and of the concatenation.
    """

    name = "lstm-concatenation"
    inputs = ("face_features", "face_mask", "eye", "eye_mask", "fixations", "fixation_mask")
    summary_line = "An LSTM for each modality, their means side by side."
    defaults: ClassVar[dict[str, Any]] = {"dropout": 0.3}
    modalities = ("face", "eye", "fixation")

    def __init__(
        self,
        targets: Mapping[str, int],
        face_width: int,
        eye_features: int,
        fixation_features: int = 4,
        hidden: int = 64,
        layers: int = 1,
        head_widths: tuple[int, ...] = (),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.face = SequenceEncoder(face_width, hidden, layers, dropout, mask_channels=False)
        self.eye = SequenceEncoder(eye_features, hidden, layers, dropout, mask_channels=True)
        self.fixation = SequenceEncoder(fixation_features, hidden, layers, dropout, mask_channels=False)
        self.dropout = nn.Dropout(dropout)
        self.heads = PredictionHeads(3 * hidden, targets, tuple(head_widths))

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
        # A missing frame in the middle is a zero step: an LSTM carries over what came before.
        face = self.face(face_features * face_mask.unsqueeze(2), face_mask)  # (B, F, hidden)
        chunks = self.eye(eye * eye_mask, eye_mask)  # (B, C, hidden)
        fixated = self.fixation(fixations * fixation_mask.unsqueeze(2), fixation_mask)  # (B, M, hidden)
        masks = (face_mask, eye_mask.any(dim=2), fixation_mask)
        means = [masked_mean(x, mask) for x, mask in zip((face, chunks, fixated), masks, strict=True)]
        clip = torch.cat(means, dim=1)  # (B, 3 hidden), zero where a modality is missing
        return ModelOutput(
            targets=self.heads(self.dropout(clip)),
            modality_mask=torch.stack([mask.any(dim=1) for mask in masks], dim=1),
        )
