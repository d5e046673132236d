"""Train one protocol on the folds of an export.

The test fold is predicted once, by the checkpoint that the validation fold chose.
Nothing of the test participants is used before that, except that a participant's own
unlabelled features may set that participant's baseline.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import torch
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.utilities.seed import isolate_rng

from data_schema.errors import TrainingError, UsageError
from data_schema.exports.folds import Split
from data_schema.exports.protocols import PROTOCOLS
from data_schema.exports.reading import TrainingExport
from emer_model.data.datamodule import FoldData
from emer_model.data.fold_choice import parse_folds
from emer_model.data.store import ClipStore
from emer_model.data.targets import Target, protocol_targets, target
from emer_model.evaluation.gap import masked_clips
from emer_model.evaluation.summary import summarise
from emer_model.models.face_encoder import FACE_SIZE_PX
from emer_model.models.registry import accepted_arguments, build_model, model_class, suggest
from emer_model.training.callbacks import BEST, BestAndLast, Curves
from emer_model.training.checkpoint import CheckpointInfo, load_checkpoint
from emer_model.training.config import RunConfig
from emer_model.training.environment import (
    choose_device,
    default_threads,
    deterministic,
    limited_threads,
    quiet_lightning,
    run_log,
    versions,
)
from emer_model.training.files import write_csv, write_json, write_parquet
from emer_model.training.module import EmotionTraining
from emer_model.training.prediction import predict, predictions_table
from emer_model.training.run_folder import FORMAT, FORMAT_VERSION, RunFolder

_log = logging.getLogger(__name__)

#: Told how much is done, of how much, and a sentence.
Progress = Callable[[int, int, str], None]


def train(
    export_path: Path,
    out: Path,
    config: RunConfig,
    *,
    folds: str = "all",
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a model for a protocol, fold by fold; finished folds of the same run are kept.

    Parameters
    ----------
    export_path : Path
        A training export.
    out : Path
        The run folder.
    config : RunConfig
        What to learn and how.
    folds : str
        'all', or numbers with commas between.
    device : str
        'auto', 'cpu' or 'cuda'.
    threads : int, optional
        Threads of torch on the CPU; see `default_threads`.
    overwrite : bool
        Replace a run that is there.
    progress : callable, optional
        Told the epochs done over all folds asked for.

    Returns
    -------
    dict
        What ``metrics.json`` holds.

    Raises
    ------
    UsageError
        If a name is not known or the run folder holds something else.
    TrainingError
        If the export cannot be trained on.
    """
    if config.protocol not in PROTOCOLS:
        raise UsageError(suggest("protocol", config.protocol, PROTOCOLS))
    model_class(config.model)
    chosen = choose_device(device)
    threads = threads or default_threads()
    with TrainingExport.open(export_path) as export:
        splits = export_splits(export)
        numbers = parse_folds(folds, len(splits))
        run = RunFolder(out)
        run.prepare(_resolved(config, export_path, export, chosen, threads), overwrite=overwrite)
        with run_log(run.log_path), quiet_lightning(), deterministic(), limited_threads(threads):
            _log.info("protocol %s, model %s, device %s", config.protocol, config.model, chosen)
            write_json(
                run.folds_path,
                {str(s.fold): {"train": s.train, "validation": s.validation, "test": s.test} for s in splits},
            )
            waiting = [k for k in numbers if k not in run.finished_folds()]
            for k in sorted(set(numbers) - set(waiting)):
                _log.info("fold %d is finished already", k)
            if waiting:
                store = ClipStore(export, face_size_px=_face_size_px(config, export), progress=progress)
                for position, k in enumerate(waiting):
                    said = _fold_progress(progress, position, len(waiting), k, config.epochs)
                    with isolate_rng():
                        train_fold(store, export.targets, splits[k], config, run, chosen, said)
            return collect(run, export.targets)


def train_fold(
    store: ClipStore,
    labels: pd.DataFrame,
    split: Split,
    config: RunConfig,
    run: RunFolder,
    device: torch.device,
    progress: Progress | None = None,
) -> None:
    """Train one fold, choose its best epoch on validation clips, predict its test clips."""
    started = time.perf_counter()
    folder = run.fold(split.fold)
    if folder.exists():
        shutil.rmtree(folder)  # begun, never finished
    folder.mkdir(parents=True)
    targets = run_targets(config)
    auxiliary = tuple(target(name) for name in config.auxiliary_targets if name not in {t.name for t in targets})
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

    def describe(epoch: int, score: float) -> CheckpointInfo:
        return CheckpointInfo(
            model=config.model,
            architecture=architecture,
            protocol=config.protocol,
            targets=(*targets, *auxiliary),
            eye_features=tuple(store.eye_names),
            fixation_features=tuple(store.fixation_names),
            face_size_px=store.face_size_px,
            subject_normalisation=config.subject_normalisation,
            fold=split.fold,
            epoch=epoch,
            score=score,
        )

    keeper, curves = BestAndLast(folder, describe, data), Curves(split.fold, progress)
    trainer = pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
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
        default_root_dir=run.root,
    )
    module = EmotionTraining(model, targets, auxiliary, config.epochs, config.learning_rate, config.weight_decay)
    try:
        trainer.fit(module, datamodule=data)
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"Fold {split.fold}: {device} has too little memory for batches of {config.batch_size} clips. Use a smaller "
            "--batch-size, --precision bf16, or a smaller --face-size."
        ) from error

    # The checkpoint is read back from its file, so that `emer evaluate` repeats just this.
    best = load_checkpoint(folder / BEST)
    test = data.dataset("test")
    answers = predict(best.model, test, config.batch_size, device, config.precision)
    write_parquet(folder / "predictions.parquet", predictions_table(test, answers, targets, split.fold))
    write_csv(folder / "curves.csv", pd.DataFrame(curves.rows))
    seconds = round(time.perf_counter() - started, 2)
    write_json(
        folder / "fold.json",
        {
            "fold": split.fold,
            "seed": seed,
            "epochs": len(curves.rows),
            "best_epoch": keeper.best_epoch,
            "best_score": keeper.best_score,
            "clips": {part: len(indices) for part, indices in data.parts.items()},
            "parameters": sum(p.numel() for p in model.parameters()),
            "device": str(device),
            "threads": torch.get_num_threads(),
            "seconds": seconds,
        },
    )
    _log.info("fold %d: best epoch %d of %d, %.1f s", split.fold, keeper.best_epoch, len(curves.rows), seconds)


def collect(run: RunFolder, labels: pd.DataFrame) -> dict[str, Any]:
    """Gather the finished folds of a run into its tables and metrics."""
    finished = run.finished_folds()
    if not finished:
        raise TrainingError(f"{run.root}: no fold is finished.")
    config = run.run_config()
    predictions = pd.concat([pd.read_parquet(run.fold(k) / "predictions.parquet") for k in finished])
    curves = pd.concat([pd.read_csv(run.fold(k) / "curves.csv") for k in finished])
    write_parquet(run.predictions_path, predictions.reset_index(drop=True))
    write_csv(run.curves_path, curves)
    metrics = {
        "protocol": config.protocol,
        "model": config.model,
        "simulated": bool(run.config()["export"]["simulated"]),
        "finished_folds": finished,
        "folds": run.fold_records(),
        "targets": summarise(predictions, run_targets(config), masked_clips(labels)),
    }
    write_json(run.metrics_path, metrics)
    return metrics


def export_splits(export: TrainingExport) -> list[Split]:
    """Return all splits of an export; each is checked to be disjoint in participants."""
    folds, participants = export.fold_assignment, export.clips["participant"].tolist()
    return [folds.splits(k, participants) for k in range(folds.n_folds)]


def run_targets(config: RunConfig) -> tuple[Target, ...]:
    """Return the targets of a run's protocol."""
    return protocol_targets(PROTOCOLS[config.protocol])


def manifest_sha256(export_path: Path) -> str:
    """Compute the hash by which a run knows its export: the manifest holds those of all files."""
    return hashlib.sha256((Path(export_path) / "manifest.json").read_bytes()).hexdigest()


def _face_size_px(config: RunConfig, export: TrainingExport) -> int | None:
    """Return the size asked for, or the backbone's own where the export's faces are larger."""
    if config.face_size_px is not None or config.face_backbone not in FACE_SIZE_PX:
        return config.face_size_px
    stored = int(export.read(str(export.clips["clip_id"].iloc[0]), ("faces",))["faces"].shape[1])
    return min(stored, FACE_SIZE_PX[config.face_backbone])


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


def _resolved(
    config: RunConfig, export_path: Path, export: TrainingExport, device: torch.device, threads: int
) -> dict[str, Any]:
    """Put together ``config.json``."""
    manifest = export.manifest
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "settings": config.as_json(),
        "export": {
            "path": str(Path(export_path).resolve()),
            "manifest_sha256": manifest_sha256(export_path),
            "study_title": manifest.get("study_title", ""),
            "simulated": bool(manifest.get("simulated", False)),
        },
        "machine": {"device": str(device), "threads": threads},
        "versions": versions(),
    }


def _fold_progress(progress: Progress | None, position: int, n_folds: int, fold: int, epochs: int) -> Progress | None:
    """Turn a fold's epochs into the run's."""
    if progress is None:
        return None

    def said(epoch: int, _: int, sentence: str) -> None:
        progress(position * epochs + epoch, n_folds * epochs, f"fold {fold} ({position + 1} of {n_folds}): {sentence}")

    return said
