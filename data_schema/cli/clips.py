"""``emer clips`` and ``emer quality``: what the recordings are worth."""

from __future__ import annotations

from pathlib import Path

import typer

_STUDY = typer.Argument(None, help="The study folder; the current one by default.")


def clips(study: Path | None = _STUDY) -> None:
    """Cut all sessions into clips and decide by the study's quality rule which are used."""
    from data_schema.cli.talk import progress_bar
    from data_schema.clips.index import index_sessions
    from data_schema.files import write_table
    from data_schema.study import find_study
    from data_schema.wording import counted

    folder = find_study(study)
    with progress_bar("sessions") as progress:
        table, skipped = index_sessions(folder, progress)
    write_table(folder.clip_index_path, table)
    for item in skipped:
        typer.echo(f"passed over: {item.reason}", err=True)
    included = int(table["included"].sum())
    participants = counted(table["participant"].nunique(), "participant")
    typer.echo(f"{folder.clip_index_path}: {counted(len(table), 'clip')} of {participants}")
    typer.echo(f"  {included} included")
    for reason, count in table.loc[~table["included"], "exclusion_reason"].value_counts().items():
        typer.echo(f"  {count} left out: {reason}")
    if not len(table):
        raise typer.Exit(1)
