"""``emer annotate``: labels in, labels out, and how far the annotators are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from annotation.commands.adjudicate import adjudicate
from annotation.commands.agreement import agreement
from annotation.commands.ala_report import ala_report
from annotation.commands.assign import assign
from annotation.commands.bundle import bundle
from annotation.commands.consensus import consensus
from annotation.commands.database import database
from annotation.commands.frames import frames
from annotation.commands.merge import merge
from annotation.commands.open import open_
from annotation.commands.status import status
from data_schema.errors import UsageError

app = typer.Typer(
    no_args_is_help=True, help="Hand out clips, gather their labels, see how far they are and what they say together."
)
# One file a verb in annotation/commands; what is older stands below.
app.command("ala-report")(ala_report)
app.command()(adjudicate)
app.command()(agreement)
app.command()(assign)
app.command("open")(open_)
app.command()(bundle)
app.command()(merge)
app.command()(consensus)
app.command()(frames)
app.command()(status)
app.add_typer(database, name="database")

_Study = Annotated[Optional[Path], typer.Argument(help="The study folder; the current one by default.")]  # noqa: UP045
_Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


@app.command()
def simulate(
    study: _Study = None,
    annotators: Annotated[int, typer.Option(min=1, max=99, help="How many simulated annotators.")] = 3,
    seed: Annotated[Optional[int], typer.Option(min=0, help="Seed; default: the study's.")] = None,  # noqa: UP045
    force: Annotated[bool, typer.Option("--force", help="Make simulated labels anew; people's stay.")] = False,
) -> None:
    """Label a simulated study by simulated annotators (named so in every row)."""
    from annotation.simulate import simulate_labels
    from data_schema.study import find_study

    passes = simulate_labels(find_study(study), n_annotators=annotators, seed=seed, force=force)
    for one in passes:
        typer.echo(
            f"{one.annotator_id} {one.task:3}  {one.n_added} labels added, "
            f"{one.n_present} there already, {one.n_missing} left out"
        )
    typer.echo("These labels are simulated: annotator_kind says so in every row.", err=True)


@app.command()
def export(
    study: Annotated[Path, typer.Argument(help="The study folder.")],
    out: Annotated[Path, typer.Argument(help="The CSV file to write.")],
    task: Annotated[Optional[str], typer.Option(help="er or fer; default: both.")] = None,  # noqa: UP045
    annotator: Annotated[Optional[str], typer.Option(help="One annotator; default: all.")] = None,  # noqa: UP045
    log: Annotated[
        str, typer.Option(help="labels, marks, traces, trace_samples, guesses, steps or decisions.")
    ] = "labels",
    force: _Force = False,
) -> None:
    """Write the whole label log, or another log, as CSV; rows that were replaced too."""
    from annotation.status import read_study_labels
    from data_schema.labels import log_to_csv, read_log
    from data_schema.labels.csv import write_whole
    from data_schema.study import find_study

    _check_task(task)
    folder = find_study(study)
    table = read_study_labels(folder) if log == "labels" else read_log(folder.label_places(), log)
    known = sorted(set(table["annotator_id"]))
    if annotator is not None and annotator not in known:
        raise UsageError(f"--annotator is '{annotator}', but the study has {log} of {', '.join(known) or 'nobody'}.")
    if task is not None:
        if "task" not in table.columns:
            raise UsageError(
                f"--task does not go with --log {log}: its rows name a trace, and the log traces its task."
            )
        table = table[table["task"] == task]
    if annotator is not None:
        table = table[table["annotator_id"] == annotator]
    write_whole(out, log_to_csv(table, log), overwrite=force)
    typer.echo(f"{out}: {len(table)} rows")


@app.command("import")
def import_(
    study: Annotated[Path, typer.Argument(help="The study folder.")],
    file: Annotated[Path, typer.Argument(help="The CSV file to read.")],
    annotator: Annotated[str, typer.Option(help="Whose labels these are, such as a01.")],
    kind: Annotated[str, typer.Option(help="human, simulated or model.")] = "human",
) -> None:
    """Import labels from CSV: all rows or, if one is wrong, none."""
    from annotation.status import clip_hashes
    from data_schema.labels import LabelStore, check_annotator_id, import_labels_csv, read_labels_csv
    from data_schema.study import find_study

    folder = find_study(study)
    check_annotator_id(annotator)
    hashes = clip_hashes(folder)
    emotions = folder.config.labels.emotions
    # Checked before the store is opened, so that a bad file makes no new store.
    read_labels_csv(file, clip_hashes=hashes, emotions=emotions, annotator=(annotator, kind))
    place = folder.config.labels.database or folder.labels_dir / f"{annotator}.sqlite"
    with LabelStore.open(
        place, annotator, kind, study_title=folder.config.study.title, emotions=emotions, by_lab=True
    ) as store:
        # Rows that come while the annotator's window is open would not be seen there.
        store.take_seat()
        result = import_labels_csv(file, store, clip_hashes=hashes)
    typer.echo(f"{place}: {result.n_added} labels added, {result.n_present} there already")


def _check_task(task: str | None) -> None:
    from data_schema.vocabularies import TASKS

    if task is not None and task not in TASKS:
        raise UsageError(f"--task is '{task}', expected one of {', '.join(TASKS)}.")
