"""``emer annotate agreement``: how far annotators agree with each other and with themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from data_schema.errors import UsageError

if TYPE_CHECKING:
    from annotation.agreement import AgreementReport

_KINDS = ("human", "simulated", "model")
_ENDINGS = (".csv", ".json", ".html")


def agreement(
    study: Annotated[Optional[Path], typer.Argument(help="The study folder; the current one by default.")] = None,  # noqa: UP045
    task: Annotated[Optional[str], typer.Option(help="er or fer; default: both, each on its own.")] = None,  # noqa: UP045
    kind: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help="human, simulated or model; may be repeated. Default: people, or if there are none, simulated."
        ),
    ] = None,
    resamples: Annotated[int, typer.Option(min=0, max=100_000, help="Bootstrap resamples over clips; 0: none.")] = 2000,
    out: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="A .csv, .json or .html file to write; may be repeated. Default: print the table."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Compute how far annotators agree: alpha, kappas, AC1, ICC, CCC, each with a 95 % interval."""
    from annotation.agreement import agreement as compute
    from annotation.agreement.counted import counted_labels
    from data_schema.study import find_study
    from data_schema.vocabularies import TASKS

    if task is not None and task not in TASKS:
        raise UsageError(f"--task is '{task}', expected one of {', '.join(TASKS)}.")
    for word in kind or ():
        if word not in _KINDS:
            raise UsageError(f"--kind is '{word}', expected one of {', '.join(_KINDS)}.")
    targets = list(out or ())
    for path in targets:
        if path.suffix not in _ENDINGS:
            raise UsageError(f"--out is '{path.name}', expected a name that ends in {', '.join(_ENDINGS)}.")
    folder = find_study(study)
    report = compute(
        counted_labels(folder),
        title=folder.config.study.title,
        kinds=tuple(kind or ()),
        tasks=TASKS if task is None else (task,),
        emotions=folder.config.labels.emotions,
        n_resamples=resamples,
        seed=folder.config.study.seed,
    )
    if not report.passes:
        raise UsageError(
            f"{folder.labels_dir}: no labels by annotators of kind {', '.join(report.kinds)}"
            + (f" in the pass {task}." if task else ".")
            + (
                f" There are labels by {', '.join(report.left_out)}: choose them with --kind."
                if report.left_out
                else ""
            )
        )
    _tell(report)
    if not targets:
        typer.echo(as_text(report))
    for path in targets:
        _write(report, path, force)


def as_text(report: AgreementReport) -> str:
    """Write the table: one row a pass and field or class."""
    from annotation.agreement.measures import MEASURES
    from annotation.agreement.page import figure_text, interval_text

    lines: list[list[str]] = []
    parts = []
    for one in report.passes:
        if not one.has_overlap:
            who = ", ".join(rater.shown_name for rater in one.raters)
            parts.append(f"{one.task}  nothing to compare: no clip was labelled by two annotators yet ({who})")
            continue
        for row in one.rows:
            cells = [row.task, row.title, str(row.n_clips), str(row.n_raters)]
            for measure in MEASURES:
                found = row.figures.get(measure.name)
                cells.append("" if found is None else f"{figure_text(found.value)} {interval_text(found)}".strip())
            lines.append(cells)
    heads = ["task", "field", "clips", "raters", *(measure.title for measure in MEASURES)]
    # Fifteen measures do not stand side by side on a screen: each is a line of its own below its field.
    for cells in lines:
        parts.append(f"{cells[0]}  {cells[1]}   {cells[2]} clips, {cells[3]} raters")
        parts += [f"    {head:14} {cell}" for head, cell in zip(heads[4:], cells[4:], strict=True) if cell]
    return "\n".join([*parts, *_consistency_lines(report)])


def _consistency_lines(report: AgreementReport) -> list[str]:
    from annotation.agreement.page import figure_text, interval_text

    lines = []
    for one in report.passes:
        for entry in one.consistency:
            found = entry.kappa if entry.kappa.value is not None else entry.ccc
            name = "κ Cohen" if entry.kappa.value is not None else "CCC"
            lines.append(
                f"{one.task}  {entry.rater.shown_name} with themselves, {entry.field}   {entry.n_clips} clips\n"
                f"    {name:14} {figure_text(found.value)} {interval_text(found)}".rstrip()
            )
    return lines


def _tell(report: AgreementReport) -> None:
    if report.simulated:
        typer.echo(
            f"Simulated annotators: {', '.join(report.simulated)}. These figures say nothing about people.", err=True
        )
    if report.left_out:
        typer.echo(f"Left out: {', '.join(report.left_out)}; --kind takes them in.", err=True)


def _write(report: AgreementReport, path: Path, force: bool) -> None:
    import json

    from data_schema.labels.csv import write_whole

    if path.suffix == ".csv":
        text = report.table().to_csv(index=False, lineterminator="\n")
    elif path.suffix == ".json":
        text = json.dumps(report.as_json(), indent=1, ensure_ascii=False) + "\n"
    else:
        from annotation.agreement.page import render

        text = render(report)
    write_whole(path, text.encode("utf-8"), overwrite=force)
    typer.echo(str(path))
