"""Labels and answers of a predictions table as numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from data_schema.errors import TrainingError
from emer_model.data.targets import Target


def rows_of(predictions: pd.DataFrame, declared: Target) -> pd.DataFrame:
    """Return the rows of one target.

    Raises
    ------
    TrainingError
        If there are none.
    """
    rows = predictions[predictions["target_name"] == declared.name]
    if not len(rows):
        there = ", ".join(sorted(predictions["target_name"].astype(str).unique())) or "nothing"
        raise TrainingError(
            f"The predictions hold no {declared.name}; they hold {there}. Name a run whose protocol learns it."
        )
    return rows


def true_and_predicted(rows: pd.DataFrame, declared: Target) -> tuple[np.ndarray, np.ndarray]:
    """Read the labels and the answers of some rows of one target.

    Parameters
    ----------
    rows : DataFrame
        Of ``predictions.parquet``: ``target`` and ``prediction`` of classes,
        ``target_value`` and ``prediction_value`` of continuous targets.
    declared : Target

    Returns
    -------
    true, predicted : ndarray, shape (n,)
        int64 class indices, or values in float64.
    """
    if declared.classes:
        return class_indices(rows, declared)
    return rows["target_value"].to_numpy(np.float64), rows["prediction_value"].to_numpy(np.float64)


def class_indices(rows: pd.DataFrame, declared: Target) -> tuple[np.ndarray, np.ndarray]:
    """Turn the class names of some rows into true and predicted indices; -1 where a name is none of the classes."""
    index = {name: i for i, name in enumerate(declared.classes)}
    true, predicted = (
        rows[column].map(index).fillna(-1).to_numpy(dtype=np.int64) for column in ("target", "prediction")
    )
    return true, predicted
