"""``emer annotate merge``: bring labels home."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def merge(
    study: Annotated[Path, typer.Argument(help="The study folder.")],
    paths: Annotated[list[Path], typer.Argument(help="Label files, or folders that hold them, such as bundles.")],
) -> None:
    """Merge label files from bundles, or copies, into the study: in any order, as often as you like."""
    from annotation.bundle import merge_labels
    from data_schema.cli.talk import progress_bar
    from data_schema.study import find_study

    with progress_bar("files") as progress:
        files, admitted = merge_labels(find_study(study), paths, progress)
    for file in files:
        added = ", ".join(f"{count} {log}" for log, count in file.n_added.items() if count) or "nothing new"
        n_present = sum(file.n_present.values())
        who = " ".join(word for word in (file.annotator_id, file.task) if word)
        typer.echo(f"{file.path}: {who}: {added}; {n_present} rows there already")
        for text in (*file.notes, *file.problems):
            typer.echo(f"{file.path.name}: {text}", err=True)
    for one in admitted:
        if one.problem:
            typer.echo(f"{one.annotator_id} {one.task}: the admission test cannot be judged: {one.problem}", err=True)
        elif one.passed is None:
            typer.echo(f"{one.annotator_id} {one.task}: {one.n_open} clips of the admission test are open")
        elif one.passed:
            typer.echo(f"{one.annotator_id} {one.task}: admission test passed; the code to send: {one.code}")
        else:
            typer.echo(
                f"{one.annotator_id} {one.task}: admission test not passed; `emer annotate status {study}` shows the share. "
                "To let them go on all the same, lower admission_share in study.toml and merge again: it gives the code."
            )
    if any(file.problems for file in files):
        raise typer.Exit(1)
