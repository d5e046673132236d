"""`emer compare`: is one run better than another, on the same clips and people?"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from emer_model.cli.talk import require_folder, talk

if TYPE_CHECKING:
    import pandas as pd

    from emer_model.evaluation.comparison import Comparison

#: Figures that fit a screen, with their titles; JSON has all.
_SHOWN = {"war": "WAR", "uar": "UAR", "macro_f1": "macro F1", "mae": "MAE", "ccc": "CCC", "pearson": "Pearson r"}

_MEANING = (
    "Brackets: {level:.0%} interval over participants, of each figure by itself. p: randomisation test over participants, "
    "of each figure and part by itself{corrected}. *: the interval of a difference leaves out 0 and is of {fewest} participants "
    "or more. All figures: --json."
)


def compare(
    runs: list[Path] = typer.Argument(..., metavar="RUN RUN...", help="Run folders of `emer train`, two or more."),
    protocol: str | None = typer.Option(None, help="Compare this protocol alone; all that the runs share by default."),
    best: bool = typer.Option(False, "--best", help="Compare with the best run instead of the first."),
    common: bool = typer.Option(False, "--common", help="Compare on the clips that all runs were tested on."),
    export: Path | None = typer.Option(None, metavar="EXPORT", help="Where the export is now, if it has moved."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of tables."),
) -> None:
    """Compare runs on the same clips: differences of all figures, with intervals over participants.

    Over all folds, for agreeing and masked clips, and by fold. The runs are compared with
    the first one. Figures are those of the test folds; nothing is trained or predicted.
    """
    from emer_model.evaluation.comparison import FEWEST_FAVOURED, compare_runs
    from emer_model.runs import compared

    for path in runs:
        require_folder(path, "RUN")
    opened = compared.read_runs(runs)
    for note in (note for run in opened for note in run.notes):
        talk(note)
    protocols = compared.shared_protocols(opened, protocol)
    targets = list(compared.targets_of(protocols))
    if common:
        if len({run.export_sha256 for run in opened}) > 1:
            talk(
                "The runs were trained on different exports. Clips are taken for the same where their names and labels agree: "
                "right for a study that was exported again, and meaningless for two studies."
            )
        opened, targets, notes = compared.on_common_clips(opened, targets)
        for note in notes:
            talk(note)
    else:
        compared.refuse_different(opened)
    masked, lack = compared.masked_of(opened[0], export)
    if lack:
        talk(lack)
    found = compare_runs(compared.contenders(opened), targets, masked, best=best)
    simulated = any(run.simulated for run in opened)
    if as_json:
        about = [{"name": r.name, "run": str(r.path), "model": r.model, "scheme": r.scheme} for r in opened]
        typer.echo(json.dumps(_as_json(found) | {"runs": about, "simulated": simulated}, indent=1, allow_nan=False))
        return
    if simulated:
        talk("Simulated clips: the figures are facts about the simulation.")
    typer.echo("\n\n".join(_target_text(found, declared.name) for declared in targets))
    n = len(found.names) - 1
    corrected = f"; corrected for {n} comparisons by Holm" if n > 1 else ""
    typer.echo("\n" + _MEANING.format(level=found.level, corrected=corrected, fewest=FEWEST_FAVOURED))


def _as_json(found: Comparison) -> dict[str, Any]:
    """Return the tables as lists of rows; what is undefined is null."""

    def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
        return [
            {key: None if _missing(value) else value for key, value in row.items()} for row in table.to_dict("records")
        ]

    tables = {name: rows(getattr(found, name)) for name in ("figures", "differences", "right")}
    return {"against": found.against, "level": found.level, "p_corrected_for_runs": len(found.names) - 1} | tables


def _missing(value: Any) -> bool:
    return value is None or type(value).__name__ == "NAType" or (isinstance(value, float) and not math.isfinite(value))


def _target_text(found: Comparison, name: str) -> str:
    """Lay out the figures of one target, then the differences."""
    figures, differences = (
        table[(table["target_name"] == name) & table["metric"].isin(_SHOWN)]
        for table in (found.figures, found.differences)
    )
    pooled = figures[figures["part"] == "pooled"].iloc[0]
    lines = [f"{name}: {pooled['n_clips']} clips of {pooled['n_participants']} participants"]
    header = ["", "clips", *(_SHOWN[metric] for metric in figures["metric"].unique())]
    rows = [header]
    for (run, part), group in figures.groupby(["run", "part"], sort=False):
        cells = [_with_interval(row["value"], row["low"], row["high"]) for row in group.to_dict("records")]
        rows.append([run, f"{part} {group['n_clips'].iloc[0]}", *cells])
    lines += _columns(rows)
    lines.append(f"  less {found.against[name]}:")
    rows = [header]
    for (run, part), group in differences[differences["fold"].isna()].groupby(["run", "part"], sort=False):
        rows.append([run, part, *(_difference(row) for row in group.to_dict("records"))])
    by_fold = differences[differences["fold"].notna()]
    for (run, fold), group in by_fold.groupby(["run", "fold"], sort=False):
        rows.append([run, f"fold {fold}", *(_difference(row) for row in group.to_dict("records"))])
    lines += _columns(rows)
    for row in found.right[(found.right["target_name"] == name) & (found.right["n_clips"] > 0)].to_dict("records"):
        lines.append(
            f"  {row['part']}: {row['only_run']} clips only {row['run']} gets right, {row['only_against']} only "
            f"{row['against']}, {row['both']} both, {row['neither']} neither"
        )
    return "\n".join(lines)


def _with_interval(value: float, low: float, high: float, sign: str = "") -> str:
    if not math.isfinite(value):
        return "undefined"
    bounds = f" [{low:{sign}.3f}, {high:{sign}.3f}]" if math.isfinite(low) else ""
    return f"{value:{sign}.3f}{bounds}"


def _difference(row: dict[str, Any]) -> str:
    said = _with_interval(row["difference"], row["low"], row["high"], "+")
    p = f" p {row['p_holm']:.4f}" if math.isfinite(row["p_holm"]) else ""
    return said + p + ("*" if row["favours"] else "")


def _columns(rows: list[list[str]]) -> list[str]:
    """Align cells in columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
