"""Room on the disk: asked before a recording starts, watched while it runs, forced onto the platter.

A flush reaches the operating system only. :class:`FileSyncer` calls ``fsync``
from a thread of its own on a second handle of the file, so that a slow disk
delays neither a device nor the writer.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from data_schema.errors import RecordingError
from data_schema.session.layout import TABLE_BY_PATH

logger = logging.getLogger(__name__)

#: Upper bound of what libx264 ultrafast at crf 23 spends on a seated face, in
#: bits per pixel; our measurements lie between 0.05 and 0.12.
VIDEO_BITS_PER_PIXEL = 0.2
#: Below this the recording stops in good order while it still can.
CRITICAL_FREE_BYTES = 64 * 1024**2
GIGABYTE = 1e9
_LOW_HYSTERESIS = 1.2
#: Seconds over which the growth of the file is measured, and from which it is believed.
_GROWTH_WINDOW_S = 60.0
_GROWTH_FROM_S = 20.0


def bytes_per_second(
    rates_hz: dict[str, float], width_px: int, height_px: int, fps: float, bits_per_pixel: float = VIDEO_BITS_PER_PIXEL
) -> float:
    """Estimate how fast a session file grows, from above.

    Parameters
    ----------
    rates_hz : dict of str to float
        Rows per second of each table; they are counted uncompressed.
    width_px, height_px, fps
        The video; 0 for none.
    """
    tables = sum(rate * TABLE_BY_PATH[path].dtype.itemsize for path, rate in rates_hz.items())
    return tables + width_px * height_px * fps * bits_per_pixel / 8


def free_bytes(path: Path) -> int:
    """Return the free bytes of the disk on which `path` lies or will lie."""
    folder = path.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


class DiskGuard:
    """Refuse to start without room, and say when room runs out.

    Parameters
    ----------
    path : Path
        The session file.
    min_free_bytes : float
        What must stay free whatever happens.
    probe : callable, optional
        Returns the free bytes for a path; replaced in tests.
    """

    def __init__(self, path: Path, min_free_bytes: float, probe: Callable[[Path], int] = free_bytes) -> None:
        self._path = path
        self._min_free = min_free_bytes
        self._probe = probe
        self._low = False
        #: Free bytes at the last look; -1 if they are not known.
        self.free = -1

    def check_room(self, rate_bytes_s: float, planned_s: float) -> int:
        """Check that the planned session fits; returns the free bytes.

        Raises
        ------
        RecordingError
            If it does not, with the numbers and the next step, or if the disk does not answer.
        """
        try:
            self.free = free = self._probe(self._path)
        except OSError as error:
            raise RecordingError(
                f"{self._path.name}: the disk does not say how much room it has: {error}. "
                "Check that the study folder can be reached and written to."
            ) from error
        needed = rate_bytes_s * planned_s
        if free < needed + self._min_free:
            raise RecordingError(
                f"{self._path.name}: the disk has {free / GIGABYTE:.1f} GB free; {planned_s / 60:.0f} min of recording "
                f"need up to {needed / GIGABYTE:.1f} GB and {self._min_free / GIGABYTE:.1f} GB must stay free. "
                "Make room, put the study folder on another disk, or lower [recording] min_free_gb in study.toml."
            )
        return free

    def look(self) -> OSError | None:
        """Ask the disk once; returns why it did not answer, after which `free` is -1."""
        try:
            self.free = self._probe(self._path)
        except OSError as error:
            self.free = -1
            return error
        return None

    def low_now(self, needed_bytes: float = 0.0) -> int | None:
        """Return the free bytes if the disk had become low at this look, else None. Says so once.

        Parameters
        ----------
        needed_bytes : float
            What is still to be written, as far as it is known.
        """
        if self.free < 0:
            return None
        limit = max(self._min_free, needed_bytes)
        # What is still to be written is an estimate that wavers: once low, a little more room is no news.
        was_low, self._low = self._low, self.free < limit * (_LOW_HYSTERESIS if self._low and needed_bytes else 1.0)
        return self.free if self._low and not was_low else None

    @property
    def is_low(self) -> bool:
        """True if the disk was low at the last look."""
        return self._low

    def critical_now(self) -> int | None:
        """Return the free bytes if so little was left at the last look that recording must stop, else None."""
        return self.free if 0 <= self.free < CRITICAL_FREE_BYTES else None


class Growth:
    """How fast a file grows: as estimated at first, as measured later.

    Parameters
    ----------
    path : Path
        The file.
    estimate_bytes_s : float
        Upper bound, bytes a second of the recording's clock.
    speed : float
        Seconds of the recording's clock per real second.
    """

    def __init__(self, path: Path, estimate_bytes_s: float, speed: float = 1.0) -> None:
        self._path = path
        self._speed = speed
        self._points: deque[tuple[float, int]] = deque()
        #: Bytes a second of the recording's clock.
        self.bytes_per_s = estimate_bytes_s

    def look(self, now_s: float | None = None) -> None:
        """Measure the file's size now."""
        now = time.monotonic() if now_s is None else now_s
        try:
            size = self._path.stat().st_size
        except OSError:
            return
        self._points.append((now, size))
        while now - self._points[0][0] > _GROWTH_WINDOW_S:
            self._points.popleft()
        first_s, first_size = self._points[0]
        if now - first_s >= _GROWTH_FROM_S:
            self.bytes_per_s = max(1.0, (size - first_size) / (now - first_s) / self._speed)

    def seconds_for(self, n_bytes: float) -> float:
        """Return the seconds of recording after which `n_bytes` more are written."""
        return n_bytes / max(1.0, self.bytes_per_s)


class FileSyncer:
    """Force a growing file onto the disk at a bounded interval, in a thread of its own.

    Parameters
    ----------
    path : Path
        The file; it exists.
    interval_s : float
        Longest time between two calls of fsync, as long as the disk follows.
    """

    def __init__(self, path: Path, interval_s: float) -> None:
        self._interval_s = interval_s
        # Windows can only flush a handle that may write.
        self._handle = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        self._stop = threading.Event()
        self.n_syncs = 0
        self.longest_ms = 0.0
        self._thread = threading.Thread(target=self._run, name="recorder-fsync", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            os.close(self._handle)
            raise

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._sync()

    def _sync(self) -> None:
        started = time.perf_counter()
        try:
            os.fsync(self._handle)
        except OSError as error:
            logger.warning("fsync failed: %s", error)
            return
        self.n_syncs += 1
        self.longest_ms = max(self.longest_ms, (time.perf_counter() - started) * 1e3)

    def close(self) -> None:
        """Sync a last time and release the file; idempotent."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        self._sync()
        os.close(self._handle)
