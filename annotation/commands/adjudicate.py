"""``emer annotate adjudicate``: decide on the clips on which annotators differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from data_schema.errors import UsageError


def adjudicate(
    study: Annotated[Path, typer.Argument(help="The study folder.")],
    task: Annotated[str, typer.Option(help="er or fer.")],
    adjudicator: Annotated[str, typer.Option(help="Who decides, such as e01; has a label file of their own.")],
    everything: Annotated[bool, typer.Option("--all", help="Show clips on which all agree as well.")] = False,
    list_only: Annotated[bool, typer.Option("--list", help="Print the cases and open no window.")] = False,
    settings: Annotated[Optional[Path], typer.Option(help="A settings file; default: the user's own.")] = None,  # noqa: UP045
    language: Annotated[str, typer.Option(help="en or zh; default: as in the settings.")] = "",
) -> None:
    """Open a window with everyone's labels under neutral names; a decision needs a reason and changes no label."""
    from annotation.adjudication.source import case_source, study_cases
    from data_schema.labels import check_annotator_id
    from data_schema.study import find_study
    from data_schema.vocabularies import TASKS

    if task not in TASKS:
        raise UsageError(f"--task is '{task}', expected one of {', '.join(TASKS)}.")
    check_annotator_id(adjudicator)
    folder = find_study(study)
    cases = study_cases(folder, task, everything=everything)
    if list_only:
        for case in cases:
            said = [one.emotion or one.skip_reason or "" for one in case.said]
            if len(set(said)) == 1 and case.said[0].emotion:
                # All name the same emotion: what they differ on is the polarity, or nothing.
                said = [f"{one.emotion}/{one.polarity or '-'}" for one in case.said]
            words = " ".join(f"{one.name}:{word}" for one, word in zip(case.said, said, strict=True))
            typer.echo(f"{case.disagreement:.2f}  {case.clip_id}  {words}{'  flagged' if case.flagged else ''}")
        return
    from annotation.app import import_qt
    from annotation.settings import SettingsFile
    from annotation.texts import LANGUAGES

    if language and language not in LANGUAGES:
        raise UsageError(f"--language is '{language}', expected one of {', '.join(LANGUAGES)}.")
    source = case_source(folder, task, adjudicator, cases)
    try:
        # After what imports cv2, before the window's modules: they import Qt.
        import_qt()
        from annotation.views.adjudication.running import run_adjudication

        status = run_adjudication(source, cases, SettingsFile(settings), language=language)
    finally:
        source.close()
    raise typer.Exit(status)
