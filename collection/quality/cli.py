"""``emer quality``: what the recordings are worth, as a table and as pages."""

from __future__ import annotations

import json
from pathlib import Path

import typer


def quality(
    study: Path | None = typer.Argument(None, help="The study folder; the current one by default."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    pages: bool = typer.Option(
        True, "--pages/--no-pages", help="Write a page beside each session, and reports/quality.html for the study."
    ),
) -> None:
    """Say how good each recording is: loss, rate, precision, missed frames, warnings; over the whole session.

    The pages show accuracy, gaps by cause, flips, clocks, and which trials the study's rule includes, with the reason.
    """
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
    if pages and rows:
        from collection.quality.page import make_study_page

        with progress_bar("pages") as progress:
            made = make_study_page(folder, progress)
        typer.echo(f"page of the study: {made.html}", err=True)
    if failed:
        raise typer.Exit(1)
