"""Training, run folders and checkpoints."""

from __future__ import annotations

from emer_model.training.checkpoint import Checkpoint, CheckpointInfo, load_checkpoint, read_info, save_checkpoint
from emer_model.training.config import RunConfig
from emer_model.training.opened import OpenedRun
from emer_model.training.prediction import predict, predictions_table
from emer_model.training.run_folder import RunFolder
from emer_model.training.runner import train

__all__ = [
    "Checkpoint",
    "CheckpointInfo",
    "OpenedRun",
    "RunConfig",
    "RunFolder",
    "load_checkpoint",
    "predict",
    "predictions_table",
    "read_info",
    "save_checkpoint",
    "train",
]
