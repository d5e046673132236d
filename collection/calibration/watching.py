"""Watch the participant look at targets: move the target, wait until gaze rests, keep it alive while the tracker works.

Everything runs on the session's thread, which owns the screen. Only a verb that may take long is asked on a thread
of its own, so that the target goes on moving and a stop is heard at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from collection.calibration.stability import Look, Pace, judge_look
from collection.calibration.targets import Target
from collection.presenter.base import CalibrationScreen, ShouldStop
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError, EmerError
from data_schema.session.layout import GAZE
from data_schema.signals.gaze import ScreenGeometry

logger = logging.getLogger(__name__)

#: Seconds of the session's clock between two looks at gaze, keys and orders.
_SLICE_S = 0.03
#: Real time left to other threads at each look; a frame of the screen is far longer.
_YIELD_S = 0.001


class Tracker(Protocol):
    """What is used of the recorder's handle."""

    def request(self, verb: str, *args: Any, timeout_s: float = ...) -> Any:
        """Ask something of the eye tracker and wait for the answer."""
        ...

    def look_at(self, t_us: int, target_norm: tuple[float, float] | None) -> None:
        """Tell a simulated tracker what its participant looks at."""
        ...

    def follow(self, *tables: str) -> None:
        """Have rows of these tables sent here; none ends it."""
        ...

    def recent(self, table: str, since_us: int) -> npt.NDArray[np.void]:
        """Return the rows received since a host time."""
        ...


class StopAsked(Exception):
    """The operator, the participant or the session wants to end; caught within this package."""


class SkipAsked(Exception):
    """The target is to be left out; caught within this package."""


class RedoAsked(Exception):
    """The target is to be shown again; caught within this package."""


class RestartAsked(Exception):
    """Everything is to be calibrated anew; caught within this package."""


class SilentTrackerError(DeviceError):
    """The tracker sends no gaze."""


#: What a key asks for.
_KEYS: dict[str, type[Exception]] = {
    "stop": StopAsked,
    "skip": SkipAsked,
    "redo": RedoAsked,
    "recalibrate": RestartAsked,
}


class Watcher:
    """Show targets and look at gaze.

    Parameters
    ----------
    tracker : Tracker
        The recorder's handle.
    screen : CalibrationScreen
        Draws the target.
    clock : HostClock
        Of the session.
    geometry : ScreenGeometry
        Of the participant's screen.
    pace : Pace
        Times and limits.
    should_stop : callable
        True: end now.
    key_of_operator : callable
        What the operator's commands ask for, in the words of ``poll_key``; '' for nothing.
    """

    def __init__(
        self,
        tracker: Tracker,
        screen: CalibrationScreen,
        clock: HostClock,
        geometry: ScreenGeometry,
        pace: Pace,
        should_stop: ShouldStop,
        key_of_operator: Callable[[], str],
    ) -> None:
        self.pace = pace
        self._tracker = tracker
        self._screen = screen
        self._clock = clock
        self._geometry = geometry
        self._should_stop = should_stop
        self._key_of_operator = key_of_operator
        self._slice_us = round(_SLICE_S * 1e6 * max(1.0, clock.speed))
        self._newest_us = 0
        self._heard_us = clock.now_us()
        self._heard_real_s = time.monotonic()

    # ---------------------------------------------------------------- targets

    def bring(self, target: Target) -> int:
        """Bring the target to a place; returns the host time from which it stood still."""
        self.check()
        arrives_us = self._clock.now_us() + round(self.pace.move_s * 1e6)
        self._tracker.look_at(arrives_us, target)
        shown_us = self._screen.move_target(target[0], target[1], self.pace.move_s, self._should_stop)
        self.check()
        return shown_us

    def wait_until_stable(self, target: Target, eyes: str, shown_us: int, earliest_s: float) -> tuple[Look, int]:
        """Wait until gaze rests at the target, at most ``stable_limit_s``.

        The limit is counted in the samples' own time, so that samples which arrive late are waited for.

        Returns
        -------
        look : Look
            STABLE, or what gaze did last.
        t_us : int
            Stamp of the newest sample.

        Raises
        ------
        SilentTrackerError
            If no sample arrives any more.
        """
        pace = self.pace
        earliest_us = shown_us + round(max(pace.settle_s, earliest_s) * 1e6)
        latest_us = max(earliest_us, shown_us + round(pace.stable_limit_s * 1e6))
        stable_us = round(pace.stable_s * 1e6)
        look = Look.NO_GAZE
        self._hear_anew()
        while True:
            self._hold()
            rows = self._tracker.recent(GAZE.path, max(shown_us, self._clock.now_us() - self._reach_us()))
            newest_us = self._newest(rows)
            if newest_us < earliest_us:
                continue
            recent = rows[rows["t_system_us"] > newest_us - stable_us]
            look = judge_look(recent, target, eyes, self._geometry, pace)
            if look is Look.STABLE or newest_us >= latest_us:
                return look, newest_us

    def gather(self, t_from_us: int, t_until_us: int) -> npt.NDArray[np.void]:
        """Keep the target where it is until all samples of a window have arrived; returns them."""
        self._hear_anew()
        while True:
            rows = self._tracker.recent(GAZE.path, t_from_us)
            if self._newest(rows) >= t_until_us:
                return rows[(rows["t_system_us"] >= t_from_us) & (rows["t_system_us"] < t_until_us)]
            self._hold()

    def ask(self, verb: str, *args: Any) -> Any:
        """Ask something of the tracker while the target goes on living; a stop is heard before the answer comes."""
        done = threading.Event()
        answer: list[Any] = []
        failure: list[Exception] = []

        def run() -> None:
            try:
                answer.append(self._tracker.request(verb, *args, timeout_s=self.pace.request_real_s))
            except Exception as error:  # noqa: BLE001 raised again below, on the session's thread
                failure.append(error)
            finally:
                done.set()

        threading.Thread(target=run, name=f"calibration-{verb}", daemon=True).start()
        while not done.wait(_YIELD_S):
            self._screen.hold_target(self._clock.now_us() + self._slice_us, lambda: done.is_set() or self._stops())
            self.check()
        if failure:
            raise failure[0]
        return answer[0]

    def look_away(self) -> None:
        """End looking at targets."""
        self._tracker.look_at(self._clock.now_us(), None)
        self._screen.clear()

    # ------------------------------------------------------------------ orders

    def check(self) -> None:
        """Raise what the session, a key or the operator asks for."""
        if self._stops():
            raise StopAsked
        for key in (self._screen.poll_key(self._should_stop), self._key_of_operator()):
            if key in _KEYS:
                raise _KEYS[key]

    def _stops(self) -> bool:
        return self._should_stop()

    def _hold(self) -> None:
        self._screen.hold_target(self._clock.now_us() + self._slice_us, self._should_stop)
        self.check()

    # ------------------------------------------------------------------- gaze

    def _reach_us(self) -> int:
        """Return how far back a look at gaze must reach, for samples that arrive late on a fast clock."""
        return round((self.pace.stable_s + 1.0) * 1e6 * max(1.0, self._clock.speed))

    def _hear_anew(self) -> None:
        self._heard_us, self._heard_real_s = self._clock.now_us(), time.monotonic()

    def _newest(self, rows: npt.NDArray[Any]) -> int:
        """Return the newest stamp, -1 for none, and raise if the tracker has been silent for too long."""
        newest_us = int(rows["t_system_us"].max()) if len(rows) else -1
        now_us = self._clock.now_us()
        if newest_us > self._newest_us:
            self._newest_us = newest_us
            self._hear_anew()
        silent_s = (now_us - self._heard_us) / 1e6
        if silent_s > self.pace.silence_s and time.monotonic() - self._heard_real_s > self.pace.silence_real_s:
            raise SilentTrackerError(
                f"the eye tracker has sent no gaze for {silent_s:.0f} s. Check its cable and its lights; if it stays "
                "silent, stop the session and switch the tracker off and on."
            )
        return newest_us


def mean_and_outline(
    gaze_norm: npt.NDArray[np.float64], outline: npt.NDArray[np.float64]
) -> tuple[Target | None, tuple[Target, ...]]:
    """Return the mean of the gaze points that are there, and an outline, as plain numbers."""
    seen = gaze_norm[np.isfinite(gaze_norm).all(axis=1)]
    mean = (float(seen[:, 0].mean()), float(seen[:, 1].mean())) if len(seen) else None
    return mean, tuple((float(x), float(y)) for x, y in outline)


def leave_quietly(actions: Sequence[tuple[str, Callable[[], Any]]]) -> None:
    """Carry out what has to be tried at the end, whatever fails: each failure is logged, none is raised."""
    for name, action in actions:
        try:
            action()
        except (EmerError, OSError) as error:
            logger.warning("at the end of the calibration, %s failed: %s", name, error)
