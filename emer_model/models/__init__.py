"""Networks: one idea a file, flat arguments."""

from __future__ import annotations

from torch import nn

from emer_model.models.emert import QUIRKS, Emert, EmertReference
from emer_model.models.eye_only import EyeOnly
from emer_model.models.eyeface import EyeFace
from emer_model.models.face_only import FaceOnly
from emer_model.models.late_fusion import LateFusion
from emer_model.models.lstm_concatenation import LstmConcatenation
from emer_model.models.mult import Mult
from emer_model.models.output import ModelOutput

#: Networks by which `emer train --model` finds them.
NETWORKS: tuple[type[nn.Module], ...] = (
    EyeFace,
    Emert,
    EmertReference,
    EyeOnly,
    FaceOnly,
    LstmConcatenation,
    LateFusion,
    Mult,
)

__all__ = [
    "NETWORKS",
    "QUIRKS",
    "Emert",
    "EmertReference",
    "EyeFace",
    "EyeOnly",
    "FaceOnly",
    "LateFusion",
    "LstmConcatenation",
    "ModelOutput",
    "Mult",
]
