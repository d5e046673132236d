"""``emer annotate frames``: the frames that annotators marked, as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def frames(
    study: Annotated[Path, typer.Argument(help="The study folder.")],
    out: Annotated[Path, typer.Argument(help="A new folder for frames.csv and the pictures.")],
    task: Annotated[Optional[str], typer.Option(help="er or fer; default: both.")] = None,  # noqa: UP045
    kind: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="apex, onset or offset; repeat for more; default: all."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a folder that this verb wrote.")] = False,
) -> None:
    """Write the marked frames (apex, onset, offset) as PNG, with a table of who marked what."""
    from annotation.marked_frames import write_marked_frames
    from data_schema.errors import ExportError, UsageError
    from data_schema.study import find_study
    from data_schema.vocabularies import TASKS

    if task is not None and task not in TASKS:
        raise UsageError(f"--task is '{task}', expected one of {', '.join(TASKS)}.")
    unknown = sorted(set(kind or ()) - {"apex", "onset", "offset"})
    if unknown:
        raise UsageError(f"--kind is '{unknown[0]}', expected apex, onset or offset.")
    folder = find_study(study)
    written = write_marked_frames(folder, folder.label_places(), out, task=task, kinds=kind or (), overwrite=force)
    typer.echo(f"{out}: {written.n_images} frames")
    typer.echo("The pictures show participants' faces: share them only as far as the consent goes.", err=True)
    for problem in written.problems:
        typer.echo(f"not written: {problem}", err=True)
    if written.problems:
        raise ExportError(
            f"{len(written.problems)} marked frames were not written; {out / 'frames.csv'} has them all, with the reasons."
        )
