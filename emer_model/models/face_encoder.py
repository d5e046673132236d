"""Face frames to a sequence of face tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emer_model.faces.backbones import FACE_BACKBONES, FACE_SIZE_PX, build_backbone

__all__ = ["FACE_BACKBONES", "FACE_SIZE_PX", "FaceEncoder"]


class FaceEncoder(nn.Module):
    """Encode each face frame by itself.

    Parameters
    ----------
    backbone : str
        A name in `FACE_BACKBONES`.
    hidden : int
        Features of a token.
    dropout : float
        Dropout on the tokens.

    Raises
    ------
    UsageError
        If there is no such backbone.
    """

    def __init__(self, backbone: str = "resnet18", hidden: int = 128, dropout: float = 0.5) -> None:
        super().__init__()
        self.backbone = build_backbone(backbone)
        self.projection = nn.Linear(self.backbone.out_features, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, faces: Tensor, mask: Tensor) -> Tensor:
        """Encode the frames that hold a face.

        Parameters
        ----------
        faces : Tensor of uint8, shape (B, F, H, W, 3)
            RGB.
        mask : Tensor of bool, shape (B, F)
            True where a face was found. Other frames are not looked at, so they cannot
            shift the batch statistics either.

        Returns
        -------
        Tensor, shape (B, F, hidden)
            Zeros where there is no face.
        """
        frames = faces[mask]  # (N, H, W, 3), N frames with a face
        tokens = torch.zeros(*mask.shape, self.projection.out_features, device=faces.device)
        if frames.shape[0] == 0:
            return tokens
        encoded = self.dropout(self.projection(self.backbone(self.backbone.prepare(frames))))  # (N, hidden)
        tokens = tokens.to(encoded.dtype)
        tokens[mask] = encoded
        return tokens  # (B, F, hidden)
