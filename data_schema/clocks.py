"""Clocks: the host's, a faster one for rehearsals, and the model between two of them.

All stamps are integer microseconds. The host clock is the monotonic clock, which
the Tobii SDK's system time equals (measured on Linux; on Windows both read the
performance counter). It is the same in every process of one machine, so a clock
object can be sent to another process.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol


class HostClock(Protocol):
    """What the recorder, the presenter and the devices ask for the time."""

    @property
    def speed(self) -> float:
        """Seconds of this clock per second of real time."""
        ...

    def now_us(self) -> int:
        """Return the time in microseconds."""
        ...

    def sleep_until(self, t_us: int) -> None:
        """Sleep until this clock reads `t_us`; return at once if it is past."""
        ...


@dataclass(frozen=True)
class SystemClock:
    """The host's monotonic clock."""

    speed: float = 1.0

    def now_us(self) -> int:
        """Return the monotonic time in microseconds."""
        return time.monotonic_ns() // 1000

    def sleep_until(self, t_us: int) -> None:
        """Sleep until the monotonic clock reads `t_us`."""
        delay_us = t_us - self.now_us()
        if delay_us > 0:
            time.sleep(delay_us / 1e6)


@dataclass(frozen=True)
class ScaledClock:
    """A clock that runs `speed` times as fast as the monotonic clock, from `origin_us` on.

    For rehearsals and tests: simulated devices and a headless presenter that
    share one such clock record a session faster than real time, with the stamps
    that real time would have given.

    Parameters
    ----------
    origin_us : int
        Monotonic microseconds at which both clocks agree.
    speed : float
        Larger than 0; 10 is ten times faster than real time.
    """

    origin_us: int
    speed: float

    @classmethod
    def starting_now(cls, speed: float) -> ScaledClock:
        """Return a scaled clock that agrees with the monotonic clock now."""
        if not speed > 0:
            raise ValueError(f"speed must be larger than 0, got {speed}")
        return cls(time.monotonic_ns() // 1000, speed)

    def now_us(self) -> int:
        """Return the scaled time in microseconds."""
        return self.origin_us + round((time.monotonic_ns() / 1000 - self.origin_us) * self.speed)

    def sleep_until(self, t_us: int) -> None:
        """Sleep until this clock reads `t_us`."""
        delay_us = (t_us - self.now_us()) / self.speed
        if delay_us > 0:
            time.sleep(delay_us / 1e6)
