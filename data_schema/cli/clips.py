"""``emer clips`` and ``emer quality``: what the recordings are worth."""

from __future__ import annotations

import json
from pathlib import Path

import typer

_STUDY = typer.Argument(None, help="The study folder; the current one by default.")


def clips(study: Path | None = _STUDY) -> None:
    """Cut all sessions into clips and decide by the study's quality rule which are used."""
    from data_schema.cli.talk import progress_bar
    from data_schema.exports.clips import index_sessions
    from data_schema.exports.files import write_table
    from data_schema.exports.wording import counted
    from data_schema.study import find_study

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


def quality(
    study: Path | None = _STUDY,
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Say how good each recording is: loss, rate, precision, missed frames, warnings; over the whole session."""
    from data_schema.cli.talk import progress_bar
    from data_schema.errors import SessionFileError, StudyError
    from data_schema.exports.session_quality import QUALITY_TABLE, measure_session
    from data_schema.session import open_session
    from data_schema.study import SessionName, find_study

    folder = find_study(study)
    files = folder.session_files()
    if not files:
        raise StudyError(
            f"{folder.root}: the study has no sessions yet. Record one: emer record rehearse {folder.root}"
        )
    rows = []
    failed = False
    with progress_bar("sessions") as progress:
        for done, path in enumerate(files):
            progress(done, len(files), path.stem)
            try:
                with open_session(path) as session:
                    rows.append(measure_session(session))
            except SessionFileError as error:
                typer.echo(f"error: {error}", err=True)
                failed = True
    if as_json:
        typer.echo(json.dumps([row.as_json() for row in rows], indent=2))
    else:
        typer.echo("  ".join(title.rjust(width) for title, width, _ in QUALITY_TABLE))
        for row in rows:
            typer.echo("  ".join(text(row).rjust(width) for _, width, text in QUALITY_TABLE))
        for row in rows:
            for line in row.warnings:
                typer.echo(f"{SessionName(row.participant, row.session, row.run).stem}: {line}")
    if failed:
        raise typer.Exit(1)
