"""``emer export parquet``: tables that the Hugging Face hub, pandas and Arrow read."""

from __future__ import annotations

from pathlib import Path

import typer

from data_schema.cli.exports.publications import ACCEPT_CHANGED, say_stale, say_unanswered


def parquet(
    study: Path = typer.Argument(..., help="The study folder."),
    out: Path = typer.Argument(..., help="Folder to make."),
    gaze: bool = typer.Option(True, "--gaze/--no-gaze", help="Write every gaze sample, too."),
    force: bool = typer.Option(False, "--force", help="Replace a finished publication of this kind."),
    accept_changed: bool = ACCEPT_CHANGED,
) -> None:
    """Publish the study as Parquet tables with a dataset card: the layout of the Hugging Face hub, without a script."""
    from data_schema.cli.talk import progress_bar
    from data_schema.publishing.datasheet import unanswered
    from data_schema.publishing.folder import check_target
    from data_schema.publishing.publication import open_publication
    from data_schema.publishing.tables.parquet import export_parquet
    from data_schema.study import find_study
    from data_schema.wording import quoted

    check_target(out, "parquet", force)
    folder = find_study(study)
    publication = open_publication(folder, accept_changed=accept_changed)
    say_stale(folder)
    with progress_bar("recordings") as progress:
        result = export_parquet(publication, out, force=force, gaze=gaze, progress=progress)
    numbers = result.numbers
    typer.echo(
        f"{out}: {len(result.tables)} tables, {sum(numbers.rows.values())} rows; {numbers.clips} clips of "
        f"{numbers.participants} participants"
    )
    for item in publication.withheld:
        typer.echo(f"  held back: {item.what}: {item.count} ({item.why})", err=True)
    say_unanswered(unanswered(publication), bool(publication.folds))
    typer.echo(f"Read {out / 'README.md'}; next: emer export croissant {quoted(study)} --for {quoted(out)}", err=True)
