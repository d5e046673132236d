"""Features of face frames that need no training: by the descriptor, or by a backbone that stays as it is.

Nothing here imports torch before a backbone is asked for.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_schema.errors import TrainingError, UsageError
from emer_model.faces.descriptor import DESCRIPTOR_VERSION, SMALLEST_PX, WIDTH, describe_faces

if TYPE_CHECKING:
    from emer_model.faces.backbone import FaceBackbone

DESCRIPTOR = "descriptor"

#: Grows when the same weights would give other features.
_BACKBONE_VERSION = "1"
#: Frames that a backbone sees at once: ours. More are no faster on a processor, and ResNet-18's maps of 16 frames
#: of 112 px take 50 MB.
_FRAMES_AT_ONCE = 16


class FaceFeatures(ABC):
    """Turns pictures of faces into features, the same way for ever.

    Attributes
    ----------
    name : str
        'descriptor' or the backbone's.
    width : int
        Features of a picture (D).
    sha256 : str
        Of all that decides the features: parameters, preprocessing, size and version of the code.
    smallest_px : int
        Side of the smallest picture taken.
    preferred_px : int, or None
        Side to which larger pictures are reduced where no other was asked for.
    """

    name: str
    width: int
    sha256: str
    smallest_px: int
    preferred_px: int | None = None

    def __init__(self, face_size_px: int | None) -> None:
        if face_size_px is not None and face_size_px < self.smallest_px:
            raise UsageError(
                f"--face-size {face_size_px}: {self.name} takes faces of at least {self.smallest_px} px. "
                f"Choose {self.smallest_px} or more."
            )
        self.face_size_px = face_size_px

    def compute(self, images: np.ndarray) -> np.ndarray:
        """Compute the features of pictures.

        Parameters
        ----------
        images : ndarray of uint8, shape (N, H, W, 3)
            RGB.

        Returns
        -------
        ndarray of float32, shape (N, width)

        Raises
        ------
        TrainingError
            If they are no pictures, or smaller than needed.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
            raise TrainingError(
                f"Faces are {images.dtype} of shape {images.shape}, expected uint8 (N, H, W, 3), RGB. Export again."
            )
        smallest = min(images.shape[1:3])
        if smallest < max(self.smallest_px, self.face_size_px or 0):
            raise TrainingError(
                f"Faces of {smallest} px: {self.name} was asked to look at {max(self.smallest_px, self.face_size_px or 0)} px. "
                "Choose a smaller --face-size or another --face-backbone, or export larger faces."
            )
        if not len(images):
            return np.zeros((0, self.width), dtype=np.float32)
        size_px = self.face_size_px or min(smallest, self.preferred_px or smallest)
        return self._compute(reduce_faces(images, size_px))

    @abstractmethod
    def _compute(self, images: np.ndarray) -> np.ndarray:
        """Compute the features of checked pictures."""


class DescriptorFeatures(FaceFeatures):
    """See `emer_model.faces.descriptor`."""

    name, width, smallest_px = DESCRIPTOR, WIDTH, SMALLEST_PX

    def __init__(self, face_size_px: int | None = None) -> None:
        super().__init__(face_size_px)
        self.sha256 = hashlib.sha256(f"descriptor {DESCRIPTOR_VERSION} {face_size_px}".encode()).hexdigest()

    def _compute(self, images: np.ndarray) -> np.ndarray:
        return describe_faces(images)


class BackboneFeatures(FaceFeatures):
    """Features of a backbone that is not trained any more.

    Parameters
    ----------
    backbone : FaceBackbone
        Put into evaluation mode; its parameters get no gradients any more.
    face_size_px : int, optional
        Side to which pictures are reduced.
    device : str
        Where it is computed, such as 'cpu' or 'cuda'. The last bits of features depend on it, and not what they mean, so
        that a cache serves every device.
    """

    def __init__(self, backbone: FaceBackbone, face_size_px: int | None = None, device: str = "cpu") -> None:
        import torch

        self.name, self.width, self.smallest_px = backbone.name, backbone.out_features, backbone.smallest_px
        self.preferred_px = backbone.face_size_px
        super().__init__(face_size_px)
        about = (backbone.name, _BACKBONE_VERSION, backbone.preprocessing(), face_size_px, self.preferred_px)
        digest = hashlib.sha256(" ".join(map(str, about)).encode())
        for key, value in sorted(backbone.state_dict().items()):
            if value.is_floating_point():  # not the counters of batches
                digest.update(f"{key} {tuple(value.shape)}".encode())
                digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        self.sha256 = digest.hexdigest()
        self.device = torch.device(device)
        self.backbone = backbone.to(self.device, memory_format=torch.channels_last).eval().requires_grad_(False)

    def _compute(self, images: np.ndarray) -> np.ndarray:
        import torch

        features = np.empty((len(images), self.width), dtype=np.float32)
        # TF32 has 10 bits of mantissa; a cache is computed once and should be right.
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            for start in range(0, len(images), _FRAMES_AT_ONCE):
                part = slice(start, start + _FRAMES_AT_ONCE)
                frames = torch.from_numpy(np.ascontiguousarray(images[part])).to(self.device)
                features[part] = self.backbone(self.backbone.prepare(frames)).float().cpu().numpy()
        return features


def frozen_features(
    kind: str, weights: Path | str | None = None, face_size_px: int | None = None, *, device: str = "cpu"
) -> FaceFeatures:
    """Make what computes face features without training.

    Parameters
    ----------
    kind : str
        'descriptor', or a name in `emer_model.faces.backbones.FACE_BACKBONES`.
    weights : Path, optional
        Weights of the backbone, see `emer_model.faces.weights.load_weights`. A backbone needs them, the descriptor has none.
    face_size_px : int, optional
        Side to which faces are reduced; None takes what the backbone prefers, or keeps them.
    device : str
        See `BackboneFeatures`.

    Raises
    ------
    UsageError
        If there is no such backbone, it lacks weights, or the faces would be too small for it.
    TrainingError
        If the file does not hold its weights.
    """
    if kind == DESCRIPTOR:
        if weights:
            raise UsageError(
                f"--face-weights {weights}: the descriptor has no weights. Name the backbone that they are of with "
                "--face-backbone, or leave them out."
            )
        return DescriptorFeatures(face_size_px)

    from emer_model.faces.backbones import FACE_BACKBONES, build_backbone

    if kind not in FACE_BACKBONES:
        raise UsageError(f"There is no face backbone '{kind}'. Known: {', '.join((DESCRIPTOR, *FACE_BACKBONES))}.")
    if not weights:
        raise UsageError(
            f"--face-backbone {kind}, frozen, without weights: its features would be random numbers. Name a weights file with "
            "--face-weights, train it with --face-training full, or take --face-backbone descriptor, which needs no weights."
        )
    return BackboneFeatures(build_backbone(kind, weights), face_size_px, device)


def reduce_faces(images: np.ndarray, size_px: int) -> np.ndarray:
    """Average faces uint8 (N, H, W, 3) down to (N, size_px, size_px, 3)."""
    if images.shape[1:3] == (size_px, size_px):
        return images
    import cv2  # 25 MB, and not needed where the cache has the features

    return np.stack([cv2.resize(face, (size_px, size_px), interpolation=cv2.INTER_AREA) for face in images])
