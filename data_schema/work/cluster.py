"""Run tasks on a Dask cluster (extra ``cluster``).

Dask gives the tasks of a worker that died to another one; the tasks stand that, since they write whole files or none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar

from data_schema.errors import EmerError, WorkerError
from data_schema.work.running import attempt

Task = TypeVar("Task")
Result = TypeVar("Result")

_log = logging.getLogger(__name__)
#: Seconds that a scheduler has to answer: a busy one of a cluster takes a few.
CONNECT_S = 20.0


def run_on_cluster(
    function: Callable[[Task], Result], tasks: Mapping[str, Task], scheduler: str, keep_going: bool
) -> Iterator[tuple[str, Result | EmerError]]:
    """Run `function` on the workers of a scheduler; see :func:`data_schema.work.run_tasks`."""
    if not tasks:
        return
    # The library says nothing of its types.
    distributed: Any = import_module("distributed")
    killed: type[Exception] = distributed.scheduler.KilledWorker
    try:
        # A client that cannot connect leaves a thread behind, so the door is tried first.
        asyncio.run(_knock(distributed, scheduler))
        client = distributed.Client(scheduler, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise WorkerError(
            f"--scheduler {scheduler}: no Dask scheduler answers there ({type(error).__name__}). Start one with "
            "`dask scheduler`, workers with `dask worker ADDRESS`, and give the address that it prints."
        ) from error
    try:
        _say_workers(client.scheduler_info(n_workers=-1)["workers"], scheduler)
        futures = {}
        for place, (name, task) in enumerate(tasks.items()):
            # Not pure: the same task may have to be done again, since its files may be gone. In the order of `tasks`.
            future = client.submit(attempt, function, task, name, keep_going, pure=False, priority=-place)
            futures[future.key] = (name, future)
        for future in distributed.as_completed([future for _, future in futures.values()], loop=client.loop):
            name, _ = futures.pop(future.key)
            try:
                result: Result | EmerError = future.result()
            except killed as error:
                lost = WorkerError(
                    f"{name}: one worker of {scheduler} after the other ended while it worked on it (out of memory?). "
                    "Give the workers more memory and run the same command again: what is done is kept."
                )
                if not keep_going:
                    raise lost from error
                result = lost
            future.release()
            yield name, result
    finally:
        client.close(timeout=CONNECT_S)


async def _knock(distributed: Any, scheduler: str) -> None:
    """Connect to a scheduler and hang up."""
    connection = await distributed.comm.connect(scheduler, timeout=CONNECT_S)
    await connection.close()


def _say_workers(workers: Mapping[str, object], scheduler: str) -> None:
    """Warn where nobody is there to work: the scheduler would wait without a word."""
    if workers:
        _log.info("%s has %d workers", scheduler, len(workers))
    else:
        _log.warning("%s has no workers yet: start some with `dask worker %s`", scheduler, scheduler)
