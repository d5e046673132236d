"""`emer benchmark`: all protocols, many models, one report."""

from __future__ import annotations

import shlex
from pathlib import Path

import typer

from data_schema.errors import TrainingError, UsageError
from emer_model.cli.talk import require_folder, talk
from emer_model.cli.train import read_settings


def benchmark(
    export: Path = typer.Argument(..., metavar="EXPORT", help="Training export: a folder of `emer export training`."),
    protocol: str = typer.Option("all", help="Protocols, with commas between; all seven by default."),
    models: str = typer.Option(
        "all", help="Models, with commas between; or all, fitted, networks. The default model is always compared."
    ),
    out: Path | None = typer.Option(None, metavar="FOLDER", help="models/benchmark of the study by default."),
    scheme: str = typer.Option("subject", help="Who is tested: subject, loso, cross-stimulus, cross-stimulus+subject."),
    folds: str = typer.Option("all", help="Folds to train: all, or numbers such as 0,1."),
    seeds: str = typer.Option("0", help="Seeds, with commas between; figures are means over them."),
    allow_missing_classes: bool = typer.Option(
        False, "--allow-missing-classes", help="Train although a class does not occur in a training fold."
    ),
    set_: list[str] = typer.Option([], "--set", metavar="NAME=VALUE", help="A setting for all models, as of train."),
    epochs: int | None = typer.Option(None, min=1, help="Epochs of networks, at most."),
    device: str = typer.Option("auto", help="auto, cpu or cuda."),
    threads: int | None = typer.Option(None, min=1, help="Threads on the CPU; half of the processors by default."),
    workers: int = typer.Option(1, min=0, help="Folds trained at once, in processes of their own; 0 for one a core."),
    scheduler: str = typer.Option("", metavar="ADDRESS", help="Train folds on the workers of a Dask scheduler."),
    force: bool = typer.Option(False, "--force", help="Train everything anew."),
) -> None:
    """Train the models that a paper compares, for all protocols, and write tables and a report.

    Each model has a run folder in FOLDER. Called again, it goes on with what is not finished. Prints UAR
    (classes) and CCC (values) of each model; all figures, intervals and comparisons are in FOLDER.
    """
    from data_schema.cli.talk import progress_bar
    from emer_model.benchmark import choose_models, run_suite, write_benchmark
    from emer_model.benchmark.writing import headline
    from emer_model.training.config import parse_protocols

    require_folder(export, "EXPORT")
    chosen = choose_models(models)
    if len(chosen) < 2:
        raise UsageError(f"--models {models}: one model alone is no comparison. Name another, or all.")
    protocols = parse_protocols(protocol)
    out = out or export.parent.parent / "models" / ("benchmark" if scheme == "subject" else f"benchmark_{scheme}")
    settings = {
        "scheme": scheme,
        "allow_missing_classes": allow_missing_classes,
        "epochs": epochs,
        **read_settings(set_),
    }
    with progress_bar(f"benchmark {len(chosen)} models") as progress:
        found = run_suite(
            export, out, chosen, ",".join(protocols), seeds=_seeds(seeds), folds=folds, device=device, threads=threads,
            workers=workers, scheduler=scheduler, overwrite=force, progress=progress, tell=talk, **settings,
        )  # fmt: skip
    words = ["emer", "benchmark", str(export), "--protocol", protocol, "--models", models, "--scheme", scheme]
    words += ["--folds", folds, "--seeds", seeds, *(["--epochs", str(epochs)] if epochs else [])]
    words += [part for pair in set_ for part in ("--set", pair)]
    words += ["--allow-missing-classes"] if allow_missing_classes else []
    comparison = write_benchmark(found, export, out, shlex.join([*words, "--out", str(out)]), tell=talk)
    table = headline(comparison.figures).reindex(list(found.runs))
    typer.echo(table.to_string(float_format=lambda value: f"{value:.3f}", na_rep="-"))
    talk(f"UAR of classes, CCC of values. Everything: {out}")
    if found.failed:
        raise TrainingError(
            f"{len(found.failed)} of {len(chosen)} models could not be trained; the others are in {out}:\n"
            + "\n".join(f"{name}: {why}" for name, why in found.failed.items())
        )


def _seeds(text: str) -> tuple[int, ...]:
    """Read seeds with commas between.

    Raises
    ------
    UsageError
        If one is no whole number.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdigit() for part in parts):
        raise UsageError(f"--seeds {text}: expected whole numbers with commas between, such as 0,1,2.")
    return tuple(dict.fromkeys(int(part) for part in parts))
