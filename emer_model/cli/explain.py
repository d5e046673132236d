"""`emer explain`: what a run's answers rest on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from emer_model.cli.talk import require_folder, talk


def explain(
    run: Path = typer.Argument(..., metavar="RUN", help="Run folder of `emer train`."),
    export: Path | None = typer.Option(None, metavar="EXPORT", help="Where the export is now, if it has moved."),
    parts: str = typer.Option(
        "all", help="With commas between: ablations, missing, attention, attribution, groups, gap; or all."
    ),
    clips: int = typer.Option(200, min=1, help="Test clips whose answers are attributed to features."),
    seed: int = typer.Option(0, help="Of what is lost, and of the sample of clips."),
    other: Path | None = typer.Option(
        None, "--with", metavar="RUN", help="A run of the other task, to predict the gap between felt and shown."
    ),
    device: str = typer.Option("auto", help="auto, cpu or cuda."),
    as_json: bool = typer.Option(False, "--json", help="Print what explained.json says."),
) -> None:
    """Ask the models of a run what their answers rest on, by test clips alone.

    Writes tables to RUN/understanding: figures without each modality and while more and more is missing,
    attention over time, what each named eye feature did for the answers, figures by person, film and share of valid
    eye data, and the predicted gap between felt and shown emotion. `emer report` shows them.
    """
    from data_schema.cli.talk import progress_bar
    from emer_model.training.run_folder import RunFolder
    from emer_model.understanding import PARTS
    from emer_model.understanding import explain as explain_run

    for path in (run, *([other] if other else [])):
        require_folder(path, "RUN")
    chosen = tuple(PARTS) if parts == "all" else tuple(part.strip() for part in parts.split(",") if part.strip())
    folder = RunFolder(run)
    with progress_bar(f"explain {run.name}") as progress:
        said = explain_run(
            folder, export, parts=chosen, n_clips=clips, seed=seed, other=RunFolder(other) if other else None,
            device=device, progress=progress, tell=talk,
        )  # fmt: skip
    typer.echo(json.dumps(said, indent=1) if as_json else "\n".join(_lines(folder, said, chosen)))
    for name in chosen:
        if "note" in said["parts"][name]:
            talk(f"{name}: {said['parts'][name]['note']}.")
    talk(f"Everything: {folder.understanding}")


def _lines(folder: Any, said: dict[str, Any], chosen: tuple[str, ...]) -> list[str]:
    """Say the main figures in a few lines."""
    from emer_model.understanding import read_explained

    explained = read_explained(folder)
    lines: list[str] = []
    table = explained.table("ablations.csv") if explained and "ablations" in chosen else None
    if table is not None:
        main = table[(table["part"] == "pooled") & table["metric"].isin(("uar", "ccc"))]
        for name, rows in main.groupby("target_name", sort=False):
            shown = "  ".join(
                f"{'whole' if row.without == 'nothing' else f'without {row.without}'} {row.value:.3f}"
                for row in rows.itertuples()
            )
            lines.append(f"{name:<14} {rows['metric'].iloc[0].upper()}  {shown}")
    table = explained.table("attribution.csv") if explained and "attribution" in chosen else None
    if table is not None:
        main = table[(table["group"] == "all") & (table["level"] == "feature")]
        for name, rows in main.groupby("target_name", sort=False):
            shown = ", ".join(f"{row.feature} {row.share:.0%}" for row in rows.head(5).itertuples())
            lines.append(f"{name:<14} rests on {shown}")
    for label, figures in (said["parts"].get("gap") or {}).get("figures", {}).items() if "gap" in chosen else ():
        if "auc" in figures:
            lines.append(
                f"gap in {label:<7} masked clips found with AUC {figures['auc']:.3f}, F1 {figures['f1'] or 0:.3f}"
            )
    return lines or ["Nothing to say in short."]
