"""``emer withdraw``: take a participant out of a study."""

from __future__ import annotations

from pathlib import Path

import typer

#: So many files of one folder are listed one by one; of more the folder is named.
_LISTED = 8


def _by_folder(paths: list[str]) -> list[str]:
    """Return the lines that list files, those of a crowded folder as one."""
    folders: dict[str, list[str]] = {}
    for path in paths:
        folders.setdefault(path.rpartition("/")[0], []).append(path)
    lines = []
    for folder, files in folders.items():
        crowded = len(files) > _LISTED
        lines += [f"{folder or '.'}: {len(files)} files, such as {files[0].rpartition('/')[2]}"] if crowded else files
    return lines


def withdraw(
    study: Path = typer.Argument(..., help="The study folder."),
    participant: str = typer.Argument(..., help="Code of the participant who withdraws, such as P017."),
    dry_run: bool = typer.Option(False, "--dry-run", help="List what would be done, and change nothing."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
    delete_models: bool = typer.Option(
        False,
        "--delete-models",
        help="Delete training runs that learnt from the participant, instead of marking them as stale.",
    ),
    keep_mentions: bool = typer.Option(
        False,
        "--keep-mentions",
        help="Go on although somebody wrote the code into recordings of others, and leave it there.",
    ),
) -> None:
    """Remove a participant from recordings, clips, labels, exports and training lists, and search every byte for what is left.

    Everybody else's folds stay as they are. It cannot be undone.
    """
    from data_schema.cli.talk import progress_bar
    from data_schema.study import find_study
    from data_schema.withdrawal.plan import KINDS
    from data_schema.withdrawal.withdraw import plan_withdrawal, withdraw_participant
    from data_schema.wording import counted

    folder = find_study(study)
    with progress_bar("files") as progress:
        plan = plan_withdrawal(folder, participant, delete_models=delete_models, progress=progress)
    for kind, meaning in KINDS.items():
        paths = [action.path for action in plan.actions if action.kind == kind]
        if paths:
            typer.echo(f"{meaning}:")
            for line in _by_folder(paths):
                typer.echo(f"  {line}")
    if plan.perhaps:
        typer.echo(f"left as it is, but {participant} stands there as a word; look whether it means the participant:")
        for path in plan.perhaps:
            typer.echo(f"  {path}")
    typer.echo("out of this program's reach, for you to do:")
    for line in plan.elsewhere:
        typer.echo(f"  {line}")
    if dry_run:
        return
    if not yes:
        said = typer.prompt(
            f"This cannot be undone. Type {participant} to go on", default="", show_default=False, err=True
        )
        if said.strip() != participant:
            typer.echo("nothing was changed", err=True)
            raise typer.Exit(1)
    with progress_bar("files") as progress:
        outcome = withdraw_participant(
            folder, participant, delete_models=delete_models, keep_mentions=keep_mentions, progress=progress
        )
    removed = ", ".join(f"{count} {what}" for what, count in outcome.record["removed"].items() if count)
    typer.echo(f"{participant} has been withdrawn: {removed or 'nothing was left to remove'}")
    but = f" but {outcome.record['left']}" if "left" in outcome.record else ""
    typer.echo(
        f"searched {counted(outcome.n_files, 'file')}, {outcome.n_bytes / 1e6:.1f} MB: no trace{but}. The record without the "
        "identity is in withdrawals.json."
    )
    for line in outcome.unopened:
        typer.echo(f"could not be looked into, searched as it lies: {line}", err=True)
    typer.echo("Never give this code to anybody else: the study no longer knows that it was taken.", err=True)
