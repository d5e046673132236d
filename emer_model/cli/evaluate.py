"""`emer evaluate`: do the checkpoints give the stored predictions, and how good are they?"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import typer

from data_schema.errors import TrainingError
from emer_model.cli.talk import figures_table, require_folder, short_target, talk

#: Differences up to this are another machine's rounding; larger ones are an error.
_ROUNDING = 1e-3


def evaluate(
    runs: list[Path] = typer.Argument(..., metavar="RUN...", help="Run folders of `emer train`."),
    export: Path | None = typer.Option(None, metavar="EXPORT", help="Where the export is now, if it has moved."),
    device: str = typer.Option("auto", help="auto, cpu or cuda."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """Predict the test folds again from the checkpoints and compare with what is stored.

    Prints the metrics over whole folds. On the machine that trained, every bit is the
    same; elsewhere the greatest difference and the changed predictions are said, and more
    than rounding is an error.
    """
    from data_schema.cli.talk import progress_bar
    from data_schema.exports.reading import TrainingExport
    from emer_model.evaluation.gap import masked_clips
    from emer_model.evaluation.summary import summarise
    from emer_model.runs.repeat import repeat_predictions
    from emer_model.training.opened import find_export
    from emer_model.training.plan import run_targets
    from emer_model.training.run_folder import RunFolder

    results, problems = [], []
    for path in runs:
        require_folder(path, "RUN")
        run = RunFolder(path)
        place = find_export(run, export)
        talk(f"{path}: export {place}")
        state = run.state()
        run.require_finished(state, place)
        for note in run.notes(state, place):
            talk(note)
        with progress_bar(f"evaluate {path.name}") as progress:
            repeated = repeat_predictions(run, place, state=state, device=device, progress=progress)
        with TrainingExport.open(place, verify=False) as opened:
            labels = opened.targets
        settings = run.run_config()
        # Answers that are no numbers have no calibration; that they are none is said below.
        finite = math.isfinite(repeated.greatest_difference)
        validation = run.fold_validation(state.finished) if finite else None
        targets = summarise(repeated.predictions, run_targets(settings), masked_clips(labels), validation)
        merged = run.merged_difference(state)
        results.append(
            {
                "run": str(path),
                "export": str(place),
                "protocol": settings.protocol,
                "model": settings.model,
                "finished_folds": list(state.finished),
                "n_folds": state.planned,
                "damaged_folds": {str(k): damage for k, damage in state.damaged.items()},
                "merged_predictions_differ": bool(merged),
                "bit_identical": repeated.identical,
                "greatest_difference": repeated.greatest_difference
                if math.isfinite(repeated.greatest_difference)
                else None,
                "changed_predictions": repeated.changed,
                "targets": {name: short_target(summary) for name, summary in targets.items()},
            }
        )
        problems += [
            f"{path}: fold {k} is damaged; `{run.command(place)} --folds {k}` mends it." for k in state.damaged
        ]
        if merged:
            problems.append(f"{merged}; `{run.command(place)}` writes it again.")
        if not repeated.greatest_difference <= _ROUNDING:
            problems.append(
                f"{path}: the checkpoints do not give the stored predictions. They were changed after training "
                "together with their hashes, or the software differs much: see config.json; "
                f"`{run.command(place)} --force` trains all folds anew."
            )
    typer.echo(json.dumps(results, indent=1, default=str) if as_json else _table(results))
    if problems:
        raise TrainingError("\n".join(problems))


def _repeated(result: dict[str, Any]) -> str:
    """Say in words how the repeated predictions compare with the stored ones."""
    if result["greatest_difference"] is None:
        return "does not repeat the stored predictions"
    if result["bit_identical"] and not result["changed_predictions"]:
        return "repeats the stored predictions bit for bit"
    return (
        f"repeats the stored predictions up to {result['greatest_difference']:.2g}, "
        f"{result['changed_predictions']} of them changed"
    )


def _table(results: list[dict[str, Any]]) -> str:
    """Lay out the pooled figures of some runs."""
    lines = []
    for result in results:
        lines.append(
            f"{result['run']}  {result['model']}  {result['protocol']}  folds "
            f"{','.join(map(str, result['finished_folds']))} "
            f"({len(result['finished_folds'])} of {result['n_folds']} finished)  {_repeated(result)}"
        )
        lines += [f"  {line}" for line in figures_table(result["targets"]).splitlines()]
    return "\n".join(lines)
