"""``emer annotate assign``: who judges what, frozen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def assign(
    study: Annotated[Optional[Path], typer.Argument(help="The study folder; the current one by default.")] = None,  # noqa: UP045
    annotator: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="A newcomer, where study.toml lists no annotators; repeat for more."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be handed out.")] = False,
) -> None:
    """Hand out the clips that nobody has yet. What was handed out stays as it is."""
    from annotation.queue.assignments import assignments_path, extend_assignments, queue_counts
    from annotation.status import finished_clips
    from data_schema.errors import UsageError
    from data_schema.study import find_study

    folder = find_study(study)
    extension = extend_assignments(folder, annotator or (), finished=finished_clips(folder), dry_run=dry_run)
    if not extension.n_new:
        raise UsageError(
            "study.toml lists no annotators, so whoever opens the tool gets all clips. To share them out, name the "
            "annotators in [annotation]; to make the queue of one ahead, add --annotator a01."
        )
    table = queue_counts(extension.table)
    table.insert(2, "new", [extension.n_new.get(key, 0) for key in zip(table["annotator"], table["task"], strict=True)])
    typer.echo(table.to_string(index=False))
    for note in extension.notes:
        typer.echo(note, err=True)
    n_new = sum(extension.n_new.values())
    if dry_run:
        typer.echo(f"{n_new} items would be added; nothing was written.", err=True)
    else:
        typer.echo(f"{assignments_path(folder)}: {n_new} items added, the others stay as they were", err=True)
