"""Train one protocol on the folds of an export.

The test fold is predicted once, by the checkpoint that the validation fold chose.
Nothing of the test participants is used before that, except that a participant's own
unlabelled features may set that participant's baseline.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from lightning.pytorch.utilities.seed import isolate_rng

from data_schema.errors import TrainingError, UsageError
from data_schema.exports.folds import Split
from data_schema.exports.protocols import PROTOCOLS
from data_schema.exports.reading import TrainingExport
from data_schema.exports.splits import participant_splits
from emer_model.data.fold_choice import parse_folds
from emer_model.data.store import ClipStore
from emer_model.evaluation.gap import masked_clips
from emer_model.evaluation.summary import summarise
from emer_model.models.face_encoder import FACE_SIZE_PX
from emer_model.models.registry import model_class, suggest
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
from emer_model.training.fold import auxiliary_targets, check_folds, run_targets, train_fold
from emer_model.training.run_folder import FORMAT, FORMAT_VERSION, RunFolder

_log = logging.getLogger(__name__)

#: Told how much is done, of how much, and a sentence.
Progress = Callable[[int, int, str], None]

#: Told a sentence that the user should read.
Tell = Callable[[str], None]


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
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Train a model for a protocol, fold by fold; finished folds of the same run are kept.

    Settings and data are checked before the run folder is made. A finished fold whose files
    are not those that were written is trained again.

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
    tell : callable, optional
        Told which folds are damaged; these sentences are logged in any case.

    Returns
    -------
    dict
        What ``metrics.json`` holds.

    Raises
    ------
    UsageError
        If a name is not known or the run folder holds something else.
    TrainingError
        If the export cannot be trained on, or another process trains in the run folder.
    """
    if config.protocol not in PROTOCOLS:
        raise UsageError(suggest("protocol", config.protocol, PROTOCOLS))
    model_class(config.model)
    auxiliary_targets(config)
    chosen = choose_device(device)
    threads = threads or default_threads()
    run = RunFolder(out)
    with ExitStack() as held, TrainingExport.open(export_path) as export:
        splits, labels = export_splits(export, config.scheme), export.targets_of(config.protocol)
        by_fold = {split.fold: split for split in splits}
        wanted = [by_fold[k] for k in parse_folds(folds, list(by_fold))]
        resolved = _resolved(config, export_path, export, run, len(splits), chosen, threads)
        if run.config_path.is_file():  # a run is there: only one process may look at its folds and go on
            held.enter_context(run.lock())
        store = None
        waiting = _waiting(run, wanted, resolved, overwrite)
        if waiting:
            _tell_of_clips(export, config.protocol, tell)
            store = ClipStore(export, face_size_px=_face_size_px(config, export), progress=progress)
            with isolate_rng():
                check_folds(store, labels, waiting, config)
        if not run.config_path.is_file():
            held.enter_context(run.lock())
            if _waiting(run, wanted, resolved, overwrite) != waiting:
                raise TrainingError(
                    f"{run.root}: another `emer train` began a run here just now. Run the command again."
                )
        run.prepare(resolved, overwrite=overwrite)
        try:
            write_json(
                run.folds_path,
                {str(s.fold): {"train": s.train, "validation": s.validation, "test": s.test} for s in splits},
            )
            with run_log(run.log_path), quiet_lightning(), deterministic(), limited_threads(threads):
                _log.info("protocol %s, model %s, device %s", config.protocol, config.model, chosen)
                _tell_of_damage(run, wanted, tell)
                for position, split in enumerate(waiting):
                    said = _fold_progress(progress, position, len(waiting), split.fold, config.epochs)
                    with isolate_rng():
                        train_fold(store, labels, split, config, run, chosen, said)
                return collect(run, export.targets)
        except BaseException:
            run.abandon()
            raise


def _waiting(run: RunFolder, wanted: Sequence[Split], resolved: dict[str, Any], overwrite: bool) -> list[Split]:
    """Return those of the folds asked for that are not finished."""
    if not run.check(resolved, overwrite=overwrite):
        return list(wanted)
    finished = run.state().finished
    return [split for split in wanted if split.fold not in finished]


def _tell_of_clips(export: TrainingExport, protocol: str, tell: Tell | None) -> None:
    """Say which clips do not take part: one real clip with a label keeps all simulated ones out."""
    clips = export.protocol_clips(protocol)
    if tell is not None and clips.left_out:
        why = "; ".join(f"{n} {reason}" for reason, n in clips.left_out.items())
        tell(f"{protocol}: {len(clips.clip_ids)} of {len(export.targets)} clips take part; left out: {why}")


def _tell_of_damage(run: RunFolder, wanted: Sequence[Split], tell: Tell | None) -> None:
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


def collect(run: RunFolder, labels: pd.DataFrame) -> dict[str, Any]:
    """Gather the finished folds of a run into its tables and metrics."""
    state = run.state()
    run.require_finished(state)
    config = run.run_config()
    predictions = run.fold_predictions(state.finished)
    write_parquet(run.predictions_path, predictions)
    write_csv(run.curves_path, run.fold_curves(state.finished))
    metrics = {
        "protocol": config.protocol,
        "model": config.model,
        "simulated": bool(run.config()["export"]["simulated"]),
        "finished_folds": list(state.finished),
        "n_folds": state.planned,
        "folds": run.fold_records(state.finished),
        "targets": summarise(predictions, run_targets(config), masked_clips(labels)),
    }
    write_json(run.metrics_path, metrics)
    return metrics


def export_splits(export: TrainingExport, scheme: str = "subject") -> list[Split]:
    """Return all splits of an export under a scheme; each is checked to be disjoint in participants."""
    return participant_splits(export.fold_assignment, export.clips["participant"].astype(str), scheme)


def manifest_sha256(export_path: Path) -> str:
    """Compute the hash by which a run knows its export: the manifest holds those of all files."""
    return hashlib.sha256((Path(export_path) / "manifest.json").read_bytes()).hexdigest()


def _face_size_px(config: RunConfig, export: TrainingExport) -> int | None:
    """Return the size asked for, or the backbone's own where the export's faces are larger."""
    if config.face_size_px is not None or config.face_backbone not in FACE_SIZE_PX:
        return config.face_size_px
    stored = int(export.read(str(export.clips["clip_id"].iloc[0]), ("faces",))["faces"].shape[1])
    return min(stored, FACE_SIZE_PX[config.face_backbone])


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
