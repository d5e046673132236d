"""The pattern that is flashed: black and white for irregular times, so that no delay looks like another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: Shortest and longest time of one level, seconds. The shortest is more than two frames of a 30 Hz
#: camera; the spread makes the pattern's autocorrelation fall off at once. Chosen by us.
SHORTEST_S = 0.08
LONGEST_S = 0.24


@dataclass(frozen=True)
class Flash:
    """One change of the screen: from host time `t_flip_us` on it is white (1) or black (0)."""

    t_flip_us: int
    level: int


@dataclass(frozen=True)
class FlashPattern:
    """When the screen is to change.

    Parameters
    ----------
    at_s : tuple of float
        Seconds after the start at which the level changes; it begins black, the first change is to white.
    seconds : float
        Length of the whole.
    """

    at_s: tuple[float, ...]
    seconds: float

    @classmethod
    def random(cls, seconds: float, seed: int) -> FlashPattern:
        """Return a pattern of `seconds`; the same seed gives the same one."""
        generator = np.random.default_rng(seed)
        at_s: list[float] = []
        t_s = 0.5
        while t_s < seconds - 0.5:
            at_s.append(t_s)
            t_s += float(generator.uniform(SHORTEST_S, LONGEST_S))
        return cls(tuple(at_s), seconds)

    def level_at(self, t_s: float) -> int:
        """Return the level that is due `t_s` after the start."""
        return int(np.searchsorted(self.at_s, t_s, side="right")) % 2


class ShownPattern:
    """The level of the screen over time, as it was really shown.

    Parameters
    ----------
    flashes : list of Flash
        In order of time.
    """

    def __init__(self, flashes: list[Flash]) -> None:
        times = [flash.t_flip_us for flash in flashes]
        levels = [flash.level for flash in flashes]
        self._t_us = np.array(times, dtype=np.float64)
        self._level = np.array(levels, dtype=np.float64)
        # Integral of the level up to each change, for means over an exposure. Black before the first.
        steps = np.diff(self._t_us) * self._level[:-1]
        self._integral = np.concatenate(([0.0], np.cumsum(steps)))

    def integral(self, t_us: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the time for which the screen has been white up to `t_us`, microseconds."""
        at = np.searchsorted(self._t_us, t_us, side="right") - 1
        inside = np.maximum(at, 0)
        white = self._integral[inside] + (t_us - self._t_us[inside]) * self._level[inside]
        return np.asarray(np.where(at < 0, 0.0, white))

    def mean_level(self, t_us: npt.NDArray[np.float64], exposure_us: float) -> npt.NDArray[np.float64]:
        """Return the mean level during exposures of one length with their middles at `t_us`."""
        half = exposure_us / 2.0
        return np.asarray((self.integral(t_us + half) - self.integral(t_us - half)) / exposure_us)
