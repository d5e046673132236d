"""One writer at a time: for the folder of an export, and for the study's folds.

The operating system gives the lock back when the process ends, however it ends. The lock file stays, empty and
hidden, beside what it guards: to remove it would let two processes lock two files of one name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from data_schema.errors import ExportError
from data_schema.files import disk_problem


def lock_path(path: Path) -> Path:
    """Return the lock file beside a file or folder."""
    return path.with_name(f".{path.name}.lock")


@contextmanager
def sole_writer(path: Path, busy: str, timeout_s: float = 0.0) -> Iterator[None]:
    """Hold the lock of a file or folder while the block runs.

    Parameters
    ----------
    path : Path
        What is written; need not exist.
    busy : str
        What to say, after the path, if another process holds the lock.
    timeout_s : float
        How long to wait for the other process.

    Raises
    ------
    ExportError
        If another process writes there, or the lock file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # So that "out" and "../study/out" are one.
        path = path.parent.resolve() / path.name
        lock = FileLock(lock_path(path), timeout=timeout_s)
        lock.acquire()
    except Timeout:
        raise ExportError(f"{path}: {busy}") from None
    except NotImplementedError:
        raise ExportError(f"{path}: this drive has no file locks. Name a folder on a local disk.") from None
    except OSError as error:
        raise disk_problem(error, lock_path(path)) from error
    try:
        yield
    finally:
        lock.release()
