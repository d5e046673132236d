"""Tables of what a run rests on, of its calibration and of the gap that it predicts."""

from __future__ import annotations

from typing import Any

import pandas as pd

from emer_model.data.targets import Target
from emer_model.report.gather import ReportData, ReportedRun
from emer_model.report.ranking import main_metric, ranked
from emer_model.report.tables import number


def calibration(data: ReportData) -> list[dict[str, Any]]:
    """Lay out the calibration of each classified target, the best run first: one group a target."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for run in ranked(data):
        for name, summary in run.summary.items():
            found = summary.get("calibration")
            if not found:
                continue
            temperatures = [t for t in found["temperatures"].values() if t is not None]
            row: dict[str, Any] = {"name": run.name, "model": run.model}
            row["temperature"] = f"{min(temperatures):.2f} to {max(temperatures):.2f}" if temperatures else "–"
            for side in ("before", "after"):
                row |= {f"{key}_{side}": number(found[side][key]) for key in ("ece", "brier", "nll")}
                bounds = found[side].get("intervals", {}).get("ece")
                row[f"ece_{side}_interval"] = f"{number(bounds['low'])} to {number(bounds['high'])}" if bounds else ""
            groups.setdefault(name, []).append(row)
    return [{"target": name, "rows": rows} for name, rows in groups.items()]


def predicted_gaps(data: ReportData) -> list[dict[str, Any]]:
    """Lay out how well runs that answer both tasks find masked clips, one row a run and label."""
    rows = []
    for run in ranked(data):
        for label, found in run.gap.items():
            bounds = found["intervals"]
            if "auc" in found:
                keys = ("precision", "recall", "f1", "auc")
                cells = [(number(found[key]), _bounds(bounds.get(key))) for key in keys]
                rows.append(
                    {"name": run.name, "model": run.model, "label": label, "cells": cells}
                    | {"share": found["share"], "share_predicted": found["share_predicted"], "n": found["n_clips"]}
                )
    return rows


def scale_gaps(data: ReportData) -> list[dict[str, Any]]:
    """Lay out how well the difference between felt and shown valence and arousal is predicted."""
    rows = []
    for run in ranked(data):
        for label, found in run.gap.items():
            if "ccc" in found:
                rows.append(
                    {"name": run.name, "model": run.model, "label": label, "n": int(found["n_clips"])}
                    | {"ccc": number(found["ccc"]), "ccc_interval": _bounds(found["intervals"].get("ccc"))}
                    | {"mae": number(found["mae"]), "pearson": number(found["pearson"])}
                )
    return rows


def ablations(run: ReportedRun, targets: list[Target]) -> dict[str, Any] | None:
    """Lay out the main figure without each modality, a row a target; and WAR on masked clips."""
    table = run.explained.table("ablations.csv") if run.explained else None
    if table is None:
        return None
    columns = list(dict.fromkeys(table["without"]))
    rows = []
    for declared in targets:
        parts = [("pooled", main_metric(declared))] + ([("masked", "war")] if declared.classes else [])
        for part, metric in parts:
            own = table[(table["target_name"] == declared.name) & (table["part"] == part) & (table["metric"] == metric)]
            if own.empty:
                continue
            by = own.set_index("without")
            cells = [_changed(by.loc[name]) if name in by.index else ("–", "") for name in columns]
            said = f"{metric.upper()}{', masked clips' if part == 'masked' else ''}"
            rows.append({"target": declared.name, "metric": said, "cells": cells})
    return {"columns": columns, "rows": rows}


def groups(run: ReportedRun, name: str, index: str, targets: list[Target]) -> dict[str, Any] | None:
    """Lay out a breakdown of a run by ``index``, with the figure that small groups have; a column a target."""
    table = run.explained.table(name) if run.explained else None
    if table is None:
        return None
    table = table.assign(**{index: table[index].astype(str)})
    names = list(dict.fromkeys(table[index]))
    own = [t for t in targets if (table["target_name"] == t.name).any()]
    rows = []
    for group in names:
        cells, n = [], 0
        for declared in own:
            found = table[(table["target_name"] == declared.name) & (table[index] == group)]
            if found.empty:
                cells.append(("–", ""))
                continue
            row = found.iloc[0]
            n = max(n, int(row["n_clips"]))
            cells.append((number(row["war" if declared.classes else "mae"]), _bounds(row)))
        rows.append({"name": group, "n": n, "cells": cells})
    columns = [f"{t.name}, {'WAR' if t.classes else 'MAE'}" for t in own]
    return {"columns": columns, "rows": rows}


def _changed(row: pd.Series) -> tuple[str, str]:
    """Write a figure, and below it by how much it differs from that of whole clips."""
    if pd.isna(row["difference"]):
        return number(row["value"]), _bounds(row)
    low, high = (number(row[f"difference_{side}"], "{:+.3f}") for side in ("low", "high"))
    return number(row["value"]), f"{row['difference']:+.3f} ({low} to {high})"


def _bounds(interval: Any) -> str:
    if interval is None or interval["low"] is None or pd.isna(interval["low"]):
        return ""
    return f"{number(interval['low'])} to {number(interval['high'])}"
