"""Write what a suite of runs amounts to: tables, LaTeX, the page, and how to repeat it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from data_schema.errors import TrainingError
from data_schema.exports.protocols import PROTOCOLS
from data_schema.exports.reading import TrainingExport
from emer_model.benchmark.suite import SuiteRuns
from emer_model.data.targets import protocol_targets
from emer_model.evaluation.alignment import Contender
from emer_model.evaluation.comparison import Comparison, compare_runs
from emer_model.evaluation.gap import masked_clips
from emer_model.registry import DEFAULT_MODEL
from emer_model.report import write_report
from emer_model.report.latex import write_tables
from emer_model.training import RunFolder
from emer_model.training.environment import versions
from emer_model.training.files import write_csv, write_json

#: Format of ``benchmark.json``.
FORMAT, FORMAT_VERSION = "emer-benchmark", "1.0"


def write_benchmark(
    found: SuiteRuns, export_path: Path, out: Path, command: str, tell: Callable[[str], None] | None = None
) -> Comparison:
    """Write the files of a benchmark beside its runs.

    ::

        OUT/figures.csv        every figure of every model, over all clips and apart for agreeing and masked ones
        OUT/differences.csv    each model less the default one, with intervals over participants
        OUT/tables/*.tex       one table a target, and one of all
        OUT/report.html        the page
        OUT/benchmark.json     the command, the export's hash, versions, what failed

    Parameters
    ----------
    found : SuiteRuns
    export_path, out : Path
    command : str
        The command that repeats it.
    tell : callable, optional

    Raises
    ------
    TrainingError
        If fewer than two models were trained.
    """
    # Compared with the default model: the first contender is what the others are compared with.
    names = sorted(found.runs, key=lambda name: name != DEFAULT_MODEL)
    if len(names) < 2:
        raise TrainingError(
            f"{out}: {len(names)} model(s) could be trained, and a comparison needs two.\n"
            + "\n".join(f"{name}: {why}" for name, why in found.failed.items())
        )
    folders = {name: [RunFolder(path) for path in found.runs[name]] for name in names}
    first = folders[names[0]][0]
    protocols = first.run_config().protocols
    targets = [declared for name in protocols for declared in protocol_targets(PROTOCOLS[name])]
    with TrainingExport.open(export_path, verify=False) as export:
        masked, manifest, n_people = (
            masked_clips(export.targets),
            export.manifest,
            export.clips["participant"].nunique(),
        )
    contenders = [Contender(name, tuple(run.predictions() for run in folders[name])) for name in names]
    comparison = compare_runs(contenders, targets, masked, by_fold=False)
    order = list(found.runs)
    figures = comparison.figures.sort_values("run", key=lambda column: column.map(order.index), kind="stable")
    write_csv(out / "figures.csv", figures)
    write_csv(out / "differences.csv", comparison.differences.drop(columns="fold"))
    said = "simulated participants" if manifest.get("simulated") else "participants"
    write_tables(figures, out / "tables", f"{n_people} {said}, {first.run_config().scheme} folds")
    write_report(found.folders, export_path, out / "report.html", tell=None)
    write_json(out / "benchmark.json", _about(found, first, command, manifest))
    if tell is not None:
        tell(f"{len(order)} models, {len(targets)} targets: {out / 'report.html'}")
    return comparison


def headline(figures: pd.DataFrame, metrics: tuple[str, ...] = ("uar", "ccc")) -> pd.DataFrame:
    """Return one row a model and one column a target: UAR of classes, CCC of values.

    Parameters
    ----------
    figures : DataFrame
        Columns `emer_model.evaluation.comparison.FIGURE_COLUMNS`.
    metrics : tuple of str
    """
    rows = figures[(figures["part"] == "pooled") & figures["metric"].isin(metrics)]
    table = rows.pivot(index="run", columns="target_name", values="value")
    return table.reindex(index=list(dict.fromkeys(rows["run"])), columns=list(dict.fromkeys(rows["target_name"])))


def _about(found: SuiteRuns, first: RunFolder, command: str, manifest: dict[str, Any]) -> dict[str, Any]:
    """Put together ``benchmark.json``."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "command": command,
        "simulated": bool(manifest.get("simulated")),
        "export": first.config()["export"],
        "runs": {name: [path.name for path in paths] for name, paths in found.runs.items()},
        "failed": found.failed,
        "versions": versions(),
    }
