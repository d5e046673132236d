"""Train one fold: build what it needs, fit it, store what came out."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import torch
from lightning.pytorch.callbacks import EarlyStopping
from torch import nn

from data_schema.errors import TrainingError
from data_schema.exports.folds import Split
from data_schema.exports.protocols import PROTOCOLS
from emer_model.data.datamodule import FoldData, choose_clips
from emer_model.data.store import ClipStore
from emer_model.data.targets import Target, protocol_targets, target
from emer_model.models.registry import accepted_arguments, build_model
from emer_model.training.callbacks import BestAndLast, Curves, EpochProgress
from emer_model.training.checkpoint import CheckpointInfo, load_checkpoint
from emer_model.training.config import RunConfig
from emer_model.training.files import write_csv, write_json, write_parquet
from emer_model.training.module import EmotionTraining
from emer_model.training.prediction import predict, predictions_table
from emer_model.training.run_folder import RunFolder
from emer_model.training.run_state import BEST, RECORD, hash_files

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Fold:
    """What one fold is trained with.

    Parameters
    ----------
    number, seed : int
        Of the fold.
    config : RunConfig
        Settings of the run.
    run : RunFolder
        Where it is stored.
    device : torch.device
        Where it is computed.
    targets, auxiliary : tuple of Target
        Those of the protocol, and further ones to learn from.
    data : FoldData
        The clips of the three parts.
    architecture : dict
        Arguments of the model's constructor.
    model : nn.Module
        With fresh weights.
    """

    number: int
    seed: int
    config: RunConfig
    run: RunFolder
    device: torch.device
    targets: tuple[Target, ...]
    auxiliary: tuple[Target, ...]
    data: FoldData
    architecture: dict[str, Any]
    model: nn.Module

    def describe(self, epoch: int, score: float) -> CheckpointInfo:
        """Describe the checkpoint of an epoch."""
        store = self.data.store
        return CheckpointInfo(
            model=self.config.model,
            architecture=self.architecture,
            protocol=self.config.protocol,
            targets=(*self.targets, *self.auxiliary),
            eye_features=tuple(store.eye_names),
            fixation_features=tuple(store.fixation_names),
            face_size_px=store.face_size_px,
            subject_normalisation=self.config.subject_normalisation,
            fold=self.number,
            epoch=epoch,
            score=score,
        )


def train_fold(
    store: ClipStore,
    labels: pd.DataFrame,
    split: Split,
    config: RunConfig,
    run: RunFolder,
    device: torch.device,
    progress: EpochProgress | None = None,
) -> None:
    """Train one fold, choose its best epoch on validation clips, predict its test clips."""
    started = time.perf_counter()
    run.clear_fold(split.fold)
    fold = _build(store, labels, split, config, run, device)
    keeper = BestAndLast(run.fold(split.fold), fold.describe, fold.data)
    curves = Curves(split.fold, progress)
    _fit(fold, keeper, curves)
    _store(fold, keeper, curves, started)


def run_targets(config: RunConfig) -> tuple[Target, ...]:
    """Return the targets of a run's protocol."""
    return protocol_targets(PROTOCOLS[config.protocol])


def auxiliary_targets(config: RunConfig) -> tuple[Target, ...]:
    """Return what a run learns beside the targets of its protocol."""
    return tuple(target(name) for name in config.auxiliary_targets if name not in PROTOCOLS[config.protocol].targets)


def check_folds(store: ClipStore, labels: pd.DataFrame, splits: Sequence[Split], config: RunConfig) -> None:
    """Refuse settings and data that no fold could be trained with, and write nothing.

    Raises
    ------
    TrainingError
        If a target or a model cannot be made, a label is wrong, or a part of a fold lacks labels.
    """
    targets, auxiliary = run_targets(config), auxiliary_targets(config)
    for split in splits:
        choose_clips(store, labels, split, targets, auxiliary, allow_missing_classes=config.allow_missing_classes)
    build_model(config.model, _architecture(store, config, (*targets, *auxiliary)))


def _build(
    store: ClipStore, labels: pd.DataFrame, split: Split, config: RunConfig, run: RunFolder, device: torch.device
) -> _Fold:
    """Seed everything, then make the fold's data and its model."""
    targets, auxiliary = run_targets(config), auxiliary_targets(config)
    seed = config.seed + split.fold
    pl.seed_everything(seed, verbose=False)
    data = FoldData(
        store,
        labels,
        split,
        targets,
        auxiliary=auxiliary,
        batch_size=config.batch_size,
        seed=seed,
        subject_normalisation=config.subject_normalisation,
        allow_missing_classes=config.allow_missing_classes,
    )
    architecture = _architecture(store, config, (*targets, *auxiliary))
    model = build_model(config.model, architecture).to(memory_format=torch.channels_last)
    return _Fold(split.fold, seed, config, run, device, targets, auxiliary, data, architecture, model)


def _fit(fold: _Fold, keeper: BestAndLast, curves: Curves) -> None:
    """Train by Lightning, which writes nothing itself: checkpoints and curves are ours.

    Raises
    ------
    TrainingError
        If the device has too little memory.
    """
    config = fold.config
    trainer = pl.Trainer(
        accelerator="gpu" if fold.device.type == "cuda" else "cpu",
        devices=1,
        max_epochs=config.epochs,
        precision="bf16-mixed" if config.precision == "bf16" else "32-true",
        gradient_clip_val=config.gradient_clip or None,
        deterministic=True,
        callbacks=[keeper, curves, EarlyStopping("val_score", mode="max", patience=config.patience)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=fold.run.root,
    )
    module = EmotionTraining(
        fold.model, fold.targets, fold.auxiliary, config.epochs, config.learning_rate, config.weight_decay
    )
    try:
        trainer.fit(module, datamodule=fold.data)
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"Fold {fold.number}: {fold.device} has too little memory for batches of {config.batch_size} clips. Use a "
            "smaller --batch-size, --precision bf16, or a smaller --face-size."
        ) from error


def _store(fold: _Fold, keeper: BestAndLast, curves: Curves, started: float) -> None:
    """Predict the test clips and write the fold's tables; ``fold.json`` comes last."""
    folder = fold.run.fold(fold.number)
    # The checkpoint is read back from its file, so that `emer evaluate` repeats just this.
    best = load_checkpoint(folder / BEST)
    test = fold.data.dataset("test")
    answers = predict(best.model, test, fold.config.batch_size, fold.device, fold.config.precision)
    write_parquet(folder / "predictions.parquet", predictions_table(test, answers, fold.targets, fold.number))
    write_csv(folder / "curves.csv", pd.DataFrame(curves.rows))
    seconds = round(time.perf_counter() - started, 2)
    write_json(
        folder / RECORD,
        {
            "fold": fold.number,
            "seed": fold.seed,
            "epochs": len(curves.rows),
            "best_epoch": keeper.best_epoch,
            "best_score": keeper.best_score,
            "clips": {part: len(indices) for part, indices in fold.data.parts.items()},
            "parameters": sum(p.numel() for p in fold.model.parameters()),
            "device": str(fold.device),
            "threads": torch.get_num_threads(),
            "seconds": seconds,
            "sha256": hash_files(folder),
        },
    )
    _log.info("fold %d: best epoch %d of %d, %.1f s", fold.number, keeper.best_epoch, len(curves.rows), seconds)


def _architecture(store: ClipStore, config: RunConfig, targets: tuple[Target, ...]) -> dict[str, Any]:
    """Choose the arguments of the model's constructor."""
    return accepted_arguments(
        config.model,
        {
            "targets": {t.name: t.n_outputs for t in targets},
            "eye_features": store.eye.shape[2],
            "fixation_features": store.fixations.shape[2],
            "face_frames": store.face_mask.shape[1],
            "eye_chunks": store.eye.shape[1],
            "fixations": store.fixations.shape[1],
            "face_backbone": config.face_backbone,
            "head_widths": list(config.head_widths),
            "dropout": config.dropout,
        },
    )
