"""Run one function over many tasks, wherever the user says, and tell in a sentence what went wrong.

A task is plain data that names its files; a result is small. Both travel to another process or machine, so neither
holds an open file. What a task makes it writes itself, whole or not at all: a task that is run twice, or killed and run
again, does no harm.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from data_schema.errors import EmerError, WorkerError

Task = TypeVar("Task")
Result = TypeVar("Result")

_log = logging.getLogger(__name__)
#: How often a pool is begun anew after one of its processes died, before the user is asked to act.
_POOL_RETRIES = 1


def run_tasks(
    function: Callable[[Task], Result],
    tasks: Mapping[str, Task],
    *,
    workers: int = 0,
    scheduler: str = "",
    keep_going: bool = False,
) -> Iterator[tuple[str, Result | EmerError]]:
    """Run `function` on each task and yield the results as they come.

    Parameters
    ----------
    function : callable
        Of a module, not of a block: workers import it.
    tasks : mapping of str to Task
        By name, in the order in which they are begun: put the longest first, so that no worker ends alone with it.
    workers : int
        Processes; 0 for one a core, 1 for this process. Ignored with a scheduler.
    scheduler : str
        Address of a Dask scheduler, such as ``tcp://host:8786``. Its workers need the toolkit and the study's files under
        the same paths.
    keep_going : bool
        Yield the error of a task in place of its result instead of raising it.

    Yields
    ------
    name : str
    result : Result, or EmerError with `keep_going`

    Raises
    ------
    EmerError
        The first error of a task, unless `keep_going`; what is done already is on disk.
    WorkerError
        If processes end on their own again and again, or the scheduler does not answer.
    """
    if scheduler:
        from data_schema.work.cluster import run_on_cluster

        yield from run_on_cluster(function, tasks, scheduler, keep_going)
        return
    n = min(workers if workers > 0 else usable_cores(), len(tasks))
    if n <= 1:
        for name, task in tasks.items():
            yield name, attempt(function, task, name, keep_going)
        return
    yield from _run_in_pool(function, tasks, n, keep_going)


def usable_cores() -> int:
    """Return how many cores this process may use: a container or a batch system may allow fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def attempt(function: Callable[[Task], Result], task: Task, name: str, keep_going: bool) -> Result | EmerError:
    """Run one task; with `keep_going` its error is the result, also one that nobody foresaw."""
    if not keep_going:
        return function(task)
    try:
        return function(task)
    except EmerError as error:
        return error
    except Exception as error:  # noqa: BLE001 - one odd recording must not end the work on a thousand others
        _log.debug("unexpected error in %s", name, exc_info=True)
        return WorkerError(
            f"{name}: failed in a way that we did not foresee ({type(error).__name__}: {error}). Please report it; "
            "`emer check` may say what is odd about the file."
        )


def start_worker() -> None:
    """Prepare a worker process: one thread each, since there are as many workers as cores."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _attempt_in_worker(
    function: Callable[[Task], Result], task: Task, name: str, keep_going: bool
) -> Result | EmerError:
    """Run one task, which Ctrl-C ends; a worker that waits or begins leaves Ctrl-C to the process that began it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return attempt(function, task, name, keep_going)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Begin processes that ignore Ctrl-C from their first moment: they would write a traceback over what we say of it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.default_int_handler)


def _run_in_pool(
    function: Callable[[Task], Result], tasks: Mapping[str, Task], workers: int, keep_going: bool
) -> Iterator[tuple[str, Result | EmerError]]:
    waiting = dict(tasks)
    for further in range(_POOL_RETRIES, -1, -1):
        try:
            for name, result in _one_pool(function, waiting, workers, keep_going):
                del waiting[name]
                yield name, result
            return
        except BrokenProcessPool as error:
            if not further:
                raise WorkerError(
                    f"a worker process ended on its own, twice (out of memory?); {len(waiting)} of {len(tasks)} sessions "
                    "are left. Run the same command again with fewer --workers: what is done already is kept."
                ) from error
            _log.warning(
                "a worker process ended on its own (killed, or out of memory?). The %d sessions that are left are tried "
                "once more with %d.",
                len(waiting),
                max(1, workers // 2),
            )
            workers = max(1, workers // 2)


def _one_pool(
    function: Callable[[Task], Result], tasks: Mapping[str, Task], workers: int, keep_going: bool
) -> Iterator[tuple[str, Result | EmerError]]:
    # Spawned, not forked: works on Windows too, and HDF5 and OpenCV dislike forks.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context, initializer=start_worker) as pool:
        with _deaf_children():
            futures: dict[Any, str] = {
                pool.submit(_attempt_in_worker, function, task, name, keep_going): name for name, task in tasks.items()
            }
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
