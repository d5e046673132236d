"""Repeat the predictions of a run from its checkpoints and compare them bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from data_schema.errors import TrainingError, UsageError
from data_schema.exports.reading import TrainingExport
from emer_model.data.datamodule import normalise_clips
from emer_model.data.dataset import ClipDataset
from emer_model.data.store import ClipStore
from emer_model.data.targets import encode, is_present
from emer_model.training.checkpoint import Checkpoint, load_checkpoint
from emer_model.training.config import RunConfig
from emer_model.training.environment import choose_device, default_threads, deterministic, limited_threads
from emer_model.training.prediction import PROBABILITY_PREFIX, predict, predictions_table
from emer_model.training.run_folder import RunFolder
from emer_model.training.run_state import BEST, RunState
from emer_model.training.runner import Progress, export_splits, manifest_sha256, run_targets

#: What must be the same in each row before its numbers can be compared.
_KEYS = ("clip_id", "fold", "target_name", "target")


@dataclass(frozen=True)
class Repetition:
    """How repeated predictions compare with the stored ones.

    Parameters
    ----------
    predictions : DataFrame
        The repeated ones.
    identical : bool
        Whether every number has the same bits.
    greatest_difference : float
        Of any probability or value. Infinite where one is not a finite number, where the
        tables do not match row by row, and where a stored class is not the one of the
        greatest stored probability: no rounding explains these.
    changed : int
        Predictions that are another class, or differ at all for a continuous target.
    """

    predictions: pd.DataFrame
    identical: bool
    greatest_difference: float
    changed: int


def repeat_predictions(
    run: RunFolder,
    export_path: Path | None = None,
    *,
    state: RunState | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Repetition:
    """Predict the test clips of all finished folds again and compare with what each fold stored.

    Parameters
    ----------
    run : RunFolder
        A run.
    export_path : Path, optional
        Where the export is now; the run knows where it was.
    state : RunState, optional
        What `RunFolder.state` said, where it has been asked already.
    device : str
        See `emer_model.training.environment.choose_device`.
    progress : callable, optional
        Told the folds done.

    Raises
    ------
    UsageError
        If `export_path` is no training export.
    TrainingError
        If no fold is finished, the export is gone or another, or a checkpoint is not the run's.
    """
    path = find_export(run, export_path)
    state = state or run.state()
    run.require_finished(state, path)
    with TrainingExport.open(path) as export:
        tables = _repeat_folds(run, state.finished, export, device, progress)
    return compare(run.fold_predictions(state.finished), pd.concat(tables, ignore_index=True))


def find_export(run: RunFolder, export_path: Path | None = None) -> Path:
    """Return where a run's export is: where the user says, or else where the run says.

    Raises
    ------
    UsageError
        If `export_path` is no training export.
    TrainingError
        If the export is gone or another than the run's.
    """
    path = run.export_path() if export_path is None else Path(export_path)
    if not (path / "manifest.json").is_file():
        if export_path is not None:
            raise UsageError(
                f"--export {path}: this folder is no training export: it has no manifest.json. Give a folder that "
                "`emer export training` wrote."
            )
        raise TrainingError(
            f"{run.root}: its export was at {path} and is no longer there. Say where it is with --export."
        )
    if manifest_sha256(path) != run.config()["export"]["manifest_sha256"]:
        raise TrainingError(
            run.withdrawn(path)
            or f"{path} is not the export that {run.root} was trained on (its manifest differs). "
            "Give that one with --export, or train again on this one."
        )
    return path


def _repeat_folds(
    run: RunFolder, finished: tuple[int, ...], export: TrainingExport, device: str, progress: Progress | None
) -> list[pd.DataFrame]:
    """Predict the test clips of each finished fold."""
    config, settings = run.config(), run.run_config()
    splits = {split.fold: split for split in export_splits(export, settings.scheme)}
    judged = export.targets_of(settings.protocol)
    targets = run_targets(settings)
    store: ClipStore | None = None
    tables = []
    threads = int(config.get("machine", {}).get("threads") or default_threads())
    with deterministic(), limited_threads(threads):
        for position, k in enumerate(finished):
            best = open_best(run, k, settings, export)
            store = store or ClipStore(export, face_size_px=best.info.face_size_px)
            check_features(run, k, best, store, export)
            labels = judged.set_index("clip_id").reindex(store.clip_ids)
            encoded = {t.name: encode(t, labels[t.name]) for t in targets}
            present = np.all([is_present(t, encoded[t.name]) for t in targets], axis=0)
            clips = np.flatnonzero(present & np.isin(store.participants, splits[k].test))
            eye, fixations = normalise_clips(
                store, best.eye_normalisation, best.fixation_normalisation, best.info.subject_normalisation
            )
            dataset = ClipDataset(store, clips, eye, fixations, encoded)
            answers = predict(best.model, dataset, settings.batch_size, choose_device(device), settings.precision)
            tables.append(predictions_table(dataset, answers, targets, k))
            if progress is not None:
                progress(position + 1, len(finished), f"fold {k}")
    return tables


def open_best(run: RunFolder, fold: int, settings: RunConfig, export: TrainingExport) -> Checkpoint:
    """Load the best checkpoint of a finished fold, checked to be the run's.

    Raises
    ------
    TrainingError
        If it cannot be loaded or belongs to another model, protocol or fold.
    """
    mend = _mend(run, fold, export)
    try:
        best = load_checkpoint(run.fold(fold) / BEST)
    except TrainingError as error:
        raise TrainingError(f"{run.root}: fold {fold}: {error} {mend}") from error
    if (best.info.model, best.info.protocol, best.info.fold) != (settings.model, settings.protocol, fold):
        raise TrainingError(
            f"{run.fold(fold) / BEST} is of model {best.info.model}, protocol {best.info.protocol}, fold "
            f"{best.info.fold}; expected {settings.model}, {settings.protocol}, fold {fold}. Was it copied here? {mend}"
        )
    return best


def check_features(run: RunFolder, fold: int, best: Checkpoint, store: ClipStore, export: TrainingExport) -> None:
    """Refuse a checkpoint that was trained on other features than the export has."""
    trained = (best.info.eye_features, best.info.fixation_features)
    if (tuple(store.eye_names), tuple(store.fixation_names)) != trained:
        raise TrainingError(
            f"{run.fold(fold) / BEST} (fold {fold}) was trained on other features than the export has. "
            f"{_mend(run, fold, export)}"
        )


def _mend(run: RunFolder, fold: int, export: TrainingExport) -> str:
    return f"`{run.command(export.path)} --force --folds {fold}` trains it anew; --force replaces the other folds, too."


def compare(stored: pd.DataFrame, repeated: pd.DataFrame) -> Repetition:
    """Compare two predictions tables of the same run."""
    if len(stored) != len(repeated) or any((stored[c].to_numpy() != repeated[c].to_numpy()).any() for c in _KEYS):
        return Repetition(repeated, False, float("inf"), len(repeated))
    numeric = [c for c in stored.columns if c.startswith(PROBABILITY_PREFIX)]
    if pd.api.types.is_float_dtype(stored["prediction"]):
        numeric.append("prediction")
    before, now = stored[numeric].to_numpy(), repeated[numeric].to_numpy()
    with np.errstate(invalid="ignore"):  # infinite less infinite
        difference = np.abs(before.astype(np.float64) - now)
    difference[~np.isfinite(difference)] = np.inf
    return Repetition(
        predictions=repeated,
        identical=before.dtype == now.dtype and before.tobytes() == now.tobytes(),
        greatest_difference=float(difference.max(initial=0.0)) if _is_consistent(stored) else float("inf"),
        changed=int((stored["prediction"].to_numpy() != repeated["prediction"].to_numpy()).sum()),
    )


def _is_consistent(table: pd.DataFrame) -> bool:
    """Tell whether each class in a predictions table is that of the greatest probability."""
    columns = [c for c in table.columns if c.startswith(PROBABILITY_PREFIX)]
    if not columns or pd.api.types.is_float_dtype(table["prediction"]):
        return True
    names = np.array([c.removeprefix(PROBABILITY_PREFIX) for c in columns], dtype=object)
    return bool((names[table[columns].to_numpy().argmax(axis=1)] == table["prediction"].to_numpy()).all())
