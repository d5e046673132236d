"""Train one fold: train or fit what it asks for, and store what came out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import torch

from data_schema.errors import TrainingError
from data_schema.exports.splits import ClipSplit
from emer_model.data.datamodule import FoldData
from emer_model.data.targets import is_present
from emer_model.registry import find_model, is_network
from emer_model.training import ranks
from emer_model.training.checkpoint import load_checkpoint, save_checkpoint
from emer_model.training.faces import Tell
from emer_model.training.files import write_csv, write_json, write_parquet
from emer_model.training.fitting import Fitted, Watch, fit_network
from emer_model.training.learning import pretrain_eyes, soft_targets
from emer_model.training.plan import FoldPlan
from emer_model.training.prediction import predict, predictions_table
from emer_model.training.resume import STATE_NAME, StateFile
from emer_model.training.run_state import BEST, LAST, RECORD, VALIDATION, hash_files
from emer_model.training.tensorboard import TensorBoardLog

_log = logging.getLogger(__name__)

#: Told the epoch, of how many at most, and a sentence.
EpochProgress = Callable[[int, int, str], None]


def train_fold(
    plan: FoldPlan, split: ClipSplit, progress: EpochProgress | None = None, tell: Tell | None = None
) -> None:
    """Train or fit one fold, choose by its validation clips, and predict its test clips.

    A fold that was interrupted goes on after its last stored epoch. Where several processes train
    together, the first one alone writes, and alone fits what needs no epochs.

    Raises
    ------
    TrainingError
        If it cannot be trained, or its files cannot be written.
    """
    started = time.perf_counter()
    if ranks.is_first():
        plan.run.begin_fold(split.fold)
    ranks.wait_for_all()
    try:
        if is_network(plan.config.model):
            data, record, curves = _train_network(plan, split, progress, tell)
        elif ranks.is_first():
            data, record, curves = _fit_at_once(plan, split, tell)
            if progress is not None:
                progress(plan.config.epochs, plan.config.epochs, "fitted")
        else:
            return
    except TrainingError as error:
        raise TrainingError(f"Fold {split.fold}: {error}") from error
    if ranks.is_first():
        _store(plan, data, record, curves, started)
        (plan.run.fold(split.fold) / STATE_NAME).unlink(missing_ok=True)


def _train_network(
    plan: FoldPlan, split: ClipSplit, progress: EpochProgress | None, tell: Tell | None
) -> tuple[FoldData, dict[str, Any], pd.DataFrame]:
    """Train a network and write the checkpoints of its best and its last epoch."""
    config, seed, folder = plan.config, plan.seed(split.fold), plan.run.fold(split.fold)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, architecture = plan.build_network()
    data = plan.data(split, tuple(network.inputs))
    board = TensorBoardLog(plan.run.tensorboard(split.fold)) if plan.tensorboard else None
    watchers: list[Watch] = [_say(progress)] if progress is not None else []
    try:
        fitted = fit_network(
            network,
            data.dataset("train"),
            data.dataset("validation"),
            plan.targets,
            config,
            seed,
            auxiliary=plan.auxiliary,
            device=plan.device,
            soft=soft_targets(plan, split, tell) if config.distillation else None,
            pretrain=(lambda model: pretrain_eyes(model, plan.unlabelled(split), config, seed))
            if config.pretrain_epochs
            else None,
            state=StateFile(folder / STATE_NAME, plan.identity(split.fold, architecture)),
            watchers=[*watchers, board] if board is not None else watchers,
        )
    finally:
        if board is not None:
            board.close()
    if ranks.is_first():
        _save_both(plan, split, data, architecture, fitted)
    record = {
        "epochs": len(fitted.rows),
        "best_epoch": fitted.best_epoch,
        "best_score": fitted.best_score,
        "parameters": sum(p.numel() for p in network.parameters()),
    }
    curves = pd.DataFrame(fitted.rows)
    curves.insert(0, "fold", split.fold)
    return data, record, curves


def _save_both(plan: FoldPlan, split: ClipSplit, data: FoldData, architecture: dict[str, Any], fitted: Fitted) -> None:
    """Write the checkpoints of the best and the last epoch."""
    folder, network = plan.run.fold(split.fold), fitted.network
    best = plan.describe(split.fold, network, architecture, fitted.best_epoch, fitted.best_score)
    save_checkpoint(folder / BEST, best, network.state_dict(), data.normalisation)
    end = fitted.rows[-1]
    last = plan.describe(split.fold, network, architecture, len(fitted.rows), end["val_score"])
    save_checkpoint(folder / LAST, last, fitted.last, data.normalisation)


def _fit_at_once(plan: FoldPlan, split: ClipSplit, tell: Tell | None) -> tuple[FoldData, dict[str, Any], pd.DataFrame]:
    """Fit a model that needs no epochs, and write its checkpoint."""
    recipe = find_model(plan.config.model).with_arguments(plan.config.model_arguments)
    data = plan.data(split, tuple(recipe.inputs))
    model = recipe.fit(data.arrays("train"), plan.targets, seed=plan.seed(split.fold), config=plan.config, tell=tell)
    info = plan.describe(split.fold, model, model.architecture)
    save_checkpoint(plan.run.fold(split.fold) / BEST, info, model.state_dict(), data.normalisation)
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
            "seed": plan.seed(number),
            **record,
            "clips": {part: len(indices) for part, indices in data.parts.items()},
            "clips_by_target": {
                t.name: {
                    part: int(is_present(t, data.encoded[t.name][clips]).sum()) for part, clips in data.parts.items()
                }
                for t in plan.targets
            },
            "device": str(plan.device),
            "processes": ranks.world(),
            "threads": torch.get_num_threads(),
            "seconds": seconds,
            "sha256": hash_files(folder),
        },
    )
    _log.info("fold %d: %s, %.1f s", number, _in_words(record), seconds)


def _say(progress: EpochProgress) -> Watch:
    """Tell how training goes."""

    def said(epoch: int, epochs: int, row: dict[str, float]) -> None:
        progress(epoch, epochs, f"loss {row['train_total']:.3f}, validation score {row['val_score']:.3f}")

    return said


def _in_words(record: dict[str, Any]) -> str:
    """Say how a fold was trained."""
    return f"best epoch {record['best_epoch']} of {record['epochs']}" if "epochs" in record else "fitted"
