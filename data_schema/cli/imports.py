"""``emer import``: recordings of other systems become session files, and labels of ELAN rows of the label log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from data_schema.importers import ImportedSession, Survey

app = typer.Typer(no_args_is_help=True, help="Turn recordings of other systems into session files.")


@app.callback()
def _group() -> None:
    """Turn recordings of other systems into session files.

    Nothing that identifies a person goes from the file into the study: names, dates and file names are left out.
    """


_FILES = typer.Argument(..., help="Exported tables.", show_default=False)
_SDK_FILES = typer.Argument(
    ..., help="gaze.csv files, or folders with gaze.csv, eye_openness.csv and messages.csv.", show_default=False
)
_STUDY = typer.Option(None, "--study", help="The study folder; the current one by default.")
_PARTICIPANT = typer.Option("", "--participant", help="Code of the participant, such as P001.")
_SESSION = typer.Option("", "--session", help="Code of the session, such as 01.")
_CODES = typer.Option(
    None,
    "--codes",
    help="CSV for several recordings: participant, session, and file, participant_name or recording_name to tell them apart.",
)
_STIMULUS = typer.Option(
    [],
    "--stimulus",
    metavar="NAME=ID",
    help="A stimulus' name in the file and its id in the study; NAME= if it is none.",
)
_SKIP_UNMAPPED = typer.Option(False, "--skip-unmapped", help="Pass over names that are no stimuli of the study.")
_EVENTS = typer.Option(
    None,
    "--events",
    help="CSV of what was shown: onset, offset, stimulus (onset_ms, onset_us or onset_s say the unit).",
)
_FACE_VIDEO = typer.Option(None, "--face-video", help="Video of the participant's face.")
_VIDEO_OFFSET = typer.Option(
    0.0,
    "--video-offset-ms",
    help="Milliseconds from the recording's time 0 (csv: its first sample) to the video's first frame.",
)
_CONSENT = typer.Option(
    "", "--consent", metavar="SCOPES", help="What the participant agreed to on paper: gaze,video,sharing,face_sharing."
)
_TRACKER = typer.Option("", "--tracker", help="Model of the eye tracker, for reports; exports do not name it.")
_SKIP_EXISTING = typer.Option(False, "--skip-existing", help="Pass over recordings that are imported already.")
_DRY_RUN = typer.Option(False, "--dry-run", help="Say what is in the files, and write nothing.")


@app.command()
def prolab(
    files: list[Path] = _FILES,
    study: Path | None = _STUDY,
    participant: str = _PARTICIPANT,
    session: str = _SESSION,
    codes: Path | None = _CODES,
    stimulus: list[str] = _STIMULUS,
    skip_unmapped: bool = _SKIP_UNMAPPED,
    events: Path | None = _EVENTS,
    face_video: Path | None = _FACE_VIDEO,
    video_offset_ms: float = _VIDEO_OFFSET,
    consent: str = _CONSENT,
    tracker: str = _TRACKER,
    skip_existing: bool = _SKIP_EXISTING,
    dry_run: bool = _DRY_RUN,
) -> None:
    """Import Tobii Pro Lab's data export (.tsv), one or several recordings a file."""
    _import("prolab", **locals())


@app.command()
def studio(
    files: list[Path] = _FILES,
    study: Path | None = _STUDY,
    participant: str = _PARTICIPANT,
    session: str = _SESSION,
    codes: Path | None = _CODES,
    stimulus: list[str] = _STIMULUS,
    skip_unmapped: bool = _SKIP_UNMAPPED,
    events: Path | None = _EVENTS,
    face_video: Path | None = _FACE_VIDEO,
    video_offset_ms: float = _VIDEO_OFFSET,
    consent: str = _CONSENT,
    tracker: str = _TRACKER,
    skip_existing: bool = _SKIP_EXISTING,
    dry_run: bool = _DRY_RUN,
) -> None:
    """Import Tobii Studio's data export (.tsv), or the raw text files of older trackers."""
    _import("studio", **locals())


@app.command()
def csv(
    files: list[Path] = _SDK_FILES,
    study: Path | None = _STUDY,
    participant: str = _PARTICIPANT,
    session: str = _SESSION,
    codes: Path | None = _CODES,
    stimulus: list[str] = _STIMULUS,
    skip_unmapped: bool = _SKIP_UNMAPPED,
    events: Path | None = _EVENTS,
    openness: Path | None = typer.Option(None, "--openness", help="CSV of the SDK's eye openness samples."),
    messages: Path | None = typer.Option(
        None, "--messages", help="CSV of messages with stimulus onsets and offsets: system_time_stamp, msg."
    ),
    face_video: Path | None = _FACE_VIDEO,
    video_offset_ms: float = _VIDEO_OFFSET,
    consent: str = _CONSENT,
    tracker: str = _TRACKER,
    skip_existing: bool = _SKIP_EXISTING,
    dry_run: bool = _DRY_RUN,
) -> None:
    """Import the Tobii Pro SDK's gaze samples saved as CSV."""
    _import("csv", **locals())


def _import(
    kind: str,
    *,
    files: list[Path],
    study: Path | None,
    dry_run: bool,
    participant: str,
    session: str,
    codes: Path | None,
    stimulus: list[str],
    consent: str,
    **others: Any,
) -> None:
    from data_schema.cli.talk import progress_bar
    from data_schema.errors import UsageError
    from data_schema.importers import Codes, ImportOptions, plan_import, survey_files, write_sessions
    from data_schema.study import find_study

    if dry_run:
        with progress_bar("bytes") as progress:
            surveys = survey_files(kind, files, progress)
        for survey in surveys:
            _print_survey(survey)
        return
    if codes is not None and (participant or session):
        raise UsageError("--codes and --participant or --session say the same; give one of them")
    options = ImportOptions(
        codes=Codes.read(codes) if codes is not None else Codes(participant, session),
        stimuli=_stimulus_names(stimulus),
        consent=tuple(scope.strip() for scope in consent.split(",")) if consent else None,
        **others,
    )
    folder = find_study(study)
    with progress_bar("bytes") as progress:
        planned = plan_import(folder, kind, files, options, progress)
        sessions = write_sessions(folder, planned, options, progress)
    for one in sessions:
        _print_session(one)
    if not sessions:
        typer.echo("nothing to do: all recordings are imported already", err=True)


@app.command()
def elan(
    files: list[Path] = typer.Argument(
        ..., help="ELAN files (.eaf), as emer export elan wrote them.", show_default=False
    ),
    annotator: str = typer.Option(..., "--annotator", help="Whose labels these are, such as a01."),
    task: str = typer.Option(..., "--task", help="er or fer."),
    study: Path | None = _STUDY,
    kind: str = typer.Option("human", "--kind", help="human, simulated or model."),
    tier: str = typer.Option("", "--tier", help="Tier with the emotions; by default TASK@ANNOTATOR, such as FER@a01."),
) -> None:
    """Import labels that were given or edited in ELAN: all of them or, if one is wrong, none."""
    from data_schema.publishing.elan.importing import import_elan
    from data_schema.study import find_study

    place, labels, marks, without = import_elan(
        find_study(study), files, annotator=annotator, task=task, kind=kind, tier=tier
    )
    for path in without:
        typer.echo(f"passed over: {path}: no tier of this annotator and task in it", err=True)
    typer.echo(f"{place}: {labels.n_added} labels added, {labels.n_present} there already")
    if marks.n_added or marks.n_present:
        typer.echo(f"  {marks.n_added} marks added or taken back, {marks.n_present} there already")


@app.command()
def bids(
    dataset: Path = typer.Argument(
        ..., help="A BIDS dataset with eye tracking: its outermost folder.", show_default=False
    ),
    study: Path = typer.Option(..., "--study", help="The study to make; must not exist."),
    task: str = typer.Option("", "--task", help="Label of the task, where the dataset has several."),
) -> None:
    """Make a study of a BIDS dataset with eye tracking: our own export with its labels, or any other's gaze and events."""
    from data_schema.cli.talk import progress_bar
    from data_schema.importers.bids import import_bids
    from data_schema.wording import counted

    with progress_bar("runs") as progress:
        done = import_bids(dataset, study, task=task, progress=progress)
    samples, trials = (sum(getattr(run, name) for run in done.runs) for name in ("n_samples", "n_trials"))
    typer.echo(
        f"{done.root}: {counted(len(done.runs), 'run')}, {samples:,} samples, {counted(trials, 'trial')}, "
        f"{counted(done.n_labels, 'label')}, {counted(done.n_marks, 'mark')}"
    )
    for note in done.notes:
        typer.echo(f"  {note}", err=True)


def _stimulus_names(given: list[str]) -> dict[str, str]:
    from data_schema.errors import UsageError

    names = {}
    for text in given:
        name, sign, wanted = text.rpartition("=")
        if not sign or not name:
            raise UsageError(f"--stimulus '{text}': expected NAME=ID, such as --stimulus \"Joy 1.mp4=joy-1\"")
        names[name.strip()] = wanted.strip()
    return names


def _print_survey(survey: Survey) -> None:
    """Say what is in a file; names go to the screen only."""
    from data_schema.wording import counted

    typer.echo(f"{survey.table.path}: {survey.dialect.software}, {counted(len(survey.recordings), 'recording')}")
    for recording in survey.recordings:
        screen = f", screen {recording.screen_px[0]}x{recording.screen_px[1]} px" if recording.screen_px else ""
        rate = f"{recording.rate_hz:.1f} Hz, {recording.duration_s:.1f} s"
        typer.echo(f"  {recording.label}: {counted(recording.n_samples, 'sample')}, {rate}{screen}")
        for name in dict.fromkeys(shown.name for shown in recording.shown):
            times = sum(1 for shown in recording.shown if shown.name == name)
            typer.echo(f"    shown {counted(times, 'time')}: {name}")
    typer.echo(f"  absent columns: {', '.join(survey.columns.absent) or 'none'}")


def _print_session(session: ImportedSession) -> None:
    from data_schema.wording import counted

    frames = f", {counted(session.n_frames, 'frame')}" if session.n_frames else ""
    typer.echo(
        f"{session.path}: {counted(session.n_samples, 'sample')} at {session.rate_hz:g} Hz, {session.duration_s:.1f} s, "
        f"{counted(session.n_trials, 'trial')}{frames}"
    )
    for note in session.notes:
        typer.echo(f"  {note}", err=True)
    for finding in session.findings:
        typer.echo(f"  {finding}", err=True)
