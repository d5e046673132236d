"""Pairs of host and UTC time, and the moment when somebody sets the wall clock."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from data_schema.clocks import HostClock, host_ns
from data_schema.session.layout import ANCHORS

#: A wall clock that NTP disciplines slews by at most 500 ppm (5 ms in 10 s); 50 ms is a step.
STEP_US = 50_000
_TRIES = 5


def read_anchor(clock: HostClock) -> npt.NDArray[np.void]:
    """Read UTC between two readings of the host clock; the tightest of five tries.

    Returns
    -------
    ndarray, shape (1,)
        A row of ``/clock/anchors``. With a clock that runs faster than real
        time, UTC is what it would be if the session ran in real time.
    """
    best: tuple[int, int, int] | None = None
    for _ in range(_TRIES):
        before = host_ns()
        utc = time.time_ns()
        after = host_ns()
        if best is None or after - before < best[0]:
            best = (after - before, (before + after) // 2, utc)
    if best is None:
        raise RuntimeError("no try was made")
    width_ns, mono_ns, utc_ns = best
    mono_us = mono_ns // 1000
    # A scaled clock reads differently from the monotonic clock by now; carry both stamps over.
    ahead_us = 0 if clock.speed == 1.0 else clock.now_us() - mono_us
    row = ANCHORS.empty(1)
    row["t_system_us"] = mono_us + ahead_us
    row["t_utc_us"] = utc_ns // 1000 + ahead_us
    row["uncertainty_us"] = max(1, width_ns // 2000)
    return row


class StepWatch:
    """Notice that UTC minus monotonic time has jumped."""

    def __init__(self) -> None:
        self._offset_us: int | None = None

    def step_us(self, anchor: npt.NDArray[np.void]) -> int | None:
        """Return the step since the last anchor in microseconds if it is one, else None."""
        offset = int(anchor["t_utc_us"][0]) - int(anchor["t_system_us"][0])
        last, self._offset_us = self._offset_us, offset
        if last is None or abs(offset - last) <= STEP_US:
            return None
        return offset - last
