"""The verbs of the model side: `emer train`, `emer evaluate`, `emer predict`, `emer report`.

Light at import: torch and plotly are loaded when a verb runs.
"""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path
from typing import Any

import typer

from data_schema.errors import TrainingError, UsageError

#: Differences up to this are another machine's rounding; larger ones are an error.
_ROUNDING = 1e-3


def train(
    export: Path = typer.Argument(..., metavar="EXPORT", help="Training export: a folder of `emer export training`."),
    protocol: str = typer.Option("er-7", help="er-3, er-7, fer-3, fer-7, er-va, fer-va or fer-intensity."),
    model: str = typer.Option("emert", help="emert or face-only."),
    scheme: str = typer.Option("subject", help="subject: folds of participants; loso: each participant tested alone."),
    folds: str = typer.Option("all", help="Folds to train: all, or numbers such as 0,1."),
    out: Path | None = typer.Option(
        None, metavar="RUN", help="Run folder; models/PROTOCOL_MODEL of the study by default."
    ),
    epochs: int = typer.Option(60, min=1, help="Epochs at most."),
    patience: int = typer.Option(15, min=1, help="Epochs without a better validation score before a fold ends."),
    batch_size: int = typer.Option(16, min=1, help="Clips a step."),
    learning_rate: float = typer.Option(1e-3, help="Of Adam; falls to zero along a half cosine."),
    dropout: float = typer.Option(0.5, help="Dropout of encoders and transformer."),
    face_backbone: str = typer.Option("resnet18", help="resnet18, or compact for machines without a GPU."),
    face_size: int | None = typer.Option(
        None, metavar="PX", help="Reduce faces to this side first; 56 for compact, else the export's."
    ),
    subject_normalisation: bool = typer.Option(
        True, help="Standardise eye features by each participant's own clips; uses no labels."
    ),
    auxiliary: str | None = typer.Option(None, help="Further targets to learn from, such as fer_emotion,er_valence."),
    allow_missing_classes: bool = typer.Option(
        False, "--allow-missing-classes", help="Train although a class does not occur in a training fold."
    ),
    seed: int = typer.Option(0, help="Seed; fold k uses seed + k."),
    device: str = typer.Option("auto", help="auto, cpu or cuda."),
    precision: str = typer.Option("32", help="32 or bf16."),
    threads: int | None = typer.Option(None, min=1, help="Threads on the CPU; half of the processors by default."),
    force: bool = typer.Option(False, "--force", help="Replace the run that is there; files of yours stay."),
) -> None:
    """Train a model for a protocol on subject-independent folds.

    Writes the run folder and prints the metrics over the whole test folds as JSON.
    Called again with the same settings, it goes on with the folds that are not finished.
    """
    from data_schema.cli.talk import progress_bar
    from emer_model.training.config import RunConfig
    from emer_model.training.runner import train as train_run

    _require_folder(export, "EXPORT")
    name = f"{protocol}_{model}" if scheme == "subject" else f"{protocol}_{model}_{scheme}"
    out = out or export.parent.parent / "models" / name
    config = RunConfig(
        protocol=protocol,
        model=model,
        epochs=epochs,
        patience=patience,
        batch_size=batch_size,
        learning_rate=learning_rate,
        dropout=dropout,
        face_backbone=face_backbone,
        face_size_px=face_size,
        subject_normalisation=subject_normalisation,
        auxiliary_targets=tuple(name.strip() for name in (auxiliary or "").split(",") if name.strip()),
        allow_missing_classes=allow_missing_classes,
        precision=precision,
        seed=seed,
        scheme=scheme,
    )
    with progress_bar(f"train {model} {protocol}") as progress:
        metrics = train_run(
            export, out, config, folds=folds, device=device, threads=threads, overwrite=force, progress=progress,
            tell=_talk,
        )  # fmt: skip
    typer.echo(json.dumps(_short(metrics), indent=1))
    typer.echo(f"Run folder: {out}", err=True)
    if len(metrics["finished_folds"]) < metrics["n_folds"]:
        typer.echo(f"{len(metrics['finished_folds'])} of {metrics['n_folds']} folds finished.", err=True)
    page = _suggested_page(out)
    typer.echo("Next: " + shlex.join(["emer", "report", str(out), "--export", str(export), "--out", page]), err=True)


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
    from emer_model.evaluation.repeat import find_export, repeat_predictions
    from emer_model.evaluation.summary import summarise
    from emer_model.training.run_folder import RunFolder
    from emer_model.training.runner import run_targets

    results, problems = [], []
    for path in runs:
        _require_folder(path, "RUN")
        run = RunFolder(path)
        place = find_export(run, export)
        _talk(f"{path}: export {place}")
        state = run.state()
        run.require_finished(state, place)
        for note in run.notes(state, place):
            _talk(note)
        with progress_bar(f"evaluate {path.name}") as progress:
            repeated = repeat_predictions(run, place, state=state, device=device, progress=progress)
        with TrainingExport.open(place, verify=False) as opened:
            labels = opened.targets
        settings = run.run_config()
        targets = summarise(repeated.predictions, run_targets(settings), masked_clips(labels))
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
                "targets": {name: _short_target(summary) for name, summary in targets.items()},
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


def predict(
    run: Path = typer.Argument(..., metavar="RUN", help="Run folder of `emer train`, of er-7 or fer-7."),
    export: Path | None = typer.Option(None, metavar="EXPORT", help="Where the export is now, if it has moved."),
    out: Path | None = typer.Option(
        None, metavar="FILE.parquet", help="The table to write; where the export's study keeps guesses, by default."
    ),
    device: str = typer.Option("auto", help="auto, cpu or cuda."),
    force: bool = typer.Option(False, "--force", help="Replace the table that is there."),
) -> None:
    """Guess the emotion of every clip of an export, for annotators to verify.

    Each clip is judged by the models that never learned from its participant. Guesses are no
    labels: `emer annotate` offers the confident ones after a clip was seen, and says what became of them.
    """
    from data_schema.cli.talk import progress_bar
    from data_schema.labels.guess_table import guess_table_path, write_guesses
    from emer_model.evaluation.guesses import guess_clips
    from emer_model.evaluation.repeat import find_export
    from emer_model.training.run_folder import RunFolder

    _require_folder(run, "RUN")
    folder = RunFolder(run)
    place = find_export(folder, export)
    with progress_bar(f"predict {run.name}") as progress:
        table = guess_clips(folder, place, device=device, progress=progress)
    if out is None:
        study = next((parent for parent in place.resolve().parents if (parent / "study.toml").is_file()), None)
        if study is None:
            raise UsageError(f"{place} lies in no study. Say with --out where to write the table of guesses.")
        out = guess_table_path(study / "annotation", str(table["task"].iloc[0]))
    write_guesses(out, table, overwrite=force)
    typer.echo(str(out))
    _talk(f"{len(table)} clips, mean confidence {table['confidence'].mean():.2f}.")


def report(
    runs: list[Path] = typer.Argument(..., metavar="RUN...", help="Run folders of `emer train`."),
    export: Path = typer.Option(..., metavar="EXPORT", help="The training export of these runs."),
    out: Path = typer.Option(Path("report.html"), metavar="FILE.html", help="The page to write."),
    force: bool = typer.Option(False, "--force", help="Replace the page that is there."),
) -> None:
    """Write one self-contained HTML page on the data and the runs.

    The figures are of the finished folds, from the folds' own files, whose hashes are checked.
    """
    from emer_model.report import write_report

    _require_folder(export, "EXPORT")
    for path in runs:
        _require_folder(path, "RUN")
    if out.exists() and not force:
        raise UsageError(f"--out {out}: exists. Choose another name, or pass --force to replace it.")
    size = write_report(runs, export, out, tell=_talk)
    typer.echo(str(out))
    typer.echo(f"Export: {export}", err=True)
    typer.echo(f"{size / 1e6:.1f} MB, opens in any browser without a network.", err=True)


def _talk(sentence: str) -> None:
    """Say something on standard error."""
    typer.echo(sentence, err=True)


def _suggested_page(run: Path) -> str:
    """Suggest where the report of a run goes: the reports of its study, if it lies in one."""
    study = run.resolve().parent.parent if len(run.parts) < 2 or ".." in run.parts else run.parent.parent
    if (study / "study.toml").is_file():
        return str(study / "reports" / f"{run.resolve().name}.html")
    return "report.html"


def _require_folder(path: Path, what: str) -> None:
    """Refuse a path that is no folder."""
    if not path.is_dir():
        raise UsageError(f"{what} {path}: there is no such folder.")


def _short_target(summary: dict[str, Any]) -> dict[str, Any]:
    """Keep what fits a screen."""
    keys = ("pooled", "mean_of_folds", "intervals", "agreeing", "masked")
    return {key: summary[key] for key in keys if key in summary}


def _short(metrics: dict[str, Any]) -> dict[str, Any]:
    """Keep of ``metrics.json`` what fits a screen."""
    kept = {key: metrics[key] for key in ("protocol", "model", "simulated", "finished_folds", "n_folds")}
    return kept | {"targets": {name: _short_target(summary) for name, summary in metrics["targets"].items()}}


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
        for name, summary in result["targets"].items():
            for part in ("pooled", "agreeing", "masked"):
                shown = "  ".join(
                    f"{key} {value:.3f}" if value is not None else f"{key} undefined"
                    for key, value in summary[part].items()
                    if not key.startswith("n_")
                )
                lines.append(f"  {name:<14} {part:<9} n {int(summary[part]['n_clips']):>5}  {shown}")
    return "\n".join(lines)
