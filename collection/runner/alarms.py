"""Alarms that must reach the operator while a session runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from collection.recorder import RecorderStatus
from data_schema.session.layout import GAZE

#: Takes a sentence, a level (note, warning, error) and a key; an empty sentence takes the alarm of that key back.
Raise = Callable[[str, str, str], None]


class StreamAlarm:
    """Says once that a stream fell silent or loses data, and once that it is back.

    Parameters
    ----------
    silence_s : float
        Silence that raises the alarm.
    raise_alarm : callable
    """

    #: Streams that must not pause, by the recorder's name, and what an operator calls them.
    STEADY: ClassVar[dict[str, str]] = {
        GAZE.path: "the eye tracker",
        "frames": "the camera",
        "frames_2": "the second camera",
    }

    def __init__(self, silence_s: float, raise_alarm: Raise) -> None:
        self._silence_s = silence_s
        self._raise = raise_alarm
        self._silent: set[str] = set()
        self._dropped = 0

    def look(self, status: RecorderStatus) -> None:
        """Compare a snapshot of the recorder with the last one."""
        if status.state != "recording":
            return
        for name, device in self.STEADY.items():
            stream = status.streams.get(name)
            if stream is None:
                continue
            if stream.silent_s > self._silence_s and name not in self._silent:
                self._silent.add(name)
                self._raise(
                    f"ALARM: {device} has delivered nothing for {stream.silent_s:.1f} s. "
                    f"Check its cable and light; the recording goes on without it (Ctrl-C ends the session).",
                    "error",
                    f"silent {name}",
                )
            elif stream.silent_s < self._silence_s and name in self._silent:
                self._silent.remove(name)
                self._raise("", "note", f"silent {name}")
                self._raise(f"{device} delivers again.", "note", f"back {name}")
        # Said again when there are twice as many, not with each.
        if status.dropped > 2 * self._dropped:
            self._raise(
                f"{status.dropped} rows or frames were dropped so far: this machine does not keep up. Close other programs.",
                "warning",
                "dropped",
            )
            self._dropped = status.dropped
