"""``emer init`` and ``emer status``: the study as a whole."""

from __future__ import annotations

from pathlib import Path

import typer

#: Too many to be tried one by one, and whole numbers in any program that reads JSON.
_SEEDS = 1 << 53


def init(
    folder: Path = typer.Argument(..., help="Folder of the new study; it must not exist or be empty."),
    title: str = typer.Option("New study", help="Title of the study."),
    clips_per_emotion: int = typer.Option(2, min=1, max=50, help="Placeholder clips for each emotion."),
    clip_seconds: float = typer.Option(4.0, min=1.0, max=600.0, help="Length of a placeholder clip."),
    seed: int | None = typer.Option(
        None,
        min=0,
        help="Seed of the study's random choices; drawn by default, since orders tell codes to who knows it.",
    ),
) -> None:
    """Make a study folder that works at once."""
    import secrets

    from data_schema.cli.talk import progress_bar
    from data_schema.study import init_study
    from data_schema.wording import quoted

    with progress_bar("making placeholder clips") as progress:
        study = init_study(
            folder,
            title=title,
            clips_per_emotion=clips_per_emotion,
            clip_s=clip_seconds,
            seed=secrets.randbelow(_SEEDS) if seed is None else seed,
            progress=progress,
        )
    typer.echo(str(study.root))
    typer.echo(
        f"{len(study.config.stimuli)} placeholder clips lie in {study.stimuli_dir}; replace them with yours.\n"
        f"Try a session without hardware: emer record rehearse {quoted(study.root)} --participant P001 --headless --speed 10",
        err=True,
    )


def status(
    study: Path | None = typer.Argument(None, help="Study folder; the current one by default."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Say where a study stands and what to do next."""
    import json

    from data_schema.study import find_study
    from data_schema.study.status import study_status

    found = study_status(find_study(study))
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2, ensure_ascii=False))
        return
    typer.echo(found.as_text())
