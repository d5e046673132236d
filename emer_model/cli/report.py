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
    latex: Path | None = typer.Option(
        None, metavar="FOLDER", help="Write the tables of the figures there, too, as LaTeX (package booktabs)."
    ),
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
    if latex is not None and not force and latex.is_dir() and any(latex.glob("*.tex")):
        raise UsageError(f"--latex {latex}: holds tables. Choose another folder, or pass --force to replace them.")
    size = write_report(runs, export, out, tell=talk, latex=latex)
    typer.echo(str(out))
    if latex is not None:
        typer.echo(str(latex))
    typer.echo(f"Export: {export}", err=True)
    typer.echo(f"{size / 1e6:.1f} MB, opens in any browser without a network.", err=True)
