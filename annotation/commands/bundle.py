"""``emer annotate bundle``: what an annotator takes along."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from data_schema.errors import UsageError


def bundle(
    study: Annotated[Optional[Path], typer.Argument(help="The study folder; the current one by default.")] = None,  # noqa: UP045
    task: Annotated[str, typer.Option(help="The pass: fer or er.")] = "",
    annotator: Annotated[str, typer.Option(help="For whom, such as a01.")] = "",
    out: Annotated[Optional[Path], typer.Option(help="The folder to make.")] = None,  # noqa: UP045
    with_guesses: Annotated[bool, typer.Option("--with-guesses", help="Take along a model's guesses.")] = False,
    only_shared: Annotated[
        bool,
        typer.Option("--only-shared", help="Leave out participants who did not agree that their data are passed on."),
    ] = False,
    check: Annotated[Optional[Path], typer.Option(help="Look at a bundle that is there: is it whole?")] = None,  # noqa: UP045
) -> None:
    """Make the folder that an annotator takes along: clips under opaque names, and nothing the pass must not see."""
    if check is not None:
        if study is not None or task or annotator or out is not None:
            raise UsageError("--check FOLDER looks at a bundle that is there; leave the other options out.")
        _check(check)
        return
    lacking = [name for name, value in (("--task", task), ("--annotator", annotator), ("--out", out)) if not value]
    if lacking or out is None:
        raise UsageError(
            f"{', '.join(lacking)} missing. Say for whom: emer annotate bundle STUDY --task fer --annotator a01 --out FOLDER"
        )
    _make(study, task, annotator, out, with_guesses, only_shared)


def _make(study: Path | None, task: str, annotator: str, out: Path, with_guesses: bool, only_shared: bool) -> None:
    from annotation.bundle import build_bundle
    from annotation.sources.study import StudySource
    from data_schema.cli.talk import progress_bar
    from data_schema.study import find_study

    folder = find_study(study)
    source = StudySource(folder, task, annotator)
    try:
        with progress_bar("clips") as progress:
            made = build_bundle(
                folder, source, out, with_guesses=with_guesses, only_shared=only_shared, progress=progress
            )
    finally:
        source.close()
    typer.echo(f"{made.folder}: {made.n_items} clips for {annotator}, {task} pass")
    for clip, reason in made.left_out.items():
        typer.echo(f"left out: {clip}: {reason}", err=True)
    if made.n_resumed:
        typer.echo(f"{made.n_resumed} clips were ready from an earlier attempt.", err=True)
    if made.needs_code:
        typer.echo("The main part opens with a code: `emer annotate merge` gives it once the test is passed.", err=True)
    typer.echo(f"The key stays here: {made.key}. Without it the labels cannot come home; never hand it out.", err=True)


def _check(folder: Path) -> None:
    from annotation.bundle import check_bundle
    from data_schema.cli.talk import progress_bar

    with progress_bar("files") as progress:
        found = check_bundle(folder, progress)
    for problem in found.problems:
        typer.echo(problem)
    said = found.manifest
    typer.echo(
        f"{folder}: {len(said.items)} clips for {said.annotator_id}, {said.task} pass; {found.n_files} files, "
        f"{found.size / 1e6:.1f} MB; {'whole' if not found.problems else f'{len(found.problems)} problems'}"
    )
    if found.problems:
        raise typer.Exit(1)
