"""`emer report`: one page on the data and the runs."""

from __future__ import annotations

from pathlib import Path

import typer

from data_schema.errors import UsageError
from emer_model.cli.talk import require_folder, talk


def report(
    runs: list[Path] = typer.Argument(..., metavar="RUN...", help="Run folders of `emer train`."),
    export: Path = typer.Option(..., metavar="EXPORT", help="The training export of these runs."),
    out: Path = typer.Option(Path("report.html"), metavar="FILE.html", help="The page to write."),
    force: bool = typer.Option(False, "--force", help="Replace the page that is there."),
) -> None:
    """Write one self-contained HTML page on the data and the runs.

    The figures are of the finished folds, from the folds' own files, whose hashes are checked.
    """
    from emer_model.report import write_report

    require_folder(export, "EXPORT")
    for path in runs:
        require_folder(path, "RUN")
    if out.exists() and not force:
        raise UsageError(f"--out {out}: exists. Choose another name, or pass --force to replace it.")
    size = write_report(runs, export, out, tell=talk)
    typer.echo(str(out))
    typer.echo(f"Export: {export}", err=True)
    typer.echo(f"{size / 1e6:.1f} MB, opens in any browser without a network.", err=True)
