"""``emer export elan``: labels, marks and eye movements for ELAN."""

from __future__ import annotations

from pathlib import Path

import typer

from data_schema.cli.exports.publications import ACCEPT_CHANGED, say_stale, say_unanswered


def elan(
    study: Path = typer.Argument(..., help="The study folder."),
    out: Path = typer.Argument(..., help="Folder to make."),
    video: bool = typer.Option(True, "--video/--no-video", help="Write face videos that may leave beside the files."),
    force: bool = typer.Option(False, "--force", help="Replace a finished publication of this kind."),
    accept_changed: bool = ACCEPT_CHANGED,
) -> None:
    """Publish labels, marks and eye movements as ELAN files (.eaf), one a recording."""
    from data_schema.cli.talk import progress_bar
    from data_schema.publishing.datasheet import unanswered
    from data_schema.publishing.elan.export import export_elan
    from data_schema.publishing.folder import check_target
    from data_schema.publishing.publication import open_publication
    from data_schema.study import find_study
    from data_schema.wording import counted, quoted

    check_target(out, "elan", force)
    folder = find_study(study)
    publication = open_publication(folder, accept_changed=accept_changed)
    say_stale(folder)
    with progress_bar("recordings") as progress:
        n = export_elan(publication, out, force=force, video=video, progress=progress)
    typer.echo(f"{out}: {counted(n, 'file')}, {counted(len(publication.clips), 'clip')}")
    say_unanswered(unanswered(publication), bool(publication.folds))
    typer.echo(
        f"Labels edited in ELAN come back with: emer import elan {quoted(out)}/*.eaf --study {quoted(study)} --annotator a01 "
        "--task fer",
        err=True,
    )
