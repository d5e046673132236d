"""Tables of the report as plain rows: they print, copy and can be read aloud."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from data_schema.exports.session_quality import QUALITY_COLUMNS
from data_schema.vocabularies import EMOTIONS
from emer_model.evaluation.gap import agreement_matrix
from emer_model.evaluation.metrics import classification_metrics
from emer_model.evaluation.summary import class_indices
from emer_model.report.gather import JudgedRun, ReportData, ReportedRun
from emer_model.report.ranking import Against

#: Columns of the quality table: column, title with unit, format, bound beyond which a cell is
#: marked (ours, after the defaults of [quality] in study.toml), and on which side.
QUALITY_TABLE: tuple[tuple[str, str, str, float | None, str], ...] = (
    ("duration_s", "length (s)", "{:.0f}", None, ""),
    ("gaze_rate_hz", "gaze (Hz)", "{:.0f}", None, ""),
    ("gaze_loss_left", "loss left", "{:.1%}", 0.3, "above"),
    ("gaze_loss_right", "loss right", "{:.1%}", 0.3, "above"),
    ("gaze_loss_both", "loss both", "{:.1%}", 0.3, "above"),
    ("gaze_rms_s2s_deg", "RMS-S2S (°)", "{:.2f}", None, ""),
    ("frame_rate_hz", "video (fps)", "{:.1f}", None, ""),
    ("frames_missed", "frames missed", "{:.0f}", 0.0, "above"),
    ("face_found_share", "face found", "{:.1%}", 0.8, "below"),
    ("clock_drift_ppm", "drift (ppm)", "{:+.1f}", None, ""),
    ("clock_residual_us", "clock residual (µs)", "{:.0f}", 1000.0, "above"),
    ("n_trials", "stimuli", "{:.0f}", None, ""),
    ("n_included", "clips used", "{:.0f}", None, ""),
)


@dataclass(frozen=True)
class Heatmap:
    """A table of counts, shaded by the share of its row.

    Parameters
    ----------
    rows, columns : list of str
        Class names.
    row_axis, column_axis : str
        What they are.
    cells : list of list of dict
        ``count``, ``share`` of the row (None for an empty row) and ``shade`` 0 to 1.
    totals : list of int
        Of each row.
    """

    rows: list[str]
    columns: list[str]
    row_axis: str
    column_axis: str
    cells: list[list[dict[str, Any]]]
    totals: list[int]


def heatmap(counts: np.ndarray, classes: tuple[str, ...], row_axis: str, column_axis: str) -> Heatmap:
    """Lay out counts (n, n)."""
    cells = []
    for row in counts:
        total = int(row.sum())
        shares = [count / total if total else None for count in row]
        cells.append(
            [{"count": int(n), "share": s, "shade": round(s or 0.0, 3)} for n, s in zip(row, shares, strict=True)]
        )
    return Heatmap(list(classes), list(classes), row_axis, column_axis, cells, [int(row.sum()) for row in counts])


def agreement(data: ReportData) -> Heatmap:
    """Lay out felt against shown emotions."""
    return heatmap(agreement_matrix(data.targets, EMOTIONS), EMOTIONS, "felt (ER)", "shown (FER)")


def confusions(run: ReportedRun) -> list[tuple[str, Heatmap]]:
    """Lay out the confusion matrix of each classified target of a run, with the target's name."""
    return [
        (name, heatmap(np.array(summary["confusion"]), tuple(summary["classes"]), "true", "predicted"))
        for name, summary in run.summary.items()
        if "confusion" in summary
    ]


def number(value: float | None, pattern: str = "{:.3f}") -> str:
    """Write a number, or a dash where it is undefined."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)) or value is pd.NA:
        return "–"
    text = pattern.format(value)
    # Nothing is less than nothing.
    return text.lstrip("-") if not text.strip("-0.%") else text


def comparison(data: ReportData, against: Mapping[str, Against]) -> list[dict[str, Any]]:
    """Lay out runs of classes, grouped by protocol, the best first, each group with its trivial answer.

    Returns
    -------
    list of dict
        ``protocol``, ``meaning``, ``target``, ``against`` and ``rows``.
    """
    groups = []
    judged = data.judged("classes")
    for name in dict.fromkeys(run.protocol.name for run in judged):
        runs = [run for run in judged if run.protocol.name == name]
        target = runs[0].targets[0].name
        rows = [_class_row(run) | {"difference": difference(against.get(target), run.name, "uar")} for run in runs]
        rows.sort(key=lambda row: -row["sort"])
        best = max((row["sort"] for row in rows), default=0.0)
        for row in rows:
            row["best"] = len(rows) > 1 and row["sort"] == best
        groups.append(
            {"protocol": name, "meaning": runs[0].protocol.meaning, "target": target, "against": against.get(target)}
            | {"rows": [*rows, _trivial_row(runs[0], data)]}
        )
    return groups


def difference(against: Against | None, name: str, metric: str) -> dict[str, str]:
    """Write how a run differs from the one it is compared with."""
    if against is None:
        return {"value": "", "interval": "", "favours": ""}
    if name == against.reference:
        return {"value": "reference", "interval": "", "favours": ""}
    found = against.rows.get(name, {}).get(metric)
    if found is None:
        return {"value": "–", "interval": "other clips", "favours": ""}
    interval = f"{number(found['low'], '{:+.3f}')} to {number(found['high'], '{:+.3f}')}"
    return {"value": number(found["difference"], "{:+.3f}"), "interval": interval, "favours": found["favours"]}


def headlines(data: ReportData) -> list[dict[str, str]]:
    """Say in a sentence for each protocol which run did best, and what costs nothing."""
    lines = []
    for group in comparison(data, {}):
        trivial = group["rows"][-1]
        best = max(group["rows"][:-1], key=lambda row: row["sort"])
        lines.append(
            {
                "protocol": group["protocol"],
                "text": f"{best['model']}{best['partly']} has UAR {best['uar']['value']} ({best['uar']['interval']}), and judges "
                f"{best['masked']} of the masked clips right; the answer '{trivial['name']}' has UAR "
                f"{trivial['uar']['value']}.",
            }
        )
    for group in continuous_comparison(data, {}):
        best = group["rows"][0]
        lines.append(
            {
                "protocol": group["target"],
                "text": f"{best['model']}{best['partly']} has CCC {best['ccc']} ({best['ccc_interval']}), "
                f"mean absolute error {best['mae']}.",
            }
        )
    return lines


def partly(run: JudgedRun) -> str:
    """Say in brackets how many folds are finished, for a run that lacks some."""
    return "" if run.state.complete else f" ({run.state.count} folds finished)"


def _class_row(run: JudgedRun) -> dict[str, Any]:
    summary = run.summary[run.targets[0].name]
    pooled, intervals = summary["pooled"], summary["intervals"]

    def with_interval(key: str) -> dict[str, str]:
        i = intervals[key]
        return {"value": number(pooled[key]), "interval": f"{number(i['low'])} to {number(i['high'])}"}

    return {
        "name": run.name,
        "model": run.model,
        "folds": run.state.count,
        "partly": partly(run),
        "n": int(pooled["n_clips"]),
        "war": with_interval("war"),
        "uar": with_interval("uar"),
        "weighted_f1": number(pooled["weighted_f1"]),
        "macro_f1": number(pooled["macro_f1"]),
        "agreeing": number(summary["agreeing"]["war"]),
        "n_agreeing": int(summary["agreeing"]["n_clips"]),
        "masked": number(summary["masked"]["war"]),
        "n_masked": int(summary["masked"]["n_clips"]),
        "sort": pooled["uar"] or 0.0,
        "trivial": False,
    }


def _trivial_row(run: JudgedRun, data: ReportData) -> dict[str, Any]:
    """Judge the answer that needs no model: always the most common class of the same clips."""
    declared = run.targets[0]
    rows = run.predictions[run.predictions["target_name"] == declared.name]
    true, _ = class_indices(rows, declared)
    common = int(np.bincount(true, minlength=len(declared.classes)).argmax())
    answer = np.full_like(true, common)
    masked = data.masked.reindex(rows["clip_id"])
    is_masked, is_agreeing = (x.fillna(False).to_numpy(dtype=bool) for x in (masked, ~masked))
    k = len(declared.classes)
    whole = classification_metrics(true, answer, k)
    parts = {
        name: classification_metrics(true[part], answer[part], k)
        for name, part in (("agreeing", is_agreeing), ("masked", is_masked))
    }
    return {
        "name": f"always {declared.classes[common]}",
        "model": "no model",
        "folds": run.state.count,
        "partly": "",
        "n": len(true),
        "war": {"value": number(whole["war"]), "interval": ""},
        "uar": {"value": number(whole["uar"]), "interval": ""},
        "weighted_f1": number(whole["weighted_f1"]),
        "macro_f1": number(whole["macro_f1"]),
        "agreeing": number(parts["agreeing"]["war"]),
        "n_agreeing": int(is_agreeing.sum()),
        "masked": number(parts["masked"]["war"]),
        "n_masked": int(is_masked.sum()),
        "sort": -1.0,
        "difference": difference(None, "", "uar"),
        "trivial": True,
        "best": False,
    }


def continuous_comparison(data: ReportData, against: Mapping[str, Against]) -> list[dict[str, Any]]:
    """Lay out runs of continuous targets, grouped by target, the best first.

    Returns
    -------
    list of dict
        ``protocol``, ``target``, ``against`` and ``rows``.
    """
    groups: dict[str, dict[str, Any]] = {}
    for run in data.judged("continuous"):
        for declared in run.targets:
            name = declared.name
            pooled, bounds = (run.summary[name][part] for part in ("pooled", "intervals"))
            group = {"protocol": run.protocol.name, "target": name, "against": against.get(name), "rows": []}
            groups.setdefault(name, group)["rows"].append(
                {"name": run.name, "model": run.model, "n": int(pooled["n_clips"])}
                | {"folds": run.state.count, "partly": partly(run), "ccc_interval": _bounds(bounds["ccc"])}
                | {key: number(pooled[key]) for key in ("mae", "mse", "rmse", "ccc", "pearson")}
                | {"mae_interval": _bounds(bounds["mae"]), "masked": number(run.summary[name]["masked"]["ccc"])}
                | {"difference": difference(against.get(name), run.name, "ccc")}
                | {"sort": -math.inf if pooled["ccc"] is None else pooled["ccc"]}
            )
    for group in groups.values():
        group["rows"].sort(key=lambda row: -row["sort"])
    return list(groups.values())


def _bounds(interval: dict[str, float | None]) -> str:
    """Write an interval."""
    return f"{number(interval['low'])} to {number(interval['high'])}"


def quality(data: ReportData) -> list[dict[str, Any]]:
    """Lay out one row a session."""
    rows = []
    for record in data.quality.to_dict("records"):
        cells = []
        for column, _, pattern, bound, side in QUALITY_TABLE:
            value = record.get(column)
            value = None if value is None or pd.isna(value) else float(value)
            bad = value is not None and bound is not None and (value > bound if side == "above" else value < bound)
            cells.append({"text": number(value, pattern), "bad": bad})
        rows.append({"participant": record["participant"], "session": record["session"], "cells": cells})
    return rows


def quality_titles() -> list[dict[str, str]]:
    """Return the titles of the quality table with their meaning."""
    return [{"title": title, "meaning": QUALITY_COLUMNS.get(column, "")} for column, title, *_ in QUALITY_TABLE]


def quality_warnings(data: ReportData) -> list[dict[str, str]]:
    """List what the export warns of, by session; exports of older toolkits warn of nothing."""
    found = []
    for record in data.quality.to_dict("records"):
        said = record.get("warnings")
        texts = [said] if isinstance(said, str) else list(said) if isinstance(said, (list, tuple, np.ndarray)) else []
        lines = [line.strip() for text in texts for line in str(text).splitlines() if line.strip()]
        found += [{"participant": record["participant"], "session": record["session"], "text": x} for x in lines]
    return found


def provenance(data: ReportData) -> list[dict[str, Any]]:
    """Say of each session what was recorded by what, and what of it is real."""
    rows = []
    for record in data.quality.to_dict("records"):
        replayed, simulated = bool(record.get("replayed")), bool(record.get("simulated"))
        if replayed:
            origin = "replays a real recording"
        else:
            origin = "simulated" if simulated else "recorded"
        rows.append(
            {
                "participant": record["participant"],
                "session": record["session"],
                "tracker": record.get("tracker") or "none",
                "camera": record.get("camera") or "none",
                "origin": origin,
                "real": not simulated and not replayed,
            }
        )
    return rows


def raters(data: ReportData) -> list[dict[str, Any]]:
    """Count each rater's labels."""
    if data.labels.empty:
        return []
    labels = data.labels[data.labels["source"] == "annotator"]
    grouped = labels.groupby(["annotator_id", "annotator_kind", "task"], dropna=False)
    rows = [
        {
            "rater": rater,
            "kind": kind,
            "task": task.upper(),
            "labels": int(part["skip_reason"].isna().sum()),
            "skipped": int(part["skip_reason"].notna().sum()),
        }
        for (rater, kind, task), part in grouped
    ]
    own = data.labels[data.labels["source"] == "self_report"]
    if len(own):
        kind = ", ".join(sorted(own["annotator_kind"].dropna().unique()))
        rows.append(
            {"rater": "the participants", "kind": kind, "task": "self-report", "labels": len(own), "skipped": 0}
        )
    return rows
