"""``emer annotate status``: how far the annotators are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    import pandas as pd

    from data_schema.study import StudyFolder


def status(
    study: Annotated[Optional[Path], typer.Argument(help="The study folder; the current one by default.")] = None,  # noqa: UP045
) -> None:
    """Show per annotator and pass what is done and open, the pace, the admission test and how repeats agree."""
    from datetime import datetime, timezone

    import pandas as pd

    from annotation.queue.gold import read_study_gold
    from annotation.queue.queues import read_all_queues
    from annotation.queue.standing import STANDING_COLUMNS, standings
    from annotation.simulate import included_clips
    from annotation.status import read_study_labels
    from data_schema.study import find_study

    folder = find_study(study)
    queues = read_all_queues(folder)
    labels = read_study_labels(folder, empty_is_fine=bool(queues))
    clips = included_clips(folder)
    hashes = dict(zip(clips["clip_id"].astype(str), clips["session_sha256"].astype(str), strict=True))
    now = datetime.now(timezone.utc).astimezone()
    rows = standings(labels, queues, hashes, read_study_gold(folder), folder.config.annotation, now)
    typer.echo(pd.DataFrame(rows, columns=list(STANDING_COLUMNS)).to_string(index=False))
    _tell_unassigned(folder, queues, set(hashes))
    _tell_stale(folder, labels)


def _tell_unassigned(folder: StudyFolder, queues: dict[tuple[str, str], list], clip_ids: set[str]) -> None:  # type: ignore[type-arg]
    """Say how many clips nobody has, in a study whose clips are shared among listed annotators."""
    if not folder.config.annotation.annotators:
        return
    for task in ("er", "fer"):
        handed_out = {entry.item.clip_id for (_, of), queue in queues.items() if of == task for entry in queue}
        n_left = len(clip_ids - handed_out)
        if n_left:
            typer.echo(
                f"{n_left} clips of the {task.upper()} pass are not handed out: emer annotate assign {folder.root}",
                err=True,
            )


def _tell_stale(folder: StudyFolder, labels: pd.DataFrame) -> None:
    """Say whose labels are of clips that are gone, or of recordings that changed since."""
    from annotation.status import clip_hashes, stale_labels

    stale = stale_labels(labels, clip_hashes(folder))
    n_gone, n_changed = int(stale["n_gone"].sum()), int(stale["n_changed"].sum())
    if n_gone:
        who = ", ".join(f"{name} {n}" for name, n in zip(stale["annotator"], stale["n_gone"], strict=True) if n)
        typer.echo(f"{n_gone} labels are of clips that the study does not have (any more): {who}.", err=True)
    if n_changed:
        who = ", ".join(f"{name} {n}" for name, n in zip(stale["annotator"], stale["n_changed"], strict=True) if n)
        typer.echo(
            f"{n_changed} labels were given before their recording changed: {who}; look at those clips again.", err=True
        )
