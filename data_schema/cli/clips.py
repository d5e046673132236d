"""``emer clips`` and ``emer quality``: what the recordings are worth."""

from __future__ import annotations

from pathlib import Path

import typer

_STUDY = typer.Argument(None, help="The study folder; the current one by default.")


def clips(
    study: Path | None = _STUDY,
    hash_all: bool = typer.Option(
        False,
        "--hash-all",
        help="Read every session file whole for its SHA-256, also those that have not changed since.",
    ),
) -> None:
    """Cut all sessions into clips by the study's rule, and decide by its quality rule which are used."""
    from data_schema.cli.talk import progress_bar
    from data_schema.clips.index import index_study
    from data_schema.clips.rules import rule_in_words
    from data_schema.clips.table import write_clip_index
    from data_schema.study import find_study
    from data_schema.wording import counted

    folder = find_study(study)
    with progress_bar("sessions") as progress:
        built = index_study(folder, progress, hash_all=hash_all)
    table = built.table
    write_clip_index(folder.clip_index_path, table, built.facts)
    for item in built.skipped:
        typer.echo(f"passed over: {item.reason}", err=True)
    included = int(table["included"].sum())
    participants = counted(table["participant"].nunique(), "participant")
    typer.echo(f"{folder.clip_index_path}: {counted(len(table), 'clip')} of {participants}")
    typer.echo(f"  rule: {rule_in_words(folder.config.clips)}")
    typer.echo(f"  {included} included")
    for reason, count in table.loc[~table["included"], "exclusion_reason"].value_counts().items():
        typer.echo(f"  {count} left out: {reason}")
    waiting = int((table["trial_included"] & ~table["included"]).sum())
    if waiting and folder.config.clips.rule == "apex":
        typer.echo(f"  {waiting} of them are labelled all the same: annotators see whole trials (mark the apex with M)")
    if not len(table):
        raise typer.Exit(1)
