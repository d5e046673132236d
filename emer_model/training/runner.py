"""Train or fit a model for one protocol or several, fold by fold of an export.

The test fold is predicted once, by the checkpoint that the validation fold chose, or by the model that was fitted.
Nothing of the test participants is used before that, except that a participant's own
unlabelled features may set that participant's baseline.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from data_schema.errors import TrainingError, UsageError
from data_schema.exports.protocols import PROTOCOLS
from data_schema.exports.reading import TrainingExport
from data_schema.exports.splits import ClipSplit
from emer_model.data.fold_choice import parse_folds
from emer_model.evaluation.gap import masked_clips
from emer_model.evaluation.summary import summarise
from emer_model.registry import find_model
from emer_model.training import ranks, tensorboard
from emer_model.training.config import RunConfig, parse_protocols
from emer_model.training.environment import (
    choose_device,
    default_threads,
    deterministic,
    limited_threads,
    quiet_lightning,
    run_log,
    versions,
)
from emer_model.training.exhaustion import memory_advice
from emer_model.training.faces import Progress, Tell, check_faces, face_memory_mb, keep_backbone, open_store
from emer_model.training.files import write_csv, write_json, write_parquet
from emer_model.training.fold import train_fold
from emer_model.training.fold_tasks import train_in_workers
from emer_model.training.model_card import write_model_card
from emer_model.training.plan import FoldPlan, auxiliary_targets, export_labels, run_targets
from emer_model.training.resume import STATE_NAME
from emer_model.training.run_folder import FORMAT, FORMAT_VERSION, RunFolder

_log = logging.getLogger(__name__)

#: Threads beyond which a process may end without a word. Ours: more than any machine of today has processors.
MAX_THREADS = 1024


def train(
    export_path: Path,
    out: Path,
    config: RunConfig,
    *,
    folds: str = "all",
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    workers: int = 1,
    scheduler: str = "",
    tensorboard_logs: bool = True,
    progress: Progress | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Train a model for its protocols, fold by fold; finished folds of the same run are kept.

    Settings and data are checked before the run folder is made. A finished fold whose files
    are not those that were written is trained again; one that was interrupted goes on.

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
    workers : int
        Folds trained at once, each in a process of its own; 0 for one a core.
    scheduler : str
        Address of a Dask scheduler whose workers train the folds.
    tensorboard_logs : bool
        Write the curves for TensorBoard, too.
    progress : callable, optional
        Told the epochs done over all folds asked for.
    tell : callable, optional
        Told which folds are damaged; these sentences are logged in any case.

    Returns
    -------
    dict
        What ``metrics.json`` holds; in processes of torchrun other than the first, nothing.

    Raises
    ------
    UsageError
        If a name is not known or the run folder holds something else.
    TrainingError
        If the export cannot be trained on, or another process trains in the run folder.
    """
    config = dataclasses.replace(config, protocol=",".join(parse_protocols(config.protocol)))
    find_model(config.model)
    check_faces(config)
    auxiliary_targets(config)
    _check_workers(workers, scheduler)
    chosen = choose_device(device)
    threads = threads or default_threads()
    if threads > MAX_THREADS:
        raise UsageError(f"--threads {threads}: expected {MAX_THREADS} at most; more than processors is slower.")
    run = RunFolder(out)
    if tensorboard_logs and not tensorboard.is_installed():
        tensorboard_logs = False
        if tell is not None and ranks.is_first():
            tell(tensorboard.MISSING)
    job = _Job(run, export_path, config, folds, chosen, threads, overwrite, tensorboard_logs)
    with ExitStack() as held, TrainingExport.open(export_path) as export:
        held.enter_context(memory_advice(config, chosen))
        held.enter_context(ranks.together(chosen))
        if not ranks.is_first():
            return _help(job, export)
        begun = False
        try:
            plan, wanted, waiting = _begin(job, export, held, progress, tell)
            ranks.tell_all([split.fold for split in waiting])
            begun = True
        finally:
            if not begun:
                ranks.tell_all(None)
        try:
            with run_log(run.log_path), quiet_lightning(), deterministic(), limited_threads(threads):
                _log.info("protocols %s, model %s, device %s", config.protocol, config.model, chosen)
                _tell_of_damage(run, wanted, tell)
                if len(waiting) > 1 and (workers != 1 or scheduler):
                    numbers = [split.fold for split in waiting]
                    train_in_workers(
                        plan, export_path, numbers, threads, workers=workers, scheduler=scheduler, progress=progress
                    )
                else:
                    for position, split in enumerate(waiting):
                        said = _fold_progress(progress, position, len(waiting), split.name, config.epochs)
                        with torch.random.fork_rng(devices=[]):
                            train_fold(plan, split, said, tell)
                return collect(run, export)
        except BaseException:
            run.abandon()
            raise


@dataclass(frozen=True)
class _Job:
    """What was asked for; see `train`."""

    run: RunFolder
    export_path: Path
    config: RunConfig
    folds: str
    device: torch.device
    threads: int
    overwrite: bool
    tensorboard: bool

    def plan(
        self, export: TrainingExport, config: RunConfig, progress: Progress | None = None, tell: Tell | None = None
    ) -> FoldPlan:
        """Read the clips and put together what all folds are trained with."""
        face = {"backbone": config.face_backbone, "training": config.face_training, "size_px": config.face_size_px}
        inputs = find_model(config.model).inputs
        store, face = open_store(
            export,
            inputs,
            face,
            config.face_weights,
            face_memory_mb=face_memory_mb(self.device),
            progress=progress,
            tell=tell,
        )
        labels = export_labels(export, config.protocols)
        auxiliary = auxiliary_targets(config, labels)
        return FoldPlan(
            store, labels, config, self.run, self.device, face, run_targets(config), auxiliary, self.tensorboard
        )


def _begin(
    job: _Job, export: TrainingExport, held: ExitStack, progress: Progress | None, tell: Tell | None
) -> tuple[FoldPlan | None, list[ClipSplit], list[ClipSplit]]:
    """Check everything, take the run folder, and begin the run or go on with it.

    Returns
    -------
    plan : FoldPlan, or None where no fold is to be trained
    wanted, waiting : list of ClipSplit
        The folds asked for, and those of them that are not finished.
    """
    run = job.run
    config = dataclasses.replace(job.config, protocol=",".join(_answerable(export, job.config, tell)))
    splits = export.splits(config.scheme)
    by_fold = {split.fold: split for split in splits}
    wanted = [by_fold[k] for k in parse_folds(job.folds, list(by_fold))]
    resolved = _resolved(config, job.export_path, export, run, len(splits), job.device, job.threads)
    if run.config_path.is_file():  # a run is there: only one process may look at its folds and go on
        held.enter_context(run.lock())
    plan = None
    waiting = _waiting(run, wanted, resolved, job.overwrite)
    if waiting:
        _tell_of_clips(export, config.protocols, tell)
        plan = job.plan(export, config, progress, tell)
        with torch.random.fork_rng(devices=[]):
            plan.check(waiting)
    if not run.config_path.is_file():
        held.enter_context(run.lock())
        if _waiting(run, wanted, resolved, job.overwrite) != waiting:
            raise TrainingError(f"{run.root}: another `emer train` began a run here just now. Run the command again.")
    run.prepare(resolved, overwrite=job.overwrite)
    for split in wanted:
        if split not in waiting:  # a kill may come between a fold's last file and the end of its state
            (run.fold(split.fold) / STATE_NAME).unlink(missing_ok=True)
    try:
        parts = {
            str(s.fold): {"name": s.name, "train": s.train, "validation": s.validation, "test": s.test} for s in splits
        }
        write_json(run.folds_path, parts)
        keep_backbone(config, run.root)
    except BaseException:
        run.abandon()
        raise
    return plan, wanted, waiting


def _help(job: _Job, export: TrainingExport) -> dict[str, Any]:
    """Train along with the first process of torchrun, which says what there is to do.

    Raises
    ------
    TrainingError
        If the first one cannot begin; it says why.
    """
    numbers = ranks.tell_all(None)
    if numbers is None:
        raise TrainingError("The first process of torchrun could not begin: see what it says.")
    if not numbers:
        return {}
    config = dataclasses.replace(job.config, protocol=",".join(_answerable(export, job.config, None)))
    plan = job.plan(export, config)
    by_fold = {split.fold: split for split in export.splits(config.scheme)}
    with quiet_lightning(), deterministic(), limited_threads(job.threads):
        for k in numbers:
            with torch.random.fork_rng(devices=[]):
                train_fold(plan, by_fold[k])
    return {}


def _check_workers(workers: int, scheduler: str) -> None:
    """Refuse two ways at once of using several processes."""
    if ranks.world() > 1 and (workers != 1 or scheduler):
        raise UsageError(
            "--workers and --scheduler train folds beside each other, torchrun trains one fold in several processes: use one "
            "of them."
        )


def _answerable(export: TrainingExport, config: RunConfig, tell: Tell | None) -> list[str]:
    """Return the protocols that can be trained, where several were asked for; one alone is refused later, with the reason.

    A protocol lacks labels, or a class that other clips have does not occur in the training part of a fold.

    Raises
    ------
    TrainingError
        If no protocol has any label.
    """
    asked = config.protocols
    empty = [name for name in asked if not export.clips_of(name)]
    if len(empty) == len(asked):
        raise TrainingError(
            f"{export.path}: no clip takes part in {', '.join(asked)}. Label clips, export again, or choose another --protocol."
        )
    tell = tell or (lambda sentence: None)
    if empty:
        tell(f"No clip takes part in {', '.join(empty)}: left out.")
    left = [name for name in asked if name not in empty]
    if len(left) == 1 or config.allow_missing_classes:
        return left
    splits = export.splits(config.scheme)
    lacking = {name: why for name in left if (why := _lacks_class(export, name, splits))}
    if len(lacking) == len(left):
        return left
    for name, why in lacking.items():
        tell(f"{name}: {why}: left out. Use --allow-missing-classes to train it all the same.")
    return [name for name in left if name not in lacking]


def _lacks_class(export: TrainingExport, protocol: str, splits: Sequence[ClipSplit]) -> str:
    """Say which class no training clip of a fold has, though other clips have it; empty if there is none such."""
    if not PROTOCOLS[protocol].classes:
        return ""
    labels = export.targets_of(protocol).set_index("clip_id")[PROTOCOLS[protocol].targets[0]].dropna()
    for split in splits:
        unseen = sorted(set(labels) - set(labels[labels.index.isin(split.train)]))
        if unseen:
            return f"no training clip of {split.name} is labelled {', '.join(unseen)}"
    return ""


def _waiting(run: RunFolder, wanted: Sequence[ClipSplit], resolved: dict[str, Any], overwrite: bool) -> list[ClipSplit]:
    """Return those of the folds asked for that are not finished."""
    if not run.check(resolved, overwrite=overwrite):
        return list(wanted)
    finished = run.state().finished
    return [split for split in wanted if split.fold not in finished]


def _tell_of_clips(export: TrainingExport, protocols: Sequence[str], tell: Tell | None) -> None:
    """Say which clips do not take part: one real clip with a label keeps all simulated ones out."""
    for protocol in protocols:
        clips = export.protocol_clips(protocol)
        if tell is not None and clips.left_out:
            why = "; ".join(f"{n} {reason}" for reason, n in clips.left_out.items())
            tell(f"{protocol}: {len(clips.clip_ids)} of {len(export.targets)} clips take part; left out: {why}")


def _tell_of_damage(run: RunFolder, wanted: Sequence[ClipSplit], tell: Tell | None) -> None:
    """Say which folds were finished and are damaged, and which of these are trained again."""
    state = run.state()
    numbers = [split.fold for split in wanted]
    for k in numbers:
        if k in state.finished:
            _log.info("fold %d is finished already", k)
    for k, damage in state.damaged.items():
        what = "It is trained again" if k in numbers else f"It is left out until --folds {k} or all trains it again"
        sentence = f"{run.root}: fold {k} is damaged: {damage}. {what}."
        _log.warning("%s", sentence)
        if tell is not None:
            tell(sentence)


def collect(run: RunFolder, export: TrainingExport) -> dict[str, Any]:
    """Gather the finished folds of a run into its tables and metrics."""
    state = run.state()
    run.require_finished(state)
    config = run.run_config()
    predictions = run.fold_predictions(state.finished)
    write_parquet(run.predictions_path, predictions)
    write_csv(run.curves_path, run.fold_curves(state.finished))
    metrics = {
        "protocol": config.protocol,
        "protocols": list(config.protocols),
        "model": config.model,
        "simulated": bool(run.config()["export"]["simulated"]),
        "finished_folds": list(state.finished),
        "n_folds": state.planned,
        "folds": run.fold_records(state.finished),
        "targets": summarise(
            predictions, run_targets(config), masked_clips(export.targets), run.fold_validation(state.finished)
        ),
    }
    write_json(run.metrics_path, metrics)
    write_model_card(run, metrics)
    return metrics


def manifest_sha256(export_path: Path) -> str:
    """Compute the hash by which a run knows its export: the manifest holds those of all files."""
    return hashlib.sha256((Path(export_path) / "manifest.json").read_bytes()).hexdigest()


def _place_of_export(export_path: Path, run: RunFolder) -> str:
    """Write down where an export lies: from the run if both are in one study, so that a copied study is whole."""
    export, root = Path(export_path).resolve(), run.root.resolve()
    study = next((folder for folder in root.parents if (folder / "study.toml").is_file()), None)
    if study is not None and study in export.parents:
        return Path(os.path.relpath(export, root)).as_posix()
    return str(export)


def _resolved(
    config: RunConfig,
    export_path: Path,
    export: TrainingExport,
    run: RunFolder,
    n_folds: int,
    device: torch.device,
    threads: int,
) -> dict[str, Any]:
    """Put together ``config.json``."""
    manifest = export.manifest
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "settings": config.as_json(),
        "export": {
            "path": _place_of_export(export_path, run),
            "n_folds": n_folds,
            "manifest_sha256": manifest_sha256(export_path),
            "study_title": manifest.get("study_title", ""),
            "simulated": bool(manifest.get("simulated", False)),
            # By these `emer predict` computes recordings that are in no export.
            "settings": manifest.get("settings", {}),
        },
        "machine": {"device": str(device), "threads": threads},
        "versions": versions(),
    }


def _fold_progress(progress: Progress | None, position: int, n_folds: int, name: str, epochs: int) -> Progress | None:
    """Turn a fold's epochs into the run's."""
    if progress is None:
        return None

    def said(epoch: int, _: int, sentence: str) -> None:
        progress(position * epochs + epoch, n_folds * epochs, f"{name} ({position + 1} of {n_folds}): {sentence}")

    return said
