"""``emer check``, ``emer repair``, ``emer describe``: session files."""

from __future__ import annotations

import json
from pathlib import Path

import typer

_FILES = typer.Argument(
    None, help="Session files, or study folders (all their sessions); the current study by default.", show_default=False
)


def _session_files(paths: list[Path] | None) -> list[Path]:
    from data_schema.errors import StudyError
    from data_schema.study import StudyFolder, find_study

    files: list[Path] = []
    for path in paths or [find_study().root]:
        if path.is_dir():
            found = StudyFolder(path).session_files()
            if not found:
                raise StudyError(
                    f"{path}: the study has no sessions yet. Record one: emer record rehearse {path} --headless"
                )
            files += found
        else:
            files.append(path)
    return files


def check(files: list[Path] | None = _FILES, as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Check session files against their layout and against themselves."""
    from data_schema.errors import SessionFileError
    from data_schema.session.validate import Finding, check_session

    bad = False
    results = []
    for path in _session_files(files):
        try:
            findings = check_session(path)
        except SessionFileError as error:
            message = str(error).removeprefix(f"{path.name}: ")
            findings = [Finding("error", "", message)]
        bad = bad or any(finding.level == "error" for finding in findings)
        if as_json:
            results.append({"file": str(path), "findings": [vars(finding) for finding in findings]})
            continue
        verdict = "good" if not findings else "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
        typer.echo(f"{path}: {verdict}")
        for finding in findings:
            typer.echo(f"  {finding}")
    if as_json:
        typer.echo(json.dumps(results, indent=2, ensure_ascii=False))
    if bad:
        raise typer.Exit(1)


def repair(files: list[Path] | None = _FILES) -> None:
    """Bring interrupted session files into good order; the old file is kept beside the new one."""
    from data_schema.errors import SessionFileError
    from data_schema.session.repair import repair_session

    failed = False
    for path in _session_files(files):
        try:
            result = repair_session(path)
        except SessionFileError as error:
            typer.echo(f"error: {error}", err=True)
            failed = True
            continue
        if not result.repaired:
            typer.echo(f"{path}: in good order, nothing to repair")
            continue
        saved = sum(result.rows.values())
        typer.echo(f"{path}: repaired, {saved} rows saved")
        for loss in result.losses or ["nothing that had been written was lost"]:
            typer.echo(f"  {loss}")
        for finding in result.findings:
            typer.echo(f"  {finding}")
        if result.backup is not None:
            typer.echo(f"  the interrupted file is kept as {result.backup.name}")
    if failed:
        raise typer.Exit(1)


def describe(
    files: list[Path] | None = _FILES, as_json: bool = typer.Option(False, "--json", help="Print JSON.")
) -> None:
    """Say what is in session files: devices, streams, rates, trials."""
    from data_schema.errors import SessionFileError
    from data_schema.session.describe import as_text, describe_session

    described, failed = [], False
    for path in _session_files(files):
        try:
            described.append(describe_session(path))
        except SessionFileError as error:
            typer.echo(f"error: {error}", err=True)
            failed = True
    if as_json:
        typer.echo(json.dumps(described, indent=2, ensure_ascii=False))
    else:
        for item in described:
            typer.echo(as_text(item))
    if failed:
        raise typer.Exit(1)
