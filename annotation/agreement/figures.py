"""Figures of the agreement page as plotly JSON; colours follow the page's theme."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from annotation.agreement.measures import MEASURE_BY_NAME
from annotation.agreement.report import PassAgreement, Row
from annotation.agreement.resampling import Estimate
from annotation.agreement.self_consistency import Consistency

#: Colours that colour-blind readers can tell apart (Okabe and Ito 2008, "Color Universal Design").
CYCLE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x")
_CLASS_MEASURES = ("alpha_nominal", "cohen_kappa", "fleiss_kappa", "gwet_ac1")
_SCALE_MEASURES = ("alpha_interval", "icc_11", "icc_a1", "ccc")


def class_figure(one: PassAgreement) -> dict[str, Any] | None:
    """Show the coefficients of classes with their intervals."""
    return _intervals([row for row in one.rows if "alpha_nominal" in row.figures], _CLASS_MEASURES)


def scale_figure(one: PassAgreement) -> dict[str, Any] | None:
    """Show the coefficients of scales with their intervals."""
    return _intervals([row for row in one.rows if "ccc" in row.figures], _SCALE_MEASURES)


def consistency_figure(entries: Sequence[Consistency]) -> dict[str, Any] | None:
    """Show how far each annotator agrees with themselves on emotion."""
    chosen = [entry for entry in entries if entry.field == "emotion"]
    if not chosen:
        return None
    figure = go.Figure()
    names = [f"{entry.rater.shown_name}, {entry.n_clips} clips" for entry in chosen]
    _add(figure, "κ Cohen, first showing against repeat", names, [entry.kappa for entry in chosen], 0.1, 0)
    _add(figure, "share of equal emotions", names, [entry.same for entry in chosen], -0.1, 1)
    return _as_json(figure, names)


def _intervals(rows: Sequence[Row], measures: Sequence[str]) -> dict[str, Any] | None:
    if not rows:
        return None
    figure = go.Figure()
    titles = [row.title for row in rows]
    for place, name in enumerate(measures):
        offset = 0.15 * ((len(measures) - 1) / 2 - place)
        found = [row.figures.get(name, Estimate(None)) for row in rows]
        _add(figure, MEASURE_BY_NAME[name].title, titles, found, offset, place)
    return _as_json(figure, titles)


def _add(
    figure: go.Figure, title: str, names: Sequence[str], found: Sequence[Estimate], offset: float, place: int
) -> None:
    given = [(i, one) for i, one in enumerate(found) if one.value is not None]
    values = [float(one.value or 0.0) for _, one in given]
    lows = [one.low if one.low is not None else value for (_, one), value in zip(given, values, strict=True)]
    highs = [one.high if one.high is not None else value for (_, one), value in zip(given, values, strict=True)]
    figure.add_scatter(
        x=[round(value, 4) for value in values], y=[i - offset for i, _ in given], mode="markers", name=title,
        marker={"color": CYCLE[place], "size": 9, "symbol": SYMBOLS[place]},
        text=[names[i] for i, _ in given],
        customdata=[f"{low:.2f} to {high:.2f}" if one.low is not None else "no interval"
                    for (_, one), low, high in zip(given, lows, highs, strict=True)],
        error_x={
            "type": "data", "symmetric": False, "thickness": 1.6, "width": 4, "color": CYCLE[place],
            "array": [round(high - value, 4) for high, value in zip(highs, values, strict=True)],
            "arrayminus": [round(value - low, 4) for low, value in zip(lows, values, strict=True)],
        },
        hovertemplate="%{text}: %{x:.2f} (%{customdata})<extra>" + title + "</extra>",
    )  # fmt: skip


def _as_json(figure: go.Figure, names: Sequence[str]) -> dict[str, Any]:
    lowest = min((min(trace.x) for trace in figure.data if len(trace.x)), default=0.0)
    height = 120 + 52 * len(names)
    figure.update_layout(
        height=height,
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis={"title": {"text": "agreement (0: chance, 1: perfect)"}, "range": [min(-0.05, lowest - 0.1), 1.03],
               "zeroline": True},
        yaxis={"tickvals": list(range(len(names))), "ticktext": list(names), "range": [len(names) - 0.5, -0.5],
               "automargin": True, "zeroline": False},
    )  # fmt: skip
    result: dict[str, Any] = json.loads(figure.to_json())
    return result
