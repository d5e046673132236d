"""Attributions of all folds as tables: of each clip, and averaged by feature and by modality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from emer_model.data.targets import Target
from emer_model.evaluation.bootstrap import Draws, interval
from emer_model.training.opened import OpenedRun
from emer_model.understanding.asking import tested_clips
from emer_model.understanding.attribution import Attributions, attribute

#: Test clips that are looked at, of all folds together: ours. Minutes for most models.
CLIPS = 200

#: Columns of the table of clips.
CLIP_COLUMNS = ("clip_id", "fold", "participant", "target_name", "answered", "feature", "modality", "part")

#: Columns of the table of features.
COLUMNS = (
    "target_name", "group", "level", "modality", "feature", "mean_absolute", "low", "high", "share", "mean",
    "n_clips", "n_participants",
)  # fmt: skip


@dataclass(frozen=True)
class AttributionTables:
    """What attribution found.

    Parameters
    ----------
    clips : DataFrame
        Columns `CLIP_COLUMNS`, a row a clip, target and feature. ``part`` is in nats (log-probability of the class that
        is ``answered``) or on the target's scale.
    features : DataFrame
        Columns `COLUMNS`. ``level`` is feature or modality; ``group`` is all, or a class that was answered. A clip's
        part of a modality is the sum over its features, so that what cancels within one is not counted.
        ``mean_absolute`` with its interval over participants, its ``share`` of the sum over features (or modalities),
        and the ``mean`` with its sign.
    method : str
    completeness : float
        Greatest difference between the sum of a clip's parts and the answer less the baseline's.
    """

    clips: pd.DataFrame
    features: pd.DataFrame
    method: str
    completeness: float


def attribution_tables(opened: OpenedRun, n_clips: int, seed: int, step: Callable[[str], None]) -> AttributionTables:
    """Share out the answers to a sample of test clips.

    Parameters
    ----------
    opened : OpenedRun
    n_clips : int
        Of all folds together; each fold gives as many as its share of the test clips.
    seed : int
        Of the sample, and of the orders of sampled Shapley values.
    step : callable
        Told a word after each fold.
    """
    tables, methods, worst = [], [], 0.0
    for fold, clips in _sample(opened, n_clips, seed).items():
        dataset = tested_clips(opened, fold, opened.store, clips)
        found = attribute(opened.fold(fold).model, dataset, opened.targets, opened.device, seed)
        gap = found.answers - found.baseline - found.parts.sum(axis=2)
        worst = max(worst, float(np.abs(gap).max(initial=0.0)))
        methods.append(found.method)
        tables.append(_clip_rows(opened, fold, clips, found))
        step(f"attribution, fold {fold}")
    table = pd.concat(tables, ignore_index=True)
    return AttributionTables(table, average(table), methods[0], worst)


def _sample(opened: OpenedRun, n_clips: int, seed: int) -> dict[int, np.ndarray]:
    """Draw test clips, by fold in proportion and at least one each, sorted."""
    tested = {fold: opened.tested(fold) for fold in opened.finished}
    total = sum(len(clips) for clips in tested.values())
    rng = np.random.default_rng(seed)
    return {
        fold: np.sort(
            rng.choice(clips, size=min(len(clips), max(1, round(n_clips * len(clips) / total))), replace=False)
        )
        for fold, clips in tested.items()
    }


def _clip_rows(opened: OpenedRun, fold: int, clips: np.ndarray, found: Attributions) -> pd.DataFrame:
    """Lay out the parts of each clip, target and feature."""
    n, t, g = found.parts.shape
    ids, people = (np.asarray(x)[clips] for x in (opened.store.clip_ids, opened.store.participants))
    classes = np.array([[_name(declared, place) for declared, place in zip(opened.targets, row, strict=True)]
                        for row in found.answered], dtype=object).reshape(n, t)  # fmt: skip
    columns = {
        "clip_id": np.repeat(ids, t * g),
        "fold": fold,
        "participant": np.repeat(people, t * g),
        "target_name": np.tile(np.repeat([declared.name for declared in opened.targets], g), n),
        "answered": np.repeat(classes.reshape(-1), g),
        "feature": np.tile(found.groups.names, n * t),
        "modality": np.tile(found.groups.modalities, n * t),
        "part": found.parts.reshape(-1),
    }
    return pd.DataFrame(columns, columns=list(CLIP_COLUMNS))


def _name(declared: Target, place: int) -> str:
    return declared.classes[place] if declared.classes else ""


def average(clips: pd.DataFrame) -> pd.DataFrame:
    """Average the parts of clips by feature and by modality; see `AttributionTables.features`."""
    rows: list[dict[str, Any]] = []
    for name, of_target in clips.groupby("target_name", sort=False):
        groups = {"all": of_target} | {str(k): part for k, part in of_target.groupby("answered") if k}
        for group, part in groups.items():
            keys = {"feature": ["modality", "feature"], "modality": ["modality"]}
            for level, key in keys.items():
                rows += [{"target_name": name, "group": group, "level": level} | row for row in _means(part, key)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _means(part: pd.DataFrame, key: list[str]) -> list[dict[str, Any]]:
    """Average by `key`, the greatest first."""
    table = part.pivot_table(index=["participant", "clip_id"], columns=key, values="part", aggfunc="sum", sort=False)
    people = table.index.get_level_values("participant").to_numpy(str)
    values = table.to_numpy(np.float64)  # (n, k)
    draws = Draws.of(people)
    places, s = draws.places(people), len(draws.participants)
    sums, n = np.zeros((s, values.shape[1])), np.bincount(places, minlength=s).astype(np.float64)
    np.add.at(sums, places, np.abs(values))
    resampled = (draws.times @ sums) / np.maximum(draws.times @ n, 1.0)[:, None]
    absolute = np.abs(values).mean(axis=0)
    whole = absolute.sum()
    rows = []
    for i in np.argsort(-absolute, kind="stable"):
        names = dict(zip(key, np.atleast_1d(table.columns[i]), strict=True))
        bounds = interval(resampled[:, i]) if s > 1 else None
        rows.append(
            {"feature": "", **names, "mean_absolute": float(absolute[i])}
            | {"low": bounds.low if bounds else np.nan, "high": bounds.high if bounds else np.nan}
            | {"share": float(absolute[i] / whole) if whole > 0 else np.nan, "mean": float(values[:, i].mean())}
            | {"n_clips": len(values), "n_participants": s}
        )
    return rows
