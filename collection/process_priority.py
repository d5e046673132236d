"""Who goes first when the processors are busy: the screen while a clip plays, then the recorder, last the console.

A flip that comes too late is seen by the participant and cannot be made up for; a sample waits in a queue; a picture
on the console may come a moment later. Where the operating system does not permit it (on Linux and macOS, an ordinary
user without a limit ``nice`` below 0), everything runs as it would have without.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Priority:
    """A place in the order.

    Parameters
    ----------
    windows : str
        Name of psutil's constant for the priority class.
    nice : int
        Everywhere else; lower is more urgent, 0 is what programs have.
    """

    windows: str
    nice: int


#: The presenter while a clip plays. Not real time: a loop that hangs would take the machine with it.
PLAYING = Priority("HIGH_PRIORITY_CLASS", -10)
#: The recorder, always: what it cannot take in time is lost.
RECORDING = Priority("ABOVE_NORMAL_PRIORITY_CLASS", -5)
#: The console, always: nothing waits for it.
LOOKING_ON = Priority("BELOW_NORMAL_PRIORITY_CLASS", 5)
#: psutil's priority classes of Windows, the least urgent first.
_WINDOWS_ORDER = (
    "IDLE_PRIORITY_CLASS", "BELOW_NORMAL_PRIORITY_CLASS", "NORMAL_PRIORITY_CLASS", "ABOVE_NORMAL_PRIORITY_CLASS",
    "HIGH_PRIORITY_CLASS", "REALTIME_PRIORITY_CLASS",
)  # fmt: skip


def take_place(priority: Priority) -> bool:
    """Give this process its place for as long as it lives; call it before it starts threads.

    A process that was started with a more urgent one keeps it, unless it is to go behind the others.

    Returns
    -------
    bool
        False if it is not permitted.
    """
    return _set_windows(priority) if sys.platform == "win32" else _set_threads(priority)


@contextmanager
def raised(priority: Priority = PLAYING) -> Iterator[bool]:
    """Give this process, with all its threads, another place within the block; yields False if it is not permitted."""
    before = _places()
    try:
        yield take_place(priority)
    finally:
        _restore(before)


def _is_urgent(priority: Priority) -> bool:
    return priority.nice < 0


# ------------------------------------------------------------------- Windows


def _set_windows(priority: Priority) -> bool:
    try:
        import psutil
    except ImportError as error:
        logger.info("the priority was not changed: %s", error)
        return False
    process = psutil.Process()
    order = [getattr(psutil, name) for name in _WINDOWS_ORDER]
    wanted = getattr(psutil, priority.windows)
    try:
        now = process.nice()
        if _is_urgent(priority) and now in order and order.index(now) >= order.index(wanted):
            return True
        process.nice(wanted)
    except (psutil.Error, OSError) as error:
        logger.info("the priority was not changed: %s", error)
        return False
    return True


# ------------------------------------------------------- Linux, and other POSIX


def _set_threads(priority: Priority) -> bool:
    permitted = True
    for number in _thread_numbers():
        try:
            now = os.getpriority(os.PRIO_PROCESS, number)
            if (now > priority.nice) if _is_urgent(priority) else (now < priority.nice):
                os.setpriority(os.PRIO_PROCESS, number, priority.nice)
        except ProcessLookupError:
            continue  # a thread that has ended meanwhile
        except OSError as error:
            permitted = False
            logger.debug("the priority was not changed: %s", error)
    return permitted


def _thread_numbers() -> list[int]:
    """Return what has a priority of its own: on Linux each thread, elsewhere the process."""
    if not sys.platform.startswith("linux"):
        return [os.getpid()]
    try:
        return [int(task.name) for task in Path("/proc/self/task").iterdir()]
    except OSError:
        return [os.getpid()]


# ------------------------------------------------------------------- restoring


def _places() -> dict[int, int]:
    if sys.platform == "win32":
        try:
            import psutil
        except ImportError:
            return {}
        return {0: int(psutil.Process().nice())}
    places = {}
    for number in _thread_numbers():
        try:
            places[number] = os.getpriority(os.PRIO_PROCESS, number)
        except OSError:
            continue
    return places


def _restore(before: dict[int, int]) -> None:
    if sys.platform == "win32":
        _restore_windows(before)
        return
    usual = before.get(os.getpid(), 0)
    for number in _thread_numbers():
        # Threads that were started within the block have inherited its place.
        was = before.get(number, usual)
        try:
            if os.getpriority(os.PRIO_PROCESS, number) != was:
                os.setpriority(os.PRIO_PROCESS, number, was)
        except ProcessLookupError:
            continue
        except OSError as error:
            logger.info("the priority was not set back: %s", error)


def _restore_windows(before: dict[int, int]) -> None:
    if not before:
        return
    import psutil

    try:
        psutil.Process().nice(before[0])
    except (psutil.Error, OSError) as error:
        logger.info("the priority was not set back: %s", error)
