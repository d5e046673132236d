"""Who is there: consoles by what they say of themselves once a second.

A killed console closes its connection, and without a connection nobody is there; a
frozen one keeps it and is told by its silence.
"""

from __future__ import annotations

from collection.console import messages

#: Seconds without a word after which a console counts as gone; it speaks once a second.
LOST_AFTER_S = 3.5


class ConsolePresence:
    """Keep the book of consoles; times are seconds of any one monotonic clock."""

    def __init__(self, lost_after_s: float = LOST_AFTER_S) -> None:
        self._lost_after_s = lost_after_s
        self._heard_s: dict[str, float] = {}
        self._closed: set[str] = set()
        self._reported: set[str] = set()

    def heard(self, kind: str, name: str, now_s: float) -> None:
        """Note that a console said hello, that it lives, or goodbye."""
        if kind == messages.BYE:
            self._closed.add(name)
            self._heard_s.pop(name, None)
        else:
            self._closed.discard(name)
            self._heard_s[name] = now_s

    def all_gone(self) -> None:
        """Note that there is no connection any more."""
        self._heard_s.clear()

    def any_present(self, now_s: float) -> bool:
        """Tell whether a console is there and answers."""
        return any(now_s - heard_s <= self._lost_after_s for heard_s in list(self._heard_s.values()))

    def changes(self, now_s: float) -> tuple[list[str], list[tuple[str, str]]]:
        """Return who came, and who went and how, since the last call."""
        present = {name for name, heard_s in self._heard_s.items() if now_s - heard_s <= self._lost_after_s}
        came = sorted(present - self._reported)
        went = [
            (name, "closed by the operator" if name in self._closed else "gone or frozen; the recording goes on")
            for name in sorted(self._reported - present)
        ]
        self._reported = present
        # A name is random and never comes again once it is closed; a frozen one may thaw.
        self._closed.clear()
        return came, went
