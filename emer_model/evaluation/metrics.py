"""Metrics over a whole fold, never averaged over batches.

WAR is the share of clips judged right (weighted average recall), UAR the mean of
the classes' recalls. Undefined figures are NaN, not zero.
"""

from __future__ import annotations

import math

import numpy as np

from data_schema.errors import TrainingError
from data_schema.exports.protocols import CLASS_METRICS, CONTINUOUS_METRICS

#: The figure by which the best epoch is chosen (on validation clips) and runs are compared.
MAIN_METRIC = {"classes": "uar", "continuous": "ccc"}


def classification_metrics(true: np.ndarray, predicted: np.ndarray, n_classes: int) -> dict[str, float]:
    """Judge classes over all clips at once.

    Parameters
    ----------
    true, predicted : ndarray of int, shape (n_clips,)
        Class indices.
    n_classes : int
        Classes of the protocol. A class without a true clip has no recall and takes no
        part in UAR and macro F1; `n_classes_present` says how many do.

    Returns
    -------
    dict of float
        `CLASS_METRICS`, ``n_clips`` and ``n_classes_present``. NaN without clips.

    Raises
    ------
    TrainingError
        If an index is no class.
    """
    true, predicted = np.asarray(true), np.asarray(predicted)
    for name, values in (("true", true), ("predicted", predicted)):
        if values.size and not ((values >= 0) & (values < n_classes)).all():
            raise TrainingError(f"A {name} class index lies outside 0 to {n_classes - 1}: the labels are damaged.")
    present = np.unique(true)
    sizes = {"n_clips": float(len(true)), "n_classes_present": float(len(present))}
    if len(true) == 0:
        return dict.fromkeys(CLASS_METRICS, math.nan) | sizes
    # As scikit-learn's recall_score and f1_score over the classes present; its import takes a second and 80 MB.
    counts = confusion(true, predicted, n_classes)
    right, clips, answers = np.diag(counts)[present], counts.sum(axis=1)[present], counts.sum(axis=0)[present]
    f1 = 2.0 * right / (clips + answers)
    return {
        "war": float(np.mean(true == predicted)),
        "uar": float(np.mean(right / clips)),
        "weighted_f1": float(np.average(f1, weights=clips)),
        "macro_f1": float(np.mean(f1)),
    } | sizes


def confusion(true: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Count clips by true (rows) and predicted (columns) class, shape (n_classes, n_classes)."""
    places = np.asarray(true, dtype=np.int64) * n_classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(places, minlength=n_classes * n_classes).reshape(n_classes, n_classes)


def continuous_metrics(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Judge a continuous target over all clips at once.

    Parameters
    ----------
    true, predicted : ndarray of float, shape (n_clips,)
        On the target's scale.

    Returns
    -------
    dict of float
        `CONTINUOUS_METRICS` and ``n_clips``. Correlations are NaN with fewer than two
        clips or where one side does not vary.

    Raises
    ------
    TrainingError
        If a value is not finite.
    """
    true, predicted = np.asarray(true, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if not (np.isfinite(true).all() and np.isfinite(predicted).all()):
        raise TrainingError(
            "A label or a prediction is not a finite number. Lower the learning rate if training diverged."
        )
    n = float(len(true))
    if len(true) == 0:
        return dict.fromkeys(CONTINUOUS_METRICS, math.nan) | {"n_clips": n}
    mse = float(np.mean((true - predicted) ** 2))
    return {
        "mae": float(np.mean(np.abs(true - predicted))),
        "mse": mse,
        "rmse": math.sqrt(mse),
        "ccc": concordance(true, predicted),
        "pearson": pearson(true, predicted),
        "n_clips": n,
    }


def concordance(true: np.ndarray, predicted: np.ndarray) -> float:
    """Compute Lin's concordance correlation coefficient; NaN where undefined.

    A constant prediction agrees with nothing that varies: 0. Constant labels leave nothing
    to agree with: NaN.

    References
    ----------
    Lin (1989), "A concordance correlation coefficient to evaluate reproducibility",
    Biometrics 45, with the variances over n.
    """
    # The variance of equal numbers may be a rounding error above 0, their range never is.
    if len(true) < 2 or np.ptp(true) == 0:
        return math.nan
    scatter = true.var() + predicted.var() + (true.mean() - predicted.mean()) ** 2
    if scatter == 0:  # the squares are too small for float64
        return math.nan
    covariance = np.mean((true - true.mean()) * (predicted - predicted.mean()))
    return float(2.0 * covariance / scatter)


def pearson(true: np.ndarray, predicted: np.ndarray) -> float:
    """Compute Pearson's correlation; NaN where undefined."""
    if len(true) < 2 or np.ptp(true) == 0 or np.ptp(predicted) == 0:
        return math.nan
    sides = [values - values.mean() for values in (true, predicted)]
    # Scaled first, so that squares of small numbers do not vanish.
    sides = [side / np.abs(side).max() for side in sides]
    correlation = float(np.dot(*sides) / math.sqrt(np.dot(sides[0], sides[0]) * np.dot(sides[1], sides[1])))
    return min(1.0, max(-1.0, correlation))
