"""Who is told when something changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Callback = Callable[[], None]


class Topics:
    """Callbacks by topic, called once a change is whole.

    What is noted within `change` is told when the outermost one ends, each topic
    once: a view never sees half of a step, and it may itself start the next one.
    """

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callback]] = {}
        self._noted: dict[str, None] = {}
        self._depth = 0

    def subscribe(self, topic: str, callback: Callback) -> Callback:
        """Have `callback` called when `topic` changed; returns what ends it."""
        self._callbacks.setdefault(topic, []).append(callback)

        def end() -> None:
            if callback in self._callbacks[topic]:
                self._callbacks[topic].remove(callback)

        return end

    def note(self, *topics: str) -> None:
        """Say that topics changed."""
        self._noted.update(dict.fromkeys(topics))

    @contextmanager
    def change(self) -> Iterator[None]:
        """Hold back what is noted until the outermost change is whole; then tell it."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        if self._depth == 0:
            self._tell()

    def _tell(self) -> None:
        while self._noted and self._depth == 0:
            topic = next(iter(self._noted))
            del self._noted[topic]
            for callback in tuple(self._callbacks.get(topic, ())):
                callback()
