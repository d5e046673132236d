"""Where the felt and the shown emotion part: the emotion gap, observed and predicted.

Two answers for the same clip, what is felt (ER) and what is shown (FER), say more
together than apart: whether the clip is masked, and how far apart the two valences are.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from data_schema.errors import TrainingError
from emer_model.data.targets import target
from emer_model.evaluation.answers import rows_of
from emer_model.evaluation.bootstrap import LEVEL, Draws, interval, subject_bootstrap
from emer_model.evaluation.calibration import probabilities
from emer_model.evaluation.metrics import continuous_metrics

#: Figures of how well "masked" is predicted.
MASKING_METRICS = ("precision", "recall", "f1", "auc", "share_predicted")

#: Labels by whose disagreement a clip can be called masked.
GAP_LABELS = ("emotion", "polarity")


def masked_clips(targets: pd.DataFrame) -> pd.Series:
    """Tell which clips are masked: ER and FER consensus name different emotions.

    Parameters
    ----------
    targets : DataFrame
        ``targets.parquet``.

    Returns
    -------
    Series of bool (nullable), indexed by clip_id
        True where masked, False where they agree, <NA> where either is missing.
    """
    by_clip = targets.set_index("clip_id")
    er, fer = by_clip["er_emotion"], by_clip["fer_emotion"]
    masked = pd.Series(er.to_numpy() != fer.to_numpy(), index=by_clip.index, dtype="boolean")
    masked[(er.isna() | fer.isna()).to_numpy()] = pd.NA
    return masked


def agreement_matrix(targets: pd.DataFrame, classes: tuple[str, ...], label: str = "emotion") -> np.ndarray:
    """Count clips by felt (rows) and shown (columns) class, shape (n_classes, n_classes).

    Parameters
    ----------
    targets : DataFrame
        ``targets.parquet``; or, for the predicted matrix, `predicted_labels` of a `predicted_gap`.
    classes : tuple of str
        Of both sides, in order.
    label : str
        ``emotion`` or ``polarity``.
    """
    columns = [f"er_{label}", f"fer_{label}"]
    both = targets.dropna(subset=columns)
    table = pd.crosstab(both[columns[0]], both[columns[1]])
    return table.reindex(index=list(classes), columns=list(classes), fill_value=0).to_numpy()


def predicted_gap(er: pd.DataFrame, fer: pd.DataFrame, label: str = "emotion") -> pd.DataFrame:
    """Put what is said of the felt and of the shown emotion of each clip side by side.

    Parameters
    ----------
    er, fer : DataFrame
        Rows of ``predictions.parquet`` of a run of ER and one of FER, or twice the table
        of a run of both. Only clips that both judge are kept.
    label : str
        ``emotion`` or ``polarity``.

    Returns
    -------
    DataFrame
        clip_id, participant, and of the labels and the answers ``er``, ``fer``,
        ``predicted_er``, ``predicted_fer``; ``masked`` and ``predicted_masked`` where the
        two differ; and ``p_masked``, one less the chance of the same class on both sides if
        the two answers were independent of each other.

    Raises
    ------
    UsageError, TrainingError
        If the tables hold no such target, or share no clip.
    """
    sides = {task: _rows(table, f"{task}_{label}") for task, table in (("er", er), ("fer", fer))}
    shared = sides["er"].index.intersection(sides["fer"].index).sort_values()
    if not len(shared):
        raise TrainingError(
            "The ER and the FER predictions share no clip: they are of other exports or other folds. Name two runs on "
            "one export, or one run of all protocols."
        )
    rows = {task: table.loc[shared] for task, table in sides.items()}
    chances = {task: probabilities(part, target(f"{task}_{label}"))[0] for task, part in rows.items()}
    columns = {
        "participant": rows["er"]["participant"].to_numpy(str),
        "er": rows["er"]["target"], "fer": rows["fer"]["target"],
        "predicted_er": rows["er"]["prediction"], "predicted_fer": rows["fer"]["prediction"],
    }  # fmt: skip
    table = pd.DataFrame(columns, index=shared)
    table["masked"] = (table["er"] != table["fer"]).to_numpy()
    table["predicted_masked"] = (table["predicted_er"] != table["predicted_fer"]).to_numpy()
    table["p_masked"] = np.clip(1.0 - (chances["er"] * chances["fer"]).sum(axis=1), 0.0, 1.0)
    return table.rename_axis("clip_id").reset_index()


def predicted_labels(gap: pd.DataFrame, label: str = "emotion") -> pd.DataFrame:
    """Name the answers of a `predicted_gap` as the targets are named, for `agreement_matrix`."""
    names = {"predicted_er": f"er_{label}", "predicted_fer": f"fer_{label}"}
    return gap[["clip_id", *names]].rename(columns=names)


def masking_figures(gap: pd.DataFrame, *, level: float = LEVEL) -> dict[str, Any]:
    """Judge how well the clips that are masked are found.

    Parameters
    ----------
    gap : DataFrame
        Of `predicted_gap`.
    level : float
        Coverage of the intervals.

    Returns
    -------
    dict
        `MASKING_METRICS`: precision, recall and F1 of "the two answers differ"; ``auc``, the
        chance that a masked clip has a greater ``p_masked`` than an agreeing one (0.5
        knows nothing); the share of clips that is called masked. Beside them ``share``, which
        is masked, ``n_clips`` and ``intervals`` over participants. NaN where undefined.
    """
    masked, said = gap["masked"].to_numpy(bool), gap["predicted_masked"].to_numpy(bool)
    draws = Draws.of(gap["participant"].to_numpy(str))
    places, s = draws.places(gap["participant"].to_numpy(str)), len(draws.participants)
    ones = np.ones((1, s))
    counts = np.stack(
        [
            np.bincount(places[cell], minlength=s)
            for cell in (masked & said, ~masked & said, masked & ~said, places >= 0)
        ],
        axis=1,
    )  # (S, 4): hits, false alarms, misses, clips
    wins, pairs = _pairs_won(gap["p_masked"].to_numpy(np.float64), masked, places, s)
    values = {name: float(x[0]) for name, x in _masking(ones, counts, wins, pairs).items()}
    enough = s > 1
    resampled = _masking(draws.times, counts, wins, pairs) if enough else {}
    bounds = {name: interval(x, level).as_json() for name, x in resampled.items()}
    return values | {"share": float(masked.mean()), "n_clips": len(gap), "intervals": bounds}


def _masking(times: np.ndarray, counts: np.ndarray, wins: np.ndarray, pairs: np.ndarray) -> dict[str, np.ndarray]:
    """Compute `MASKING_METRICS` under weights of the participants (R, S)."""
    hits, alarms, misses, n = (times @ counts).T  # (R,) each

    def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        return np.divide(part, whole, out=np.full(len(whole), math.nan), where=whole > 0)

    won, of = (np.einsum("rs,rs->r", times @ matrix, times) for matrix in (wins, pairs))
    return {
        "precision": ratio(hits, hits + alarms),
        "recall": ratio(hits, hits + misses),
        "f1": ratio(2.0 * hits, 2.0 * hits + alarms + misses),
        "auc": ratio(won, of),
        "share_predicted": ratio(hits + alarms, n),
    }


def _pairs_won(score: np.ndarray, masked: np.ndarray, places: np.ndarray, s: int) -> tuple[np.ndarray, np.ndarray]:
    """Count pairs of a masked clip (of participant a) and an agreeing one (of b), and those ranked right.

    The area under the ROC curve is the share of pairs ranked right, a tie counting half
    (Hanley and McNeil, 1982, Radiology 143), so that resamples of participants need no sorting.

    Returns
    -------
    won, pairs : ndarray of float64, shape (S, S)
    """
    one, other = score[masked], score[~masked]
    above = (one[:, None] > other[None, :]) + 0.5 * (one[:, None] == other[None, :])  # (masked, agreeing)
    rows, columns = (np.eye(s)[places[part]] for part in (masked, ~masked))  # (n, S)
    return rows.T @ above @ columns, np.outer(rows.sum(axis=0), columns.sum(axis=0))


def scale_gap(er: pd.DataFrame, fer: pd.DataFrame, scale: str = "valence") -> pd.DataFrame:
    """Compute how far the felt lies above the shown, by label and by prediction.

    Parameters
    ----------
    er, fer : DataFrame
        As of `predicted_gap`, of er-va and fer-va.
    scale : str
        ``valence`` or ``arousal``.

    Returns
    -------
    DataFrame
        clip_id, participant, ``gap`` and ``predicted_gap``, both ER less FER.
    """
    sides = {task: _rows(table, f"{task}_{scale}") for task, table in (("er", er), ("fer", fer))}
    shared = sides["er"].index.intersection(sides["fer"].index).sort_values()
    rows = {task: table.loc[shared] for task, table in sides.items()}
    differences = {
        name: rows["er"][column].to_numpy(np.float64) - rows["fer"][column].to_numpy(np.float64)
        for name, column in (("gap", "target_value"), ("predicted_gap", "prediction_value"))
    }
    table = pd.DataFrame({"participant": rows["er"]["participant"].to_numpy(str)} | differences, index=shared)
    return table.rename_axis("clip_id").reset_index()


def scale_gap_figures(gap: pd.DataFrame, *, level: float = LEVEL) -> dict[str, Any]:
    """Judge a `scale_gap`: the continuous metrics with ``intervals`` over participants."""
    true, predicted = gap["gap"].to_numpy(np.float64), gap["predicted_gap"].to_numpy(np.float64)
    bounds = subject_bootstrap(true, predicted, gap["participant"].to_numpy(str), level=level)
    return continuous_metrics(true, predicted) | {"intervals": {name: i.as_json() for name, i in bounds.items()}}


def _rows(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the rows of one target by clip."""
    return rows_of(table, target(name)).set_index("clip_id")
