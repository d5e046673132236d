"""Tell whether a session file is being recorded at this moment.

The recorder holds an operating-system lock on ``<file>.lock`` while it writes.
The system releases it when the process ends, however it ends, so that a killed
recording is known from a running one. The lock is beside the session file, not
on it: HDF5's own lock is given up when single-writer mode starts.
"""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from data_schema.errors import SessionFileError


def lock_path(path: Path) -> Path:
    """Return the path of the lock beside a session file."""
    return path.with_name(path.name + ".lock")


def acquire_lock(path: Path) -> FileLock:
    """Take the lock of a session file.

    Raises
    ------
    SessionFileError
        If another process holds it.
    """
    lock = FileLock(lock_path(path), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise SessionFileError(
            path, "another process is recording or repairing this file right now. Wait until it has ended."
        ) from None
    return lock


def release_lock(path: Path, lock: FileLock) -> None:
    """Give the lock back and remove its file."""
    lock.release()
    lock_path(path).unlink(missing_ok=True)


def is_locked(path: Path) -> bool:
    """Tell whether some process holds the lock of a session file."""
    if not lock_path(path).exists():
        return False
    lock = FileLock(lock_path(path), timeout=0)
    try:
        lock.acquire()
    except (Timeout, OSError):
        return True
    lock.release()
    return False
