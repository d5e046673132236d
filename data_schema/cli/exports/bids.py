"""``emer export bids``: a dataset of the Brain Imaging Data Structure."""

from __future__ import annotations

from pathlib import Path

import typer

from data_schema.cli.exports.publications import ACCEPT_CHANGED, say_unanswered


def bids(
    study: Path = typer.Argument(..., help="The study folder."),
    out: Path = typer.Argument(..., help="Folder to make."),
    workers: int = typer.Option(0, min=0, help="Processes; 0 for one a core."),
    scheduler: str = typer.Option(
        "", help="Address of a Dask scheduler, such as tcp://host:8786, instead of processes here."
    ),
    force: bool = typer.Option(False, "--force", help="Replace a finished BIDS export."),
    accept_changed: bool = ACCEPT_CHANGED,
) -> None:
    """Publish the study as BIDS 1.11 eye tracking: gaze, events, answers, annotations; what consent allows, no identifiers."""
    from data_schema.cli.talk import progress_bar
    from data_schema.publishing.bids import export_bids
    from data_schema.study import find_study
    from data_schema.wording import counted, quoted

    with progress_bar("runs") as progress:
        summary = export_bids(
            find_study(study),
            out,
            workers=workers,
            scheduler=scheduler,
            force=force,
            accept_changed=accept_changed,
            progress=progress,
        )
    typer.echo(
        f"{out}: {counted(summary.participants, 'participant')}, {counted(summary.runs, 'run')} "
        f"({summary.runs_with_gaze} with gaze, {summary.runs_with_video} with face video), {summary.samples:,} samples"
    )
    say_unanswered(summary.unanswered, summary.folds)
    typer.echo(
        f"Check it with: bids-validator-deno {quoted(out)}. Read {out / 'README.md'} before you pass it on.", err=True
    )
