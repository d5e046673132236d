"""Runs beside each other: in order of their main figure, and each against one of them, on the same clips."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from data_schema.exports.protocols import PROTOCOLS
from emer_model.data.targets import Target, protocol_targets
from emer_model.evaluation.alignment import Contender
from emer_model.evaluation.comparison import FIGURE_COLUMNS, compare_runs
from emer_model.evaluation.metrics import MAIN_METRIC
from emer_model.registry import DEFAULT_MODEL
from emer_model.report.gather import ReportData, ReportedRun


@dataclass(frozen=True)
class Against:
    """Differences of runs from one of them, for one target.

    Parameters
    ----------
    reference : str
        Name of the run that the others are compared with.
    best : bool
        It was taken since it is the best, not since its model is the default.
    rows : dict of str to dict
        By run and figure: ``difference``, ``low``, ``high``, ``favours``. Runs that were tested on other clips lack.
    """

    reference: str
    best: bool
    rows: dict[str, dict[str, dict[str, Any]]]


def main_metric(declared: Target) -> str:
    """Return the figure that runs are ordered by: UAR of classes, CCC of values."""
    return MAIN_METRIC["classes" if declared.classes else "continuous"]


def main_value(run: ReportedRun, declared: Target) -> float:
    """Return a run's main figure for a target; the least of all where it has none."""
    value = run.summary.get(declared.name, {}).get("pooled", {}).get(main_metric(declared))
    return -math.inf if value is None else float(value)


def answered_targets(data: ReportData) -> list[Target]:
    """Return the targets that any run answers, in the order of protocols."""
    declared = [target for protocol in PROTOCOLS.values() for target in protocol_targets(protocol)]
    return [target for target in declared if any(target.name in run.summary for run in data.runs)]


def ranked(data: ReportData) -> list[ReportedRun]:
    """Order runs by their mean rank over the targets that they answer, the best first."""
    ranks: dict[str, list[float]] = {run.name: [] for run in data.runs}
    for declared in answered_targets(data):
        own = [run for run in data.runs if declared.name in run.summary]
        values = pd.Series({run.name: main_value(run, declared) for run in own})
        for name, rank in values.rank(ascending=False, method="average").items():
            ranks[str(name)].append((rank - 1) / max(len(own) - 1, 1))
    mean = {name: sum(found) / len(found) for name, found in ranks.items() if found}
    return sorted(data.runs, key=lambda run: mean.get(run.name, math.inf))


def overview(data: ReportData) -> dict[str, Any]:
    """Lay out all models and all targets, one figure each.

    Returns
    -------
    dict
        ``columns`` (target and metric) and ``rows`` with ``cells`` (value and whether it is the best of its column).
    """
    targets = answered_targets(data)
    best = {t.name: max(main_value(run, t) for run in data.runs) for t in targets}
    rows = []
    for run in ranked(data):
        values = [main_value(run, t) for t in targets]
        cells = [
            {"value": v if math.isfinite(v) else None, "best": math.isfinite(v) and v == best[t.name]}
            for v, t in zip(values, targets, strict=True)
        ]
        rows.append({"name": run.name, "model": run.model, "default": run.model == DEFAULT_MODEL, "cells": cells})
    return {"columns": [{"target": t.name, "metric": main_metric(t).upper()} for t in targets], "rows": rows}


def compare_all(data: ReportData) -> dict[str, Against]:
    """Compare the runs that were tested on the same clips with the default model among them, or else the best.

    Returns
    -------
    dict of Against, by target
    """
    found = {}
    for declared in answered_targets(data):
        by_clips: dict[frozenset[tuple[str, int]], list[ReportedRun]] = {}
        for run in data.runs:
            if declared.name in run.summary:
                by_clips.setdefault(_clips(run, declared), []).append(run)
        runs = max(by_clips.values(), key=len)  # the most that were tested on the same clips; the first of several
        if len(runs) < 2:
            continue
        reference = next((run for run in runs if run.model == DEFAULT_MODEL), None)
        best = reference is None
        if reference is None:
            reference = max(runs, key=lambda run: main_value(run, declared))
        same = [run for run in runs if run is not reference]
        contenders = [Contender(run.name, (run.predictions,)) for run in (reference, *same)]
        table = compare_runs(contenders, [declared], by_fold=False, exchanges=0).differences
        rows: dict[str, dict[str, dict[str, Any]]] = {}
        for row in table[table["part"] == "pooled"].to_dict("records"):
            rows.setdefault(row["run"], {})[row["metric"]] = {
                key: row[key] for key in ("difference", "low", "high", "favours")
            }
        found[declared.name] = Against(reference.name, best, rows)
    return found


def _clips(run: ReportedRun, declared: Target) -> frozenset[tuple[str, int]]:
    """Return the clips that a run was tested on for a target, with their folds."""
    rows = run.predictions[run.predictions["target_name"] == declared.name]
    return frozenset(zip(rows["clip_id"], rows["fold"], strict=True))


def figure_table(data: ReportData) -> pd.DataFrame:
    """Return all figures as `emer_model.evaluation.comparison.Comparison.figures` has them, the best run first."""
    rows = []
    for run in ranked(data):
        for name, summary in run.summary.items():
            for part, bounds in (
                ("pooled", "intervals"),
                ("agreeing", "agreeing_intervals"),
                ("masked", "masked_intervals"),
            ):
                own = run.predictions[run.predictions["target_name"] == name]
                for metric, interval in summary[bounds].items():
                    rows.append(
                        {"run": run.name, "target_name": name, "part": part, "metric": metric}
                        | {"value": summary[part][metric], "low": interval["low"], "high": interval["high"]}
                        | {"n_clips": summary[part]["n_clips"], "n_participants": own["participant"].nunique()}
                    )
    table = pd.DataFrame(rows, columns=list(FIGURE_COLUMNS))
    return table.astype(dict.fromkeys(("value", "low", "high"), "float64"))
