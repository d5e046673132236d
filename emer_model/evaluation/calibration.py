"""Whether a probability of 0.8 is right in 8 of 10 clips, and one number that mends it.

Temperature scaling divides the logits by one number, fitted on the validation predictions
of a fold and applied to its test predictions: no answer changes, only how sure it is.

References
----------
Guo, Pleiss, Sun and Weinberger (2017), "On Calibration of Modern Neural Networks", ICML:
expected calibration error (ECE), temperature scaling.
Nguyen and O'Connor (2015), "Posterior calibration and exploratory analysis for natural
language processing models", EMNLP: bins of as many clips each.
Brier (1950), "Verification of forecasts expressed in terms of probability", Monthly
Weather Review 78: summed over the classes, so 0 to 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from data_schema.errors import TrainingError
from emer_model.data.targets import Target
from emer_model.evaluation.bootstrap import LEVEL, Draws, interval

#: Bins of the greatest probability: 15 in Guo et al. (2017).
BINS = 15

#: Bounds of a temperature: ours. Beyond 20 all classes are nearly equally likely; below
#: 0.05 all answers are nearly certain. Met where validation answers are all right or all wrong.
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0

#: Figures of `calibration_figures`; less is better.
CALIBRATION_METRICS = ("ece", "adaptive_ece", "brier", "nll")

#: Columns of a reliability table.
RELIABILITY_COLUMNS = ("low", "high", "n_clips", "confidence", "accuracy")

#: Before the name of a class, the column of its probability in a predictions table.
_PROBABILITY = "p_"

#: The smallest probability whose logarithm is taken: the smallest normal float32.
_TINY = float(np.finfo(np.float32).tiny)


def probabilities(rows: pd.DataFrame, declared: Target) -> tuple[np.ndarray, np.ndarray]:
    """Read probabilities and true classes from rows of a predictions table.

    Returns
    -------
    probabilities : ndarray of float64, shape (n, K)
        Each row sums to 1.
    true : ndarray of int64, shape (n,)

    Raises
    ------
    TrainingError
        If a probability lacks or is none.
    """
    columns = [_PROBABILITY + name for name in declared.classes]
    lacking = [name for name in columns if name not in rows]
    if lacking or not declared.classes:
        raise TrainingError(
            f"{declared.name}: the predictions have no column {', '.join(lacking) or _PROBABILITY}; only classes have "
            "probabilities. Train the run again if it is one of classes."
        )
    values = rows[columns].to_numpy(np.float64)
    if not np.isfinite(values).all() or (values < 0).any() or (values.sum(axis=1) <= 0).any():
        raise TrainingError(f"{declared.name}: a stored probability is not a number from 0 to 1. Train the fold again.")
    index = {name: i for i, name in enumerate(declared.classes)}
    true = rows["target"].map(index)
    if true.isna().any():
        raise TrainingError(f"{declared.name}: a label is none of {', '.join(declared.classes)}.")
    return values / values.sum(axis=1, keepdims=True), true.to_numpy(np.int64)


def fit_temperature(predicted: np.ndarray, true: np.ndarray) -> float:
    """Find the temperature under which the true classes are most likely.

    The negative log-likelihood is convex in 1 / temperature, so its slope has one root.

    Parameters
    ----------
    predicted : ndarray, shape (n, K)
        Probabilities of clips that were not trained on: those of validation, never of test.
    true : ndarray of int, shape (n,)

    Returns
    -------
    float
        Above 1 where the model is too sure. 1 without clips.
    """
    if len(true) == 0:
        return 1.0
    logits = np.log(np.maximum(np.asarray(predicted, dtype=np.float64), _TINY))  # (n, K)
    of_true = logits[np.arange(len(true)), true].mean()

    def slope(sharpness: float) -> float:
        """Derivative of the negative log-likelihood by 1 / temperature; it rises."""
        return float((_softmax(sharpness * logits) * logits).sum(axis=1).mean() - of_true)

    low, high = 1.0 / HIGHEST_TEMPERATURE, 1.0 / LOWEST_TEMPERATURE
    if np.ptp(logits, axis=1).max() == 0:  # nothing but equal probabilities, which no temperature changes
        return 1.0
    if slope(low) >= 0:
        return HIGHEST_TEMPERATURE
    if slope(high) <= 0:
        return LOWEST_TEMPERATURE
    # Halved until float64 cannot: scipy's root finder would cost every training its import.
    while low < (middle := 0.5 * (low + high)) < high:
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1.0 / high


def apply_temperature(predicted: np.ndarray, temperature: float) -> np.ndarray:
    """Divide the logits of probabilities (n, K) by a temperature; the greatest class stays the greatest.

    Raises
    ------
    TrainingError
        If the temperature is not above 0.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise TrainingError(f"A temperature is {temperature}; expected a number above 0. Train the run again.")
    return _softmax(np.log(np.maximum(np.asarray(predicted, dtype=np.float64), _TINY)) / temperature)


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def calibration_figures(predicted: np.ndarray, true: np.ndarray, *, bins: int = BINS) -> dict[str, float]:
    """Compute `CALIBRATION_METRICS` of probabilities (n, K); NaN without clips.

    ``nll`` is the mean negative log-likelihood in nats. ECE is never below 0 and is above
    it by chance alone where clips are few, so it is compared between models on the same
    clips, not with 0.
    """
    if len(true) == 0:
        return dict.fromkeys(CALIBRATION_METRICS, math.nan)
    return {
        "ece": expected_calibration_error(predicted, true, bins=bins),
        "adaptive_ece": expected_calibration_error(predicted, true, bins=bins, adaptive=True),
        "brier": float(_brier(predicted, true).mean()),
        "nll": float(_nll(predicted, true).mean()),
    }


def expected_calibration_error(
    predicted: np.ndarray, true: np.ndarray, *, bins: int = BINS, adaptive: bool = False
) -> float:
    """Average the gap between confidence and accuracy over bins, weighted by their clips.

    Parameters
    ----------
    predicted : ndarray, shape (n, K)
    true : ndarray of int, shape (n,)
    bins : int
        Of equal width; or, `adaptive`, of as many clips each.
    """
    table = reliability(predicted, true, bins=bins, adaptive=adaptive)
    gap = (table["confidence"] - table["accuracy"]).abs()
    n = table["n_clips"].sum()
    return float((gap * table["n_clips"]).sum() / n) if n else math.nan


def reliability(predicted: np.ndarray, true: np.ndarray, *, bins: int = BINS, adaptive: bool = False) -> pd.DataFrame:
    """Compare how sure answers were with how often they were right, bin by bin.

    Returns
    -------
    DataFrame
        Columns `RELIABILITY_COLUMNS`, one row a bin: bounds of the greatest probability
        (low, high], clips, their mean greatest probability, the share that is right. Means
        are NaN in an empty bin; `adaptive` leaves none empty.
    """
    confidence, right = predicted.max(axis=1), predicted.argmax(axis=1) == true
    edges = _edges(confidence, bins, adaptive)
    place = _bin_of(confidence, edges)
    n = np.bincount(place, minlength=len(edges) - 1)
    sums = [np.bincount(place, weights=values, minlength=len(edges) - 1) for values in (confidence, right)]
    means = [np.divide(total, n, out=np.full(len(n), math.nan), where=n > 0) for total in sums]
    columns = (edges[:-1], edges[1:], n, *means)
    return pd.DataFrame(dict(zip(RELIABILITY_COLUMNS, columns, strict=True)))


def _edges(confidence: np.ndarray, bins: int, adaptive: bool) -> np.ndarray:
    """Return the bounds of the bins, (bins + 1,) or fewer where confidences repeat."""
    if not adaptive or len(confidence) == 0:
        return np.linspace(0.0, 1.0, bins + 1)
    inner = np.quantile(confidence, np.linspace(0.0, 1.0, min(bins, len(confidence)) + 1)[1:-1], method="inverted_cdf")
    edges = np.unique(np.concatenate([[0.0], inner, [1.0]]))
    place = _bin_of(confidence, edges)
    filled = np.bincount(place, minlength=len(edges) - 1) > 0
    return np.concatenate([edges[:-1][filled], [1.0]])


def _bin_of(confidence: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return which bin (low, high] each confidence is in; 0 is in the first."""
    return np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, len(edges) - 2)


def _brier(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    hot = np.eye(predicted.shape[1])[true]
    return ((predicted - hot) ** 2).sum(axis=1)


def _nll(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    return -np.log(np.maximum(predicted[np.arange(len(true)), true], _TINY))


@dataclass(frozen=True)
class Calibrated:
    """The test predictions of a run for one target, before and after temperature scaling.

    Parameters
    ----------
    temperatures : dict of int to float
        By fold; 1 where a fold has no validation predictions.
    before, after : ndarray, shape (n, K)
        Probabilities of the test clips, in the order of the rows.
    true : ndarray of int, shape (n,)
    participants : ndarray of str, shape (n,)
    """

    temperatures: dict[int, float]
    before: np.ndarray
    after: np.ndarray
    true: np.ndarray
    participants: np.ndarray


def fold_temperatures(validation: pd.DataFrame, targets: Sequence[Target]) -> dict[str, dict[int, float]]:
    """Fit the temperature of each classified target and fold.

    Parameters
    ----------
    validation : DataFrame
        Rows of the folds' ``validation.parquet``: columns as of ``predictions.parquet``.
    targets : sequence of Target

    Returns
    -------
    dict of dict
        By target and fold.
    """
    found: dict[str, dict[int, float]] = {}
    for declared in targets:
        if declared.classes:
            rows = validation[validation["target_name"] == declared.name]
            folds = rows.groupby("fold", sort=True)
            found[declared.name] = {int(k): fit_temperature(*probabilities(part, declared)) for k, part in folds}
    return found


def calibrate(predictions: pd.DataFrame, temperatures: dict[int, float], declared: Target) -> Calibrated:
    """Scale the test predictions of each fold by its own temperature.

    Parameters
    ----------
    predictions : DataFrame
        Rows of ``predictions.parquet``.
    temperatures : dict of int to float
        Of this target, by fold; of `fold_temperatures`.
    declared : Target
        One of classes.
    """
    rows = predictions[predictions["target_name"] == declared.name]
    before, true = probabilities(rows, declared)
    folds = rows["fold"].to_numpy(np.int64)
    after, used = before.copy(), {}
    for k in np.unique(folds):
        used[int(k)] = temperatures.get(int(k), 1.0)
        after[folds == k] = apply_temperature(before[folds == k], used[int(k)])
    return Calibrated(used, before, after, true, rows["participant"].to_numpy(str))


def calibration_summary(calibrated: Calibrated, *, level: float = LEVEL, bins: int = BINS) -> dict[str, Any]:
    """Put together what ``metrics.json`` says of the calibration of a target.

    Returns
    -------
    dict
        ``temperatures`` by fold; ``before`` and ``after``, each `CALIBRATION_METRICS` with
        ``intervals`` over participants and a ``reliability`` table as a list of rows; and
        ``change``, after less before with its paired interval, for ``ece``, ``brier``, ``nll``.
    """
    draws = Draws.of(calibrated.participants)
    enough = len(draws.participants) > 1
    result: dict[str, Any] = {"temperatures": {str(k): t for k, t in calibrated.temperatures.items()}}
    resampled: dict[str, dict[str, np.ndarray]] = {}
    for name, predicted in (("before", calibrated.before), ("after", calibrated.after)):
        table = reliability(predicted, calibrated.true, bins=bins)
        resampled[name] = _resample(predicted, calibrated, draws, bins) if enough else {}
        bounds = {key: interval(values, level).as_json() for key, values in resampled[name].items()}
        figures = calibration_figures(predicted, calibrated.true, bins=bins)
        result[name] = figures | {"intervals": bounds, "reliability": table.to_dict("records")}
    result["change"] = {
        key: {"difference": result["after"][key] - result["before"][key]}
        | interval(values - resampled["before"][key], level).as_json()
        for key, values in resampled["after"].items()
    }
    return result


def _resample(predicted: np.ndarray, calibrated: Calibrated, draws: Draws, bins: int) -> dict[str, np.ndarray]:
    """Compute ECE, Brier score and NLL in each resample of participants, shape (R,)."""
    places, s = draws.places(calibrated.participants), len(draws.participants)
    n = draws.times @ np.bincount(places, minlength=s)  # (R,)
    confidence, right = predicted.max(axis=1), predicted.argmax(axis=1) == calibrated.true
    cell = places * bins + _bin_of(confidence, _edges(confidence, bins, adaptive=False))
    gap = np.bincount(cell, weights=confidence - right, minlength=s * bins).reshape(s, bins)
    means = {
        name: draws.times @ np.bincount(places, weights=loss, minlength=s) / n
        for name, loss in (("brier", _brier(predicted, calibrated.true)), ("nll", _nll(predicted, calibrated.true)))
    }
    return {"ece": np.abs(draws.times @ gap).sum(axis=1) / n} | means
