"""Clocks: the host's, a faster one for rehearsals, and the model between two of them.

All stamps are integer microseconds. The host clock is the monotonic clock, which
the Tobii SDK's system time equals (measured on Linux). On Windows it is the
performance counter: ``time.monotonic`` reads the tick count there before Python
3.13, which moves in steps of 15.6 ms (python/cpython, gh-88494). It is the same in
every process of one machine, so a clock object can be sent to another process.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from data_schema.clock_events import find_drift_changes, find_duplicates
from data_schema.errors import ClockError


def host_clock_of(platform: str) -> Callable[[], int]:
    """Return the function that reads the host clock of an operating system, nanoseconds."""
    return time.perf_counter_ns if platform == "win32" else time.monotonic_ns


#: Reads the host clock, nanoseconds.
host_ns: Callable[[], int] = host_clock_of(sys.platform)


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
        return host_ns() // 1000

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
        return cls(host_ns() // 1000, speed)

    def now_us(self) -> int:
        """Return the scaled time in microseconds."""
        return self.origin_us + round((host_ns() / 1000 - self.origin_us) * self.speed)

    def sleep_until(self, t_us: int) -> None:
        """Sleep until this clock reads `t_us`."""
        delay_us = (t_us - self.now_us()) / self.speed
        if delay_us > 0:
            time.sleep(delay_us / 1e6)


#: A step between two neighbouring differences of device and host clock that is taken
#: for a reset of the device's clock. Chosen by us: two orders above the jitter of a
#: Spectrum at 600 Hz (residual SD 0.23 ms).
RESET_STEP_US = 20_000

#: Samples further from the line than this many scaled median absolute deviations are
#: left out of the fit (Leys et al., 2013, J. Exp. Soc. Psychol. 49, "3 is very conservative").
_OUTLIER_MADS = 3.0
_FIT_ROUNDS = 5


@dataclass(frozen=True)
class ClockSegment:
    """The line between two resets or changes of drift: ``t_system = t_device + offset + drift * (t_device - t_device_first)``."""

    #: First row and the row after the last.
    start: int
    stop: int
    t_device_first_us: int
    #: Host minus device clock at the segment's first row.
    offset_us: float
    #: Microseconds that the host gains on the device per second.
    drift_ppm: float
    #: Standard deviation of the residuals of the rows used.
    residual_sd_us: float
    n_used: int


@dataclass(frozen=True)
class ClockModel:
    """Offset and drift of a device's clock against the host's, piecewise between resets and changes of drift."""

    segments: tuple[ClockSegment, ...]
    #: Rows from which on the device's clock runs at another speed.
    drift_changes: tuple[int, ...] = ()
    #: Rows with a stamp that was there before.
    duplicates: tuple[int, ...] = ()

    @property
    def resets(self) -> tuple[int, ...]:
        """Rows at which the device's clock was reset."""
        return tuple(segment.start for segment in self.segments[1:] if segment.start not in self.drift_changes)

    @property
    def longest(self) -> ClockSegment:
        """The segment with the most rows."""
        return max(self.segments, key=lambda segment: segment.stop - segment.start)

    @property
    def offset_us(self) -> float:
        """Offset of the longest segment."""
        return self.longest.offset_us

    @property
    def drift_ppm(self) -> float:
        """Drift of the longest segment, parts per million."""
        return self.longest.drift_ppm

    @property
    def residual_sd_us(self) -> float:
        """Residual standard deviation of the longest segment, microseconds."""
        return self.longest.residual_sd_us

    def to_system(self, t_device_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Map the device stamps that the model was fitted to onto the host clock.

        Parameters
        ----------
        t_device_us : ndarray of int64, shape (n_samples,)
            The same rows, in the same order, as in the fit.

        Returns
        -------
        ndarray of int64, shape (n_samples,)
            Host microseconds, free of the jitter of single host stamps.
        """
        if len(t_device_us) != self.segments[-1].stop:
            raise ClockError(f"the model was fitted to {self.segments[-1].stop} rows, got {len(t_device_us)}")
        mapped = np.empty(len(t_device_us), dtype=np.int64)
        for segment in self.segments:
            device = t_device_us[segment.start : segment.stop].astype(np.int64)
            since = device - segment.t_device_first_us
            correction = segment.offset_us + segment.drift_ppm * 1e-6 * since
            mapped[segment.start : segment.stop] = device + np.round(correction).astype(np.int64)
        return mapped


def fit_clock(t_device_us: npt.NDArray[np.int64], t_system_us: npt.NDArray[np.int64]) -> ClockModel:
    """Fit offset and drift between a device's clock and the host's.

    A straight line per stretch between resets and changes of drift, least squares
    with outliers left out. Stamps that come twice are named. Raw stamps are never
    changed: the model is applied when reading.

    Parameters
    ----------
    t_device_us, t_system_us : ndarray of int64, shape (n_samples,)
        Stamps of the same samples on both clocks, microseconds.

    Returns
    -------
    ClockModel

    Raises
    ------
    ClockError
        If fewer than two samples are given or the lengths differ.
    """
    device = np.asarray(t_device_us, dtype=np.int64)
    system = np.asarray(t_system_us, dtype=np.int64)
    if device.shape != system.shape or device.ndim != 1:
        raise ClockError(f"device and host stamps must be two equally long rows, got {device.shape} and {system.shape}")
    if len(device) < 2:
        raise ClockError(f"a clock model needs at least two samples, got {len(device)}")
    difference = system - device
    steps = np.flatnonzero(np.abs(np.diff(difference)) > RESET_STEP_US) + 1
    # A step that is undone by the next row is one bad stamp, not a reset.
    resets = _without_single_outliers(steps)
    edges = [0, *resets, len(device)]
    stretches = list(zip(edges[:-1], edges[1:], strict=True))
    changes = [a + row for a, b in stretches for row in find_drift_changes(device[a:b], difference[a:b])]
    duplicates = [a + row for a, b in stretches for row in find_duplicates(device[a:b], system[a:b])]
    edges = sorted({*edges, *changes})
    segments = [_fit_segment(device, difference, a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    return ClockModel(tuple(segments), tuple(changes), tuple(duplicates))


def _without_single_outliers(steps: npt.NDArray[np.intp]) -> list[int]:
    kept: list[int] = []
    index = 0
    while index < len(steps):
        if index + 1 < len(steps) and steps[index + 1] == steps[index] + 1:
            index += 2
            continue
        kept.append(int(steps[index]))
        index += 1
    return kept


def _fit_segment(
    device: npt.NDArray[np.int64], difference: npt.NDArray[np.int64], start: int, stop: int
) -> ClockSegment:
    first = int(device[start])
    since = (device[start:stop] - first).astype(np.float64)
    values = difference[start:stop].astype(np.float64)
    base = float(np.median(values))
    values = values - base
    used = np.ones(len(values), dtype=bool)
    slope, intercept = 0.0, 0.0
    for _ in range(_FIT_ROUNDS):
        slope, intercept = _line(since[used], values[used])
        residuals = values - (intercept + slope * since)
        spread = 1.4826 * float(np.median(np.abs(residuals - np.median(residuals))))
        inliers = np.abs(residuals) <= _OUTLIER_MADS * max(spread, 1.0)
        # Three pairs on a bow have one and the same residual but for its sign: none of them is an outlier.
        if np.array_equal(inliers, used) or not inliers.any():
            break
        used = inliers
    residuals = values[used] - (intercept + slope * since[used])
    return ClockSegment(
        start,
        stop,
        first,
        base + float(intercept),
        float(slope) * 1e6,
        float(np.std(residuals)) if len(residuals) else 0.0,
        int(used.sum()),
    )


def _line(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return slope and intercept of the least-squares line; a level one where `x` does not vary."""
    x_mean, y_mean = float(x.mean()), float(y.mean())
    centred = x - x_mean
    spread = float(centred @ centred)
    if spread == 0.0:
        return 0.0, float(np.median(y))
    slope = float(centred @ (y - y_mean)) / spread
    return slope, y_mean - slope * x_mean
