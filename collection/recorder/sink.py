"""Where devices deliver: rows and frames go into counted queues, nothing else happens here."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from collection.devices.base import CapturedFrame
from collection.recorder.queues import CountedQueue
from collection.recorder.settings import FRAMES_STREAM
from data_schema.clocks import HostClock
from data_schema.session.layout import LSL_OFFSETS, LSL_STREAMS, MARKERS, TABLE_BY_PATH, make_row

#: What a device says once, when it starts, is of use later: its faults, and which streams it is.
_SAID_ONCE = frozenset((MARKERS.path, LSL_STREAMS.path, LSL_OFFSETS.path))
#: More than that is no start but a fault that repeats itself.
_EARLY_MOST = 200


class Observer(Protocol):
    """Somebody who sees what passes through the sink; must be cheap and never wait."""

    def rows(self, table: str, rows: npt.NDArray[np.void]) -> None:
        """See rows of a table; they must not be changed."""
        ...

    def frame(self, stream: str, frame: CapturedFrame) -> None:
        """See a frame of a camera's stream; it must not be changed."""
        ...


class RecordingSink:
    """The sink of all devices of a session.

    It listens first: arrivals are noted, not kept, until the session file
    exists. `open` starts the recording, `close` ends it.

    Parameters
    ----------
    queue_of : callable
        Returns the queue of a stream.
    clock : HostClock
        Stamps events that come without a time.
    """

    def __init__(self, queue_of: Callable[[str], CountedQueue], clock: HostClock) -> None:
        self._queue_of = queue_of
        self._clock = clock
        self._open = False
        self._closed = False
        self._early: list[tuple[str, npt.NDArray[np.void]]] = []
        self._early_lock = threading.Lock()
        self._since_us: int | None = None
        #: Replaced as a whole, never changed in place: devices read it from their threads.
        self.observers: tuple[Observer, ...] = ()
        self._last_arrival_s: dict[str, float] = {}
        self._arrived = threading.Condition()

    def rows(self, table: str, rows: npt.NDArray[np.void]) -> None:
        """Take rows of a table."""
        dtype = TABLE_BY_PATH[table].dtype
        if rows.dtype is not dtype and rows.dtype != dtype:
            raise TypeError(f"{table}: rows have the columns {rows.dtype.names}, expected those of the layout")
        if not len(rows):
            return
        self._note(table)
        if self._open or self._keeps_early(table, rows):
            if self._since_us is not None:
                rows = self._not_before(table, rows)
                if not len(rows):
                    return
            self._queue_of(table).put(rows, len(rows))
            self.show(table, rows)

    def _not_before(self, table: str, rows: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
        """Leave out rows that a simulated device owes from before the recording began."""
        column = TABLE_BY_PATH[table].time_column
        if not column or table in _SAID_ONCE or rows[column][0] >= self._since_us:
            return rows
        return rows[rows[column] >= self._since_us]

    def show(self, table: str, rows: npt.NDArray[np.void]) -> None:
        """Let the observers see rows."""
        for observer in self.observers:
            observer.rows(table, rows)

    def frame(self, frame: CapturedFrame, stream: str = FRAMES_STREAM) -> None:
        """Take a camera frame of a camera's stream."""
        self._note(stream)
        if self._open and (self._since_us is None or frame.t_capture_us >= self._since_us):
            queue = self._queue_of(stream)
            queue.put((frame, queue.dropped_since_accepted))
            for observer in self.observers:
                observer.frame(stream, frame)

    def event(
        self,
        kind: str,
        message: str,
        value: float = math.nan,
        t_system_us: int | None = None,
        *,
        block: bool | None = None,
    ) -> None:
        """Take an event as a marker; `block` False never waits for room."""
        stamp = self._clock.now_us() if t_system_us is None else t_system_us
        row = make_row(MARKERS, t_system_us=stamp, trial_id=0, kind=kind, value=value, message=message)
        if self._open or self._keeps_early(MARKERS.path, row):
            self._queue_of(MARKERS.path).put(row, block=block)
            self.show(MARKERS.path, row)

    def _keeps_early(self, table: str, rows: npt.NDArray[np.void]) -> bool:
        """Put aside what is said once while there is no file; True if the sink was opened meanwhile."""
        if table not in _SAID_ONCE:
            return False
        with self._early_lock:
            if not self._open and not self._closed and len(self._early) < _EARLY_MOST:
                self._early.append((table, rows))
            return self._open

    def open(self, since_us: int | None = None) -> None:
        """Keep what arrives from now on, and what was said once before.

        With `since_us`, rows and frames that carry an earlier time are left out: on a clock that runs
        fast, a simulated device on a busy machine is seconds behind when the recording begins, and one
        stream would begin long before the other.
        """
        with self._early_lock:
            self._since_us = since_us
            self._open = True
            early, self._early = self._early, []
        for table, rows in early:
            self._queue_of(table).put(rows, len(rows), block=False)
            self.show(table, rows)

    def close(self) -> None:
        """Keep nothing more."""
        self._open, self._closed = False, True

    def wait_for(self, streams: list[str], timeout_s: float) -> list[str]:
        """Wait until each of `streams` has delivered; returns those that have not."""
        with self._arrived:
            self._arrived.wait_for(lambda: all(name in self._last_arrival_s for name in streams), timeout_s)
        return [name for name in streams if name not in self._last_arrival_s]

    def silent_s(self, stream: str) -> float:
        """Return real seconds since `stream` last delivered; infinity if it never did."""
        last = self._last_arrival_s.get(stream)
        return math.inf if last is None else time.monotonic() - last

    def _note(self, stream: str) -> None:
        first = stream not in self._last_arrival_s
        self._last_arrival_s[stream] = time.monotonic()
        if first:
            with self._arrived:
                self._arrived.notify_all()
