"""Bring the head to where the tracker sees it well, with a picture of it 20 times a second."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from collection.calibration.head import Advice, advise, head_position
from collection.calibration.results import PositioningResult
from collection.calibration.watching import Tracker
from collection.presenter.base import CalibrationScreen, HeadPosition, ShouldStop
from collection.texts import Texts
from data_schema.clocks import HostClock
from data_schema.session.layout import GAZE, USER_POSITION

#: Pictures a second; the contract of ``CalibrationScreen.show_head``.
RATE_HZ = 20.0
#: What is older is not where the head is now; the user position guide delivers some 30 rows a second.
_FRESH_S = 0.5


class Positioner:
    """Show the head and give advice until somebody goes on.

    Parameters
    ----------
    tracker : Tracker
        The recorder's handle, whose ``/eye/user_position`` and ``/eye/gaze`` are followed.
    screen : CalibrationScreen
        Draws the head.
    clock : HostClock
        Of the session.
    texts : Texts
        The participant's language.
    should_stop : callable
        True: end now.
    key_of_operator : callable
        What the operator's commands ask for, in the words of ``poll_key``.
    """

    def __init__(
        self,
        tracker: Tracker,
        screen: CalibrationScreen,
        clock: HostClock,
        texts: Texts,
        should_stop: ShouldStop,
        key_of_operator: Callable[[], str],
    ) -> None:
        self._tracker = tracker
        self._screen = screen
        self._clock = clock
        self._texts = texts
        self._should_stop = should_stop
        self._key_of_operator = key_of_operator
        # On a clock faster than real time samples come in larger lumps.
        self._fresh_us = round(_FRESH_S * 1e6 * max(1.0, clock.speed))

    def run(self, text: str, limit_s: float | None) -> PositioningResult:
        """Show the head until a key, a command, a stop or the limit; None waits as long as it takes.

        A tracker that shows neither track box nor eye positions, such as an old recording that is replayed, is
        waited for as any other: the operator sees that it shows nothing, and goes on.
        """
        period_us = round(1e6 / RATE_HZ)
        start_us = self._clock.now_us()
        due_us = start_us
        while True:
            head = self.look()
            advice = advise(head)
            self._screen.show_head(head, self._line(text, advice, head), self._should_stop)
            ended_by = self._ended_by(start_us, limit_s)
            if ended_by:
                self._screen.clear()
                return PositioningResult(ended_by, advice.value, head.distance_mm)
            # A picture that took longer than its period delays the next ones; none is made up for.
            due_us = max(due_us + period_us, self._clock.now_us())
            self._clock.sleep_until(due_us)

    def look(self) -> HeadPosition:
        """Return where the head is now."""
        since_us = self._clock.now_us() - self._fresh_us
        return head_position(
            self._tracker.recent(USER_POSITION.path, since_us), self._tracker.recent(GAZE.path, since_us)
        )

    def _line(self, text: str, advice: Advice, head: HeadPosition) -> str:
        lines = [text, self._texts[f"positioning.{advice.value}"]]
        if math.isfinite(head.distance_mm):
            lines.append(self._texts.say("positioning.distance", centimetres=int(np.rint(head.distance_mm / 10.0))))
        return "\n\n".join(line for line in lines if line)

    def _ended_by(self, start_us: int, limit_s: float | None) -> str:
        if self._should_stop():
            return "stopped"
        for who, key in (
            ("participant", self._screen.poll_key(self._should_stop)),
            ("operator", self._key_of_operator()),
        ):
            if key == "stop":
                return "stopped"
            if key in ("go_on", "skip"):
                return who
        if limit_s is not None and self._clock.now_us() - start_us >= limit_s * 1e6:
            return "time"
        return ""
