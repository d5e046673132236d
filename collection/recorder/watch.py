"""What the recorder keeps an eye on while it writes: silent streams, the disk, the wall clock."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from collection.recorder.anchors import StepWatch, read_anchor
from collection.recorder.disk import GIGABYTE, DiskGuard
from collection.recorder.queues import CountedQueue
from collection.recorder.sink import RecordingSink
from data_schema.clocks import HostClock
from data_schema.session import markers

logger = logging.getLogger(__name__)

#: Seconds between clock anchors: a drift of 100 ppm shows within a few minutes.
ANCHOR_EVERY_S = 10.0
#: Seconds between looks at the disk.
_DISK_EVERY_S = 5.0

Mark = Callable[[str, str, float], None]


class SilenceWatch:
    """Mark streams that fall silent and come back.

    Parameters
    ----------
    queues : dict of str to CountedQueue
        The streams that are watched.
    silence_s : float
        Real seconds without delivery that raise the alarm.
    """

    def __init__(self, sink: RecordingSink, queues: dict[str, CountedQueue], silence_s: float, mark: Mark) -> None:
        self._sink = sink
        self._queues = queues
        self._silence_s = silence_s
        self._mark = mark
        self._silent: dict[str, float] = {}

    def tick(self) -> None:
        """Look at all streams."""
        for name, queue in self._queues.items():
            silent_s = 0.0 if queue.blocked else self._sink.silent_s(name)
            if silent_s > self._silence_s:
                if name not in self._silent:
                    self._mark(markers.STREAM_SILENT, f"{name}: nothing arrived", silent_s)
                self._silent[name] = silent_s
            elif name in self._silent:
                self._mark(markers.STREAM_BACK, f"{name}: delivers again", self._silent.pop(name))

    def silent_s(self, name: str) -> float:
        """Return the seconds for which a stream has been silent; 0 if it delivers."""
        return self._silent.get(name, 0.0)


class ClockWatch:
    """Take anchors at an interval and mark steps of the wall clock."""

    def __init__(
        self,
        clock: HostClock,
        put_anchor: Callable[[npt.NDArray[np.void]], None],
        mark: Mark,
        read: Callable[[HostClock], npt.NDArray[np.void]] = read_anchor,
    ) -> None:
        self._clock = clock
        self._put = put_anchor
        self._mark = mark
        self._read = read
        self._steps = StepWatch()
        self._last_s = -math.inf

    def tick(self) -> None:
        """Take an anchor if one is due."""
        if time.monotonic() - self._last_s >= ANCHOR_EVERY_S:
            self.take()

    def take(self) -> None:
        """Take an anchor now."""
        self._last_s = time.monotonic()
        anchor = self._read(self._clock)
        self._put(anchor)
        step_us = self._steps.step_us(anchor)
        if step_us is not None:
            self._mark(
                markers.CLOCK_STEPPED, f"the wall clock was set by {step_us / 1e6:+.3f} s; stamps are not affected",
                float(step_us),
            )  # fmt: skip


class DiskWatch:
    """Mark a disk that runs full, and say when recording must stop.

    A disk that does not answer, as a network share now and then does, leaves the
    room unknown. That is said once and never ends a recording: a write that fails does.
    """

    def __init__(self, guard: DiskGuard, mark: Mark) -> None:
        self._guard = guard
        self._mark = mark
        self._last_s = time.monotonic()
        self._unknown = False
        #: Free bytes that are too few to go on; None while all is well.
        self.critical: int | None = None

    def tick(self) -> None:
        """Look at the disk if it is time."""
        if time.monotonic() - self._last_s < _DISK_EVERY_S:
            return
        self.look()

    def look(self) -> None:
        """Look at the disk now."""
        self._last_s = time.monotonic()
        error = self._guard.look()
        if error is not None and not self._unknown:
            logger.warning("the room on the disk is not known: %s", error)
            self._mark(markers.DEVICE_FAULT, f"the disk does not say how much room is left: {error}"[:250], math.nan)
        self._unknown = error is not None
        low = self._guard.low_now()
        if low is not None:
            self._mark(markers.DISK_LOW, f"{low / GIGABYTE:.2f} GB are left on the disk", float(low))
        self.critical = self._guard.critical_now()
