"""The baseline that sees the face and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from emer_model.models.heads import PredictionHeads
from emer_model.models.output import ModelOutput
from emer_model.models.pooling import masked_mean


class FaceOnly(nn.Module):
    """Judge a clip from the mean over its face tokens.

    Parameters
    ----------
    targets : mapping of str to int
        Outputs of each target: the number of classes, or 1.
    face_width : int
        Features of a face frame.
    hidden : int
        Features of a token.
    head_widths : tuple of int
        Hidden units of the heads.
    dropout : float
        Dropout on the tokens.
    """

    name = "face-only"
    inputs = ("face_features", "face_mask")
    summary_line = "The mean over the face frames; no eyes."
    defaults: ClassVar[dict[str, Any]] = {"dropout": 0.3}
    modalities = ("face",)

    def __init__(
        self,
        targets: Mapping[str, int],
        face_width: int,
        hidden: int = 128,
        head_widths: tuple[int, ...] = (),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.face = nn.Sequential(nn.Linear(face_width, hidden), nn.GELU(), nn.Dropout(dropout))
        self.heads = PredictionHeads(hidden, targets, tuple(head_widths))

    def forward(self, face_features: Tensor, face_mask: Tensor) -> ModelOutput:
        """Judge a batch of clips.

        Parameters
        ----------
        face_features : Tensor, shape (B, F, face_width)
            Of each frame, normalised.
        face_mask : Tensor of bool, shape (B, F)
            True where a face was found.
        """
        clip = masked_mean(self.face(face_features), face_mask)  # (B, hidden)
        return ModelOutput(targets=self.heads(clip), modality_mask=face_mask.any(dim=1, keepdim=True))
