"""Put the page together: one file, no network."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import plotly.offline
from markupsafe import Markup

from data_schema import __version__
from data_schema.errors import TrainingError
from data_schema.pages import page_script, page_style
from emer_model.data.targets import Target, protocol_targets
from emer_model.report import figures, tables, understanding_figures, understanding_tables
from emer_model.report.gather import JudgedRun, ReportData, ReportedRun, gather
from emer_model.report.latex import write_tables
from emer_model.report.ranking import answered_targets, compare_all, figure_table, main_value, overview, ranked
from emer_model.training.files import write_atomically

#: What each figure of merit means, for readers who do not know it.
METRIC_MEANINGS = {
    "WAR": "weighted average recall: the share of clips judged right",
    "UAR": "unweighted average recall: the mean of the classes' recalls, so rare classes count as much as common ones",
    "F1": "harmonic mean of precision and recall, averaged over classes by their size (weighted) or equally (macro)",
    "MAE, RMSE": "mean absolute and root mean squared error, on the scale of the label",
    "CCC": "Lin's concordance correlation, 1 for perfect agreement, 0 for none",
}


#: Runs of which a diagram of reliability is drawn for each target: ours.
RELIABILITY_RUNS = 2


def write_report(
    runs: list[Path],
    export_path: Path,
    out: Path,
    tell: Callable[[str], None] | None = None,
    latex: Path | None = None,
) -> int:
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
    latex : Path, optional
        A folder for the tables as LaTeX; see `emer_model.report.latex.write_tables`.

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
    if latex is not None:
        people = f"{data.clips['participant'].nunique()} {'simulated ' if data.simulated else ''}participants"
        schemes = " and ".join(dict.fromkeys(str(run.config["settings"]["scheme"]) for run in data.runs))
        write_tables(figure_table(data), latex, f"{people}, {schemes} folds")
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
    against = compare_all(data)
    targets = answered_targets(data)
    runs = ranked(data)
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
        "runs": runs,
        "overview": overview(data),
        "comparison": tables.comparison(data, against),
        "continuous": tables.continuous_comparison(data, against),
        "calibration": understanding_tables.calibration(data),
        "predicted_gaps": understanding_tables.predicted_gaps(data),
        "scale_gaps": understanding_tables.scale_gaps(data),
        "gap_maps": _gap_map(runs),
        "explained": [_explained(run) for run in runs if run.explained],
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
            "intervals": {name: figures.intervals(_ordered(judged, name)) for name in class_protocols},
            "by_gap": {name: figures.by_gap(_ordered(judged, name)) for name in class_protocols},
            "participants": {
                t.name: understanding_figures.participants([r for r in runs if t.name in r.summary], t) for t in targets
            },
            "reliability": _reliability(runs, targets),
            "curves": {run.name: figures.curves(run) for run in data.runs if run.trained},
            "continuous": {
                (run.name, run.protocol.name): figures.predicted_against_true(run) for run in data.judged("continuous")
            },
        },
    }


def _ordered(judged: list[JudgedRun], protocol: str) -> list[JudgedRun]:
    """Return the runs of a protocol of classes, the best first."""
    own = [run for run in judged if run.protocol.name == protocol]
    return sorted(own, key=lambda run: -main_value(run.run, run.targets[0]))


def _reliability(runs: list[ReportedRun], targets: list[Target]) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Draw the reliability of the first `RELIABILITY_RUNS` runs that answer each classified target, by target."""
    return {
        t.name: [
            (run.name, understanding_figures.reliability_diagram(run, t))
            for run in [run for run in runs if t.name in run.summary][:RELIABILITY_RUNS]
        ]
        for t in targets
        if t.classes
    }


def _gap_map(runs: list[ReportedRun]) -> dict[str, Any] | None:
    """Lay out felt against shown emotions as the first run that answers both tasks predicts them."""
    for run in runs:
        found = run.gap.get("emotion")
        if found:
            classes = tuple(found["classes"])
            counts = np.array(found["predicted"])
            return {"name": run.name, "predicted": tables.heatmap(counts, classes, "felt (ER)", "shown (FER)")}
    return None


def _explained(run: ReportedRun) -> dict[str, Any]:
    """Put together what is shown of an explanation."""
    found = run.explained
    if found is None:
        raise ValueError(f"{run.name} was not explained")
    targets = [t for protocol in run.protocols for t in protocol_targets(protocol) if t.name in run.summary]
    missing, parts, attention = (found.table(name) for name in ("missing.csv", "attribution.csv", "attention.csv"))
    drawn = understanding_figures
    return {
        "run": run,
        "about": found.part("attribution"),
        "ablations": understanding_tables.ablations(run, targets),
        "missing": [] if missing is None else [(t.name, drawn.missing(missing, t)) for t in targets],
        "attribution": [] if parts is None else [(t.name, drawn.attribution(parts, t)) for t in targets],
        "attention_time": None if attention is None else drawn.attention_over_time(attention),
        "attention_modalities": None if attention is None else drawn.attention_over_modalities(attention),
        "eye_data": understanding_tables.groups(run, "eye_data.csv", "eye_data", targets),
        "stimuli": understanding_tables.groups(run, "stimuli.csv", "stimulus_id", targets),
    }
