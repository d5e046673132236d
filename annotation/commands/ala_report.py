"""``emer annotate ala-report``: what a model's guesses did to the labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from annotation.active_learning.report import AlaReport, Estimate


def ala_report(
    study: Annotated[Optional[Path], typer.Argument(help="The study folder; the current one by default.")] = None,  # noqa: UP045
    task: Annotated[str, typer.Option(help="er or fer.")] = "fer",
    draws: Annotated[int, typer.Option(min=100, max=100_000, help="Bootstrap draws of each interval.")] = 2000,
    out: Annotated[Optional[Path], typer.Option(metavar="FILE.json", help="Write all figures as JSON.")] = None,  # noqa: UP045
    force: Annotated[bool, typer.Option("--force", help="Replace the file that is there.")] = False,
) -> None:
    """Say how many guesses were taken over, what labour that saved, and how far seeing a guess pulls a label."""
    import json

    from annotation.active_learning.report import ala_report as compute
    from annotation.status import read_study_labels
    from data_schema.errors import LabelError, UsageError
    from data_schema.labels import read_log
    from data_schema.labels.csv import write_whole
    from data_schema.study import find_study
    from data_schema.vocabularies import TASKS

    if task not in TASKS:
        raise UsageError(f"--task is '{task}', expected one of {', '.join(TASKS)}.")
    if out is not None and out.suffix != ".json":
        raise UsageError(f"--out is '{out.name}', expected a name that ends in .json.")
    folder = find_study(study)
    guesses = read_log(folder.label_places(), "guesses")
    if not (guesses["task"] == task).any():
        raise LabelError(
            f"{folder.root}: no guess was shown or held back in the {task.upper()} pass. Guesses come from "
            "`emer predict RUN` and are offered while people label."
        )
    report = compute(guesses, read_study_labels(folder), task, n_bootstrap=draws, seed=folder.config.study.seed)
    typer.echo(_text(report))
    if out is not None:
        data = json.dumps(report.as_json(), indent=1, sort_keys=True, allow_nan=False) + "\n"
        write_whole(out, data.encode("utf-8"), overwrite=force)
        typer.echo(f"All figures: {out}", err=True)


def _text(report: AlaReport) -> str:
    percent = f"{100 * report.level:g} %"
    lines = [
        f"{report.task.upper()} pass: {report.n_shown} labels after a guess, {report.n_control} blind on purpose, "
        f"{report.n_unseen} before the guess could be seen; {len(report.annotators)} annotators"
        + (" (simulated ones among them)" if report.simulated else ""),
        "",
        f"{'':44}{'figure':>8}  {percent + ' interval':<20}{'n':>6}",
        _line("taken over with one key", report.accepted),
        _line("changed to another emotion", report.changed),
        _line("the same emotion, given by hand", report.retyped),
        _line("skipped", report.skipped),
        _line("median seconds a clip, with a guess", report.seconds_shown, "{:.1f}"),
        _line("median seconds a clip, blind", report.seconds_control, "{:.1f}"),
        _line("share of the time saved", report.time_saved),
        _line("says what the model says, guess seen", report.agreement_shown),
        _line("says what the model says, blind", report.agreement_control),
        _line("anchoring: the difference, within annotators", report.anchoring, "{:+.3f}"),
        _line("anchoring where others contradict the guess", report.anchoring_wrong, "{:+.3f}"),
        _line("valence pulled towards the guess", report.valence_pull, "{:+.3f}"),
    ]
    if report.hours_saved is not None:
        lines.append(f"{'hours saved so far':44}{report.hours_saved:>8.2f}")
    if report.anchoring.value is None:
        lines += ["", "Too few blind clips for the anchoring: raise control_share in [annotation], or label on."]
    return "\n".join(lines)


def _line(words: str, estimate: Estimate, form: str = "{:.3f}") -> str:
    if estimate.value is None:
        return f"{words:44}{'-':>8}  {'':20}{estimate.n:>6}"
    interval = ""
    if estimate.low is not None and estimate.high is not None:
        interval = f"{form.format(estimate.low)} to {form.format(estimate.high)}"
    return f"{words:44}{form.format(estimate.value):>8}  {interval:<20}{estimate.n:>6}"
