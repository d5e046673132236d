"""A small face encoder for machines without a GPU.

Four stride-2 convolutions. Not from the paper: it exists so that the whole line
trains in a minute on two cores. Results with it say nothing about ResNet-18.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class CompactFaceEncoder(nn.Module):
    """Encode face images with four stride-2 convolutions.

    Parameters
    ----------
    width : int
        Channels after the first convolution; they double with each of the next three.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        channels = (3, width, 2 * width, 4 * width, 8 * width)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(channels):
            layers += [
                nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(n_out),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*layers)
        self.out_features = channels[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to features (N, 8 * width)."""
        return self.layers(images).mean(dim=(2, 3))
