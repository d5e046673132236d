"""Weights of a face backbone from a file that the user names. Nothing in such a file is ever executed.

Read are state dicts that ``torch.save`` wrote, such as torchvision's ``resnet18-*.pth``; safetensors files; and
checkpoints of this toolkit, of which the backbone is taken.
"""

from __future__ import annotations

import logging
import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from data_schema import atomic
from data_schema.errors import TrainingError
from emer_model.faces.backbone import FaceBackbone

_log = logging.getLogger(__name__)

#: Keys under which training scripts store the state dict among other things.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "backbone")
#: The classifier that follows the backbone in files of others.
_CLASSIFIERS = ("fc.", "classifier.", "head.")
#: Counts the batches that a normalisation has seen; absent from old files, and not needed to use it.
_COUNTER = "num_batches_tracked"


def load_weights(backbone: FaceBackbone, path: Path) -> None:
    """Fill a backbone with the weights of a file.

    Parameters
    ----------
    backbone : FaceBackbone
        Its own names and shapes decide what is taken; a classifier (``fc``) beside them is left out, and
        a prefix that all names share, such as ``module.``, does not matter.
    path : Path
        ``.pth``, ``.pt``, ``.safetensors``, or a ``best.safetensors`` of a run with a fine-tuned backbone.

    Raises
    ------
    TrainingError
        If the file is missing, cut short, would have to run code, is of another architecture, or holds values that are
        not finite. The backbone is then as it was.
    """
    tensors = _read(path)
    own = backbone.state_dict()
    prefix = _find_prefix(tensors, tuple(own), path, backbone.name)
    found = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    missing = [key for key in own if key not in found and not key.endswith(_COUNTER)]
    if missing:
        raise TrainingError(
            f"{path}: {len(missing)} of {len(own)} tensors of {backbone.name} are missing, such as {missing[0]}. "
            f"The file is of another architecture or incomplete. Name weights of {backbone.name}."
        )
    further = sorted(key for key in found if key not in own and not key.startswith(_CLASSIFIERS))
    # Beside a whole backbone without a prefix may stand other parts of a model; inside its own layers nothing may.
    stages = {key.split(".")[0] for key in own}
    deeper = [key for key in further if key.split(".")[0] in stages and not key.endswith(_COUNTER)]
    if deeper:
        raise TrainingError(
            f"{path}: has {len(deeper)} tensors that {backbone.name} does not have, such as {deeper[0]}: a deeper network. "
            f"Name weights of {backbone.name}."
        )
    state = {key: found.get(key, value) for key, value in own.items()}
    for key, value in own.items():
        if state[key].shape != value.shape:
            raise TrainingError(
                f"{path}: {prefix}{key} has shape {tuple(state[key].shape)}, {backbone.name} needs {tuple(value.shape)}. "
                f"Name weights of {backbone.name}."
            )
        if not torch.isfinite(state[key]).all():
            raise TrainingError(
                f"{path}: {prefix}{key} holds values that are not finite. The training it is of failed."
            )
    backbone.load_state_dict(state)
    _log.info("%s: %d tensors for %s", path.name, len(own), backbone.name)


def save_backbone(path: Path, backbone: FaceBackbone) -> None:
    """Write a backbone's weights as safetensors, whole or not at all; equal weights give equal bytes.

    Raises
    ------
    TrainingError
        If the file cannot be written.
    """
    tensors = {key: value.detach().cpu().contiguous() for key, value in backbone.state_dict().items()}
    # One key: safetensors stores several in any order.
    about = {"about": f"{backbone.name}, {backbone.preprocessing()}"}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_atomically(path, save(tensors, metadata=about))
    except OSError as error:
        raise TrainingError(f"{path} cannot be written: {error.strerror or error}. Free space there.") from error


def is_safetensors(path: Path) -> bool:
    """Tell whether a file is one of safetensors, by its first bytes."""
    with path.open("rb") as file:
        return _is_safetensors(file.read(9), path)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise TrainingError(
            f"{path}: there is no such weights file. Nothing is downloaded: name a file that is on this machine "
            "with --face-weights."
        )
    try:
        with path.open("rb") as file:
            start = file.read(9)
        tensors = _read_safetensors(path) if _is_safetensors(start, path) else _read_torch(path, start)
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read: {error.strerror or error}.") from error
    kept = {key: value for key, value in tensors.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if not kept:
        raise TrainingError(f"{path}: holds no tensors. Name a state dict, such as torchvision's resnet18-*.pth.")
    return kept


def _is_safetensors(start: bytes, path: Path) -> bool:
    """Tell by the length and the first letter of the header: the first byte may be a pickle's, too."""
    return len(start) == 9 and start[8:] == b"{" and 8 + struct.unpack("<Q", start[:8])[0] <= path.stat().st_size


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise TrainingError(f"{path}: is damaged or was cut short ({error}). Copy it again.") from error


def _read_torch(path: Path, start: bytes) -> Mapping[Any, Any]:
    """Read what ``torch.save`` wrote; anything but tensors and plain containers is refused by torch."""
    if not start.startswith((b"PK\x03\x04", b"\x80")):
        raise TrainingError(
            f"{path}: is neither a safetensors file nor one that torch.save wrote, or was cut short. "
            "Name a state dict, such as torchvision's resnet18-*.pth."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols: what cannot be read is said below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Weights only" not in str(error):
            raise TrainingError(f"{path}: is damaged or was cut short. Copy it again.") from error
        raise TrainingError(
            f"{path}: holds more than tensors, and opening it would run the code in it, so it is refused. In the program "
            "that wrote it, store the weights alone: torch.save(model.state_dict(), ...), or as safetensors."
        ) from error
    except (
        OSError,
        RuntimeError,
        EOFError,
        zipfile.BadZipFile,
        ValueError,
        KeyError,
        IndexError,
        SafetensorError,
    ) as error:
        # torch itself reads files by their ending, too.
        raise TrainingError(f"{path}: is damaged or was cut short. Copy it again.") from error
    for _ in range(3):  # {"state_dict": {...}}, at times wrapped twice
        if not isinstance(content, Mapping):
            raise TrainingError(f"{path}: holds {type(content).__name__}, expected a state dict: tensors by name.")
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    return content


def _find_prefix(tensors: Mapping[str, Tensor], own: tuple[str, ...], path: Path, name: str) -> str:
    """Find what stands before the backbone's own names, such as ``module.`` or ``model.backbone.``."""
    needed = [key for key in own if not key.endswith(_COUNTER)]
    prefixes = {key.removesuffix(needed[0]) for key in tensors if key == needed[0] or key.endswith(f".{needed[0]}")}
    held = {prefix: sum(prefix + key in tensors for key in needed) for prefix in prefixes}
    # Fewer than half of the names is chance: every residual block has a "conv1.weight".
    likely = sorted(prefix for prefix, n in held.items() if n == max(held.values()) and 2 * n > len(needed))
    if not likely:
        some = ", ".join(sorted(tensors)[:3])
        raise TrainingError(
            f"{path}: holds no weights of {name}; its tensors are named {some} and so on. A checkpoint of this toolkit has them "
            f"only if the backbone was trained with it (--face-training half or full). Expected names such as {needed[0]}."
        )
    if len(likely) > 1:
        places = " and ".join(repr(prefix) for prefix in likely)
        raise TrainingError(f"{path}: holds {name} more than once, under {places}. Store one of them alone.")
    return likely[0]
