"""``emer export csv``: tables for R, SPSS and spreadsheets."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import typer

from data_schema.cli.exports.publications import ACCEPT_CHANGED, say_stale, say_unanswered


class Decimal(str, Enum):
    """Decimal mark of the numbers."""

    POINT = "point"
    COMMA = "comma"


def csv(
    study: Path = typer.Argument(..., help="The study folder."),
    out: Path = typer.Argument(..., help="Folder to make."),
    decimal: Decimal = typer.Option(
        Decimal.POINT,
        help="point: cells separated by commas; comma: by semicolons, as Excel expects in much of Europe.",
    ),
    force: bool = typer.Option(False, "--force", help="Replace a finished publication of this kind."),
    accept_changed: bool = ACCEPT_CHANGED,
) -> None:
    """Publish the study as CSV files with a codebook and scripts that read them into R and SPSS."""
    from data_schema.publishing.datasheet import unanswered
    from data_schema.publishing.folder import check_target
    from data_schema.publishing.publication import open_publication
    from data_schema.publishing.tables.csv_folder import export_csv
    from data_schema.study import find_study

    check_target(out, "csv", force)
    folder = find_study(study)
    publication = open_publication(folder, accept_changed=accept_changed)
    say_stale(folder)
    result = export_csv(publication, out, decimal=decimal.value, force=force)
    typer.echo(
        f"{out}: {len(result.tables)} tables; {result.numbers.clips} clips of {result.numbers.participants} participants"
    )
    for item in publication.withheld:
        typer.echo(f"  held back: {item.what}: {item.count} ({item.why})", err=True)
    say_unanswered(unanswered(publication), bool(publication.folds))
    typer.echo(f"Read {out / 'codebook.md'}; in R: source('import.R', chdir = TRUE)", err=True)
