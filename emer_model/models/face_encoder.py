"""Face frames to a sequence of face tokens."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from data_schema.errors import TrainingError
from emer_model.models.compact import CompactFaceEncoder
from emer_model.models.resnet import ResNet18

#: Face backbones by the name used on the command line.
FACE_BACKBONES: dict[str, Callable[[], nn.Module]] = {"resnet18": ResNet18, "compact": CompactFaceEncoder}

#: Side to which faces are reduced before a backbone, where the user names none. The compact
#: encoder sees 56 px: measured on two cores, a step takes a quarter of the time of 112 px, and
#: planted expressions are told apart just as well (WAR .935 on seven simulated ones).
FACE_SIZE_PX: dict[str, int] = {"compact": 56}

#: ImageNet's channel means and spreads, RGB in [0, 1]: the preprocessing that
#: published ResNet weights expect (torchvision, ``ResNet18_Weights.IMAGENET1K_V1``).
IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_SPREAD = (0.229, 0.224, 0.225)


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
    TrainingError
        If there is no such backbone.
    """

    def __init__(self, backbone: str = "resnet18", hidden: int = 128, dropout: float = 0.5) -> None:
        super().__init__()
        if backbone not in FACE_BACKBONES:
            raise TrainingError(f"There is no face backbone '{backbone}'. Known: {', '.join(FACE_BACKBONES)}.")
        self.backbone = FACE_BACKBONES[backbone]()
        self.projection = nn.Linear(self.backbone.out_features, hidden)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("mean", torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(IMAGE_SPREAD).view(1, 3, 1, 1), persistent=False)

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
        # A permuted view of (N, H, W, 3) is already in channels_last memory order.
        images = frames.permute(0, 3, 1, 2).float().div(255.0)  # (N, 3, H, W)
        images = (images - self.mean) / self.spread
        encoded = self.dropout(self.projection(self.backbone(images)))  # (N, hidden)
        tokens = tokens.to(encoded.dtype)
        tokens[mask] = encoded
        return tokens  # (B, F, hidden)
