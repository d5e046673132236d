"""Train one fold: build what it needs, train or fit it, store what came out."""

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

from data_schema.errors import TrainingError, UsageError
from data_schema.exports.protocols import PROTOCOLS
from data_schema.exports.reading import TrainingExport
from data_schema.exports.splits import ClipSplit
from emer_model.data.datamodule import FoldData, choose_clips
from emer_model.data.store import ClipStore
from emer_model.data.targets import Target, is_present, protocol_targets, target
from emer_model.registry import accepted_arguments, build_model, find_model, is_network
from emer_model.training.callbacks import BestAndLast, Curves, EpochProgress
from emer_model.training.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from emer_model.training.config import RunConfig
from emer_model.training.faces import Tell, with_backbone
from emer_model.training.files import write_csv, write_json, write_parquet
from emer_model.training.module import EmotionTraining
from emer_model.training.prediction import predict, predictions_table
from emer_model.training.run_folder import RunFolder
from emer_model.training.run_state import BEST, RECORD, VALIDATION, hash_files

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FoldPlan:
    """What one fold is trained with; the same for all folds but for the split.

    Parameters
    ----------
    store : ClipStore
        All clips.
    labels : DataFrame
        ``targets.parquet``, with what does not take part in the run's protocols missing.
    config : RunConfig
        Settings of the run.
    run : RunFolder
        Where it is stored.
    device : torch.device
        Where it is computed.
    face : dict
        What is done with faces, see `emer_model.training.faces.open_store`.
    targets, auxiliary : tuple of Target
        Those of the protocols, and further ones to learn from.
    """

    store: ClipStore
    labels: pd.DataFrame
    config: RunConfig
    run: RunFolder
    device: torch.device
    face: dict[str, Any]
    targets: tuple[Target, ...]
    auxiliary: tuple[Target, ...]

    def data(self, split: ClipSplit, inputs: tuple[str, ...]) -> FoldData:
        """Make the data of a fold."""
        config = self.config
        return FoldData(
            self.store,
            self.labels,
            split,
            self.targets,
            inputs,
            auxiliary=self.auxiliary,
            batch_size=config.batch_size,
            seed=config.seed + split.fold,
            subject_normalisation=config.subject_normalisation,
            allow_missing_classes=config.allow_missing_classes,
        )

    def describe(
        self, fold: int, model: nn.Module, architecture: dict[str, Any], epoch: int = 0, score: float = float("nan")
    ) -> CheckpointInfo:
        """Describe a checkpoint of a fold."""
        inputs = tuple(model.inputs)
        return CheckpointInfo(
            model=self.config.model,
            architecture=architecture,
            protocol=self.config.protocol,
            targets=(*self.targets, *self.auxiliary),
            inputs=inputs,
            features={name: names for name, names in self.store.names.items() if name in inputs},
            face=self.face,
            subject_normalisation=self.config.subject_normalisation,
            fold=fold,
            epoch=epoch,
            score=score,
        )


def train_fold(
    plan: FoldPlan, split: ClipSplit, progress: EpochProgress | None = None, tell: Tell | None = None
) -> None:
    """Train or fit one fold, choose by its validation clips, and predict its test clips."""
    started = time.perf_counter()
    plan.run.clear_fold(split.fold)
    pl.seed_everything(plan.config.seed + split.fold, verbose=False)
    if is_network(plan.config.model):
        data, record, curves = _train_network(plan, split, progress)
    else:
        data, record, curves = _fit_at_once(plan, split, tell)
        if progress is not None:
            progress(plan.config.epochs, plan.config.epochs, "fitted")
    _store(plan, data, record, curves, started)


def run_targets(config: RunConfig) -> tuple[Target, ...]:
    """Return the targets of a run's protocols."""
    return tuple(declared for name in config.protocols for declared in protocol_targets(PROTOCOLS[name]))


def auxiliary_targets(config: RunConfig, labels: pd.DataFrame | None = None) -> tuple[Target, ...]:
    """Return what a run learns beside its protocols' targets.

    Parameters
    ----------
    config : RunConfig
    labels : DataFrame, optional
        Where all targets are asked for, those without any label are left out.

    Raises
    ------
    UsageError
        If a name is no target.
    """
    known = [t.name for protocol in PROTOCOLS.values() for t in protocol_targets(protocol)]
    own = {declared.name for declared in run_targets(config)}
    if config.auxiliary_targets == ("all",):
        names = [n for n in known if labels is None or (n in labels and labels[n].notna().any())]
    else:
        names = list(config.auxiliary_targets)
    for name in names:
        if name not in known:
            raise UsageError(f"--auxiliary {name}: there is no such target. Known: {', '.join(known)}, or all.")
    return tuple(target(name) for name in names if name not in own)


def export_labels(export: TrainingExport, protocols: Sequence[str]) -> pd.DataFrame:
    """Return the targets of an export, with those of each protocol missing for clips that do not take part in it."""
    table = export.targets.copy()
    for name in protocols:
        judged = export.targets_of(name)
        for column in PROTOCOLS[name].targets:
            table[column] = judged[column]
    return table


def check_folds(plan: FoldPlan, splits: Sequence[ClipSplit]) -> None:
    """Try whether every fold can be trained, before anything is written.

    Raises
    ------
    TrainingError
        Naming the first fold that cannot, and why.
    """
    for split in splits:
        choose_clips(
            plan.store,
            plan.labels,
            split,
            plan.targets,
            plan.auxiliary,
            allow_missing_classes=plan.config.allow_missing_classes,
        )
    if is_network(plan.config.model):
        _build_network(plan)
    else:
        find_model(plan.config.model).with_arguments(plan.config.model_arguments)


def _build_network(plan: FoldPlan) -> tuple[nn.Module, dict[str, Any]]:
    """Build a network with fresh weights; return it with the arguments of its constructor."""
    config, store = plan.config, plan.store
    arguments = {
        "targets": {t.name: t.n_outputs for t in (*plan.targets, *plan.auxiliary)},
        "face_width": plan.face.get("width", 0),
        "eye_features": store.eye.shape[2],
        "fixation_features": store.fixations.shape[2],
        "summary_features": store.summary.shape[1],
        "face_frames": store.face_mask.shape[1],
        "eye_chunks": store.eye.shape[1],
        "fixations": store.fixations.shape[1],
        "head_widths": list(config.head_widths),
        "dropout": config.dropout,
        "modality_dropout": config.modality_dropout,
    }
    taken = accepted_arguments(config.model, arguments)
    unknown = [
        name for name in config.model_arguments if name not in accepted_arguments(config.model, config.model_arguments)
    ]
    if unknown:
        raise UsageError(f"--set {unknown[0]}: model '{config.model}' has no such argument. See docs/models.md.")
    architecture = taken | config.model_arguments
    network = build_model(config.model, architecture)
    if config.face_training != "frozen" and plan.face:
        network = with_backbone(network, plan.face, config.face_weights)
    return network.to(memory_format=torch.channels_last), architecture


def _train_network(
    plan: FoldPlan, split: ClipSplit, progress: EpochProgress | None
) -> tuple[FoldData, dict[str, Any], pd.DataFrame]:
    """Train a network; the best and the last checkpoint are written on the way."""
    model, architecture = _build_network(plan)
    data = plan.data(split, tuple(model.inputs))

    def describe(epoch: int, score: float) -> CheckpointInfo:
        return plan.describe(split.fold, model, architecture, epoch, score)

    keeper = BestAndLast(plan.run.fold(split.fold), describe, data)
    curves = Curves(split.fold, progress)
    _fit(plan, data, model, keeper, curves)
    record = {
        "epochs": len(curves.rows),
        "best_epoch": keeper.best_epoch,
        "best_score": keeper.best_score,
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    return data, record, pd.DataFrame(curves.rows)


def _fit(plan: FoldPlan, data: FoldData, model: nn.Module, keeper: BestAndLast, curves: Curves) -> None:
    """Train by Lightning, which writes nothing itself: checkpoints and curves are ours.

    Raises
    ------
    TrainingError
        If the device has too little memory.
    """
    config = plan.config
    trainer = pl.Trainer(
        accelerator="gpu" if plan.device.type == "cuda" else "cpu",
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
        default_root_dir=plan.run.root,
    )
    module = EmotionTraining(
        model, plan.targets, plan.auxiliary, config.epochs, config.learning_rate, config.weight_decay
    )
    try:
        trainer.fit(module, datamodule=data)
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"Fold {data.split.fold}: {plan.device} has too little memory for batches of {config.batch_size} clips. Use a "
            "smaller --batch-size, --precision bf16, or a smaller --face-size."
        ) from error


def _fit_at_once(plan: FoldPlan, split: ClipSplit, tell: Tell | None) -> tuple[FoldData, dict[str, Any], pd.DataFrame]:
    """Fit a model that needs no epochs, and write its checkpoint."""
    recipe = find_model(plan.config.model).with_arguments(plan.config.model_arguments)
    data = plan.data(split, tuple(recipe.inputs))
    model = recipe.fit(
        data.arrays("train"), plan.targets, seed=plan.config.seed + split.fold, config=plan.config, tell=tell
    )
    info = plan.describe(split.fold, model, model.architecture)
    save_checkpoint(plan.run.fold(split.fold) / BEST, info, model, data.normalisation)
    record = {"parameters": sum(tensor.numel() for tensor in model.state_dict().values())}
    return data, record, pd.DataFrame(columns=["fold", "epoch"])


def _store(plan: FoldPlan, data: FoldData, record: dict[str, Any], curves: pd.DataFrame, started: float) -> None:
    """Predict validation and test clips and write the fold's tables; ``fold.json`` comes last."""
    number = data.split.fold
    folder = plan.run.fold(number)
    # The checkpoint is read back from its file, so that `emer evaluate` repeats just this.
    best = load_checkpoint(folder / BEST)
    for part, name in (("validation", VALIDATION), ("test", "predictions.parquet")):
        dataset = data.dataset(part)
        answers = predict(best.model, dataset, plan.config.batch_size, plan.device, plan.config.precision)
        write_parquet(folder / name, predictions_table(dataset, answers, plan.targets, number))
    write_csv(folder / "curves.csv", curves)
    seconds = round(time.perf_counter() - started, 2)
    write_json(
        folder / RECORD,
        {
            "fold": number,
            "name": data.split.name,
            "seed": plan.config.seed + number,
            **record,
            "clips": {part: len(indices) for part, indices in data.parts.items()},
            "clips_by_target": {
                t.name: {
                    part: int(is_present(t, data.encoded[t.name][clips]).sum()) for part, clips in data.parts.items()
                }
                for t in plan.targets
            },
            "device": str(plan.device),
            "threads": torch.get_num_threads(),
            "seconds": seconds,
            "sha256": hash_files(folder),
        },
    )
    _log.info("fold %d: %s, %.1f s", number, _in_words(record), seconds)


def _in_words(record: dict[str, Any]) -> str:
    """Say how a fold was trained."""
    return f"best epoch {record['best_epoch']} of {record['epochs']}" if "epochs" in record else "fitted"
