"""`emer train`: learn one protocol, several, or all seven, on subject-independent folds."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import typer

from data_schema.errors import UsageError
from emer_model.cli.talk import figures_table, require_folder, short_target, talk


def train(
    export: Path = typer.Argument(..., metavar="EXPORT", help="Training export: a folder of `emer export training`."),
    protocol: str | None = typer.Option(
        None,
        show_default="er-7",
        help="er-3, er-7, fer-3, fer-7, er-va, fer-va, fer-intensity; several with commas between; or all.",
    ),
    model: str | None = typer.Option(
        None, help="Name of a model, `stack` by default; `emer models` lists them with what each is."
    ),
    scheme: str | None = typer.Option(
        None,
        show_default="subject",
        help="Who is tested: subject (folds of participants), loso, cross-stimulus or cross-stimulus+subject.",
    ),
    folds: str = typer.Option("all", help="Folds to train: all, or numbers such as 0,1."),
    out: Path | None = typer.Option(
        None, metavar="RUN", help="Run folder; models/PROTOCOL_MODEL of the study by default."
    ),
    epochs: int | None = typer.Option(None, min=1, help="Epochs at most."),
    patience: int | None = typer.Option(
        None, min=1, help="Epochs without a better validation score before a fold ends."
    ),
    batch_size: int | None = typer.Option(None, min=1, help="Clips a step."),
    learning_rate: float | None = typer.Option(None, help="Of Adam; falls to zero along a half cosine."),
    dropout: float | None = typer.Option(None, help="Dropout of the network."),
    face_backbone: str | None = typer.Option(
        None, help="descriptor (needs no training), resnet18, or compact for machines without a GPU."
    ),
    face_weights: Path | None = typer.Option(
        None, metavar="FILE", help="Weights of the backbone: a ResNet-18 of torchvision, or a checkpoint of ours."
    ),
    face_training: str | None = typer.Option(
        None, help="frozen (features computed once and kept), half (the second half is trained) or full."
    ),
    face_size: int | None = typer.Option(
        None, metavar="PX", help="Reduce faces to this side first; the backbone's own by default."
    ),
    subject_normalisation: bool | None = typer.Option(
        None,
        "--subject-normalisation/--no-subject-normalisation",
        help="Standardise features by each participant's own clips; uses no labels.",
    ),
    auxiliary: str | None = typer.Option(
        None, help="Further targets to learn from, such as fer_emotion,er_valence; all; or none."
    ),
    allow_missing_classes: bool | None = typer.Option(
        None, "--allow-missing-classes", help="Train although a class does not occur in a training fold."
    ),
    set_: list[str] = typer.Option(
        [],
        "--set",
        metavar="NAME=VALUE",
        help="A further setting, such as ema_decay=0.99, or an argument of the model.",
    ),
    seed: int | None = typer.Option(None, show_default="0", help="Seed; fold k uses seed + k."),
    like: Path | None = typer.Option(
        None, metavar="RUN", help="Repeat a run, perhaps of another machine: its settings, but for what is said here."
    ),
    device: str = typer.Option("auto", help="auto, cpu or cuda."),
    precision: str | None = typer.Option(None, help="32 or bf16."),
    threads: int | None = typer.Option(None, min=1, help="Threads on the CPU; half of the processors by default."),
    workers: int = typer.Option(1, min=0, help="Folds trained at once, in processes of their own; 0 for one a core."),
    scheduler: str = typer.Option("", metavar="ADDRESS", help="Train folds on the workers of a Dask scheduler."),
    tensorboard: bool = typer.Option(True, help="Write the curves for TensorBoard, too."),
    force: bool = typer.Option(False, "--force", help="Replace the run that is there; files of yours stay."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """Train a model for one or more protocols on subject-independent folds.

    Writes the run folder and prints the figures over the whole test folds.
    Called again with the same settings, it goes on with the folds that are not finished, and in a
    fold after its last stored epoch. On several GPUs or machines: `torchrun ... -m emer_model train ...`.
    """
    from contextlib import nullcontext

    from data_schema.cli.talk import progress_bar
    from emer_model.registry import DEFAULT_MODEL
    from emer_model.training import RunFolder, ranks
    from emer_model.training.config import RunConfig, parse_protocols
    from emer_model.training.idle import say_idle
    from emer_model.training.like import settings_like
    from emer_model.training.runner import train as train_run

    require_folder(export, "EXPORT")
    given = {
        "protocol": ",".join(parse_protocols(protocol)) if protocol else None,
        "model": model,
        "epochs": epochs,
        "patience": patience,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "dropout": dropout,
        "face_backbone": face_backbone,
        "face_weights": str(face_weights) if face_weights else None,
        "face_training": face_training,
        "face_size_px": face_size,
        "subject_normalisation": subject_normalisation,
        "auxiliary_targets": read_names(auxiliary),
        "allow_missing_classes": allow_missing_classes,
        "precision": precision,
        "seed": seed,
        "scheme": scheme,
        **read_settings(set_),
    }
    if like is None:
        config = RunConfig.of(given.pop("protocol") or "er-7", given.pop("model") or DEFAULT_MODEL, **given)
    else:
        require_folder(like, "--like")
        if out is None:
            raise UsageError("--like: say with --out where the repeated run goes.")
        config, used = settings_like(RunFolder(like), export, given, talk if ranks.is_first() else _say_nothing)
        threads = threads or used
    if ranks.is_first() and (idle := say_idle(config)):
        talk(idle)
    out = out or default_run(export, config.protocols, config)
    bar = progress_bar(f"train {config.model} {config.protocol}") if ranks.is_first() else nullcontext()
    with bar as progress:
        metrics = train_run(
            export, out, config, folds=folds, device=device, threads=threads, overwrite=force, workers=workers,
            scheduler=scheduler, tensorboard_logs=tensorboard, progress=progress, tell=talk,
        )  # fmt: skip
    if not ranks.is_first():
        return
    typer.echo(json.dumps(_short(metrics), indent=1) if as_json else figures_table(metrics["targets"]))
    talk(f"Run folder: {out}")
    if len(metrics["finished_folds"]) < metrics["n_folds"]:
        talk(f"{len(metrics['finished_folds'])} of {metrics['n_folds']} folds finished.")
    page = suggested_page(out)
    talk("Next: " + shlex.join(["emer", "report", str(out), "--export", str(export), "--out", page]))


def _say_nothing(_: str) -> None:
    """Leave talking to the first process."""


def default_run(export: Path, protocols: tuple[str, ...], config: Any) -> Path:
    """Return where a run goes if nobody says: the models of the export's study."""
    from data_schema.exports.protocols import PROTOCOLS

    said = "all" if protocols == tuple(PROTOCOLS) else "+".join(protocols)
    name = f"{said}_{config.model}" if config.scheme == "subject" else f"{said}_{config.model}_{config.scheme}"
    return export.parent.parent / "models" / name


def read_names(text: str | None) -> tuple[str, ...] | None:
    """Read names with commas between; none for no name, None if nothing was said."""
    if text is None:
        return None
    return tuple(name.strip() for name in text.split(",") if name.strip() and name.strip() != "none")


def read_settings(pairs: list[str]) -> dict[str, Any]:
    """Read ``--set NAME=VALUE``: settings of the run by their own name, all others as arguments of the model.

    Raises
    ------
    UsageError
        If a pair is none, or a setting has an option of its own.
    """
    from emer_model.training.run_state import SET_BY_NAME

    settings: dict[str, Any] = {}
    arguments: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name.isidentifier():
            raise UsageError(f"--set {pair}: expected NAME=VALUE, such as --set ema_decay=0.99.")
        value = _value(text.strip())
        if name == "head_widths":
            value = value if isinstance(value, tuple) else (value,) if text.strip() else ()
        (settings if name in SET_BY_NAME else arguments)[name] = value
    return {**settings, **({"model_arguments": arguments} if arguments else {})}


def suggested_page(run: Path) -> str:
    """Suggest where the report of a run goes: the reports of its study, if it lies in one."""
    study = run.resolve().parent.parent if len(run.parts) < 2 or ".." in run.parts else run.parent.parent
    if (study / "study.toml").is_file():
        return str(study / "reports" / f"{run.resolve().name}.html")
    return "report.html"


def _value(text: str) -> Any:
    """Read a value: a number, true or false, several with commas between, or a word."""
    if "," in text:
        return tuple(_value(part.strip()) for part in text.split(",") if part.strip())
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _short(metrics: dict[str, Any]) -> dict[str, Any]:
    """Keep of ``metrics.json`` what fits a screen."""
    kept = {key: metrics[key] for key in ("protocol", "model", "simulated", "finished_folds", "n_folds")}
    return kept | {"targets": {name: short_target(summary) for name, summary in metrics["targets"].items()}}
