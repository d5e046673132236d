"""Bounded queues that account for everything: what goes in is taken out or counted as dropped.

Capacity is counted in rows (or frames), because memory is what must stay
bounded. A full queue either drops at once (a live device must never wait for a
disk) or lets the caller wait (a simulated device that is ahead of the encoder).
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

#: Why something was dropped; these words appear in the markers of the session file.
QUEUE_FULL = "queue full"
RECORDER_STOPPED = "recorder stopped"
WRONG_SIZE = "wrong picture size"
ENCODER_FAILED = "encoder failed"


class CountedQueue:
    """A queue bounded in rows, with counters of all that went through it.

    At every moment ``received == taken + waiting + dropped``.

    Parameters
    ----------
    name : str
        Name of the stream.
    capacity : int
        Rows that may wait. A single item larger than that is still accepted by
        an empty queue, so that nothing is impossible to deliver.
    block : bool
        True if `put` waits for room instead of dropping, unless its caller says otherwise.
    on_pressure : callable, optional
        Called without arguments when the queue is more than half full.
    """

    def __init__(
        self, name: str, capacity: int, *, block: bool = False, on_pressure: Callable[[], None] | None = None
    ) -> None:
        if capacity < 1:
            raise ValueError(f"the queue of {name} needs room for at least 1 row, got {capacity}")
        self.name = name
        self.capacity = capacity
        self._block = block
        self._on_pressure = on_pressure
        self._items: deque[tuple[Any, int]] = deque()
        # Entered directly, the lock costs a callback less than the condition around it.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._n_watching = 0
        self._closed = False
        self._waiting = 0
        self._received = 0
        self._taken = 0
        self._dropped: Counter[str] = Counter()
        self._unreported: Counter[str] = Counter()
        self._dropped_since_accepted = 0
        self._n_blocked = 0
        self._peak = 0

    def put(self, item: Any, n_rows: int = 1, *, block: bool | None = None) -> bool:
        """Offer `item`, which counts as `n_rows` rows.

        Parameters
        ----------
        item : Any
            Whatever `take` shall return.
        n_rows : int
            What it counts.
        block : bool, optional
            True to wait for room, False to drop at once; as the queue does by default.

        Returns
        -------
        bool
            False if it was dropped (and counted).
        """
        with self._lock:
            self._received += n_rows
            if self._block if block is None else block:
                self._n_blocked += 1
                self._wait_for(lambda: self._closed or self._has_room(n_rows))
                self._n_blocked -= 1
            if self._closed or not self._has_room(n_rows):
                self._count_dropped(n_rows, RECORDER_STOPPED if self._closed else QUEUE_FULL)
                return False
            self._items.append((item, n_rows))
            self._waiting += n_rows
            if self._waiting > self._peak:
                self._peak = self._waiting
            self._dropped_since_accepted = 0
            pressed = 2 * self._waiting > self.capacity
            if self._n_watching:
                self._changed.notify_all()
        if pressed and self._on_pressure is not None:
            self._on_pressure()
        return True

    def take(self, timeout_s: float) -> Any | None:
        """Return the oldest item, or None if none came within `timeout_s`."""
        with self._lock:
            if not self._wait_for(lambda: bool(self._items) or self._closed, timeout_s) or not self._items:
                return None
            item, n_rows = self._items.popleft()
            self._waiting -= n_rows
            self._taken += n_rows
            self._changed.notify_all()
            return item

    def take_all(self) -> list[Any]:
        """Return everything that waits, oldest first, without waiting."""
        with self._lock:
            items = [item for item, _ in self._items]
            self._items.clear()
            self._taken += self._waiting
            self._waiting = 0
            if items:
                self._changed.notify_all()
            return items

    def drop_taken(self, n_rows: int, reason: str) -> None:
        """Count rows that were taken but could not be used after all."""
        with self._lock:
            self._taken -= n_rows
            # They were accepted: whoever took them accounts for the hole.
            self._dropped[reason] += n_rows
            self._unreported[reason] += n_rows

    def discard_waiting(self, reason: str) -> None:
        """Count everything inside as dropped."""
        with self._lock:
            self._items.clear()
            n_rows, self._waiting = self._waiting, 0
            if n_rows:
                self._count_dropped(n_rows, reason)
            self._changed.notify_all()

    def close(self) -> None:
        """Accept nothing more and wake whoever waits; what is inside can still be taken."""
        with self._lock:
            self._closed = True
            self._changed.notify_all()

    def unreported_drops(self) -> dict[str, int]:
        """Return drops by reason since the last call."""
        with self._lock:
            drops = dict(self._unreported)
            self._unreported.clear()
            return drops

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._closed

    @property
    def received(self) -> int:
        """Rows that were offered."""
        return self._received

    @property
    def taken(self) -> int:
        """Rows that were taken out and used."""
        return self._taken

    @property
    def waiting(self) -> int:
        """Rows inside."""
        return self._waiting

    @property
    def peak(self) -> int:
        """Most rows that ever waited."""
        return self._peak

    @property
    def blocked(self) -> bool:
        """True while a caller waits for room."""
        return self._n_blocked > 0 and not self._closed

    @property
    def dropped(self) -> int:
        """Rows that were dropped, for whatever reason."""
        with self._lock:
            return sum(self._dropped.values())

    @property
    def dropped_by_reason(self) -> dict[str, int]:
        """Dropped rows by reason."""
        with self._lock:
            return dict(self._dropped)

    @property
    def dropped_since_accepted(self) -> int:
        """Rows dropped since the last one that was accepted."""
        return self._dropped_since_accepted

    def _wait_for(self, condition: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Wait with the lock held until something changed for good; returns whether it did."""
        self._n_watching += 1
        try:
            return self._changed.wait_for(condition, timeout_s)
        finally:
            self._n_watching -= 1

    def _has_room(self, n_rows: int) -> bool:
        return not self._items or self._waiting + n_rows <= self.capacity

    def _count_dropped(self, n_rows: int, reason: str) -> None:
        self._dropped[reason] += n_rows
        self._unreported[reason] += n_rows
        self._dropped_since_accepted += n_rows


class RateMeter:
    """Rate of a counter over the last few seconds.

    Parameters
    ----------
    window_s : float
        Real seconds that are looked back on.
    """

    def __init__(self, window_s: float = 2.0) -> None:
        self._window_s = window_s
        self._points: deque[tuple[float, int]] = deque()
        # The parent's reports and the live feed ask from two threads.
        self._lock = threading.Lock()

    def update(self, count: int, now_s: float | None = None) -> float:
        """Take the counter's value now and return its rate in 1/s."""
        now = time.monotonic() if now_s is None else now_s
        with self._lock:
            self._points.append((now, count))
            while len(self._points) > 2 and now - self._points[1][0] >= self._window_s:
                self._points.popleft()
            first_s, first_count = self._points[0]
        return (count - first_count) / (now - first_s) if now > first_s else 0.0
