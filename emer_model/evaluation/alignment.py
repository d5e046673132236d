"""The answers of several runs, clip by clip in one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_schema.errors import TrainingError
from emer_model.data.targets import Target
from emer_model.evaluation.answers import true_and_predicted

#: Parts of the clips that figures are given for.
PARTS = ("pooled", "agreeing", "masked")


@dataclass(frozen=True)
class Contender:
    """What is compared under one name: the predictions of a run, or of several seeds of it.

    Parameters
    ----------
    name : str
    tables : tuple of DataFrame
        Rows of ``predictions.parquet``, one table a seed. Figures are means over the tables.
    """

    name: str
    tables: tuple[pd.DataFrame, ...]


@dataclass(frozen=True)
class Aligned:
    """All answers to one target, clip by clip in the same order.

    Parameters
    ----------
    declared : Target
    true : ndarray, shape (n,)
        Class indices or values.
    predicted : list of list of ndarray, shape (n,)
        By contender and table.
    participants, folds, masked : ndarray, shape (n,)
        ``masked`` is 1, 0, or -1 where nobody knows; ``folds`` -1 where runs have other folds.
    """

    declared: Target
    true: np.ndarray
    predicted: list[list[np.ndarray]]
    participants: np.ndarray
    folds: np.ndarray
    masked: np.ndarray

    def part(self, name: str) -> np.ndarray:
        """Return which clips belong to a part, bool (n,)."""
        if name == "pooled":
            return np.ones(len(self.true), dtype=bool)
        return self.masked == (1 if name == "masked" else 0)


def align(contenders: Sequence[Contender], declared: Target, masked: pd.Series | None = None) -> Aligned:
    """Put the answers of all contenders to one target into one order of clips.

    Raises
    ------
    TrainingError
        If clips lack or occur twice, or a clip has two labels.
    """
    first: pd.DataFrame | None = None
    predicted, same_folds = [], True
    for contender in contenders:
        answers = []
        for table in contender.tables:
            rows = table[table["target_name"] == declared.name].set_index("clip_id").sort_index()
            if not rows.index.is_unique:
                raise TrainingError(f"{contender.name}: a clip has two predictions of {declared.name}.")
            first = rows if first is None else first
            _refuse_other_clips(contenders[0].name, first, contender.name, rows, declared)
            same_folds = same_folds and bool((rows["fold"].to_numpy() == first["fold"].to_numpy()).all())
            answers.append(true_and_predicted(rows, declared)[1])
        predicted.append(answers)
    if first is None or not len(first):
        raise TrainingError(f"{contenders[0].name}: no clip has a prediction of {declared.name}.")
    gap = pd.Series(pd.NA, index=first.index, dtype="boolean") if masked is None else masked.reindex(first.index)
    return Aligned(
        declared,
        true_and_predicted(first, declared)[0],
        predicted,
        first["participant"].to_numpy(str),
        first["fold"].to_numpy(np.int64) if same_folds else np.full(len(first), -1),
        gap.astype("Int64").fillna(-1).to_numpy(np.int64),
    )


def _refuse_other_clips(name: str, first: pd.DataFrame, other: str, rows: pd.DataFrame, declared: Target) -> None:
    lacking, more = first.index.difference(rows.index), rows.index.difference(first.index)
    if len(lacking) or len(more):
        example = (lacking if len(lacking) else more)[0]
        raise TrainingError(
            f"{declared.name}: {name} answers for {len(first)} clips, {other} for {len(rows)}; {len(lacking)} only the first, "
            f"{len(more)} only the second, such as {example}. Compare on the clips that all have with --common."
        )
    differ = true_and_predicted(first, declared)[0] != true_and_predicted(rows, declared)[0]
    if differ.any():
        clip = first.index[int(np.flatnonzero(differ)[0])]
        raise TrainingError(
            f"{declared.name}: {int(differ.sum())} clips have another label in {other} than in {name}, such as {clip}: the "
            "labels changed between the exports. Train again on one export, or leave these clips out with --common."
        )
