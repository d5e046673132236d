"""What the participant does: keys, clicks and typed words, in the order in which they happened.

They come from the window itself, so only while it has the keyboard: what an operator
types into the console beside it never answers for the participant. (PsychoPy's
``Keyboard`` hears the whole machine, whichever window is in front.)
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Any

from data_schema.clocks import HostClock


class Does(str, Enum):
    """Kinds of events."""

    KEY = "key"
    TEXT = "text"
    CLICK = "click"
    MOVE = "move"


@dataclass(frozen=True)
class Event:
    """One thing that the participant did.

    Parameters
    ----------
    does : Does
        What kind.
    t_us : int
        Host clock when the window told of it; windows are asked at every flip and 100 times a second between.
    key : str
        Name of the key: a digit, or one of `KEYS`.
    text : str
        What was typed, as the input method composed it.
    x, y : float
        Where, shares of the window, origin top left.
    """

    does: Does
    t_us: int
    key: str = ""
    text: str = ""
    x: float = 0.0
    y: float = 0.0


#: Numbers of the keys that pages know, as pyglet gives them on every operating system (X11's keysyms).
KEYS: dict[int, str] = {
    0xFF0D: "enter", 0xFF8D: "enter", 0xFF1B: "escape", 0xFF09: "tab", 0xFF08: "backspace", 0xFFFF: "delete",
    0xFF51: "left", 0xFF52: "up", 0xFF53: "right", 0xFF54: "down", 0xFF50: "home", 0xFF57: "end",
    0x20: "space",
    0x72: "r", 0x73: "s",
    **{0x30 + digit: str(digit) for digit in range(10)},
    **{0xFFB0 + digit: str(digit) for digit in range(10)},
}  # fmt: skip

#: pyglet's answer of a handler that no other handler is to see the event; its name there is EVENT_HANDLED.
_HANDLED = True


class InputQueue:
    """Collect what a window tells of.

    Parameters
    ----------
    handle : pyglet window
        PsychoPy's ``win.winHandle``.
    clock : HostClock
        Stamps the events.
    """

    def __init__(self, handle: Any, clock: HostClock) -> None:
        self._handle = handle
        self._clock = clock
        self._events: deque[Event] = deque()
        handle.push_handlers(
            on_key_press=self._on_key_press,
            on_text=self._on_text,
            on_mouse_press=self._on_mouse_press,
            on_mouse_motion=self._on_mouse_motion,
            on_close=self._on_close,
        )

    def close(self) -> None:
        """Listen no more."""
        self._handle.pop_handlers()

    def post(self, event: Event) -> None:
        """Add an event as if the participant had done it; ``--auto`` does."""
        self._events.append(event)

    def take(self) -> list[Event]:
        """Ask the window and return what happened since the last call."""
        self._handle.dispatch_events()
        events = list(self._events)
        self._events.clear()
        return events

    def forget(self) -> None:
        """Drop what was done before a page was there to be seen."""
        self.take()

    # ----------------------------------------------------- handlers of pyglet

    def _on_key_press(self, symbol: int, modifiers: int) -> bool:
        if symbol in KEYS:
            self._events.append(Event(Does.KEY, self._clock.now_us(), key=KEYS[symbol]))
        return _HANDLED

    def _on_text(self, text: str) -> bool:
        if text.isprintable() and text:
            self._events.append(Event(Does.TEXT, self._clock.now_us(), text=text))
        return _HANDLED

    def _on_mouse_press(self, x: float, y: float, button: int, modifiers: int) -> bool:
        if button == 1:
            self._events.append(self._mouse(Does.CLICK, x, y))
        return _HANDLED

    def _on_mouse_motion(self, x: float, y: float, dx: float, dy: float) -> bool:
        if self._events and self._events[-1].does is Does.MOVE:
            self._events.pop()
        self._events.append(self._mouse(Does.MOVE, x, y))
        return _HANDLED

    def _on_close(self) -> bool:
        # Alt+F4 is a wish to stop, and is asked about like Escape.
        self._events.append(Event(Does.KEY, self._clock.now_us(), key="escape"))
        return _HANDLED

    def _mouse(self, does: Does, x: float, y: float) -> Event:
        share_y = 1.0 - y / max(1, self._handle.height)
        return Event(does, self._clock.now_us(), x=x / max(1, self._handle.width), y=share_y)
