"""The end of devices and of a file: a driver that hangs must not take the recording with it.

A driver's own call may never return: a camera whose cable is out waits for its
next frame. Every call into a device at the end runs in a daemon thread that can
be left behind.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from collection.devices.base import Device, Scheduled
from collection.recorder.settings import COMPLETE
from collection.recorder.watch import Mark
from data_schema.errors import EmerError
from data_schema.session import markers
from data_schema.session.layout import TABLE_BY_PATH
from data_schema.session.reader import open_session
from data_schema.session.validate import check_session

logger = logging.getLogger(__name__)

#: Real seconds after which a device that does not stop is left behind; for one
#: that works by schedule, real seconds without any progress.
STOP_PATIENCE_S = 15.0
#: Real seconds that all devices together have for closing; nothing is delivered any more.
CLOSE_PATIENCE_S = 5.0


def stop_devices(devices: Sequence[Device], look: Callable[[], int], mark: Mark) -> bool:
    """Stop all devices at once, and wait a bounded time.

    A simulated device that is late pays what it owes first, and is waited for as
    long as it does. One after the other, the second would owe more the longer the
    first takes. A real device owes nothing: one that goes on delivering is no
    better than one that hangs.

    Parameters
    ----------
    devices : sequence of Device
        Started or not.
    look : callable
        Called again and again while this waits; returns a number that changes
        as long as something is delivered.
    mark : callable
        Takes a marker's kind, message and value.

    Returns
    -------
    bool
        False if a device did not stop and was left behind.
    """
    threads = [
        threading.Thread(target=_stop, args=(device, mark), name="recorder-stop", daemon=True) for device in devices
    ]
    for thread in threads:
        thread.start()
    seen, seen_s = -1, time.monotonic()
    while any(thread.is_alive() for thread in threads):
        threads[0].join(0.02)
        threads[-1].join(0.02)
        progress = look()
        pays = any(t.is_alive() and isinstance(d, Scheduled) for t, d in zip(threads, devices, strict=True))
        if pays and progress != seen:
            seen, seen_s = progress, time.monotonic()
        if time.monotonic() - seen_s > STOP_PATIENCE_S:
            mark(markers.DEVICE_FAULT, "a device did not stop and was left behind", math.nan)
            logger.error("a device did not stop within %.0f s and was left behind", STOP_PATIENCE_S)
            return False
    return True


def close_devices(devices: Sequence[Device]) -> bool:
    """Close all devices at once; returns False if one did not close in time and was left behind."""
    threads = [
        threading.Thread(target=_close, args=(device,), name="recorder-close", daemon=True) for device in devices
    ]
    for thread in threads:
        thread.start()
    end_s = time.monotonic() + CLOSE_PATIENCE_S
    for thread in threads:
        thread.join(max(0.0, end_s - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        logger.error("a device did not close within %.0f s and was left behind", CLOSE_PATIENCE_S)
        return False
    return True


def problems_of(path: Path, reason: str, n_written: dict[str, int]) -> tuple[str, ...]:
    """Check a closed file as `emer check` does, and compare it with what was written.

    Parameters
    ----------
    path : Path
        The session file.
    reason : str
        'complete' or 'aborted', as it was closed.
    n_written : dict of str to int
        Rows by table path.
    """
    try:
        problems = [str(finding) for finding in check_session(path) if finding.level == "error"]
        with open_session(path) as session:
            expected = "complete" if reason == COMPLETE else "aborted"
            if session.status != expected:
                problems.append(f"the file says '{session.status}', expected '{expected}'")
            for table, n in n_written.items():
                if table in TABLE_BY_PATH and len(session.table(table)) != n:
                    problems.append(f"{table} has {len(session.table(table))} rows, {n} were written")
    except (EmerError, OSError) as error:
        return (str(error),)
    return tuple(problems)


def _stop(device: Device, mark: Mark) -> None:
    try:
        device.stop()
    except Exception as error:
        logger.exception("a device failed while stopping")
        mark(markers.DEVICE_FAULT, f"stopping failed: {error}", math.nan)


def _close(device: Device) -> None:
    try:
        device.close()
    except Exception:
        logger.exception("a device failed while closing")
