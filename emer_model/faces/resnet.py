"""ResNet-18, the reference's face encoder.

Written here because torchvision does not import beside every build of torch.
Parameter names follow torchvision's, so weights saved from it can be loaded.

References
----------
He et al. (2016), "Deep Residual Learning for Image Recognition", CVPR, table 1.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from emer_model.faces.backbone import FaceBackbone


class BasicBlock(nn.Module):
    """Add two 3x3 convolutions to their input.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels before and after.
    stride : int
        Stride of the first convolution; the shortcut is projected where the shape changes.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        return self.relu(x + shortcut)


class ResNet18(FaceBackbone):
    """Encode face images: 11,176,512 parameters, 512 features an image.

    The ImageNet classifier (``fc``) of the original is not part of it. Its first half is the
    stem, ``layer1`` and ``layer2``.

    Parameters
    ----------
    bgr, normalise : bool
        See `FaceBackbone`.
    """

    name = "resnet18"
    out_features = 512
    #: Ours: down to here the third of the four stages still sees 2 by 2 places.
    smallest_px = 28

    def __init__(self, bgr: bool = False, normalise: bool = True) -> None:
        super().__init__(bgr, normalise)
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(BasicBlock(64, 64), BasicBlock(64, 64))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, stride=2), BasicBlock(128, 128))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, stride=2), BasicBlock(256, 256))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, stride=2), BasicBlock(512, 512))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def bottom(self, images: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to (N, 128, H / 8, W / 8)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))  # (N, 64, H/4, W/4)
        return self.layer2(self.layer1(x))

    def top(self, maps: Tensor) -> Tensor:
        """Map (N, 128, H / 8, W / 8) to features (N, 512)."""
        x = self.layer4(self.layer3(maps))  # (N, 512, H/32, W/32)
        # A plain mean: adaptive pooling has no deterministic backward pass on CUDA.
        return x.mean(dim=(2, 3))

    def bottom_modules(self) -> Iterator[nn.Module]:
        """Yield the stem, ``layer1`` and ``layer2``."""
        yield from (self.conv1, self.bn1, self.layer1, self.layer2)
