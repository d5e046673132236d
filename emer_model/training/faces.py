"""What a run does with faces: features of a frozen backbone, or crops for one that is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from data_schema.errors import UsageError
from data_schema.exports.reading import TrainingExport
from emer_model.data.store import FACE_MEMORY_MB, ClipStore
from emer_model.faces.backbones import FACE_BACKBONES, build_backbone
from emer_model.faces.cache import face_features
from emer_model.faces.features import DESCRIPTOR, frozen_features
from emer_model.faces.weights import is_safetensors, save_backbone
from emer_model.models.with_backbone import WithBackbone
from emer_model.registry import find_model
from emer_model.training.config import RunConfig
from emer_model.training.files import write_atomically

#: Told how much is done, of how much, and a sentence.
Progress = Callable[[int, int, str], None]
#: Told a sentence that the user should read.
Tell = Callable[[str], None]

#: Weights that a run's backbone began with, beside its folds.
BACKBONE = "backbone.safetensors"

#: Memory for crops where the CPU trains: ours. Reading 16 clips takes 3 ms of a step of more than a second.
_FACE_MEMORY_CPU_MB = 16.0

_FROM_FROZEN = ("face_features", "face_summary")


def takes_faces(inputs: tuple[str, ...]) -> bool:
    """Tell whether a model looks at faces at all."""
    return any(name in inputs for name in (*_FROM_FROZEN, "faces"))


def check_faces(config: RunConfig) -> None:
    """Refuse a backbone that the model cannot train.

    Raises
    ------
    UsageError
        Saying what would do.
    """
    inputs = find_model(config.model).inputs
    weights, known = Path(config.face_weights), (DESCRIPTOR, *FACE_BACKBONES)
    if takes_faces(inputs) and config.face_backbone not in known:
        raise UsageError(f"There is no face backbone '{config.face_backbone}'. Known: {', '.join(known)}.")
    if config.face_weights and not takes_faces(inputs):
        raise UsageError(
            f"--face-weights {weights}: model '{config.model}' looks at no face. Leave --face-weights out."
        )
    if config.face_weights and not weights.is_file():
        raise UsageError(
            f"--face-weights {weights}: there is no such file. Nothing is downloaded: name one on this machine."
        )
    if config.face_training == "frozen" or not takes_faces(inputs):
        return
    if config.face_backbone == "descriptor":
        raise UsageError(
            f"--face-training {config.face_training}: the descriptor has nothing to train. Choose --face-backbone resnet18 "
            "or compact, or leave --face-training frozen."
        )
    if "face_features" not in inputs:
        raise UsageError(
            f"--face-training {config.face_training}: model '{config.model}' takes summaries of face features that stay as "
            "they are. Leave --face-training frozen; --face-weights names weights of a backbone that you trained before."
        )
    if config.face_training == "half" and not config.face_weights:
        raise UsageError(
            "--face-training half without weights: the half that is not trained would stay random. Name a weights file with "
            "--face-weights, or train all of it with --face-training full."
        )


def with_backbone(network: nn.Module, face: dict[str, Any], weights: str = "") -> nn.Module:
    """Put a face backbone before a network that takes face features.

    Parameters
    ----------
    network : nn.Module
        With ``bgr`` set, such as EMERT with this quirk, its backbone sees blue, green, red in [0, 1].
    face : dict
        As in a checkpoint: ``backbone`` and ``training``.
    weights : str
        File of weights to begin with; empty for fresh ones, or for those of a checkpoint that is read next.
    """
    bgr = bool(getattr(network, "bgr", False))
    backbone = build_backbone(face["backbone"], Path(weights) if weights else None, bgr=bgr, normalise=not bgr)
    return WithBackbone(backbone, network, half=face["training"] == "half")


def open_store(
    export: TrainingExport,
    inputs: tuple[str, ...],
    face: dict[str, Any],
    weights: str = "",
    *,
    face_memory_mb: float = FACE_MEMORY_MB,
    progress: Progress | None = None,
    tell: Tell | None = None,
) -> tuple[ClipStore, dict[str, Any]]:
    """Read the clips of an export with what a model needs of their faces.

    Parameters
    ----------
    export : TrainingExport
    inputs : tuple of str
        What the model looks at.
    face : dict
        ``backbone``, ``training`` and ``size_px`` (None for the backbone's own).
    weights : str
        Weights of a frozen backbone.
    face_memory_mb : float
        Crops for a backbone that is trained stay on disk where they need more.
    progress, tell : callable, optional

    Returns
    -------
    store : ClipStore
    face : dict
        Completed by ``size_px`` and, of a frozen backbone, ``width`` and ``sha256``.
    """
    if not takes_faces(inputs):
        return ClipStore(export, images=False, progress=progress), {}
    if face["training"] == "frozen":
        frozen = frozen_features(face["backbone"], Path(weights) if weights else None, face["size_px"])
        features = face_features(export, frozen, progress=progress, tell=tell)
        known = {"width": frozen.width, "sha256": frozen.sha256}
        return ClipStore(export, images=False, face_features=features, progress=progress), face | known
    backbone = build_backbone(face["backbone"])
    side = face["size_px"] or _own_size(backbone, export)
    store = ClipStore(export, face_size_px=side, face_memory_mb=face_memory_mb, progress=progress)
    return store, face | {"width": backbone.out_features, "size_px": store.face_size_px}


def face_memory_mb(device: torch.device) -> float:
    """Return how much memory crops may take: a GPU must not wait for them, a CPU is slower than any disk."""
    return FACE_MEMORY_MB if device.type == "cuda" else _FACE_MEMORY_CPU_MB


def keep_backbone(config: RunConfig, root: Path) -> None:
    """Keep the weights that a run's backbone begins with beside its folds, so that the run folder is whole.

    Raises
    ------
    TrainingError
        If the file cannot be written.
    """
    if not config.face_weights or (root / BACKBONE).is_file():
        return
    given = Path(config.face_weights)
    if is_safetensors(given):  # the file itself: nothing is loaded a second time
        write_atomically(root / BACKBONE, given.read_bytes())
    else:
        save_backbone(root / BACKBONE, build_backbone(config.face_backbone, given))


def _own_size(backbone: nn.Module, export: TrainingExport) -> int | None:
    """Return the size that a backbone prefers, where the export's faces are larger."""
    preferred = getattr(backbone, "face_size_px", None)
    if preferred is None:
        return None
    stored = int(export.read(str(export.clips["clip_id"].iloc[0]), ("faces",))["faces"].shape[1])
    return min(stored, int(preferred))
