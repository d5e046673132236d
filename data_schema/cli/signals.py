"""``emer signals``: compute what is missing of the derived data."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import typer


def signals(
    study: Path | None = typer.Argument(None, help="The study folder; the one that you are in by default."),
    workers: int = typer.Option(0, min=0, help="Processes; 0 for one a core."),
    scheduler: str = typer.Option(
        "", help="Dask scheduler whose workers compute, such as tcp://host:8786 (extra cluster)."
    ),
    every: bool = typer.Option(False, "--all", help="Also of the clips that the quality rule leaves out."),
) -> None:
    """Compute eye movements, blinks, pupil, faces and features of all clips, where they are missing or out of date.

    They lie in the study's folder derived, with the parameters and the code's version that made them. A session that cannot be
    read does not stop the others.
    """
    from data_schema.cli.talk import progress_bar
    from data_schema.clips.table import load_current_clip_index
    from data_schema.derived import derive_session, derive_tasks
    from data_schema.errors import EmerError
    from data_schema.study import find_study
    from data_schema.wording import counted, quoted
    from data_schema.work import run_tasks

    folder = find_study(study)
    index = load_current_clip_index(folder)
    tasks = derive_tasks(folder, index if every else index[index["included"]])
    n_clips = sum(len(task.clips) for task in tasks.values())
    fresh, computed, done, clip_s, worker_s = 0, 0, 0, 0.0, 0.0
    parts: Counter[str] = Counter()
    failed: dict[str, EmerError] = {}
    with progress_bar("clips") as progress:
        progress(0, n_clips, "")
        for name, result in run_tasks(derive_session, tasks, workers=workers, scheduler=scheduler, keep_going=True):
            done += len(tasks[name].clips)
            progress(done, n_clips, name)
            if isinstance(result, EmerError):
                failed[name] = result
                continue
            fresh += result.n_clips - result.n_computed
            computed += result.n_computed
            parts.update(result.parts)
            clip_s, worker_s = clip_s + result.clip_seconds, worker_s + result.seconds
    typer.echo(
        f"{counted(n_clips, 'clip')} of {counted(len(tasks), 'session')}: {fresh} fresh, {computed} computed, "
        f"{counted(len(failed), 'session')} failed"
    )
    if computed:
        typer.echo("  computed: " + ", ".join(f"{part} of {counted(n, 'clip')}" for part, n in sorted(parts.items())))
    if computed and worker_s > 0:
        typer.echo(f"{clip_s / 60:.1f} minutes of clips at {clip_s / worker_s:.1f} times real time a process", err=True)
    for _, error in sorted(failed.items()):
        typer.echo(f"error: {error}", err=True)
    if failed:
        raise typer.Exit(1)
    export = folder.exports_dir / "training"
    again = " --force" if export.is_dir() else ""
    typer.echo(f"next: emer export training {quoted(folder.root)} {quoted(export)}{again}", err=True)
