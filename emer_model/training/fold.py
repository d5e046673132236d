"""Train one fold: train or fit what it asks for, and store what came out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from data_schema.errors import TrainingError
from data_schema.exports.splits import SCHEMES, ClipSplit
from emer_model.data.datamodule import FoldData
from emer_model.data.dataset import ClipDataset
from emer_model.data.targets import Target, is_present
from emer_model.registry import find_model, is_network
from emer_model.training import ranks
from emer_model.training.checkpoint import load_checkpoint, save_checkpoint
from emer_model.training.deep_member import network_fitter
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

#: Probabilities or values by target, each of shape (n_clips, outputs).
Answers = dict[str, np.ndarray]


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
            validation = None
        elif ranks.is_first():
            data, record, curves, validation = _fit_at_once(plan, split, tell)
            if progress is not None:
                progress(plan.config.epochs, plan.config.epochs, "fitted")
        else:
            return
    except TrainingError as error:
        raise TrainingError(f"Fold {split.fold}: {error}") from error
    if ranks.is_first():
        _store(plan, data, record, curves, validation, started)
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


def _fit_at_once(
    plan: FoldPlan, split: ClipSplit, tell: Tell | None
) -> tuple[FoldData, dict[str, Any], pd.DataFrame, Answers]:
    """Fit a model that needs no epochs, write its checkpoint, and return its answers for the validation clips.

    Nothing is stopped early by the validation clips, so the model that is kept is fitted on them too (`RunConfig.refit`).
    Their answers, which set the temperature, then come from parts that had not seen their participants: inner folds of the
    kept model where it has them, else a model fitted on the training part alone. Inner folds know the stimuli of the
    validation clips, so where stimuli are tested, the second way is gone.
    """
    config, seed = plan.config, plan.seed(split.fold)
    recipe = find_model(config.model).with_arguments(config.model_arguments)
    data = plan.data(split, tuple(recipe.inputs))
    held = data.dataset("validation")
    lent = network_fitter(plan)
    fit = partial(recipe.fit, targets=plan.targets, seed=seed, config=config, tell=tell, fit_network=lent)
    if config.refit:
        both = plan.data(replace(split, train=split.train + split.validation), tuple(recipe.inputs))
        model = fit(both.arrays("train"))
        answers = None if SCHEMES[config.scheme].new_stimuli else _out_of_fold(model, both, held, plan.targets)
        if answers is None:
            first = fit(data.arrays("train"))
            answers = predict(first, held, config.batch_size, plan.device, config.precision)
    else:
        both = data
        model = fit(data.arrays("train"))
        answers = predict(model, held, config.batch_size, plan.device, config.precision)
    info = plan.describe(split.fold, model, model.architecture)
    save_checkpoint(plan.run.fold(split.fold) / BEST, info, model.state_dict(), both.normalisation)
    record = {
        "parameters": sum(tensor.numel() for tensor in model.state_dict().values()),
        "fitted_on": ["train", "validation"] if config.refit else ["train"],
    }
    return both, record, pd.DataFrame(columns=["fold", "epoch"]), answers


def _out_of_fold(
    model: torch.nn.Module, both: FoldData, held: ClipDataset, targets: tuple[Target, ...]
) -> Answers | None:
    """Take a fitted model's out-of-fold answers for the validation clips; None if it has none for one of them."""
    known = getattr(model, "out_of_fold", None)
    if not known or any(t.name not in known for t in targets):
        return None
    places = np.searchsorted(both.parts["train"], held.indices)  # both ascend
    answers: Answers = {}
    for declared in targets:
        rows = np.asarray(known[declared.name], dtype=np.float64)[places]
        labelled = is_present(declared, both.encoded[declared.name][held.indices])
        if not np.isfinite(rows[labelled]).all():
            return None
        rows = np.where(np.isfinite(rows), rows, 0.0)
        chances = np.exp(rows - rows.max(axis=1, keepdims=True))
        answers[declared.name] = (chances / chances.sum(axis=1, keepdims=True) if declared.classes else rows).astype(
            np.float32
        )
    return answers


def _store(
    plan: FoldPlan,
    data: FoldData,
    record: dict[str, Any],
    curves: pd.DataFrame,
    validation: Answers | None,
    started: float,
) -> None:
    """Predict validation and test clips and write the fold's tables; ``fold.json`` comes last."""
    number = data.split.fold
    folder = plan.run.fold(number)
    # The checkpoint is read back from its file, so that `emer evaluate` repeats just this.
    best = load_checkpoint(folder / BEST)
    for part, name in (("validation", VALIDATION), ("test", "predictions.parquet")):
        dataset = data.dataset(part)
        answers = validation if part == "validation" else None
        if answers is None:
            answers = predict(best.model, dataset, plan.config.batch_size, plan.device, plan.config.precision)
        write_parquet(folder / name, predictions_table(dataset, answers, plan.targets, number))
    write_csv(folder / "curves.csv", curves)
    seconds = round(time.perf_counter() - started, 2)
    parts = data.parts | {"train": np.setdiff1d(data.parts["train"], data.parts["validation"])}  # however it was fitted
    write_json(
        folder / RECORD,
        {
            "fold": number,
            "name": data.split.name,
            "seed": plan.seed(number),
            **record,
            "clips": {part: len(indices) for part, indices in parts.items()},
            "clips_by_target": {
                t.name: {part: int(is_present(t, data.encoded[t.name][clips]).sum()) for part, clips in parts.items()}
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
