"""A session on the terminal: a line of progress, alarms, the checks, the last word."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar

from collection.runner import SessionEvents, SessionRequest, SessionResult, SessionRunner
from collection.runner.ending import next_step, summary_line
from collection.runner.signals import stop_signals

if TYPE_CHECKING:
    from collection.preflight import Check
    from collection.protocol.engine import Progress
    from collection.recorder import RecorderStatus

#: Exit code of a session that was left at once, as shells have it for Ctrl-C.
_INTERRUPTED = 130


class TerminalView:
    """Shows how a session goes on, on standard error."""

    def __init__(self) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20), TimeElapsedColumn())
        self._bar = ProgressBar(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("starting", total=None)

    def __enter__(self) -> TerminalView:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    @property
    def events(self) -> SessionEvents:
        """What the session tells."""
        return SessionEvents(say=self.say, doing=self.doing, checked=self.checked, tick=self.tick)

    def say(self, text: str) -> None:
        """Show a sentence that stays."""
        self._bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def doing(self, what: str) -> None:
        """Show what is being done."""
        self._bar.update(self._task, description=what)

    def checked(self, check: Check) -> None:
        """Show a check that is not simply good."""
        if check.level == "good":
            self.doing(f"checked: {check.name}")
        else:
            self.say(f"pre-flight: {check.as_text()}")

    def tick(self, progress: Progress | None, status: RecorderStatus) -> None:
        """Show where the session is."""
        gaze, frames = status.stream("/eye/gaze"), status.stream("frames")
        where = "writing what waits"
        if progress is not None:
            where = f"trial {progress.trial} of {progress.n_trials}, {progress.step or 'between two steps'}"
            self._bar.update(self._task, total=max(1, progress.n_trials), completed=max(0, progress.trial - 1))
        waiting = sum(stream.waiting for stream in status.streams.values())
        self.doing(
            f"{where} | gaze {gaze.written} | frames {frames.written} | dropped {status.dropped} | waiting {waiting}"
        )


def run_session(request: SessionRequest) -> None:
    """Run a session on the terminal; prints the session file's path, and ends with the exit code."""
    view = TerminalView()
    runner = SessionRunner(request, view.events)
    try:
        with view, stop_signals(runner.request_stop, view.say):
            result = runner.run()
    except KeyboardInterrupt:
        _say_left_at_once(runner.result)
        raise typer.Exit(_INTERRUPTED) from None
    raise typer.Exit(conclude(result, request))


def conclude(result: SessionResult, request: SessionRequest) -> int:
    """Print how a session ended; returns the exit code."""
    for line in result.warnings:
        typer.echo(line, err=True)
    if result.failure is not None:
        typer.echo(f"error: {result.failure}", err=True)
    else:
        typer.echo(summary_line(result), err=True)
    if result.quality_page is not None:
        typer.echo(f"quality page: {result.quality_page}", err=True)
    if result.path is not None and result.path.exists():
        if result.reason != "complete":
            typer.echo(f"To go on where it stopped: {next_step(result, request.study)}", err=True)
        typer.echo(str(result.path))
    if result.reason == "declined":
        return 0
    return 0 if result.reason == "complete" and not result.warnings else 1


def _say_left_at_once(result: SessionResult) -> None:
    """Say where the file is that the recorder closes by itself."""
    sys.stderr.flush()
    if result.path is None:
        typer.echo("left at once; nothing was recorded", err=True)
        return
    typer.echo(
        f"left at once; the recorder closes the file by itself. Look at it with: emer check {result.path}", err=True
    )
    typer.echo(str(result.path))
