"""``emer maps``: where people looked, as images and videos."""

from __future__ import annotations

from pathlib import Path

import typer


def maps(
    study: Path | None = typer.Argument(None, help="The study folder; the current one by default."),
    out: Path | None = typer.Option(None, help="Folder for the maps; STUDY/reports/maps by default."),
    clip: list[str] | None = typer.Option(
        None,
        "--clip",
        help="A clip, participant or stimulus, * for anything; repeatable. All included clips by default.",
    ),
    videos: bool = typer.Option(
        False, "--videos", help="Also gaze over each clip's stimulus, and all participants' looks over each stimulus."
    ),
    sigma_deg: float = typer.Option(1.0, min=0.1, max=10.0, help="Width of a fixation, degrees of visual angle."),
    force: bool = typer.Option(False, "--force", help="Replace maps that are there."),
) -> None:
    """Draw fixation maps over the stimuli, of each clip and of all participants together, in stimulus coordinates."""
    from data_schema.cli.talk import progress_bar
    from data_schema.overlays.study import chosen_clips, draw_maps
    from data_schema.study import find_study
    from data_schema.wording import counted

    folder = find_study(study)
    target = out if out is not None else folder.reports_dir / "maps"
    clips = chosen_clips(folder, tuple(clip or ()))
    with progress_bar("clips") as progress:
        drawn = draw_maps(folder, target, clips, videos=videos, sigma_deg=sigma_deg, force=force, progress=progress)
    for reason in drawn.skipped:
        typer.echo(f"passed over: {reason}", err=True)
    typer.echo(f"{target}: {counted(len(drawn.files), 'file')}")
    if not drawn.files:
        raise typer.Exit(1)
