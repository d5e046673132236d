"""The figures of a run from its predictions table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from emer_model.data.targets import Target
from emer_model.evaluation.bootstrap import subject_bootstrap
from emer_model.evaluation.metrics import classification_metrics, confusion, continuous_metrics


def summarise(predictions: pd.DataFrame, targets: tuple[Target, ...], masked: pd.Series) -> dict[str, Any]:
    """Compute the figures of all folds together and of each by itself.

    Parameters
    ----------
    predictions : DataFrame
        Rows of ``predictions.parquet``.
    targets : tuple of Target
        What the protocol asks for.
    masked : Series
        From `emer_model.evaluation.gap.masked_clips`.

    Returns
    -------
    dict
        By target: ``pooled``, ``folds``, ``mean_of_folds``, ``agreeing``, ``masked``,
        and for classes ``intervals`` and ``confusion``. NaN is None, so that it is JSON.
    """
    result: dict[str, Any] = {}
    for declared in targets:
        rows = predictions[predictions["target_name"] == declared.name]
        folds = {int(k): figures(part, declared) for k, part in rows.groupby("fold")}
        gap = masked.reindex(rows["clip_id"])
        is_masked = gap.fillna(False).to_numpy(dtype=bool)
        is_agreeing = (~gap).fillna(False).to_numpy(dtype=bool)
        summary: dict[str, Any] = {
            "pooled": figures(rows, declared),
            "folds": {str(k): v for k, v in folds.items()},
            "mean_of_folds": _mean(list(folds.values())),
            "agreeing": figures(rows[is_agreeing], declared),
            "masked": figures(rows[is_masked], declared),
        }
        if declared.classes:
            true, predicted = class_indices(rows, declared)
            intervals = subject_bootstrap(true, predicted, rows["participant"].to_numpy(str), len(declared.classes))
            summary["intervals"] = {
                name: {"low": i.low, "high": i.high, "level": i.level} for name, i in intervals.items()
            }
            summary["confusion"] = confusion(true, predicted, len(declared.classes)).tolist()
            summary["classes"] = list(declared.classes)
        result[declared.name] = summary
    return without_nan(result)


def figures(rows: pd.DataFrame, declared: Target) -> dict[str, float]:
    """Compute the metrics of some rows of one target."""
    if declared.classes:
        return classification_metrics(*class_indices(rows, declared), len(declared.classes))
    return continuous_metrics(rows["target"].to_numpy(), rows["prediction"].to_numpy())


def class_indices(rows: pd.DataFrame, declared: Target) -> tuple[np.ndarray, np.ndarray]:
    """Turn the class names of some rows into true and predicted indices."""
    index = {name: i for i, name in enumerate(declared.classes)}
    return tuple(  # type: ignore[return-value]
        rows[column].map(index).fillna(-1).to_numpy(dtype=np.int64) for column in ("target", "prediction")
    )


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
