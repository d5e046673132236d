"""What all trainable face encoders share: their own preprocessing, and two halves of which the first can be frozen."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

#: ImageNet's channel means and spreads, RGB in [0, 1]: the preprocessing that
#: published ResNet weights expect (torchvision, ``ResNet18_Weights.IMAGENET1K_V1``).
IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_SPREAD = (0.229, 0.224, 0.225)


class FaceBackbone(nn.Module):
    """Encode face images one by one. A subclass declares `bottom` and `top`.

    Channel order and normalisation are part of the backbone and not of the data: the same
    frames serve all backbones, and weights always get what they were trained on.

    Parameters
    ----------
    bgr : bool
        The weights were trained on blue, green, red, as OpenCV reads pictures.
    normalise : bool
        Subtract ImageNet's mean and divide by its spread; without, images lie in [0, 1].

    Attributes
    ----------
    name : str
        As in `emer_model.faces.backbones.FACE_BACKBONES`.
    out_features : int
        Features of an image.
    smallest_px : int
        Side of the smallest image from which features can be had.
    face_size_px : int, or None
        Side to which larger faces are reduced where the user names none; None keeps them.
    """

    name: str
    out_features: int
    smallest_px: int
    face_size_px: int | None = None

    def __init__(self, bgr: bool = False, normalise: bool = True) -> None:
        super().__init__()
        self.bgr, self.normalise = bgr, normalise
        mean, spread = (IMAGE_MEAN, IMAGE_SPREAD) if normalise else ((0.0,) * 3, (1.0,) * 3)
        # Not persistent: a state dict then holds what torchvision's holds.
        for key, values in (("mean", mean), ("spread", spread)):
            ordered = values[::-1] if bgr else values
            self.register_buffer(f"_image_{key}", torch.tensor(ordered).view(1, 3, 1, 1) * 255.0, persistent=False)

    def prepare(self, frames: Tensor) -> Tensor:
        """Turn pictures into what the convolutions take.

        Parameters
        ----------
        frames : Tensor of uint8, shape (N, H, W, 3)
            RGB.

        Returns
        -------
        Tensor of float32, shape (N, 3, H, W)
            In channels_last memory order: that is the order in which frames lie already.
        """
        images = frames.permute(0, 3, 1, 2)  # (N, 3, H, W), a view
        if self.bgr:
            images = images.flip(1).contiguous(memory_format=torch.channels_last)
        return images.float().sub_(self._image_mean).div_(self._image_spread)

    def bottom(self, images: Tensor) -> Tensor:
        """Map prepared images (N, 3, H, W) to maps (N, C, h, w): the half that `face_training = half` freezes."""
        raise NotImplementedError

    def top(self, maps: Tensor) -> Tensor:
        """Map what `bottom` returns to features (N, out_features)."""
        raise NotImplementedError

    def bottom_modules(self) -> Iterator[nn.Module]:
        """Yield the layers of `bottom` that hold parameters."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Encode prepared images.

        Parameters
        ----------
        images : Tensor, shape (N, 3, H, W)
            As `prepare` returns them.

        Returns
        -------
        Tensor, shape (N, out_features)
        """
        return self.top(self.bottom(images))

    def preprocessing(self) -> str:
        """Describe what is done to pictures, as part of the hash of cached features."""
        return f"{'bgr' if self.bgr else 'rgb'} {'imagenet' if self.normalise else 'unit'}"
