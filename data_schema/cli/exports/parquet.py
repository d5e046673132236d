"""``emer export parquet``: tables that the Hugging Face hub, pandas and Arrow read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from data_schema.study.folder import StudyFolder


def parquet(
    study: Path = typer.Argument(..., help="The study folder."),
    out: Path = typer.Argument(..., help="Folder to make."),
    gaze: bool = typer.Option(True, "--gaze/--no-gaze", help="Write every gaze sample, too."),
    force: bool = typer.Option(False, "--force", help="Replace a finished publication of this kind."),
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
    publication = open_publication(folder)
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


def say_stale(study: StudyFolder) -> None:
    """Say that signals are missing, which the export then computes itself, on one core."""
    from data_schema.clips.index import load_clip_index
    from data_schema.derived import stale_clips
    from data_schema.wording import counted, quoted

    index = load_clip_index(study)
    stale = stale_clips(study, index)
    if stale:
        # Those that the quality rule leaves out are published, too, and `emer signals` passes over them unasked.
        left_out = not index.set_index("clip_id").loc[stale, "included"].all()
        typer.echo(
            f"note: signals of {counted(len(stale), 'clip')} are missing or out of date; those that are needed are computed now. "
            f"All of them, on all cores: emer signals {quoted(study.root)}{' --all' if left_out else ''}",
            err=True,
        )


def say_unanswered(keys: Sequence[str], folds: bool) -> None:
    """Name what the study has not said of its dataset, and that it has frozen no folds where it has not."""
    if keys:
        typer.echo(f"note: datasheet and card say that these are not said yet: [publish] {', '.join(keys)}", err=True)
    if not folds:
        typer.echo(
            "note: the study has frozen no folds, so that nobody can repeat a split; emer export training freezes them",
            err=True,
        )
