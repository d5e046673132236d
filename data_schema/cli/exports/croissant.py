"""``emer export croissant``: tables with a description that machines read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from data_schema.cli.exports.publications import ACCEPT_CHANGED, say_stale, say_unanswered

if TYPE_CHECKING:
    from data_schema.publishing.numbers import Numbers
    from data_schema.publishing.tables.declarations import PublishedTable


def croissant(
    study: Path = typer.Argument(..., help="The study folder."),
    out: Optional[Path] = typer.Argument(None, help="Folder to make: Parquet tables with croissant.json."),  # noqa: UP045
    tables: Optional[Path] = typer.Option(  # noqa: UP045
        None, "--for", help="Describe this folder of emer export parquet instead, and write croissant.json into it."
    ),
    force: bool = typer.Option(False, "--force", help="Replace a finished publication of this kind."),
    accept_changed: bool = ACCEPT_CHANGED,
) -> None:
    """Publish Parquet tables with their Croissant 1.1 description, checked by mlcroissant."""
    from data_schema.cli.talk import progress_bar
    from data_schema.errors import UsageError
    from data_schema.publishing.croissant import CROISSANT_NAME, add_croissant, check_croissant, write_croissant
    from data_schema.publishing.datasheet import unanswered
    from data_schema.publishing.folder import check_target
    from data_schema.publishing.publication import open_publication
    from data_schema.publishing.tables.parquet import export_parquet
    from data_schema.study import find_study

    if (out is None) == (tables is None):
        raise UsageError("name either a folder to make, or with --for a folder that emer export parquet has made.")
    import mlcroissant  # noqa: F401  (before the work, not after it)

    if out is not None:
        check_target(out, "croissant", force)
    folder = find_study(study)
    publication = open_publication(folder, accept_changed=accept_changed)
    say_stale(folder)
    warnings: list[str] = []

    def describe(made: Path, numbers: Numbers, declared: tuple[PublishedTable, ...]) -> None:
        write_croissant(publication, numbers, declared, made)
        warnings.extend(check_croissant(made / CROISSANT_NAME))

    if out is not None:
        with progress_bar("recordings") as progress:
            export_parquet(
                publication,
                out,
                force=force,
                kind="croissant",
                progress=progress,
                more=describe,
            )
        path = out / CROISSANT_NAME
    else:
        path = add_croissant(publication, Path(str(tables)), warnings)
    for warning in warnings:
        typer.echo(f"warning: mlcroissant: {warning}", err=True)
    say_unanswered(unanswered(publication), bool(publication.folds))
    typer.echo(str(path))
