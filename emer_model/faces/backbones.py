"""Trainable face backbones by name."""

from __future__ import annotations

from pathlib import Path

from data_schema.errors import UsageError
from emer_model.faces.backbone import IMAGE_MEAN, IMAGE_SPREAD, FaceBackbone
from emer_model.faces.compact import CompactFaceEncoder
from emer_model.faces.resnet import ResNet18
from emer_model.faces.weights import load_weights, save_backbone

#: Face backbones by the name used on the command line.
FACE_BACKBONES: dict[str, type[FaceBackbone]] = {"resnet18": ResNet18, "compact": CompactFaceEncoder}

__all__ = [
    "FACE_BACKBONES",
    "IMAGE_MEAN",
    "IMAGE_SPREAD",
    "FaceBackbone",
    "build_backbone",
    "save_backbone",
]


def build_backbone(
    name: str, weights: Path | str | None = None, *, bgr: bool = False, normalise: bool = True
) -> FaceBackbone:
    """Build a backbone, with fresh weights or those of a file.

    Parameters
    ----------
    name : str
        In `FACE_BACKBONES`.
    weights : Path, optional
        See `emer_model.faces.weights.load_weights`.
    bgr, normalise : bool
        See `FaceBackbone`.

    Raises
    ------
    UsageError
        If there is no such backbone.
    TrainingError
        If the file does not hold its weights.
    """
    if name not in FACE_BACKBONES:
        raise UsageError(f"There is no face backbone '{name}' to be trained. Known: {', '.join(FACE_BACKBONES)}.")
    backbone = FACE_BACKBONES[name](bgr=bgr, normalise=normalise)
    if weights:
        load_weights(backbone, Path(weights))
    return backbone
