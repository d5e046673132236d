"""Let a trained run guess the emotion of every clip of an export, for annotators to verify.

Each clip is judged by the folds' models that never learned from its participant, and
their probabilities are averaged: a model is too sure of clips that it was trained on.
Validation participants chose a model's best epoch, which is a little, so only those
models are taken that neither trained nor validated on the participant, unless there
is none.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from data_schema.errors import TrainingError
from data_schema.exports.folds import Split
from data_schema.exports.reading import TrainingExport
from data_schema.labels.guess_table import GUESS_COLUMNS, PROBABILITY, check_guesses
from data_schema.vocabularies import EMOTIONS
from emer_model.data.datamodule import normalise_clips
from emer_model.data.dataset import ClipDataset
from emer_model.data.store import ClipStore
from emer_model.evaluation.repeat import check_features, find_export, open_best
from emer_model.training.environment import choose_device, default_threads, deterministic, limited_threads
from emer_model.training.prediction import predict
from emer_model.training.run_folder import RunFolder
from emer_model.training.run_state import BEST
from emer_model.training.runner import Progress, export_splits, run_targets

_SCALES = ("valence", "arousal", "intensity")


def guess_clips(
    run: RunFolder, export_path: Path | None = None, *, device: str = "auto", progress: Progress | None = None
) -> pd.DataFrame:
    """Guess the emotion of every clip of an export, labelled or not.

    Parameters
    ----------
    run : RunFolder
        A run whose protocol learns one of the seven emotions (er-7, fer-7).
    export_path : Path, optional
        Where the export is now; the run knows where it was.
    device : str
        See `emer_model.training.environment.choose_device`.
    progress : callable, optional
        Told the folds done.

    Returns
    -------
    DataFrame
        Columns `data_schema.labels.guess_table.GUESS_COLUMNS`, one row a clip.

    Raises
    ------
    TrainingError
        If no fold is finished, the run learns no emotion, or a checkpoint is not the run's.
    """
    path = find_export(run, export_path)
    state, settings = run.state(), run.run_config()
    run.require_finished(state, path)
    names = {target.name: target for target in run_targets(settings)}
    emotion = next((name for name in names if name.endswith("_emotion")), None)
    if emotion is None:
        raise TrainingError(
            f"{run.root}: its protocol {settings.protocol} learns no emotion, so it has no emotion to guess. "
            "Name a run of er-7 or fer-7."
        )
    task = emotion.partition("_")[0]
    with TrainingExport.open(path) as export:
        probabilities, scales, n_models, store = _average(run, state.finished, export, emotion, device, progress)
        hashes = dict(zip(export.clips["clip_id"], export.clips["session_sha256"], strict=True))
    table = pd.DataFrame(
        {
            "clip_id": store.clip_ids,
            "clip_sha256": [hashes[clip] for clip in store.clip_ids],
            "task": task,
            "model_sha256": model_sha256(run, state.finished),
            "n_models": n_models,
            "emotion": np.asarray(EMOTIONS, dtype=object)[probabilities.argmax(axis=1)],
            "confidence": probabilities.max(axis=1),
        }
    )
    for k, name in enumerate(EMOTIONS):
        table[PROBABILITY + name] = probabilities[:, k]
    for name in _SCALES:
        declared = names.get(f"{task}_{name}")
        table[name] = np.nan if declared is None else np.clip(scales[declared.name], declared.low, declared.high)
    return check_guesses(table[list(GUESS_COLUMNS)], f"guesses of {run.root}")


def model_sha256(run: RunFolder, folds: tuple[int, ...]) -> str:
    """Return one hash over the best checkpoints of some folds."""
    digest = hashlib.sha256()
    for fold in folds:
        digest.update(hashlib.sha256((run.fold(fold) / BEST).read_bytes()).digest())
    return digest.hexdigest()


def _average(
    run: RunFolder, folds: tuple[int, ...], export: TrainingExport, emotion: str, device: str, progress: Progress | None
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray, ClipStore]:
    """Average the answers of the models that may judge each clip.

    Returns
    -------
    probabilities : ndarray of float64, shape (n_clips, 7)
    scales : dict of ndarray, shape (n_clips,)
        Other targets of the run, by name.
    n_models : ndarray of int, shape (n_clips,)
    store : ClipStore
    """
    settings = run.run_config()
    splits = {split.fold: split for split in export_splits(export, settings.scheme)}
    threads = int(run.config().get("machine", {}).get("threads") or default_threads())
    store: ClipStore | None = None
    answers = []
    with deterministic(), limited_threads(threads):
        for done, fold in enumerate(folds):
            best = open_best(run, fold, settings, export)
            store = store or ClipStore(export, face_size_px=best.info.face_size_px)
            check_features(run, fold, best, store, export)
            eye, fixations = normalise_clips(
                store, best.eye_normalisation, best.fixation_normalisation, best.info.subject_normalisation
            )
            dataset = ClipDataset(store, np.arange(len(store)), eye, fixations, {})
            answers.append(predict(best.model, dataset, settings.batch_size, choose_device(device), settings.precision))
            if progress is not None:
                progress(done + 1, len(folds), f"fold {fold}")
    if store is None:
        raise TrainingError(f"{run.root}: no fold is finished. Train one first.")
    weights = may_judge(store.participants, [splits[fold] for fold in folds])  # (folds, clips)
    shares = weights / weights.sum(axis=0)
    averaged = {
        name: np.einsum("fc,fco->co", shares, np.stack([answer[name] for answer in answers]).astype(np.float64))
        for name in answers[0]
    }
    probabilities = averaged[emotion] / averaged[emotion].sum(axis=1, keepdims=True)
    scales = {name: values[:, 0] for name, values in averaged.items() if values.shape[1] == 1}
    return probabilities, scales, weights.sum(axis=0).astype(np.int64), store


def may_judge(participants: list[str], splits: list[Split]) -> np.ndarray:
    """Say which fold's model may judge which clip.

    Parameters
    ----------
    participants : list of str
        Of each clip.
    splits : list of Split
        Of each model.

    Returns
    -------
    ndarray of float64, shape (n_models, n_clips)
        1 where the model neither trained nor validated on the participant; where there is
        no such model, 1 for those that did not train on them; where all did, 1 for all.
    """
    people = np.asarray(participants, dtype=object)
    trained = np.array([np.isin(people, list(split.train)) for split in splits])
    validated = np.array([np.isin(people, list(split.validation)) for split in splits])
    allowed = ~trained & ~validated
    allowed = np.where(allowed.any(axis=0), allowed, ~trained)
    return np.where(allowed.any(axis=0), allowed, True).astype(np.float64)
