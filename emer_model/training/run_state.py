"""Which folds of a run are finished, and whether their files are still those that training wrote.

``fold.json`` is written last and holds the SHA-256 of the fold's checkpoint and tables. A
fold counts as finished only while these files are there and have these hashes.
"""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_schema.errors import TrainingError
from emer_model.training.config import RunConfig
from emer_model.training.files import read_json

#: Checkpoints of a fold: the best on validation clips, and that of the last epoch.
BEST, LAST = "best.safetensors", "last.safetensors"

#: Predictions on the validation clips: for calibration, never for figures.
VALIDATION = "validation.parquet"

#: Mark of a finished fold.
RECORD = "fold.json"

#: Files that a finished fold cannot be without. The last checkpoint may be deleted to save space.
HASHED = (BEST, "predictions.parquet", VALIDATION, "curves.csv")

#: Options of `emer train` by the setting that they give.
OPTIONS = {
    "scheme": "--scheme",
    "epochs": "--epochs",
    "patience": "--patience",
    "batch_size": "--batch-size",
    "learning_rate": "--learning-rate",
    "dropout": "--dropout",
    "face_backbone": "--face-backbone",
    "face_weights": "--face-weights",
    "face_training": "--face-training",
    "face_size_px": "--face-size",
    "precision": "--precision",
    "seed": "--seed",
}


#: Settings without an option of their own: ``--set NAME=VALUE``.
SET_BY_NAME = (
    "weight_decay",
    "gradient_clip",
    "head_widths",
    "ema_decay",
    "logit_adjustment",
    "modality_dropout",
    "pretrain_epochs",
    "distillation",
    "refit",
)


@dataclass(frozen=True)
class RunState:
    """How far a run has come.

    Parameters
    ----------
    planned : int
        Folds of the export.
    finished : tuple of int
        Folds whose files are those that training wrote, in order.
    damaged : dict of int to str
        Folds that were finished, and which file is not as it was.
    """

    planned: int
    finished: tuple[int, ...] = ()
    damaged: dict[int, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every fold is finished."""
        return len(self.finished) >= self.planned

    @property
    def count(self) -> str:
        """Such as '2 of 5'."""
        return f"{len(self.finished)} of {self.planned}"


def hash_files(folder: Path) -> dict[str, str]:
    """Compute the SHA-256 of the files in `HASHED`."""
    return {name: _sha256(folder / name) for name in HASHED}


def find_damage(folder: Path) -> str:
    """Say which file of a fold is not the one that training wrote; empty if all are.

    Parameters
    ----------
    folder : Path
        A fold's folder with a ``fold.json``.
    """
    try:
        record = read_json(folder / RECORD)
    except TrainingError:
        return f"{folder / RECORD} cannot be read"
    hashes = record.get("sha256") if isinstance(record, dict) else None
    if not isinstance(hashes, dict):
        return f"{folder / RECORD} holds no hashes of the fold's files"
    for name in HASHED:
        path = folder / name
        if not path.is_file():
            return f"{path} is missing"
        try:
            found = _sha256(path)
        except OSError as error:
            return f"{path} cannot be read ({error.strerror})"
        if found != hashes.get(name):
            return f"{path} is not the file that was trained: its SHA-256 is not that in {RECORD}"
    return ""


def train_command(root: Path, export: Path, settings: RunConfig) -> str:
    """Write down the `emer train` command that goes on with a run."""
    words = ["emer", "train", str(export), "--protocol", settings.protocol, "--model", settings.model]
    usual = RunConfig.of(settings.protocol, settings.model)
    for name, option in OPTIONS.items():
        if getattr(settings, name) != getattr(usual, name):
            words += [option, str(getattr(settings, name))]
    if settings.subject_normalisation != usual.subject_normalisation:
        words.append("--subject-normalisation" if settings.subject_normalisation else "--no-subject-normalisation")
    if settings.auxiliary_targets != usual.auxiliary_targets:
        words += ["--auxiliary", ",".join(settings.auxiliary_targets) or "none"]
    if settings.allow_missing_classes:
        words.append("--allow-missing-classes")
    for name in SET_BY_NAME:
        if getattr(settings, name) != getattr(usual, name):
            words += ["--set", f"{name}={_as_typed(getattr(settings, name))}"]
    for name, value in settings.model_arguments.items():
        words += ["--set", f"{name}={_as_typed(value)}"]
    return shlex.join([*words, "--out", str(root)])


def _as_typed(value: Any) -> str:
    """Write a value as ``--set`` reads it."""
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
