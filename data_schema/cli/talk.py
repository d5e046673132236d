"""Progress bars on standard error, at the command line's edge only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

#: Seconds between lines where standard error is no terminal (a log file, CI).
_LINE_INTERVAL_S = 10.0


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """Yield a function ``progress(done, total, detail)`` that shows how far `what` is.

    On a terminal a bar with elapsed and remaining time; elsewhere a line now and then.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _line_printer(console, what)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[detail]}"),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None, detail="")

        def update(done: int, total: int, detail: str) -> None:
            bar.update(task, completed=done, total=total, detail=detail)

        yield update


def _line_printer(console: Console, what: str) -> Callable[[int, int, str], None]:
    last = time.monotonic()

    def update(done: int, total: int, detail: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_INTERVAL_S:
            last = time.monotonic()
            console.print(f"{what}: {done}/{total} {detail}", highlight=False, markup=False, soft_wrap=True)

    return update
