"""The agreement page: one HTML file, no network."""

from __future__ import annotations

from datetime import datetime, timezone
from importlib import resources
from itertools import groupby
from typing import Any

from annotation.agreement.measures import MEASURES
from annotation.agreement.report import AgreementReport, FieldTables, PassAgreement, Row
from annotation.agreement.resampling import Estimate
from data_schema import __version__
from data_schema.errors import MissingExtraError
from data_schema.pages import page_script, page_style

TASK_TITLES = {
    "er": "ER: what the person feels",
    "fer": "FER: what the face shows",
}


def render(report: AgreementReport) -> str:
    """Render the page.

    Raises
    ------
    MissingExtraError
        If the extra ``agreement`` is not installed.
    """
    try:
        import jinja2
        import plotly.offline
        from markupsafe import Markup
    except ImportError as error:
        raise MissingExtraError("agreement", error.name or "jinja2", "The agreement page") from None

    templates = resources.files("annotation.agreement") / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (templates / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = figure_text
    environment.filters["interval"] = interval_text
    return environment.get_template("agreement.html").render(
        report=report,
        made_utc=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M"),
        toolkit_version=__version__,
        measures=MEASURES,
        passes=[_pass_context(one) for one in report.passes],
        style=Markup(page_style() + (templates / "style.css").read_text(encoding="utf-8")),
        script=Markup(page_script()),
        # The library's own text, not ours: it contains no closing script tag.
        plotly_js=Markup(plotly.offline.get_plotlyjs()),
    )


def figure_text(value: float | None) -> str:
    """Write a figure with two decimals; a dash where there is none."""
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def interval_text(found: Estimate) -> str:
    """Write an interval; empty where there is none."""
    return "" if found.low is None else f"[{figure_text(found.low)}, {figure_text(found.high)}]"


def _pass_context(one: PassAgreement) -> dict[str, Any]:
    from annotation.agreement import figures

    return {
        "data": one,
        "title": TASK_TITLES[one.task],
        "columns": [_columns([row for row in one.rows if "observed" in row.figures and "ccc" not in row.figures]),
                    _columns([row for row in one.rows if "ccc" in row.figures])],
        "class_figure": figures.class_figure(one),
        "scale_figure": figures.scale_figure(one),
        "consistency_figure": figures.consistency_figure(one.consistency),
        "consistency": [
            {"rater": entries[0].rater, "fields": entries}
            for entries in (list(group) for _, group in groupby(one.consistency, key=lambda entry: entry.rater))
        ],
        "pair_maps": [_pair_map(one, field) for field in one.pairs],
        "confusions": [_confusion(table) for table in one.tables],
    }  # fmt: skip


def _columns(rows: list[Row]) -> dict[str, Any]:
    used = {name for row in rows for name in row.figures}
    return {"rows": rows, "measures": [measure for measure in MEASURES if measure.name in used]}


def _pair_map(one: PassAgreement, field: str) -> dict[str, Any]:
    """Arrange the pairs of raters as a square."""
    names = [rater.annotator_id for rater in one.raters]
    found = {(pair.first, pair.second): pair for pair in one.pairs[field]}
    cells = []
    for row in names:
        line = []
        for column in names:
            pair = found.get((row, column)) or found.get((column, row))
            value = None if pair is None else (pair.kappa if pair.kappa is not None else pair.ccc)
            line.append({"value": value, "n": 0 if pair is None else pair.n_clips, "same": row == column})
        cells.append(line)
    ordered = field == "polarity"
    named = "Cohen's κ" if field == "emotion" else "Cohen's κ, quadratic weights" if ordered else "CCC"
    return {"field": field, "measure": named, "names": [rater.shown_name for rater in one.raters], "cells": cells}


def _confusion(table: FieldTables) -> dict[str, Any]:
    """Share of what other raters said where one rater said the class of the row."""
    rows = []
    for place, counts in enumerate(table.coincidences):
        total = sum(counts)
        rows.append({
            "name": table.classes[place],
            "total": total,
            "cells": [{"share": count / total if total else None, "same": place == column}
                      for column, count in enumerate(counts)],
        })  # fmt: skip
    return {"field": table.field, "classes": table.classes, "rows": rows}
