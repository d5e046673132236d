"""Figures of the report as plotly JSON; colours follow the page's theme."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from data_schema.vocabularies import EMOTIONS, POLARITIES
from emer_model.report.gather import JudgedRun, ReportData, ReportedRun

#: Colours that colour-blind readers can tell apart (Okabe and Ito 2008, "Color
#: Universal Design"); they hold on a light and on a dark page.
FELT, SHOWN = "#0072B2", "#E69F00"
CYCLE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")

#: Clips in a figure that has a point a clip: ours, so that a page of many runs stays small.
MOST_POINTS = 400


def as_json(figure: go.Figure, height_px: int) -> dict[str, Any]:
    """Lay a figure out as the page's are, and write it as JSON."""
    figure.update_layout(
        height=height_px,
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(title_font_size=13)
    figure.update_yaxes(title_font_size=13)
    if any(trace.type == "bar" for trace in figure.data):
        figure.update_xaxes(showgrid=False)
    return json.loads(figure.to_json())


def label_distribution(data: ReportData) -> dict[str, Any]:
    """Count clips by felt and by shown emotion."""
    return _distribution(data.targets, "emotion", EMOTIONS)


def polarity_distribution(data: ReportData) -> dict[str, Any]:
    """Count clips by felt and by shown polarity."""
    return _distribution(data.targets, "polarity", POLARITIES)


def _distribution(targets: pd.DataFrame, label: str, classes: tuple[str, ...]) -> dict[str, Any]:
    figure = go.Figure()
    for task, name, colour in (("er", "felt (ER)", FELT), ("fer", "shown (FER)", SHOWN)):
        counts = targets[f"{task}_{label}"].value_counts().reindex(list(classes), fill_value=0)
        figure.add_bar(
            x=list(classes), y=[int(n) for n in counts], name=name, marker_color=colour,
            hovertemplate="%{x}: %{y} clips<extra>" + name + "</extra>",
        )  # fmt: skip
    figure.update_layout(barmode="group", yaxis={"title": {"text": "clips"}}, bargap=0.25)
    return as_json(figure, 330)


def gap_by_participant(data: ReportData) -> dict[str, Any] | None:
    """Show the share of masked clips of each participant."""
    frame = data.clips[["clip_id", "participant"]].copy()
    frame["masked"] = data.masked.reindex(frame["clip_id"]).to_numpy()
    frame = frame.dropna()
    if frame.empty:
        return None
    shares = frame.astype({"masked": float}).groupby("participant")["masked"].agg(["mean", "size"])
    shares = shares.sort_values("mean")
    overall = 100 * float(frame["masked"].astype(float).mean())
    figure = go.Figure()
    figure.add_bar(
        x=list(shares.index), y=[round(100 * s, 2) for s in shares["mean"]], marker_color=CYCLE[2],
        customdata=[int(n) for n in shares["size"]], showlegend=False,
        hovertemplate="%{x}: %{y:.0f} % of %{customdata} clips<extra></extra>",
    )  # fmt: skip
    figure.add_hline(y=overall, line_dash="dot", line_color="#888888",
        annotation_text=f"all: {overall:.0f} %", annotation_position="top left")  # fmt: skip
    figure.update_layout(yaxis={"title": {"text": "masked clips (%)"}, "range": [0, 100]}, xaxis={"type": "category"})
    return as_json(figure, 300)


def valence_gap(data: ReportData) -> dict[str, Any] | None:
    """Show felt against shown valence of each clip."""
    both = data.targets.dropna(subset=["er_valence", "fer_valence"])
    if both.empty:
        return None
    masked = data.masked.reindex(both["clip_id"]).fillna(False).to_numpy(dtype=bool)
    # Ratings lie on a few steps: without a little scatter, clips would hide each other.
    scatter = np.random.default_rng(0).uniform(-0.02, 0.02, (2, len(both)))
    figure = go.Figure()
    for name, rows, colour in (("agreeing", ~masked, CYCLE[0]), ("masked", masked, CYCLE[5])):
        figure.add_scatter(
            x=np.round(both["er_valence"].to_numpy(dtype=float)[rows] + scatter[0, rows], 3).tolist(),
            y=np.round(both["fer_valence"].to_numpy(dtype=float)[rows] + scatter[1, rows], 3).tolist(),
            mode="markers", name=name, marker={"color": colour, "opacity": 0.55, "size": 7},
            text=both["clip_id"].to_numpy()[rows].tolist(), hovertemplate="%{text}<extra>" + name + "</extra>",
        )  # fmt: skip
    figure.add_shape(type="line", x0=-1, y0=-1, x1=1, y1=1, line={"dash": "dot", "color": "#888888"})
    figure.update_layout(
        xaxis={"title": {"text": "felt valence (−1 to 1)"}, "range": [-1.1, 1.1]},
        yaxis={"title": {"text": "shown valence (−1 to 1)"}, "range": [-1.1, 1.1]},
    )
    return as_json(figure, 380)


def intervals(runs: list[JudgedRun]) -> dict[str, Any]:
    """Show WAR and UAR of runs of one protocol with their 95 % intervals."""
    figure = go.Figure()
    names = [run.name for run in runs]
    for offset, key, colour in ((0.12, "uar", CYCLE[0]), (-0.12, "war", CYCLE[1])):
        summaries = [run.summary[run.targets[0].name] for run in runs]
        values = [s["pooled"][key] for s in summaries]
        low = [s["intervals"][key]["low"] for s in summaries]
        high = [s["intervals"][key]["high"] for s in summaries]
        figure.add_scatter(
            x=values, y=[i + offset for i in range(len(runs))], mode="markers", name=key.upper(),
            marker={"color": colour, "size": 10}, text=names,
            error_x={
                "type": "data", "symmetric": False, "thickness": 2, "width": 6, "color": colour,
                "array": [h - v if h is not None else 0 for v, h in zip(values, high, strict=True)],
                "arrayminus": [v - x if x is not None else 0 for v, x in zip(values, low, strict=True)],
            },
            hovertemplate="%{text}: %{x:.3f}<extra>" + key.upper() + "</extra>",
        )  # fmt: skip
    chance = 1.0 / len(runs[0].targets[0].classes)
    figure.add_vline(x=chance, line_dash="dot", line_color="#888888", annotation_text="chance UAR")
    figure.update_layout(
        xaxis={"title": {"text": "share (0 to 1)"}, "range": [0, 1]},
        yaxis={
            "tickvals": list(range(len(runs))), "ticktext": names, "range": [len(runs) - 0.5, -0.5], "automargin": True,
        },
    )  # fmt: skip
    return as_json(figure, 130 + (70 if len(runs) < 6 else 34) * len(runs))


def by_gap(runs: list[JudgedRun]) -> dict[str, Any]:
    """Show WAR on agreeing and on masked clips for runs of one protocol."""
    figure = go.Figure()
    for part, colour in (("agreeing", CYCLE[4]), ("masked", CYCLE[5])):
        summaries = [run.summary[run.targets[0].name][part] for run in runs]
        figure.add_bar(
            x=[run.name for run in runs], y=[s["war"] for s in summaries], name=f"{part} clips", marker_color=colour,
            customdata=[int(s["n_clips"]) for s in summaries],
            hovertemplate="%{x}: %{y:.3f} of %{customdata} clips<extra>" + part + "</extra>",
        )  # fmt: skip
    figure.update_layout(barmode="group", yaxis={"title": {"text": "WAR (0 to 1)"}, "range": [0, 1]}, bargap=0.4)
    return as_json(figure, 320)


def curves(run: ReportedRun) -> dict[str, Any]:
    """Show the loss and the validation score of each fold over the epochs."""
    figure = go.Figure()
    for i, (fold, rows) in enumerate(run.curves.groupby("fold")):
        colour = CYCLE[i % len(CYCLE)]
        shared = {"legendgroup": f"fold {fold}", "mode": "lines", "x": rows["epoch"].tolist()}
        figure.add_scatter(
            y=rows["train_task"].round(4).tolist(), name=f"fold {fold}", line={"color": colour, "width": 1.5}, **shared,
            hovertemplate="epoch %{x}: %{y:.3f}<extra>training loss, fold " + f"{fold}</extra>",
        )  # fmt: skip
        figure.add_scatter(
            y=rows["val_loss"].round(4).tolist(), showlegend=False, line={"color": colour, "width": 2, "dash": "dot"},
            hovertemplate="epoch %{x}: %{y:.3f}<extra>validation loss, fold " + f"{fold}</extra>", **shared,
        )  # fmt: skip
        figure.add_scatter(
            y=rows["val_score"].round(4).tolist(), showlegend=False, xaxis="x2", yaxis="y2",
            line={"color": colour, "width": 2},
            hovertemplate="epoch %{x}: %{y:.3f}<extra>validation score, fold " + f"{fold}</extra>", **shared,
        )  # fmt: skip
    for record in run.folds:
        rows = run.curves[(run.curves["fold"] == record["fold"]) & (run.curves["epoch"] == record["best_epoch"])]
        figure.add_scatter(
            x=rows["epoch"].tolist(), y=rows["val_score"].tolist(), xaxis="x2", yaxis="y2", mode="markers",
            marker={"symbol": "circle-open", "size": 11, "color": "#888888", "line": {"width": 2}}, showlegend=False,
            hovertemplate="chosen: epoch %{x}<extra></extra>",
        )  # fmt: skip
    kinds = {protocol.kind for protocol in run.protocols}
    score = "score" if len(kinds) > 1 else "UAR" if kinds == {"classes"} else "CCC"
    figure.update_layout(
        xaxis={"domain": [0, 0.46], "title": {"text": "epoch"}},
        yaxis={"title": {"text": "task loss"}, "rangemode": "tozero"},
        xaxis2={"domain": [0.54, 1], "title": {"text": "epoch"}, "anchor": "y2"},
        yaxis2={"title": {"text": f"validation {score}"}, "anchor": "x2"}
        | ({"range": [-0.02, 1.02]} if kinds == {"classes"} else {}),
    )
    return as_json(figure, 340)


def predicted_against_true(run: JudgedRun) -> dict[str, Any]:
    """Show predictions of continuous targets against the labels, of `MOST_POINTS` clips at most."""
    figure = go.Figure()
    for i, declared in enumerate(run.targets):
        rows = run.predictions[run.predictions["target_name"] == declared.name]
        if len(rows) > MOST_POINTS:
            rows = rows.sample(MOST_POINTS, random_state=0)
        figure.add_scatter(
            x=[round(float(x), 3) for x in rows["target_value"]], y=[round(float(x), 3) for x in rows["prediction_value"]],
            mode="markers", name=declared.name, text=rows["clip_id"].tolist(),
            marker={"color": CYCLE[i], "opacity": 0.55, "size": 7},
            hovertemplate="%{text}: true %{x:.2f}, predicted %{y:.2f}<extra></extra>",
        )  # fmt: skip
    low, high = min(t.low for t in run.targets), max(t.high for t in run.targets)
    figure.add_shape(type="line", x0=low, y0=low, x1=high, y1=high, line={"dash": "dot", "color": "#888888"})
    bounds = f"({low:g} to {high:g})"
    figure.update_layout(xaxis={"title": {"text": f"true {bounds}"}}, yaxis={"title": {"text": f"predicted {bounds}"}})
    return as_json(figure, 380)


def loss_by_session(data: ReportData) -> dict[str, Any]:
    """Show each session's gaze loss and missing faces."""
    names = [f"{p}/{s}" for p, s in zip(data.quality["participant"], data.quality["session"], strict=True)]
    figure = go.Figure()
    face_missed = 1.0 - pd.to_numeric(data.quality["face_found_share"], errors="coerce")
    for name, values, colour in (
        ("gaze lost, both eyes", pd.to_numeric(data.quality["gaze_loss_both"], errors="coerce"), CYCLE[0]),
        ("no face found", face_missed, CYCLE[1]),
    ):
        shown = [None if pd.isna(v) else round(100 * float(v), 2) for v in values]
        figure.add_bar(
            x=names, y=shown, name=name, marker_color=colour,
            hovertemplate="%{x}: %{y:.1f} %<extra>" + name + "</extra>",
        )  # fmt: skip
    figure.update_layout(
        barmode="group", yaxis={"title": {"text": "share (%)"}, "rangemode": "tozero"}, xaxis={"type": "category"}
    )
    return as_json(figure, 300)
