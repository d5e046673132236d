"""What the verbs that publish have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from data_schema.study.folder import StudyFolder

#: For labels that were given before a recording was repaired.
ACCEPT_CHANGED = typer.Option(
    False, "--accept-changed-recordings", help="Take labels that were given to another version of a recording."
)


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
