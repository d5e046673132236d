"""`emer predict`: let a trained run judge clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from data_schema.errors import UsageError
from emer_model.cli.talk import require_folder, talk

if TYPE_CHECKING:
    import pandas as pd

    from emer_model.prediction.predicting import Prediction


def predict(
    run: Path = typer.Argument(..., metavar="RUN", help="Run folder of `emer train`."),
    source: Path | None = typer.Argument(
        None,
        metavar="[SOURCE]",
        help="What to judge: a training export, a study, a folder of session files, or one; the run's export by default.",
    ),
    clip: list[str] = typer.Option(
        [], metavar="CLIP", help="Judge this clip alone, such as sub-P001_ses-01_trial-003; may be given again."
    ),
    out: Path | None = typer.Option(
        None, metavar="FILE", help="Write one row a clip here: .parquet or .csv; guesses are then not written."
    ),
    guesses: Path | None = typer.Option(
        None,
        metavar="FOLDER",
        help="Where guesses for annotators go; to the annotation folder of the study by default.",
    ),
    export: Path | None = typer.Option(None, metavar="EXPORT", help="Where the run's export is now, if it has moved."),
    mc_dropout: int = typer.Option(
        0, min=0, metavar="N", help="Ask each network N times with dropout left on, to see how sure it is."
    ),
    seed: int = typer.Option(0, min=0, help="Of these passes."),
    device: str = typer.Option("auto", help="auto, cpu or cuda."),
    workers: int = typer.Option(1, min=0, help="Processes that compute sessions; 0 for one a core."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    force: bool = typer.Option(False, "--force", help="Replace the tables that are there."),
) -> None:
    """Judge clips: every target of the run, with calibrated probabilities and how sure the models are.

    Each clip is judged by the folds' models that never learned from its participant; new people by all
    of them. For a whole export or study the guesses of the emotions go to the study, for annotators to
    verify: `emer annotate` asks about the uncertain ones first and offers the confident ones. Guesses
    are no labels. A single session or clip is printed.
    """
    from data_schema.cli.talk import progress_bar
    from emer_model.prediction.predicting import predict_source
    from emer_model.prediction.tables import guess_tables, prediction_table
    from emer_model.training.run_folder import RunFolder

    require_folder(run, "RUN")
    if out is not None:
        _check_out(out, force)
    with progress_bar(f"predict {run.name}") as progress:
        prediction = predict_source(
            RunFolder(run), source, export_path=export, clips=clip, mc_dropout=mc_dropout, seed=seed, device=device,
            workers=workers, progress=progress, tell=talk,
        )  # fmt: skip
    for note in prediction.notes:
        talk(note)
    table = prediction_table(prediction)
    written: list[Path] = []
    if out is not None:
        _write(out, table)
        written.append(out)
    folder = _guess_folder(prediction, guesses, asked_out=out is not None)
    if folder is not None:
        written += _write_guesses(folder, guess_tables(prediction), force)
    if as_json:
        typer.echo(json.dumps(json.loads(table.to_json(orient="records")), indent=1))
    elif written:
        typer.echo("\n".join(str(path) for path in written))
    else:
        typer.echo(_shown(prediction))
    talk(_summary(prediction))


def _check_out(out: Path, force: bool) -> None:
    if out.suffix not in (".parquet", ".csv"):
        raise UsageError(f"--out {out}: name a file that ends in .parquet or .csv.")
    if out.exists() and not force:
        raise UsageError(f"--out {out}: exists. Choose another name, or pass --force to replace it.")


def _write(out: Path, table: pd.DataFrame) -> None:
    from emer_model.training.files import write_csv, write_parquet

    out.parent.mkdir(parents=True, exist_ok=True)
    (write_csv if out.suffix == ".csv" else write_parquet)(out, table)


def _guess_folder(prediction: Prediction, asked: Path | None, *, asked_out: bool) -> Path | None:
    """Return where guesses go: where the user says, else into the study of a whole export; None for nowhere."""
    if asked is not None:
        return asked
    if prediction.whole and prediction.study is not None and not asked_out:
        return prediction.study / "annotation"
    return None


def _write_guesses(folder: Path, tables: dict[str, pd.DataFrame], force: bool) -> list[Path]:
    from data_schema.labels.guess_table import guess_table_path, write_guesses

    if not tables:
        talk("The run learns no emotion of seven (er-7, fer-7), so there are no guesses to write for annotators.")
    paths = {task: guess_table_path(folder, task) for task in tables}
    there = [path for path in paths.values() if path.exists()]
    if there and not force:
        raise UsageError(
            f"{there[0]}: exists already. Pass --force to replace it, or say with --guesses where to write."
        )
    for task, table in tables.items():
        write_guesses(paths[task], table, overwrite=force)
    return list(paths.values())


def _shown(prediction: Prediction) -> str:
    """Lay the answers out for a person: one line a clip and target."""
    judged = prediction.judged
    lines = [f"{'clip':<28} {'target':<14} {'answer':<10} {'sure':>5} {'entropy':>8} {'margin':>7} {'disagree':>8}"]
    for i, clip in enumerate(judged.clip_ids):
        for target in judged.targets:
            if target.classes:
                belief = judged.classes[target.name]
                answer = target.classes[int(belief.probabilities[i].argmax())]
                doubt = _number(belief.mutual_information[i])
                figures = f"{belief.confidence[i]:>5.2f} {belief.entropy[i]:>8.2f} {belief.margin[i]:>7.2f} {doubt:>8}"
            else:
                answer = f"{judged.values[target.name].value[i]:.2f}"
                error, spread = judged.expected_error[target.name][i], judged.values[target.name].spread[i]
                figures = f"expected error {_number(error)}, spread {_number(spread)}"
            lines.append(f"{clip:<28} {target.name:<14} {answer:<10} {figures}")
    return "\n".join(lines)


def _number(value: Any) -> str:
    return "-" if value != value else f"{value:.2f}"


def _summary(prediction: Prediction) -> str:
    judged = prediction.judged
    sure = "; ".join(
        f"{name}: mean confidence {belief.confidence.mean():.2f}" for name, belief in judged.classes.items()
    )
    n_models = sorted({int(n) for n in judged.n_models})
    models = f"{n_models[0]}" if len(n_models) == 1 else f"{n_models[0]} to {n_models[-1]}"
    own = sorted({int(n) for n in judged.n_own_clips})
    clips = f"{own[0]}" if len(own) == 1 else f"{own[0]} to {own[-1]}"
    return (
        f"{len(judged)} clip(s), judged by {models} model(s) each, baselines from {clips} clip(s) a person"
        + (f"; {sure}" if sure else "")
        + "."
    )
