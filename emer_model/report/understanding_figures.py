"""Figures of what a run rests on: missing data, attention, parts of features, calibration, people, the gap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from emer_model.data.targets import Target
from emer_model.evaluation.breakdowns import GROUP_METRIC, by_participant
from emer_model.evaluation.calibration import calibrate, fold_temperatures, reliability
from emer_model.report.figures import CYCLE, as_json
from emer_model.report.gather import ReportedRun
from emer_model.report.ranking import main_metric, main_value

#: Bins of the diagram of reliability: fewer than of the ECE, so that each holds clips enough to be a point. Ours.
RELIABILITY_BINS = 10
#: Features that are shown by name; the table in the run's folder has all.
SHOWN_FEATURES = 15


def missing(table: pd.DataFrame, declared: Target) -> dict[str, Any]:
    """Show how the main figure fades while more and more is missing, with intervals."""
    rows = table[(table["target_name"] == declared.name) & (table["part"] == "pooled")]
    rows = rows[rows["metric"] == main_metric(declared)]
    figure = go.Figure()
    for i, (what, part) in enumerate(rows.groupby("what", sort=False)):
        x, colour = (100 * part["share"]).round(1).tolist(), CYCLE[i % len(CYCLE)]
        band = part["high"].tolist() + part["low"].tolist()[::-1]
        figure.add_scatter(
            x=x + x[::-1], y=_rounded(band), fill="toself", line={"width": 0}, fillcolor=colour, opacity=0.12,
            legendgroup=what, showlegend=False, hoverinfo="skip",
        )  # fmt: skip
        figure.add_scatter(
            x=x, y=_rounded(part["value"]), mode="lines+markers", name=what, legendgroup=what, line={"color": colour},
            hovertemplate="%{x} % missing: %{y:.3f}<extra>" + str(what) + "</extra>",
        )  # fmt: skip
    if declared.classes:
        figure.add_hline(y=1.0 / len(declared.classes), line_dash="dot", line_color="#888888")
    figure.update_layout(
        xaxis={"title": {"text": "missing (%)"}, "range": [-2, 102]},
        yaxis={"title": {"text": main_metric(declared).upper()}, "rangemode": "tozero"},
    )
    return as_json(figure, 340)


def attribution(table: pd.DataFrame, declared: Target) -> dict[str, Any]:
    """Show the features that moved the answers most, by modality."""
    rows = table[(table["target_name"] == declared.name) & (table["group"] == "all") & (table["level"] == "feature")]
    rows = rows.head(SHOWN_FEATURES).iloc[::-1]
    colours = {"face": CYCLE[1], "eyes": CYCLE[0], "fixations": CYCLE[2]}
    figure = go.Figure()
    for modality, part in rows.groupby("modality", sort=False):
        value = part["mean_absolute"]
        figure.add_bar(
            x=_rounded(value), y=part["feature"].tolist(), orientation="h", name=str(modality),
            marker_color=colours.get(str(modality), CYCLE[3]),
            error_x={
                "type": "data", "symmetric": False, "thickness": 1.5, "width": 3, "color": "#888888",
                "array": _rounded((part["high"] - value).clip(lower=0)),
                "arrayminus": _rounded((value - part["low"]).clip(lower=0)),
            },
            hovertemplate="%{y}: %{x:.3f}<extra>" + str(modality) + "</extra>",
        )  # fmt: skip
    unit = "nats of the answered class" if declared.classes else "on the target's scale"
    figure.update_layout(
        barmode="overlay", bargap=0.25, xaxis={"title": {"text": f"mean size of its part ({unit})"}},
        yaxis={"categoryorder": "array", "categoryarray": rows["feature"].tolist(), "automargin": True},
    )  # fmt: skip
    return as_json(figure, 120 + 24 * len(rows))


def attention_over_time(table: pd.DataFrame) -> dict[str, Any] | None:
    """Show the attention over the steps of each modality, for agreeing and masked clips."""
    rows = table[(table["input"] != "modality") & table["group_kind"].isin(("all", "gap"))]
    names = list(dict.fromkeys(rows["input"]))
    if not names:
        return None
    figure = go.Figure()
    styles = {"all": ("#888888", "dot"), "agreeing": (CYCLE[4], "solid"), "masked": (CYCLE[5], "solid")}
    width = 1.0 / len(names)
    for i, name in enumerate(names):
        axis = "" if i == 0 else str(i + 1)
        for group, (colour, dash) in styles.items():
            part = rows[(rows["input"] == name) & (rows["group"] == group)]
            if len(part):
                figure.add_scatter(
                    x=(pd.to_numeric(part["step"]) + 1).tolist(), y=_rounded(part["mean"], 5), mode="lines", name=group,
                    legendgroup=group, showlegend=i == 0, line={"color": colour, "dash": dash},
                    xaxis=f"x{axis}", yaxis=f"y{axis}",
                    hovertemplate=f"{name} " + "%{x}: %{y:.3f}<extra>" + group + "</extra>",
                )  # fmt: skip
        domain = [i * width + (0.05 if i else 0), (i + 1) * width]
        figure.update_layout(
            {
                f"xaxis{axis}": {"domain": domain, "anchor": f"y{axis}", "title": {"text": f"step of {name}"}},
                f"yaxis{axis}": {"anchor": f"x{axis}", "rangemode": "tozero"},
            }
        )
    figure.update_layout(yaxis={"title": {"text": "mean weight"}})
    return as_json(figure, 300)


def attention_over_modalities(table: pd.DataFrame) -> dict[str, Any] | None:
    """Show the attention over modalities by class and for agreeing and masked clips."""
    rows = table[table["input"] == "modality"]
    if rows.empty:
        return None
    kinds = [kind for kind in ("all", "gap", "er_emotion", "fer_emotion") if (rows["group_kind"] == kind).any()]
    figure = go.Figure()
    for i, (name, part) in enumerate(rows[rows["group_kind"].isin(kinds)].groupby("step", sort=False)):
        labels = [
            str(row.group)
            if row.group_kind in ("all", "gap")
            else f"{str(row.group_kind).split('_')[0].upper()} {row.group}"
            for row in part.itertuples()
        ]
        figure.add_bar(
            y=labels, x=_rounded(part["mean"]), orientation="h", name=str(name), marker_color=CYCLE[i % len(CYCLE)],
            hovertemplate="%{y}: %{x:.3f}<extra>" + str(name) + "</extra>",
        )  # fmt: skip
    figure.update_layout(
        barmode="stack", xaxis={"title": {"text": "mean weight"}, "range": [0, 1]},
        yaxis={"autorange": "reversed", "automargin": True},
    )  # fmt: skip
    n_bars = len({trace for part in figure.data for trace in part.y})
    return as_json(figure, 120 + 22 * n_bars)


def reliability_diagram(run: ReportedRun, declared: Target) -> dict[str, Any]:
    """Show how often answers were right against how sure they were, before and after temperature scaling."""
    rows = run.predictions[run.predictions["target_name"] == declared.name]
    calibrated = calibrate(rows, fold_temperatures(run.validation, [declared]).get(declared.name, {}), declared)
    figure = go.Figure()
    sides = (("before", calibrated.before, CYCLE[1]), ("after temperature scaling", calibrated.after, CYCLE[0]))
    for name, predicted, colour in sides:
        table = reliability(predicted, calibrated.true, bins=RELIABILITY_BINS)
        table = table[table["n_clips"] > 0]
        figure.add_scatter(
            x=_rounded(table["confidence"]), y=_rounded(table["accuracy"]), mode="lines+markers", name=name,
            line={"color": colour}, customdata=table["n_clips"].tolist(),
            marker={"size": np.clip(3 * np.sqrt(table["n_clips"] / 3), 5, 22).round(1).tolist(), "opacity": 0.8},
            hovertemplate="sure %{x:.2f}, right %{y:.2f}, %{customdata} clips<extra>" + name + "</extra>",
        )  # fmt: skip
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line={"dash": "dot", "color": "#888888"})
    figure.update_layout(
        xaxis={"title": {"text": "how sure (0 to 1)"}, "range": [0, 1.02]},
        yaxis={"title": {"text": "share right"}, "range": [0, 1.02]},
    )
    return as_json(figure, 360)


def participants(runs: list[ReportedRun], declared: Target) -> dict[str, Any]:
    """Show how a figure is spread over participants, run by run, the best run first."""
    metric = GROUP_METRIC["classes" if declared.classes else "continuous"]
    figure = go.Figure()
    for run in sorted(runs, key=lambda run: main_value(run, declared)):
        values = by_participant(run.predictions, declared)[metric].dropna()
        figure.add_box(
            x=_rounded(values), name=run.name, boxpoints="all", jitter=0.4, pointpos=0, text=values.index.tolist(),
            marker={"color": CYCLE[0], "size": 4, "opacity": 0.5}, line={"color": "#888888", "width": 1.5},
            fillcolor="rgba(0,0,0,0)", showlegend=False,
            hovertemplate="%{text}: %{x:.3f}<extra>" + run.name + "</extra>",
        )  # fmt: skip
    figure.update_layout(
        xaxis={"title": {"text": f"{metric.upper()} of a participant's clips"}}, yaxis={"automargin": True}
    )
    return as_json(figure, 120 + 46 * len(runs))


def _rounded(values: Any, digits: int = 4) -> list[float | None]:
    """Round for the page; None where undefined."""
    return [None if pd.isna(value) else round(float(value), digits) for value in values]
