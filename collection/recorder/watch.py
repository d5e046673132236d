"""What the recorder keeps an eye on while it writes: silent and slow streams, the disk, the wall clock."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from collection.recorder.anchors import StepWatch, read_anchor
from collection.recorder.disk import CRITICAL_FREE_BYTES, GIGABYTE, DiskGuard, Growth
from collection.recorder.queues import CountedQueue, RateMeter
from collection.recorder.sink import RecordingSink
from data_schema.clocks import HostClock
from data_schema.session import markers

logger = logging.getLogger(__name__)

#: Seconds between clock anchors: a drift of 100 ppm shows within a few minutes.
ANCHOR_EVERY_S = 10.0
#: Seconds between looks at the disk.
_DISK_EVERY_S = 5.0
#: Seconds between two looks at a stream's rate, and length of the window that it is taken over.
_RATE_EVERY_S = 0.5
RATE_WINDOW_S = 2.0
#: A stream is slow below the first share of its announced rate, and well again above the second.
#: Ours: a halved exposure gives 0.5, a tracker at its next lower rate at most 0.83, a busy machine 0.99.
RATE_LOW_SHARE, RATE_WELL_SHARE = 0.9, 0.95
#: It must be so for as long: a gap that is shorter than the silence alarm is no rate.
RATE_LASTING_S = 3.0
#: Recording seconds that the disk must be good for when nothing says how much is still to come.
LOW_DISK_S = 600.0

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


class RateWatch:
    """Mark streams that deliver, but fewer rows a second than their device announced.

    A long exposure in a dark room halves a camera's rate, a tracker may have been
    left at another rate by another program: the data look sound and are too few.

    Parameters
    ----------
    queues : dict of str to CountedQueue
        The streams that are watched.
    rates_hz : dict of str to float
        Announced rate by stream.
    silence : SilenceWatch
        A stream that is silent is not slow.
    """

    def __init__(
        self, queues: dict[str, CountedQueue], rates_hz: dict[str, float], silence: SilenceWatch, mark: Mark
    ) -> None:
        self._queues = queues
        self._rates_hz = rates_hz
        self._silence = silence
        self._mark = mark
        self._meters: dict[str, RateMeter] = {}
        self._began_s: dict[str, float] = {}
        self._since_s: dict[str, float] = {}
        self._last_s = -math.inf
        #: Rate of the streams that are slow now, in Hz.
        self.slow: dict[str, float] = {}

    def tick(self, now_s: float | None = None) -> None:
        """Look at all streams if it is time."""
        now = time.monotonic() if now_s is None else now_s
        if now - self._last_s < _RATE_EVERY_S:
            return
        self._last_s = now
        for name, queue in self._queues.items():
            self._look(name, queue, now)

    def _look(self, name: str, queue: CountedQueue, now: float) -> None:
        if self._silence.silent_s(name) or queue.blocked:
            self._meters.pop(name, None)
            self._since_s.pop(name, None)
            return
        if name not in self._meters:
            self._meters[name] = RateMeter(RATE_WINDOW_S)
            self._began_s[name] = now
        rate = self._meters[name].update(queue.received, now)
        if now - self._began_s[name] < RATE_WINDOW_S:
            return
        announced = self._rates_hz[name]
        wrong = rate < RATE_LOW_SHARE * announced if name not in self.slow else rate >= RATE_WELL_SHARE * announced
        if name in self.slow:
            self.slow[name] = rate
        if not wrong:
            self._since_s.pop(name, None)
            return
        if now - self._since_s.setdefault(name, now) < RATE_LASTING_S:
            return
        self._since_s.pop(name)
        text = f"{name}: {rate:.1f} a second, announced are {announced:g}"
        if name in self.slow:
            del self.slow[name]
            self._mark(markers.RATE_BACK, text, rate)
        else:
            self.slow[name] = rate
            self._mark(markers.RATE_LOW, text, rate)


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
        #: The last step of the wall clock in microseconds, and when it was noticed (real seconds).
        self.last_step: tuple[int, float] | None = None

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
            self.last_step = (step_us, time.monotonic())
            self._mark(
                markers.CLOCK_STEPPED, f"the wall clock was set by {step_us / 1e6:+.3f} s; stamps are not affected",
                float(step_us),
            )  # fmt: skip


class DiskWatch:
    """Mark a disk that runs full, and say when recording must stop.

    A disk that does not answer, as a network share now and then does, leaves the
    room unknown. That is said once and never ends a recording: a write that fails does.
    """

    def __init__(
        self,
        guard: DiskGuard,
        mark: Mark,
        growth: Growth | None = None,
        remaining_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._guard = guard
        self._mark = mark
        self._growth = growth
        self._remaining_s = remaining_s
        self._last_s = time.monotonic()
        self._unknown = False
        #: Free bytes that are too few to go on; None while all is well.
        self.critical: int | None = None

    @property
    def low(self) -> bool:
        """True while the disk is nearly full."""
        return self._guard.is_low

    @property
    def minutes_left(self) -> float:
        """Minutes of recording until it must stop, as fast as the file grows now; NaN if nobody knows."""
        if self._growth is None or self._guard.free < 0:
            return math.nan
        return self._growth.seconds_for(self._guard.free - CRITICAL_FREE_BYTES) / 60.0

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
        needed = 0.0
        if self._growth is not None:
            self._growth.look()
            # Said while there is still time to make room or to end after this trial.
            needed = self._growth.bytes_per_s * max(LOW_DISK_S, self._remaining_s()) + CRITICAL_FREE_BYTES
        low = self._guard.low_now(needed)
        if low is not None:
            self._mark(markers.DISK_LOW, self.say_low(), float(low))
        self.critical = self._guard.critical_now()

    def say_low(self) -> str:
        """Say how much is left and what to do."""
        minutes = self.minutes_left
        lasts = f", enough for about {max(0.0, minutes):.0f} min" if math.isfinite(minutes) else ""
        return f"{self._guard.free / GIGABYTE:.2f} GB are left on the disk{lasts}: make room, or end after this trial"
