"""Figures by person, by film, by session, by class, and by how much of the eyes was seen.

A figure over all clips can hide that a model works for half of the people, or knows one
film. Each table has one row a group; groups are small, so their figures scatter: the
spread over participants is what a reader should expect of the next one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from data_schema.errors import TrainingError
from emer_model.data.targets import Target
from emer_model.evaluation.answers import rows_of, true_and_predicted
from emer_model.evaluation.bootstrap import LEVEL, Draws, SubjectSums, interval, subject_bootstrap
from emer_model.evaluation.summary import figures

#: Bounds of the shares of valid eye data that clips are grouped by: ours.
EYE_SHARES = (0.0, 0.5, 0.7, 0.8, 0.9, 1.0)

#: What the columns ``low`` and ``high`` of a table are the interval of.
GROUP_METRIC = {"classes": "war", "continuous": "mae"}


def by_participant(predictions: pd.DataFrame, declared: Target, masked: pd.Series | None = None) -> pd.DataFrame:
    """Compute the figures of each participant's clips.

    Parameters
    ----------
    predictions : DataFrame
        Rows of ``predictions.parquet``.
    declared : Target
    masked : Series, optional
        From `emer_model.evaluation.gap.masked_clips`; adds ``share_masked``.

    Returns
    -------
    DataFrame
        Indexed by participant: ``n_clips``, the metrics, and ``share_masked``. No intervals:
        a participant is what intervals are made of.
    """
    rows = rows_of(predictions, declared)
    return _table(rows, rows["participant"].astype(str), "participant", declared, masked, with_interval=False)


def by_stimulus(
    predictions: pd.DataFrame, clips: pd.DataFrame, declared: Target, masked: pd.Series | None = None
) -> pd.DataFrame:
    """Compute the figures of each stimulus over the participants who saw it.

    Parameters
    ----------
    predictions, declared, masked
        As of `by_participant`.
    clips : DataFrame
        ``clips.parquet`` of the export.

    Returns
    -------
    DataFrame
        Indexed by stimulus_id: ``n_clips``, ``n_participants``, the metrics, ``low`` and
        ``high`` of `GROUP_METRIC` over participants, ``share_masked``.
    """
    rows = rows_of(predictions, declared)
    return _table(rows, _of_clips(rows, clips, "stimulus_id"), "stimulus_id", declared, masked)


def by_session(
    predictions: pd.DataFrame, clips: pd.DataFrame, declared: Target, masked: pd.Series | None = None
) -> pd.DataFrame:
    """Compute the figures of each recording; index ``session`` is such as ``P001 01``.

    Parameters and columns are those of `by_stimulus`; ``low`` and ``high`` are NaN, since a
    session is of one participant.
    """
    rows = rows_of(predictions, declared)
    names = rows["participant"].astype(str) + " " + _of_clips(rows, clips, "session")
    return _table(rows, names, "session", declared, masked)


def by_eye_data(
    predictions: pd.DataFrame,
    shares: pd.Series,
    declared: Target,
    masked: pd.Series | None = None,
    *,
    edges: Sequence[float] = EYE_SHARES,
) -> pd.DataFrame:
    """Compute the figures of clips by the share of their eye data that is valid.

    Parameters
    ----------
    predictions, declared, masked
        As of `by_participant`.
    shares : Series of float, indexed by clip_id
        Of `valid_eye_shares`.
    edges : sequence of float
        Bounds of the groups, ascending from 0 to 1; a group is (low, high], the first holds 0.

    Returns
    -------
    DataFrame
        As `by_stimulus`, indexed by ``eye_data`` such as ``50-70 %``; groups without clips are left out.
    """
    rows = rows_of(predictions, declared)
    found = shares.reindex(rows["clip_id"]).to_numpy(np.float64)
    if np.isnan(found).any():
        clip = rows["clip_id"].iloc[int(np.flatnonzero(np.isnan(found))[0])]
        raise TrainingError(
            f"The share of valid eye data of {clip} is not known: the predictions are of another export."
        )
    inner = np.asarray(edges, dtype=np.float64)
    names = [f"{100 * low:.0f}-{100 * high:.0f} %" for low, high in zip(inner[:-1], inner[1:], strict=True)]
    place = np.clip(np.searchsorted(inner, found, side="left") - 1, 0, len(names) - 1)
    table = _table(rows, pd.Series(np.array(names)[place], index=rows.index), "eye_data", declared, masked)
    return table.reindex([name for name in names if name in table.index])


def by_class(predictions: pd.DataFrame, declared: Target, *, level: float = LEVEL) -> pd.DataFrame:
    """Compute recall, precision and F1 of each class with intervals over participants.

    Returns
    -------
    DataFrame
        Indexed by class in the order of the target: ``n_clips``, ``n_predicted``, ``recall``,
        ``precision``, ``f1`` and of each ``_low`` and ``_high``. NaN where undefined.
    """
    rows = rows_of(predictions, declared)
    true, predicted = true_and_predicted(rows, declared)
    people, k = rows["participant"].to_numpy(str), len(declared.classes)
    draws = Draws.of(people)
    sums = SubjectSums.of(true, predicted, draws.places(people), len(draws.participants), k).sums  # (S, K, K)
    whole = sums.sum(axis=0)
    flat = sums.reshape(len(sums), -1)
    resampled = _per_class((draws.times @ flat).reshape(-1, k, k)) if len(sums) > 1 else {}
    columns: dict[str, Any] = {"n_clips": whole.sum(axis=1).astype(int), "n_predicted": whole.sum(axis=0).astype(int)}
    for name, values in _per_class(whole).items():
        columns[name] = values
        bounds = [interval(resampled[name][:, i], level) for i in range(k)] if resampled else []
        columns[f"{name}_low"] = [i.low for i in bounds] or math.nan
        columns[f"{name}_high"] = [i.high for i in bounds] or math.nan
    return pd.DataFrame(columns, index=pd.Index(declared.classes, name="class"))


def _per_class(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Compute recall, precision and F1 of the classes of confusion matrices (..., K, K)."""
    right, rows, columns = np.einsum("...ii->...i", counts), counts.sum(axis=-1), counts.sum(axis=-2)

    def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        return np.divide(part, whole, out=np.full(whole.shape, math.nan), where=whole > 0)

    return {"recall": ratio(right, rows), "precision": ratio(right, columns), "f1": ratio(2.0 * right, rows + columns)}


def spread(table: pd.DataFrame, declared: Target) -> dict[str, Any]:
    """Say how the main figure is spread over the groups of a table.

    Parameters
    ----------
    table : DataFrame
        Of `by_participant` or another breakdown.
    declared : Target

    Returns
    -------
    dict
        ``metric`` (`GROUP_METRIC`, which small groups have, too), ``n`` groups, ``mean``,
        ``sd``, ``min``, ``q25``, ``median``, ``q75``, ``max``.
    """
    metric = GROUP_METRIC["classes" if declared.classes else "continuous"]
    values = table[metric].dropna().to_numpy(np.float64)
    if not len(values):
        return {"metric": metric, "n": 0}
    low, q25, median, q75, high = np.percentile(values, (0, 25, 50, 75, 100))
    sd = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    return {"metric": metric, "n": len(values), "mean": float(values.mean()), "sd": sd} | {
        name: float(x) for name, x in zip(("min", "q25", "median", "q75", "max"), (low, q25, median, q75, high), strict=True)
    }  # fmt: skip


def valid_eye_shares(export: Any) -> pd.Series:
    """Compute the share of each clip's eye features that were measured.

    Parameters
    ----------
    export : data_schema.exports.reading.TrainingExport

    Returns
    -------
    Series of float, indexed by clip_id
    """
    names = export.clips["clip_id"].astype(str).tolist()
    shares = [float(export.read(name, ("eye_mask",))["eye_mask"].mean()) for name in names]
    return pd.Series(shares, index=pd.Index(names, name="clip_id"), name="valid_eye_share")


def _of_clips(rows: pd.DataFrame, clips: pd.DataFrame, column: str) -> pd.Series:
    """Look up a column of ``clips.parquet`` for some predictions."""
    found = clips.set_index("clip_id")[column].reindex(rows["clip_id"])
    if found.isna().any():
        raise TrainingError(
            f"clips.parquet has no {column} of {found.index[int(np.flatnonzero(found.isna())[0])]}: the predictions are of "
            "another export."
        )
    return pd.Series(found.astype(str).to_numpy(), index=rows.index)


def _table(
    rows: pd.DataFrame,
    groups: pd.Series,
    name: str,
    declared: Target,
    masked: pd.Series | None,
    *,
    with_interval: bool = True,
) -> pd.DataFrame:
    """Compute the figures of each group of rows."""
    main = GROUP_METRIC["classes" if declared.classes else "continuous"]
    records = []
    for group, part in rows.groupby(groups.to_numpy(), sort=True):
        people = part["participant"].to_numpy(str)
        true, predicted = true_and_predicted(part, declared)
        record: dict[str, Any] = {name: group, "n_clips": len(part)}
        if with_interval:
            record["n_participants"] = len(np.unique(people))
        record |= {key: value for key, value in figures(part, declared).items() if key != "n_clips"}
        if with_interval:
            bounds = subject_bootstrap(true, predicted, people, len(declared.classes))[main]
            record |= {"low": bounds.low, "high": bounds.high}
        if masked is not None:
            gap = masked.reindex(part["clip_id"]).dropna()
            record["share_masked"] = float(gap.astype(bool).mean()) if len(gap) else math.nan
        records.append(record)
    return pd.DataFrame(records).set_index(name)
