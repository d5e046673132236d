"""``emer export training``: all that the trainer reads."""

from __future__ import annotations

from pathlib import Path

import typer

from data_schema.cli.exports.publications import ACCEPT_CHANGED


def training(
    study: Path = typer.Argument(..., help="The study folder."),
    out: Path = typer.Argument(..., help="Folder to make."),
    workers: int = typer.Option(0, min=0, help="Processes; 0 for one a core."),
    scheduler: str = typer.Option(
        "", help="Dask scheduler whose workers compute, such as tcp://host:8786 (extra cluster)."
    ),
    force: bool = typer.Option(False, "--force", help="Replace a finished export; unchanged sessions are taken over."),
    accept_changed: bool = ACCEPT_CHANGED,
) -> None:
    """Write fixed arrays per clip, labels, folds, a manifest and a data card: all that the trainer reads."""
    from data_schema.cli.talk import progress_bar
    from data_schema.exports.training import export_training
    from data_schema.study import find_study
    from data_schema.wording import counted, quoted

    with progress_bar("clips") as progress:
        result = export_training(
            find_study(study),
            out,
            workers=workers,
            scheduler=scheduler,
            force=force,
            accept_changed=accept_changed,
            progress=progress,
        )
    counts = result.counts
    typer.echo(
        f"{result.path}: {counted(counts['clips'], 'clip')} of {counted(counts['participants'], 'participant')}, "
        f"{counts['clips_with_er_emotion']} with an ER and {counts['clips_with_fer_emotion']} with a FER label"
    )
    typer.echo(
        f"{result.seconds:.1f} s, {result.n_reused} of {counts['sessions']} sessions taken over unchanged. "
        f"Read {result.path / 'data_card.md'}; next: emer train {quoted(result.path)} --protocol er-7",
        err=True,
    )
