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

#: Seconds that taking the lock waits: `is_locked` in another process holds it for a moment.
_PATIENCE_S = 1.0


def lock_path(path: Path) -> Path:
    """Return the path of the lock beside a session file."""
    return path.with_name(path.name + ".lock")


def acquire_lock(path: Path) -> FileLock:
    """Take the lock of a session file.

    Raises
    ------
    SessionFileError
        If another process holds it, or the folder cannot be written.
    """
    lock = FileLock(lock_path(path), timeout=_PATIENCE_S)
    try:
        lock.acquire()
    except Timeout:
        raise SessionFileError(
            path, "another process is recording or repairing this file right now. Wait until it has ended."
        ) from None
    except OSError as error:
        raise SessionFileError(
            path,
            f"its folder cannot be written ({error}). Give yourself the right to write there, or work on a copy.",
        ) from error
    return lock


def release_lock(path: Path, lock: FileLock) -> None:
    """Give the lock back and remove its file, which another process would otherwise take for a question."""
    # Removed while it is held, so that nobody can take a lock that is about to vanish.
    # Windows refuses to remove an open file: there it is removed right afterwards.
    removed = _unlink(lock_path(path))
    lock.release()
    if not removed:
        _unlink(lock_path(path))


def _unlink(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


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
