"""`emer predict`: let a trained run judge clips."""

from __future__ import annotations

from pathlib import Path

import typer

from data_schema.errors import UsageError
from emer_model.cli.talk import require_folder, talk


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
    from emer_model.training.opened import find_export
    from emer_model.training.run_folder import RunFolder

    require_folder(run, "RUN")
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
    talk(f"{len(table)} clips, mean confidence {table['confidence'].mean():.2f}.")
