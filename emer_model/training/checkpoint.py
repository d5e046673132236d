"""Checkpoints that hold numbers and nothing that could run.

A checkpoint is one safetensors file: the model's tensors under ``model.``, the
normalisation under ``normalisation.``, and one JSON text in the header that says
how to build the model and what it answers. It holds no time and no path, so equal
training gives equal bytes.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from data_schema.errors import TrainingError, UsageError
from emer_model.data.inputs import INPUTS
from emer_model.data.normalisation import FeatureNormalisation
from emer_model.data.targets import Target
from emer_model.registry import build_model
from emer_model.training.faces import with_backbone
from emer_model.training.files import write_atomically

FORMAT = "emer-checkpoint"

#: Grows by whole numbers when older readers could misunderstand a checkpoint.
SCHEMA_VERSION = "2.0"

_HEADER_KEY = "emer"


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint is and how to use it.

    Parameters
    ----------
    model : str
        Name in `emer_model.registry.MODELS`.
    architecture : dict
        Arguments of its constructor.
    protocol : str
        What it was trained for.
    targets : tuple of Target
        What its heads answer, the protocol's first.
    inputs : tuple of str
        What it looks at, of `emer_model.data.inputs.INPUTS`.
    features : dict of str to tuple of str
        Names of the columns of its inputs, in order, where they have names.
    face : dict
        ``backbone`` (its kind), ``training`` (frozen, half or full), ``size_px`` and, of a frozen one, ``sha256``.
    subject_normalisation : bool
        Whether features are standardised by participant.
    fold, epoch : int
        Where and when it was taken (epochs from 1).
    score : float
        Validation score.
    """

    model: str
    architecture: dict[str, Any]
    protocol: str
    targets: tuple[Target, ...]
    inputs: tuple[str, ...]
    features: dict[str, tuple[str, ...]]
    face: dict[str, Any]
    subject_normalisation: bool
    fold: int
    epoch: int
    score: float


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint read back: the model in evaluation mode, with its normalisation."""

    info: CheckpointInfo
    model: nn.Module
    normalisation: dict[str, FeatureNormalisation]


def save_checkpoint(
    path: Path, info: CheckpointInfo, tensors: Mapping[str, Tensor], normalisation: dict[str, FeatureNormalisation]
) -> None:
    """Write a checkpoint beside its place, then put it there.

    Parameters
    ----------
    path : Path
    info : CheckpointInfo
    tensors : mapping of str to Tensor
        Of the model: its ``state_dict()``.
    normalisation : dict of FeatureNormalisation
    """
    # Contiguous copies: convolution weights may lie in channels_last order.
    tensors = {f"model.{name}": value.detach().cpu().contiguous() for name, value in tensors.items()}
    for name, fitted in normalisation.items():
        tensors[f"normalisation.{name}.mean"] = torch.tensor(fitted.mean)
        tensors[f"normalisation.{name}.spread"] = torch.tensor(fitted.spread)
    header = {"format": FORMAT, "schema_version": SCHEMA_VERSION, **dataclasses.asdict(info)}
    text = json.dumps(header, sort_keys=True, allow_nan=True)
    write_atomically(path, save(tensors, metadata={_HEADER_KEY: text}))


def read_info(path: Path) -> CheckpointInfo:
    """Read what a checkpoint is, without its tensors.

    Raises
    ------
    TrainingError
        If it is missing, no checkpoint of this toolkit, of a newer schema, or holds pickled code.
    """
    _refuse_foreign(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(_HEADER_KEY, "{}"))
    except (SafetensorError, json.JSONDecodeError) as error:
        raise TrainingError(f"{path} is damaged: {error}. Train the fold again.") from error
    if header.pop("format", None) != FORMAT:
        raise TrainingError(
            f"{path} is a safetensors file but no checkpoint of this toolkit. Expected a best.safetensors or "
            "last.safetensors that `emer train` wrote."
        )
    version = str(header.pop("schema_version", ""))
    if version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
        raise TrainingError(
            f"{path} has checkpoint schema {version}, this toolkit reads {SCHEMA_VERSION}. Train the fold again, "
            "or use the version of emer-toolkit that config.json names."
        )
    try:
        header["targets"] = tuple(Target(**{**t, "classes": tuple(t["classes"])}) for t in header["targets"])
        header["inputs"] = tuple(header["inputs"])
        header["features"] = {name: tuple(names) for name, names in header["features"].items()}
        return CheckpointInfo(**header)
    except (KeyError, TypeError) as error:
        raise TrainingError(f"{path}: the checkpoint's description is incomplete ({error}).") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and build its model.

    Raises
    ------
    TrainingError
        As `read_info`, or if the tensors are not those of the model.
    """
    info = read_info(path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    try:
        model = build_model(info.model, info.architecture)
    except UsageError as error:
        raise TrainingError(f"{path} holds a model that this toolkit does not have: {error}") from error
    if info.face.get("training") in ("half", "full") and "faces" in info.inputs:
        model = with_backbone(model, info.face)
    state = {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise TrainingError(
            f"{path}: the tensors are not those of model '{info.model}' as its description builds it. "
            "It may have been written by another version of the model; train again."
        ) from error

    normalisation = {}
    for name in info.inputs:
        if INPUTS[name].normalised:
            keys = [f"normalisation.{name}.{part}" for part in ("mean", "spread")]
            if any(key not in tensors for key in keys):
                raise TrainingError(f"{path}: the normalisation of {name} is missing. Train again.")
            normalisation[name] = FeatureNormalisation(*(tensors[key].numpy() for key in keys))
    model.to(memory_format=torch.channels_last)
    return Checkpoint(info, model.eval(), normalisation)


def _refuse_foreign(path: Path) -> None:
    """Look at the first bytes, so that a pickle is named as such and never opened."""
    if not path.is_file():
        raise TrainingError(f"{path} does not exist. Train the fold first.")
    with path.open("rb") as file:
        start = file.read(9)
    # A pickle starts with the byte 0x80, and so does every safetensors file whose header is
    # 128, 384, 640 ... bytes long: ask first whether the header can be one.
    if len(start) == 9 and start[8:] == b"{" and 8 + struct.unpack("<Q", start[:8])[0] <= path.stat().st_size:
        return
    if start.startswith(b"PK\x03\x04") or start[:1] == b"\x80":
        raise TrainingError(
            f"{path} is a pickle (a torch.save file). Opening one can run any code, so it is refused. "
            "Checkpoints of this toolkit are safetensors files."
        )
    raise TrainingError(f"{path} is no safetensors file, or was cut short. Train the fold again.")
