"""The figures of a run from its predictions table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from emer_model.data.targets import Target
from emer_model.evaluation.answers import class_indices, true_and_predicted
from emer_model.evaluation.bootstrap import Draws, Interval, subject_bootstrap
from emer_model.evaluation.calibration import calibrate, calibration_summary, fold_temperatures
from emer_model.evaluation.metrics import classification_metrics, confusion, continuous_metrics


def summarise(
    predictions: pd.DataFrame,
    targets: tuple[Target, ...],
    masked: pd.Series,
    validation: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Compute the figures of all folds together and of each by itself.

    Parameters
    ----------
    predictions : DataFrame
        Rows of ``predictions.parquet``, of one protocol or of several.
    targets : tuple of Target
        What the protocols ask for.
    masked : Series
        From `emer_model.evaluation.gap.masked_clips`.
    validation : DataFrame, optional
        Rows of the folds' ``validation.parquet``. Temperatures are fitted on them.

    Returns
    -------
    dict
        By target: ``pooled``, ``folds``, ``mean_of_folds``, ``agreeing``, ``masked``;
        over participants ``intervals`` (of ``pooled``), ``agreeing_intervals``,
        ``masked_intervals`` and ``fold_intervals``; and for classes ``confusion``,
        ``classes`` and, with `validation`, ``calibration`` (see
        `emer_model.evaluation.calibration.calibration_summary`). NaN is None, so that it is JSON.
    """
    temperatures = {} if validation is None else fold_temperatures(validation, targets)
    result: dict[str, Any] = {}
    for declared in targets:
        rows = predictions[predictions["target_name"] == declared.name]
        by_fold = {int(k): part for k, part in rows.groupby("fold")}
        folds = {k: figures(part, declared) for k, part in by_fold.items()}
        gap = masked.reindex(rows["clip_id"])
        is_masked = gap.fillna(False).to_numpy(dtype=bool)
        is_agreeing = (~gap).fillna(False).to_numpy(dtype=bool)
        draws = Draws.of(rows["participant"].to_numpy(str))
        summary: dict[str, Any] = {
            "pooled": figures(rows, declared),
            "intervals": _bounds(rows, declared, draws),
            "folds": {str(k): v for k, v in folds.items()},
            "fold_intervals": {str(k): _bounds(part, declared) for k, part in by_fold.items()},
            "mean_of_folds": _mean(list(folds.values())),
        }
        for name, part in (("agreeing", rows[is_agreeing]), ("masked", rows[is_masked])):
            summary[name] = figures(part, declared)
            summary[f"{name}_intervals"] = _bounds(part, declared, draws)
        if declared.classes:
            summary["confusion"] = confusion(*class_indices(rows, declared), len(declared.classes)).tolist()
            summary["classes"] = list(declared.classes)
            if validation is not None:
                calibrated = calibrate(rows, temperatures[declared.name], declared)
                summary["calibration"] = calibration_summary(calibrated)
        result[declared.name] = summary
    return without_nan(result)


def figures(rows: pd.DataFrame, declared: Target) -> dict[str, float]:
    """Compute the metrics of some rows of one target."""
    true, predicted = true_and_predicted(rows, declared)
    if declared.classes:
        return classification_metrics(true, predicted, len(declared.classes))
    return continuous_metrics(true, predicted)


def figure_intervals(rows: pd.DataFrame, declared: Target, draws: Draws | None = None) -> dict[str, Interval]:
    """Compute the intervals over participants of `figures`; `draws` where the rows are a part of others."""
    true, predicted = true_and_predicted(rows, declared)
    return subject_bootstrap(true, predicted, rows["participant"].to_numpy(str), len(declared.classes), draws=draws)


def _bounds(rows: pd.DataFrame, declared: Target, draws: Draws | None = None) -> dict[str, dict[str, float]]:
    return {name: bounds.as_json() for name, bounds in figure_intervals(rows, declared, draws).items()}


def _mean(folds: list[dict[str, float]]) -> dict[str, float]:
    """Average folds, leaving out those where a figure is undefined."""
    means = {}
    for name in folds[0] if folds else ():
        if not name.startswith("n_"):
            defined = [f[name] for f in folds if not math.isnan(f[name])]
            means[name] = float(np.mean(defined)) if defined else math.nan
    return means


def without_nan(value: Any) -> Any:
    """Replace NaN by None throughout, since JSON has no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
