"""Progress bars on standard error, at the command line's edge only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

#: Seconds between lines where standard error is no terminal (a log file, CI).
_LINE_INTERVAL_S = 10.0
#: What is done within this time of the beginning was there before.
_INSTANT_S = 0.2


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """Yield a function ``progress(done, total, detail)`` that shows how far `what` is.

    On a terminal a bar with rate, elapsed and remaining time; elsewhere a line with the same now and then.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _line_printer(console, what)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[detail]}"),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None, detail="", rate="")
        pace = Pace()

        def update(done: int, total: int, detail: str) -> None:
            pace.note(done, time.monotonic())
            bar.update(task, completed=done, total=total, detail=detail, rate=pace.rate_text())

        yield update


class Pace:
    """How fast something goes, and how long it will take.

    What was there already is done in an instant, so the pace is that of the time since the first step that was waited for.
    """

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None
        self._last: tuple[int, float] | None = None

    def note(self, done: int, now_s: float) -> None:
        """Note that so much is done; `now_s` is a clock in seconds."""
        if self._first is None or (self._last is not None and now_s - self._first[1] < _INSTANT_S):
            self._first = (done, now_s)
        self._last = (done, now_s)

    @property
    def per_s(self) -> float:
        """Steps a second; 0 while it cannot be told."""
        if self._first is None or self._last is None or self._last[1] <= self._first[1]:
            return 0.0
        return (self._last[0] - self._first[0]) / (self._last[1] - self._first[1])

    def rate_text(self) -> str:
        """Return the rate in words: a second, or a minute where that is less than one a second."""
        rate = self.per_s
        if rate <= 0:
            return ""
        return f"{rate:.1f}/s" if rate >= 1 else f"{rate * 60:.1f}/min"

    def left_text(self, total: int) -> str:
        """Return the time that is left, such as 1:05:09, or nothing while it cannot be told."""
        if self.per_s <= 0 or self._last is None:
            return ""
        seconds = round((total - self._last[0]) / self.per_s)
        hours, minutes = divmod(seconds // 60, 60)
        return f"{hours}:{minutes:02d}:{seconds % 60:02d} left" if hours else f"{minutes}:{seconds % 60:02d} left"


def _line_printer(console: Console, what: str) -> Callable[[int, int, str], None]:
    last = time.monotonic()
    pace = Pace()

    def update(done: int, total: int, detail: str) -> None:
        nonlocal last
        now = time.monotonic()
        pace.note(done, now)
        if now - last >= _LINE_INTERVAL_S:
            last = now
            said = [f"{what}: {done}/{total}", pace.rate_text(), pace.left_text(total), detail]
            console.print(", ".join(part for part in said if part), highlight=False, markup=False, soft_wrap=True)

    return update
