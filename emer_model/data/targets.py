"""What a protocol asks for, as numbers that a model can be trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from data_schema.errors import TrainingError
from data_schema.vocabularies import EMOTIONS, POLARITIES, SCALES

#: Class index of a missing label; ``torch.nn.functional.cross_entropy`` ignores it.
MISSING_CLASS = -100

_CLASSES = {"emotion": EMOTIONS, "polarity": POLARITIES}
_SCALES = {scale.name: scale for scale in SCALES}


@dataclass(frozen=True)
class Target:
    """One column of ``targets.parquet`` that a model learns.

    Parameters
    ----------
    name : str
        The column, such as ``er_emotion``.
    classes : tuple of str
        Its classes in order; empty for a continuous target.
    low, high : float
        Bounds of a continuous target.
    """

    name: str
    classes: tuple[str, ...] = ()
    low: float = float("nan")
    high: float = float("nan")

    @property
    def n_outputs(self) -> int:
        """Outputs that a head for this target has."""
        return len(self.classes) or 1


def target(name: str) -> Target:
    """Declare the target of a column such as ``er_emotion`` or ``fer_intensity``.

    Raises
    ------
    TrainingError
        If the vocabularies know no such label.
    """
    label = name.partition("_")[2]
    if label in _CLASSES:
        return Target(name, _CLASSES[label])
    if label in _SCALES:
        return Target(name, (), _SCALES[label].low, _SCALES[label].high)
    known = ", ".join([*_CLASSES, *_SCALES])
    raise TrainingError(f"There is no target '{name}'. A target is er_ or fer_ and one of: {known}.")


def protocol_targets(protocol: Any) -> tuple[Target, ...]:
    """Declare the targets of a protocol of `data_schema.exports.protocols`."""
    return tuple(target(name) for name in protocol.targets)


def encode(declared: Target, labels: pd.Series) -> np.ndarray:
    """Turn labels into numbers.

    Parameters
    ----------
    declared : Target
        What the labels are.
    labels : Series
        One label a clip, indexed by clip; null where there is none.

    Returns
    -------
    ndarray, shape (n_clips,)
        int64 class indices with `MISSING_CLASS`, or float32 values with NaN.

    Raises
    ------
    TrainingError
        If a label is no class of the vocabulary or lies outside its scale.
    """
    if declared.classes:
        index = {name: i for i, name in enumerate(declared.classes)}
        encoded = np.full(len(labels), MISSING_CLASS, dtype=np.int64)
        for i, (clip_id, label) in enumerate(labels.items()):
            if pd.isna(label):
                continue
            if label not in index:
                raise TrainingError(
                    f"targets.parquet: {declared.name} of clip {clip_id} is '{label}'. "
                    f"Expected one of: {', '.join(declared.classes)}. Correct the label and export again."
                )
            encoded[i] = index[label]
        return encoded
    values = pd.to_numeric(labels, errors="coerce").to_numpy(dtype=np.float32, na_value=np.nan)
    words = np.isnan(values) & labels.notna().to_numpy() & (labels.astype(str) != "nan").to_numpy()
    wrong = words | (values < declared.low) | (values > declared.high) | np.isinf(values)
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        raise TrainingError(
            f"targets.parquet: {declared.name} of clip {labels.index[i]} is {labels.iloc[i]}. "
            f"Expected {declared.low:g} to {declared.high:g}. Correct the label and export again."
        )
    return values


def is_present(declared: Target, encoded: np.ndarray) -> np.ndarray:
    """Tell for each encoded label whether there is one."""
    return encoded != MISSING_CLASS if declared.classes else ~np.isnan(encoded)
