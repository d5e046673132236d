"""What the stamps of camera frames say: is the camera's own clock to be believed, are frames missing?"""

from __future__ import annotations

from collections import deque

import numpy as np

#: Frames over which the camera's own stamps are held against the host's.
_STAMPS_KEPT, _STAMPS_NEEDED = 30, 15
#: Pace of a clock that is believed: its seconds per second of the host. A camera's crystal is wrong by
#: parts per million; this only tells a clock from a counter, from a stuck stamp and from a file's own time.
_PACE = (0.8, 1.25)

#: An interval longer than this many median ones is counted as missed frames.
_GAP_FACTOR = 1.75
_INTERVALS_KEPT, _INTERVALS_NEEDED = 60, 15
#: After so many long intervals in a row the camera is slow (a long exposure), and nothing is missing.
_SLOW_AFTER = 3


class DeviceStamps:
    """Decides whether a camera's own stamps move as a clock does."""

    def __init__(self) -> None:
        self._pairs: deque[tuple[int, int]] = deque(maxlen=_STAMPS_KEPT)

    @property
    def believed(self) -> bool:
        """True if the stamps of the last frames moved at the pace of a clock."""
        if len(self._pairs) < _STAMPS_NEEDED:
            return False
        (host_first, device_first), (host_last, device_last) = self._pairs[0], self._pairs[-1]
        pace = (device_last - device_first) / max(host_last - host_first, 1)
        return _PACE[0] <= pace <= _PACE[1]

    def judge(self, t_host_us: int, t_device_us: int) -> int:
        """Return `t_device_us` if it can be believed, else -1.

        Parameters
        ----------
        t_host_us : int
            Host stamp of the frame.
        t_device_us : int
            What the camera says; 0 or less if it says nothing.
        """
        if t_device_us <= 0:
            # Many drivers answer 0 to what they do not know.
            self._pairs.clear()
            return -1
        if self._pairs and t_device_us <= self._pairs[-1][1]:
            # It stands still, or began anew: it must show its pace again.
            self._pairs.clear()
        self._pairs.append((t_host_us, t_device_us))
        return t_device_us if self.believed else -1


class MissedFrames:
    """Estimates from the intervals how many frames were lost before each one."""

    def __init__(self) -> None:
        self._intervals: deque[int] = deque(maxlen=_INTERVALS_KEPT)
        self._n_long = 0

    def count(self, interval_us: int) -> int:
        """Return how many frames are missing in the interval before this frame.

        A camera whose intervals become long and stay so delivers fewer frames than
        before (a dark room lengthens the exposure); it loses none.
        """
        missed = 0
        if len(self._intervals) >= _INTERVALS_NEEDED:
            usual_us = float(np.median(self._intervals))
            if interval_us > _GAP_FACTOR * usual_us:
                self._n_long += 1
                if self._n_long <= _SLOW_AFTER:
                    missed = round(interval_us / usual_us) - 1
                else:
                    self._take_over(interval_us)
            else:
                self._n_long = 0
        self._intervals.append(interval_us)
        return missed

    def lost(self, gap_us: int) -> int:
        """Return how many frames fit into the time that a camera was away."""
        if not self._intervals:
            return 0
        return max(0, round(gap_us / float(np.median(self._intervals))) - 1)

    def _take_over(self, interval_us: int) -> None:
        """Take the new, slower rhythm for the usual one."""
        self._intervals.clear()
        self._intervals.extend([interval_us] * _INTERVALS_NEEDED)
        self._n_long = 0
