"""A bounded queue of messages that forgets old telemetry before anything else."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

#: Messages and bytes that may wait: half a minute of a recorder's feed.
MAX_MESSAGES = 512
MAX_BYTES = 8 << 20


class Outbox:
    """Messages on their way to one listener who may be slow; `put` never waits.

    Parameters
    ----------
    max_messages, max_bytes : int
        What may wait. When either is exceeded the oldest telemetry goes first,
        and only when there is none left the oldest of the others. The newest
        message always stays.
    """

    def __init__(self, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._items: deque[tuple[Any, int, bool]] = deque()
        self._n_bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        self.n_dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Any, n_bytes: int, telemetry: bool) -> bool:
        """Offer an item; returns False if the outbox is closed."""
        with self._changed:
            if self._closed:
                return False
            self._items.append((item, n_bytes, telemetry))
            self._n_bytes += n_bytes
            while len(self._items) > 1 and (len(self._items) > self._max_messages or self._n_bytes > self._max_bytes):
                self._drop_one()
            self._changed.notify()
            return True

    def take(self, timeout_s: float | None = None) -> Any | None:
        """Return the oldest item; None after `timeout_s`, or when the outbox is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._items) or self._closed, timeout_s)
            if not self._items:
                return None
            item, n_bytes, _ = self._items.popleft()
            self._n_bytes -= n_bytes
            self._changed.notify_all()
            return item

    def wait_empty(self, timeout_s: float) -> bool:
        """Wait until everything was taken; returns whether it was."""
        end_s = time.monotonic() + timeout_s
        with self._changed:
            return self._changed.wait_for(lambda: not self._items, max(0.0, end_s - time.monotonic()))

    def close(self) -> None:
        """Accept nothing more and wake whoever waits; what is inside can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._closed

    def _drop_one(self) -> None:
        # Never the last one: it is the newest, and was asked for just now.
        index = next((i for i in range(len(self._items) - 1) if self._items[i][2]), 0)
        self._n_bytes -= self._items[index][1]
        del self._items[index]
        self.n_dropped += 1
