"""Put the page together: one file, no network."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import plotly.offline
from markupsafe import Markup

from data_schema import __version__
from data_schema.errors import TrainingError
from data_schema.pages import page_script, page_style
from emer_model.report import figures, tables
from emer_model.report.gather import ReportData, gather
from emer_model.training.files import write_atomically

#: What each figure of merit means, for readers who do not know it.
METRIC_MEANINGS = {
    "WAR": "weighted average recall: the share of clips judged right",
    "UAR": "unweighted average recall: the mean of the classes' recalls, so rare classes count as much as common ones",
    "F1": "harmonic mean of precision and recall, averaged over classes by their size (weighted) or equally (macro)",
    "MAE, RMSE": "mean absolute and root mean squared error, on the scale of the label",
    "CCC": "Lin's concordance correlation, 1 for perfect agreement, 0 for none",
}


def write_report(runs: list[Path], export_path: Path, out: Path, tell: Callable[[str], None] | None = None) -> int:
    """Write the report.

    Parameters
    ----------
    runs : list of Path
        Run folders.
    export_path : Path
        Their export.
    out : Path
        The page.
    tell : callable, optional
        Told what else the page says of unfinished or damaged runs.

    Returns
    -------
    int
        Its size in bytes.

    Raises
    ------
    TrainingError
        If a run does not belong to the export or has no finished fold.
    """
    if not out.parent.is_dir():
        raise TrainingError(f"--out {out}: the folder {out.parent} does not exist. Make it first.")
    data = gather(runs, export_path)
    if tell is not None:
        for run in data.runs:
            for note in run.notes:
                tell(note)
    content = render(data).encode("utf-8")
    write_atomically(out, content)
    return len(content)


def render(data: ReportData) -> str:
    """Render the page of some data."""
    templates = resources.files("emer_model.report") / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (templates / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = tables.number
    page = environment.get_template("report.html")
    return page.render(
        **_context(data),
        style=Markup(page_style()),
        script=Markup(page_script()),
        # The library's own text, not ours: it contains no closing script tag.
        plotly_js=Markup(plotly.offline.get_plotlyjs()),
    )


def _context(data: ReportData) -> dict[str, Any]:
    """Compute everything that the template shows."""
    judged = data.judged("classes")
    class_protocols = list(dict.fromkeys(run.protocol.name for run in judged))
    known = data.masked.dropna()
    origins = tables.provenance(data)
    return {
        "data": data,
        "title": data.manifest.get("study_title") or "Study",
        "toolkit_version": __version__,
        "made_utc": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M"),
        "n_participants": int(data.clips["participant"].nunique()),
        "n_sessions": len(data.quality),
        "n_clips": len(data.clips),
        "n_judged_twice": len(known),
        "n_masked": int(known.sum()),
        "share_masked": float(known.astype(float).mean()) if len(known) else None,
        "n_without_er": int(data.targets["er_emotion"].isna().sum()),
        "n_without_fer": int(data.targets["fer_emotion"].isna().sum()),
        "headlines": tables.headlines(data),
        "agreement": tables.agreement(data),
        "comparison": tables.comparison(data),
        "continuous": tables.continuous_comparison(data),
        "quality": tables.quality(data),
        "quality_titles": tables.quality_titles(),
        "quality_warnings": tables.quality_warnings(data),
        "provenance": origins,
        "n_replayed": sum(row["origin"].startswith("replays") for row in origins),
        "n_simulated": sum(row["origin"] == "simulated" for row in origins),
        "n_recorded": sum(row["real"] for row in origins),
        "raters": tables.raters(data),
        "labels_simulated": bool((data.labels["annotator_kind"] == "simulated").any()),
        "meanings": METRIC_MEANINGS,
        "confusions": {run.name: tables.confusions(run) for run in data.runs},
        "figures": {
            "labels": figures.label_distribution(data),
            "polarities": figures.polarity_distribution(data),
            "gap_participants": figures.gap_by_participant(data),
            "valence": figures.valence_gap(data),
            "quality": figures.loss_by_session(data),
            "intervals": {
                name: figures.intervals([r for r in judged if r.protocol.name == name]) for name in class_protocols
            },
            "by_gap": {
                name: figures.by_gap([r for r in judged if r.protocol.name == name]) for name in class_protocols
            },
            "curves": {run.name: figures.curves(run) for run in data.runs if run.trained},
            "continuous": {
                (run.name, run.protocol.name): figures.predicted_against_true(run) for run in data.judged("continuous")
            },
        },
    }
