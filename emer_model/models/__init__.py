"""Models: one idea a file, flat arguments."""

from __future__ import annotations

from emer_model.models.emert import MODALITIES, Emert
from emer_model.models.face_encoder import FACE_BACKBONES
from emer_model.models.face_only import FaceOnly
from emer_model.models.output import ModelOutput
from emer_model.models.registry import MODELS, build_model

__all__ = ["FACE_BACKBONES", "MODALITIES", "MODELS", "Emert", "FaceOnly", "ModelOutput", "build_model"]
