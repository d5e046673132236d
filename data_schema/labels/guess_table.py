"""A model's guesses about the clips of a study: the table that the model side writes and the annotation tool reads.

One Parquet file a pass, ``annotation/guesses_er.parquet`` or ``guesses_fer.parquet``
in the study folder, one row a clip. A guess is no label: it is shown to annotators
where the study's rule lets it, and never counted as a rater's opinion.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_schema.atomic import write_atomically
from data_schema.errors import LabelError
from data_schema.vocabularies import EMOTIONS, SCALES, TASKS

#: Before an emotion in the name of its probability's column.
PROBABILITY = "p_"
PROBABILITY_COLUMNS: tuple[str, ...] = tuple(PROBABILITY + emotion for emotion in EMOTIONS)
#: Columns of a table of guesses, in order, with their meaning.
GUESS_COLUMNS: dict[str, str] = {
    "clip_id": "The clip, as in the study's clip table.",
    "clip_sha256": "SHA-256 of the session file that the model saw.",
    "task": "er or fer.",
    "model_sha256": "SHA-256 over the model's checkpoints.",
    "n_models": "Models whose probabilities were averaged: those that had not learned from this participant.",
    "emotion": "The emotion with the greatest probability.",
    "confidence": "That probability, 0 to 1.",
    **{PROBABILITY + emotion: f"Probability of {emotion}." for emotion in EMOTIONS},
    "valence": "Guessed valence, -1 to 1; empty if the model gives none.",
    "arousal": "Guessed arousal, -1 to 1; empty if the model gives none.",
    "intensity": "Guessed intensity of the expression, 0 to 3; empty if the model gives none.",
}
#: Further columns on what the model is not sure of. Tables of earlier toolkits lack them; they read as missing.
UNCERTAINTY_COLUMNS: dict[str, str] = {
    "entropy": "Of the probabilities, over that of seven equal ones: 0 (sure) to 1.",
    "margin": "Between the greatest probability and the second: 0 (torn between two) to 1.",
    "mutual_information": "How much the members contradict each other, on the scale of entropy; empty where there is one.",
    "n_members": "Models, times passes with dropout, whose disagreement that is: none of them learned from this clip's label.",
    "valence_spread": "Standard deviation of valence between the members; empty where there is one.",
    "arousal_spread": "The same of arousal.",
    "intensity_spread": "The same of intensity.",
}
#: Greatest possible value of a column on uncertainty; spreads have none.
_AT_MOST = {"entropy": 1.0, "margin": 1.0, "mutual_information": 1.0}
_TEXTS = ("clip_id", "clip_sha256", "task", "model_sha256", "emotion")
#: Probabilities of a clip sum to 1 up to this: they are written as 32-bit numbers.
_SUM_TOLERANCE = 1e-3


def guess_table_path(annotation_dir: Path, task: str) -> Path:
    """Return where a study keeps the guesses of a pass."""
    return annotation_dir / f"guesses_{task}.parquet"


def check_guesses(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return a table of guesses with its columns in order, or say what is wrong with it.

    Parameters
    ----------
    table : DataFrame
        Columns `GUESS_COLUMNS`, and of `UNCERTAINTY_COLUMNS` what there is.
    where : str
        Names the table in messages.

    Returns
    -------
    DataFrame
        Columns `GUESS_COLUMNS` and `UNCERTAINTY_COLUMNS`; of the latter, what lacks is NaN.

    Raises
    ------
    LabelError
        If columns of `GUESS_COLUMNS` are missing, a clip comes twice, a word is unknown, probabilities
        are none or do not belong to the emotion, or a value lies outside its scale.
    """
    missing = [name for name in GUESS_COLUMNS if name not in table.columns]
    if missing:
        raise LabelError(
            f"{where}: a table of guesses lacks the column(s) {', '.join(missing)}. Write it with `emer predict`."
        )
    guesses: pd.DataFrame = table.reindex(columns=[*GUESS_COLUMNS, *UNCERTAINTY_COLUMNS]).reset_index(drop=True)
    if guesses["clip_id"].duplicated().any():
        clip = guesses.loc[guesses["clip_id"].duplicated(), "clip_id"].iloc[0]
        raise LabelError(f"{where}: clip {clip} comes twice; a model guesses once. Write it anew with `emer predict`.")
    tasks = sorted(set(guesses["task"].astype(str)))
    if len(tasks) > 1 or not set(tasks) <= set(TASKS):
        raise LabelError(f"{where}: task is {', '.join(tasks)}, expected er or fer, one pass a file.")
    probabilities = guesses[list(PROBABILITY_COLUMNS)].to_numpy(dtype=np.float64)
    usable = np.isfinite(probabilities).all(axis=1) & (probabilities >= 0).all(axis=1)
    usable &= np.abs(probabilities.sum(axis=1) - 1.0) <= _SUM_TOLERANCE
    best = np.asarray(EMOTIONS, dtype=object)[probabilities.argmax(axis=1)] if len(guesses) else np.array([])
    usable &= best == guesses["emotion"].to_numpy(dtype=object)
    usable &= np.abs(probabilities.max(axis=1, initial=0.0) - guesses["confidence"].to_numpy(float)) <= _SUM_TOLERANCE
    if not usable.all():
        row = guesses.iloc[int(np.flatnonzero(~usable)[0])]
        raise LabelError(
            f"{where}: clip {row['clip_id']} has the emotion '{row['emotion']}' and confidence {row['confidence']}, which do "
            "not belong to its probabilities (0 to 1, sum 1, the greatest is the emotion's). Write it with `emer predict`."
        )
    for scale in SCALES:
        if scale.name in guesses.columns and scale.name != "confidence":
            values = pd.to_numeric(guesses[scale.name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
            outside = (values < scale.low) | (values > scale.high)
            if outside.any():
                at = int(np.flatnonzero(outside)[0])
                raise LabelError(
                    f"{where}: {scale.name} of clip {guesses['clip_id'].iloc[at]} is {values[at]:g}, expected "
                    f"{scale.low:g} to {scale.high:g}."
                )
            guesses[scale.name] = values
    for name in UNCERTAINTY_COLUMNS:
        guesses[name] = _uncertainty(guesses, name, where)
    for name in _TEXTS:
        guesses[name] = guesses[name].astype(str)
    return guesses


def _uncertainty(guesses: pd.DataFrame, name: str, where: str) -> npt.NDArray[np.float64]:
    """Return a column on uncertainty as numbers, NaN where it is missing; refuse what cannot be one."""
    values = pd.to_numeric(guesses[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    high = _AT_MOST.get(name, np.inf)
    # Written as 32-bit numbers, 1 may come back as a little more.
    outside = (values < -_SUM_TOLERANCE) | (values > high + _SUM_TOLERANCE) | np.isinf(values)
    if outside.any():
        at = int(np.flatnonzero(outside)[0])
        raise LabelError(
            f"{where}: {name} of clip {guesses['clip_id'].iloc[at]} is {values[at]:g}, expected 0 "
            + (f"to {high:g}." if np.isfinite(high) else "or more.")
            + " Write the table with `emer predict`."
        )
    clipped: npt.NDArray[np.float64] = np.clip(values, 0.0, high)
    return clipped


def write_guesses(path: Path, table: pd.DataFrame, *, overwrite: bool = False) -> None:
    """Check a table of guesses and write it, whole or not at all.

    Raises
    ------
    LabelError
        As `check_guesses`; if the file exists and `overwrite` is false, or cannot be written.
    """
    guesses = check_guesses(table, path.name)
    if path.exists() and not overwrite:
        raise LabelError(f"{path}: exists already. Choose another name, or add --force to replace it.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, guesses.to_parquet(index=False))
    except OSError as error:
        raise LabelError(f"{path}: cannot be written ({error.strerror or error}). Check folder and disk.") from error


def read_guesses(path: Path, task: str | None = None) -> pd.DataFrame:
    """Read a table of guesses.

    Parameters
    ----------
    path : Path
    task : {'er', 'fer'}, optional
        The pass that it must be of.

    Returns
    -------
    DataFrame
        Columns `GUESS_COLUMNS` and `UNCERTAINTY_COLUMNS` (NaN in older tables), one row a clip.

    Raises
    ------
    LabelError
        If it is missing, no Parquet file, or not as `check_guesses` wants it.
    """
    if not path.is_file():
        raise LabelError(f"{path}: there is no table of guesses here. Write one with: emer predict RUN")
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise LabelError(
            f"{path}: cannot be read as a table of guesses ({error}). Write it with `emer predict`."
        ) from error
    guesses = check_guesses(table, path.name)
    if task is not None and len(guesses) and guesses["task"].iloc[0] != task:
        raise LabelError(
            f"{path}: holds guesses of the {guesses['task'].iloc[0].upper()} pass, not of the {task.upper()} pass. "
            f"Write those with `emer predict` from a run of {task}-7."
        )
    return guesses
