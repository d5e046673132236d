"""The verbs of ``emer record``. Light at import: everything heavy is imported when a verb runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from data_schema.errors import UsageError

if TYPE_CHECKING:
    from collection.protocol.engine import Progress
    from collection.protocol.plan import SessionPlan
    from collection.recorder import RecorderStatus, RecordingSummary
    from collection.rehearsal import Rehearsal, RehearsalResult

app = typer.Typer(
    name="record",
    help="Record a session: print its plan, rehearse it without hardware, run it.",
    no_args_is_help=True,
    add_completion=False,
)

Study = Annotated[Path | None, typer.Argument(help="The study folder; the current one by default.", show_default=False)]
Participant = Annotated[
    str, typer.Option("--participant", "-p", help="Pseudonym, letters and digits; a new random one by default.")
]
SessionCode = Annotated[str, typer.Option("--session", "-s", help="Code of the session.")]
EyeTracker = Annotated[
    str, typer.Option("--eye-tracker", help="simulated, replay:FILE_OR_FOLDER or tobii; the study's by default.")
]
Camera = Annotated[
    str, typer.Option("--camera", help="simulated, a video file or a camera's index; the study's by default.")
]


@app.command()
def plan(study: Study = None, participant: Participant = "P001", session: SessionCode = "01") -> None:
    """Print what a session would do, step by step, with its total minutes. Touches no hardware."""
    from collection.preflight import stimulus_durations
    from collection.protocol.plan import make_plan
    from data_schema.study.folder import check_code, find_study

    folder = find_study(study)
    check_code(participant, "participant")
    check_code(session, "session")
    _print_plan(make_plan(folder, participant, session, stimulus_durations(folder)))


@app.command()
def rehearse(
    study: Study = None,
    participant: Participant = "",
    session: SessionCode = "01",
    eye_tracker: EyeTracker = "",
    camera: Camera = "",
    speed: Annotated[float, typer.Option("--speed", help="Times real time; simulated devices only.")] = 1.0,
    headless: Annotated[
        bool, typer.Option("--headless/--no-headless", help="Without a screen; a scripted participant answers.")
    ] = True,
) -> None:
    """Record a whole session with a scripted participant; needs neither hardware nor screen.

    Prints the path of the session file. Ctrl-C ends the session early; the file
    is closed and valid, and marked as aborted.
    """
    if not headless:
        raise UsageError(_NO_SCREEN + " Leave out --no-headless.")
    from collection.preflight import new_participant
    from collection.rehearsal import Rehearsal
    from data_schema.study.folder import find_study

    folder = find_study(study)
    rehearsal = Rehearsal(
        folder,
        participant or new_participant(folder),
        session,
        eye_tracker=eye_tracker,
        camera=camera,
        speed=speed,
    )
    result = _rehearse_with_progress(rehearsal)
    problems = [*result.summary.problems, *_warnings(result.summary.path)]
    for problem in problems:
        typer.echo(problem, err=True)
    typer.echo(_summary_line(result), err=True)
    typer.echo(str(result.summary.path))
    if result.summary.reason != "complete" or problems:
        raise typer.Exit(1)


@app.command()
def run(
    study: Study = None,
    participant: Participant = "",
    session: SessionCode = "01",
    eye_tracker: EyeTracker = "",
    camera: Camera = "",
) -> None:
    """Record a participant in front of the screen (comes with the lab's presenter, not in this version)."""
    raise UsageError(_NO_SCREEN + " Record without a screen with: emer record rehearse")


_NO_SCREEN = (
    "presenting clips on a participant's screen comes with the lab's presenter and is not in this version yet; "
    "recorder, devices and protocol are."
)


def _print_plan(session_plan: SessionPlan) -> None:
    from collection.protocol.steps import BeginTrial, EndTrial, PlayClip

    typer.echo(f"sub-{session_plan.participant} ses-{session_plan.session}: {session_plan.n_trials} clips")
    start_s = 0.0
    for step in session_plan.steps:
        if not isinstance(step, (BeginTrial, EndTrial)):
            detail = f"{step.stimulus_id} ({step.target_emotion})" if isinstance(step, PlayClip) else ""
            trial = f"trial {step.trial_id}" if step.trial_id else ""
            minutes, seconds = divmod(start_s, 60)
            line = f"{minutes:3.0f}:{seconds:04.1f}  {step.planned_s:6.1f} s  {trial:<9} {step.name:<12} {detail}"
            typer.echo(line.rstrip())
        start_s += step.planned_s
    typer.echo(f"total: {session_plan.planned_s / 60:.1f} min (reading and answering are estimates)")


def _warnings(path: Path) -> list[str]:
    """Return what `emer check` warns of in the new file, so that the operator hears it before the participant leaves."""
    from data_schema.session.validate import check_session

    return [str(finding) for finding in check_session(path) if finding.level == "warning"]


class _Alarm:
    """Says once that a stream fell silent, and once that it is back."""

    #: Streams that must not pause, by the recorder's name, and what an operator calls them.
    STEADY: ClassVar[dict[str, str]] = {"/eye/gaze": "the eye tracker", "frames": "the camera"}

    def __init__(self, silence_s: float, say: Callable[[str], None]) -> None:
        self._silence_s = silence_s
        self._say = say
        self._silent: set[str] = set()

    def look(self, status: RecorderStatus) -> None:
        """Compare a snapshot of the recorder with the last one."""
        for name, device in self.STEADY.items():
            stream = status.streams.get(name)
            if stream is None or status.state != "recording":
                continue
            if stream.silent_s > self._silence_s and name not in self._silent:
                self._silent.add(name)
                self._say(
                    f"ALARM: {device} has delivered nothing for {stream.silent_s:.1f} s. "
                    f"Check its cable and light; the recording goes on without it (Ctrl-C ends the session)."
                )
            elif stream.silent_s < self._silence_s and name in self._silent:
                self._silent.remove(name)
                self._say(f"{device} delivers again.")


def _rehearse_with_progress(rehearsal: Rehearsal) -> RehearsalResult:
    """Run a rehearsal with a line of progress on stderr; Ctrl-C aborts it in good order."""
    import signal

    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as ProgressBar

    n_trials = rehearsal.plan.n_trials
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20), TimeElapsedColumn())
    with ProgressBar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting the recorder", total=max(1, n_trials))

        alarm = _Alarm(rehearsal.study.config.recording.silence_s, bar.console.print)

        def show(progress: Progress | None, status: RecorderStatus) -> None:
            alarm.look(status)
            bar.update(task, description=_progress_text(progress, n_trials, status))
            if progress is not None:
                bar.update(task, completed=max(0, progress.trial - 1))

        def interrupted(_number: int, _frame: object) -> None:
            if rehearsal.abort_requested:
                raise KeyboardInterrupt
            rehearsal.request_abort("stopped by the operator (Ctrl-C)")
            bar.console.print("stopping; the file will be closed (Ctrl-C again: at once)")

        before = signal.signal(signal.SIGINT, interrupted)
        try:
            return rehearsal.run(show)
        finally:
            signal.signal(signal.SIGINT, before)


def _progress_text(progress: Progress | None, n_trials: int, status: RecorderStatus) -> str:
    gaze, frames = status.stream("/eye/gaze"), status.stream("frames")
    where = "writing what waits" if progress is None else f"trial {progress.trial} of {n_trials}, {progress.step}"
    return (
        f"{where} | gaze {gaze.written} | frames {frames.written} | dropped {status.dropped} | "
        f"waiting {sum(stream.waiting for stream in status.streams.values())}"
    )


def _summary_line(result: RehearsalResult) -> str:
    summary: RecordingSummary = result.summary
    gaze, frames = summary.status.stream("/eye/gaze"), summary.status.stream("frames")
    line = (
        f"{summary.reason}: {result.outcome.n_trials_completed} of {result.plan.n_trials} trials, "
        f"{summary.duration_s:.1f} s; gaze {gaze.written} rows ({summary.rate_hz('/eye/gaze'):.1f} Hz), "
        f"frames {frames.written} ({summary.rate_hz('frames'):.1f} Hz), dropped {summary.status.dropped}; "
        f"peak memory {summary.status.memory_peak_bytes / 1e6:.0f} MB"
    )
    return f"{line} ({summary.message})" if summary.message else line
