"""Repeat the predictions of a run from its checkpoints and compare them bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from emer_model.training.environment import deterministic, limited_threads
from emer_model.training.faces import Progress
from emer_model.training.opened import OpenedRun
from emer_model.training.prediction import PROBABILITY_PREFIX, predictions_table
from emer_model.training.run_folder import RunFolder
from emer_model.training.run_state import RunState

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
    with OpenedRun(run, export_path, device=device, state=state) as opened:
        tables = []
        with deterministic(), limited_threads(opened.threads):
            for position, k in enumerate(opened.finished):
                dataset = opened.dataset(k, opened.tested(k))
                tables.append(predictions_table(dataset, opened.answers(k, dataset), opened.targets, k))
                if progress is not None:
                    progress(position + 1, len(opened.finished), f"fold {k}")
        return compare(run.fold_predictions(opened.finished), pd.concat(tables, ignore_index=True))


def compare(stored: pd.DataFrame, repeated: pd.DataFrame) -> Repetition:
    """Compare two predictions tables of the same run."""
    if len(stored) != len(repeated) or list(stored) != list(repeated) or not _same_rows(stored, repeated):
        return Repetition(repeated, False, float("inf"), len(repeated))
    numeric = [c for c in stored.columns if c.startswith(PROBABILITY_PREFIX) or c == "prediction_value"]
    given = ~np.isnan(repeated[numeric].to_numpy())  # a target has some of the columns only
    before, now = (np.where(given, table[numeric].to_numpy(), np.float32(0)) for table in (stored, repeated))
    with np.errstate(invalid="ignore"):  # infinite less infinite
        difference = np.abs(before.astype(np.float64) - now)
    difference[~np.isfinite(difference)] = np.inf
    differs = (before[:, numeric.index("prediction_value")] != now[:, numeric.index("prediction_value")]) | (
        stored["prediction"].fillna("").to_numpy() != repeated["prediction"].fillna("").to_numpy()
    )
    return Repetition(
        predictions=repeated,
        identical=before.dtype == now.dtype and before.tobytes() == now.tobytes(),
        greatest_difference=float(difference.max(initial=0.0)) if _is_consistent(stored) else float("inf"),
        changed=int(differs.sum()),
    )


def _same_rows(stored: pd.DataFrame, repeated: pd.DataFrame) -> bool:
    """Tell whether two tables are about the same clips, folds and labels, row by row."""
    texts = all((stored[c].fillna("") == repeated[c].fillna("")).all() for c in _KEYS)
    return texts and np.array_equal(stored["target_value"], repeated["target_value"], equal_nan=True)


def _is_consistent(table: pd.DataFrame) -> bool:
    """Tell whether each class in a predictions table is that of the greatest probability."""
    rows = table[table["prediction"].notna()]
    columns = [c for c in table.columns if c.startswith(PROBABILITY_PREFIX)]
    if rows.empty or not columns:
        return True
    names = np.array([c.removeprefix(PROBABILITY_PREFIX) for c in columns], dtype=object)
    best = rows[columns].fillna(-1.0).to_numpy().argmax(axis=1)
    return bool((names[best] == rows["prediction"].to_numpy()).all())
