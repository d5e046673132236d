"""``emer annotate consensus``: what the annotators of each clip say together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from data_schema.errors import UsageError


def consensus(
    study: Annotated[Optional[Path], typer.Argument(help="The study folder; the current one by default.")] = None,  # noqa: UP045
    task: Annotated[str, typer.Option(help="er or fer.")] = "er",
    method: Annotated[
        str, typer.Option(help="majority or dawid-skene, of emotion and polarity; scales are means.")
    ] = "majority",
    decisions: Annotated[bool, typer.Option(help="Put adjudicators' decisions on top.")] = True,
    out: Annotated[Optional[Path], typer.Option(help="A .csv or .parquet file; default: print.")] = None,  # noqa: UP045
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Say what the annotators of each clip say together; ties stay ties."""
    from annotation.status import of_one_recording, read_study_labels
    from data_schema.labels import read_log
    from data_schema.labels.consensus import METHODS
    from data_schema.labels.consensus import consensus as compute
    from data_schema.labels.csv import write_whole
    from data_schema.study import find_study
    from data_schema.vocabularies import TASKS

    if task not in TASKS:
        raise UsageError(f"--task is '{task}', expected one of {', '.join(TASKS)}.")
    if method not in METHODS:
        raise UsageError(f"--method is '{method}', expected one of {', '.join(METHODS)}.")
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise UsageError(f"--out is '{out.name}', expected a name that ends in .csv or .parquet.")
    folder = find_study(study)
    labels = of_one_recording(read_study_labels(folder), folder)
    decided = read_log(folder.label_places(), "decisions") if decisions else None
    if decided is not None:
        decided = of_one_recording(decided, folder, "decisions", judged=labels)
    table = compute(labels, task, method=method, decisions=decided)
    text = table.to_csv(index=False, lineterminator="\n")
    if out is None:
        typer.echo(text, nl=False)
    else:
        data = text.encode("utf-8") if out.suffix == ".csv" else table.to_parquet(index=False)
        write_whole(out, data, overwrite=force)
        typer.echo(f"{out}: {len(table)} clips")
    n_ties = int((table["emotion_tie"] != "").sum())
    n_decided = int(table["decided_by"].notna().sum())
    n_open = int(table["emotion"].isna().sum()) - n_ties
    typer.echo(
        f"{len(table)} clips, {n_ties} ties, {n_decided} decided by adjudicators, {n_open} without a label", err=True
    )
    kinds = sorted(
        {kind for kinds in table["annotator_kinds"] for kind in str(kinds).split("|") if kind == "simulated"}
    )
    if kinds:
        typer.echo("Simulated annotators are among the raters; the column annotator_kinds says where.", err=True)
