"""The baseline that sees the face and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from emer_model.models.face_encoder import FaceEncoder
from emer_model.models.heads import PredictionHeads
from emer_model.models.output import ModelOutput
from emer_model.models.pooling import masked_mean


class FaceOnly(nn.Module):
    """Judge a clip from the mean over its face tokens.

    Takes EMERT's inputs and ignores the eyes, so that both train on the same batches.

    Parameters
    ----------
    targets, face_backbone, hidden, head_widths, dropout
        See `emer_model.models.emert.Emert`.
    """

    name = "face-only"

    def __init__(
        self,
        targets: Mapping[str, int],
        face_backbone: str = "resnet18",
        hidden: int = 128,
        head_widths: tuple[int, ...] = (32, 16, 8),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.face = FaceEncoder(face_backbone, hidden, dropout)
        self.heads = PredictionHeads(hidden, targets, tuple(head_widths))

    def forward(
        self,
        faces: Tensor,
        face_mask: Tensor,
        eye: Tensor,
        eye_mask: Tensor,
        fixations: Tensor,
        fixation_mask: Tensor,
    ) -> ModelOutput:
        """Judge a batch of clips; see `Emert.forward` for the shapes."""
        clip = masked_mean(self.face(faces, face_mask), face_mask)  # (B, hidden)
        return ModelOutput(targets=self.heads(clip))
