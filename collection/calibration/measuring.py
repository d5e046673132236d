"""Carry out one calibration, one redo of some of its points, or one validation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np

from collection.calibration.results import Attempt, Outcome, Spread, TargetShown
from collection.calibration.stability import Look
from collection.calibration.targets import Target
from collection.calibration.watching import RedoAsked, SkipAsked, Tracker, Watcher, mean_and_outline
from collection.devices.base import CalibrationOutcome, CalibrationSample
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError
from data_schema.signals.gaze import ScreenGeometry
from data_schema.signals.quality import accuracy_deg, contour_ellipse
from data_schema.signals.validation import eye_gaze_norm, judged_eyes, measure_point

logger = logging.getLogger(__name__)

#: Told before each target: how many are done, of how many.
Told = Callable[[int, int], None]
ABORTED, NOT_COMPUTED = "aborted", "not computed"


class Measurer:
    """Calibrate and validate; knows the tracker's calibration mode, and nothing of choices.

    Parameters
    ----------
    watcher : Watcher
        Shows targets and looks at gaze.
    tracker : Tracker
        The recorder's handle.
    clock : HostClock
    geometry : ScreenGeometry
    target_s : float
        Time that a target stands still before it is used up.
    """

    def __init__(
        self, watcher: Watcher, tracker: Tracker, clock: HostClock, geometry: ScreenGeometry, target_s: float
    ) -> None:
        self._watcher = watcher
        self._tracker = tracker
        self._clock = clock
        self._geometry = geometry
        self._target_s = target_s
        #: The calibration whose data the tracker still holds in calibration mode; None outside it.
        self.open_attempt: Attempt | None = None
        self._in_mode = False

    # -------------------------------------------------------------- the mode

    def enter(self, eyes: str) -> None:
        """Enter calibration mode anew: the tracker forgets what it had collected.

        Raises
        ------
        DeviceError
            If the tracker refuses, such as a binocular tracker that is asked for one eye.
        """
        self.leave()
        # Set first: a verb that failed half way, or was not waited for, may have entered all the same.
        self._in_mode = True
        self._watcher.ask("calibration_begin", eyes)

    def leave(self) -> None:
        """Leave calibration mode; idempotent. A tracker that is gone has left it."""
        self.open_attempt = None
        if not self._in_mode:
            return
        self._in_mode = False
        try:
            self._tracker.request("calibration_end", timeout_s=self._watcher.pace.request_real_s)
        except DeviceError as error:
            logger.warning("leaving the calibration mode: %s", error)

    # ----------------------------------------------------------- calibration

    def collect(self, attempt: Attempt, targets: Sequence[Target], again: bool, told: Told) -> None:
        """Collect the targets of a calibration; `again` throws away what the tracker has of each before.

        Raises
        ------
        DeviceError
            If the tracker is gone or silent.
        """
        for number, target in enumerate(targets):
            told(number, len(targets))
            attempt.shown.append(self._collect_target(target, attempt.eyes, again))

    def _collect_target(self, target: Target, eyes: str, again: bool) -> TargetShown:
        while True:
            shown_us = self._clock.now_us()
            try:
                shown_us = self._watcher.bring(target)
                return self._try_target(target, eyes, shown_us, again)
            except RedoAsked:
                again = True
            except SkipAsked:
                return TargetShown(target, shown_us, self._clock.now_us(), Outcome.SKIPPED)

    def _try_target(self, target: Target, eyes: str, shown_us: int, again: bool) -> TargetShown:
        """Collect a target, and once more if the tracker got too little."""
        earliest_s = self._target_s - self._watcher.pace.window_s
        if again:
            self._discard(target)
        for attempt_number in (1, 2):
            look, _ = self._watcher.wait_until_stable(target, eyes, shown_us, earliest_s)
            if look is not Look.STABLE:
                logger.info("target %s: gaze did not come to rest (%s)", target, look.value)
            # The tracker decides by itself what it can use; a look that we found restless it may take all the same.
            if self._watcher.ask("calibration_collect", *target):
                redone = again or attempt_number == 2
                outcome = Outcome.REDONE if redone else Outcome.COLLECTED
                return TargetShown(target, shown_us, self._clock.now_us(), outcome)
            if attempt_number == 1:
                self._discard(target)
                # Gaze is to come to rest anew; the target has not moved.
                earliest_s = (self._clock.now_us() - shown_us) / 1e6 + self._watcher.pace.stable_s
        return TargetShown(target, shown_us, self._clock.now_us(), Outcome.FAILED)

    def _discard(self, target: Target) -> None:
        try:
            self._watcher.ask("calibration_discard", *target)
        except DeviceError as error:
            # Some trackers refuse to forget what they never had; one that is gone says so at the next collection.
            logger.info("discarding the data of target %s: %s", target, error)

    def compute(self, attempt: Attempt) -> None:
        """Have the calibration computed from what was collected, and fetch and store its data.

        Raises
        ------
        DeviceError
            If the tracker is gone. A calibration that could not be computed does not raise.
        """
        usable = [s for s in attempt.shown if s.outcome in (Outcome.COLLECTED, Outcome.REDONE)]
        if not usable and self.open_attempt is None:
            attempt.status, attempt.message = NOT_COMPUTED, "the tracker got data at none of the targets"
            return
        outcome: CalibrationOutcome = self._watcher.ask("calibration_compute")
        attempt.status, attempt.success, attempt.samples = outcome.status, outcome.success, outcome.samples
        attempt.spreads = _spreads_of_samples(outcome.samples, self._geometry)
        if not outcome.success:
            attempt.message = (
                f"the tracker could not compute a calibration ({outcome.status}) from {len(usable)} of "
                f"{attempt.n_points} targets"
            )
            return
        self.open_attempt = attempt
        missing = attempt.n_points - len(usable)
        attempt.message = f"calibrated from {len(usable)} of {attempt.n_points} targets" if missing else "calibrated"
        self._keep_data(attempt)

    def _keep_data(self, attempt: Attempt) -> None:
        try:
            attempt.blob = bytes(self._watcher.ask("calibration_data") or b"")
            if attempt.blob:
                offset, size = self._watcher.ask("store_calibration", attempt.blob)
                attempt.blob_place = (int(offset), int(size))
        except DeviceError as error:
            logger.warning("the calibration's data could not be fetched: %s", error)
            attempt.message += "; its data could not be fetched, so it cannot be chosen again later"

    # ------------------------------------------------------------ validation

    def validate(self, attempt: Attempt, targets: Sequence[Target], told: Told) -> None:
        """Measure gaze at the targets of a validation or re-check.

        Raises
        ------
        DeviceError
            If the tracker is silent.
        """
        for number, target in enumerate(targets):
            told(number, len(targets))
            self._validate_target(attempt, target)
        attempt.status, attempt.success = "measured", True

    def _validate_target(self, attempt: Attempt, target: Target) -> None:
        pace = self._watcher.pace
        while True:
            shown_us = self._clock.now_us()
            try:
                shown_us = self._watcher.bring(target)
                earliest_s = self._target_s - pace.window_s
                look, t_us = self._watcher.wait_until_stable(target, attempt.eyes, shown_us, earliest_s)
                # A look that has come to rest goes on; one that never did is measured as it was.
                t_from_us = t_us if look is Look.STABLE else t_us - round(pace.window_s * 1e6)
                t_until_us = t_from_us + round(pace.window_s * 1e6)
                rows = self._watcher.gather(t_from_us, t_until_us)
                break
            except RedoAsked:
                continue
            except SkipAsked:
                attempt.shown.append(TargetShown(target, shown_us, self._clock.now_us(), Outcome.SKIPPED))
                return
        outcome = Outcome.FAILED
        for eye in judged_eyes(attempt.eyes):
            point = measure_point(rows, target, eye, self._geometry, t_from_us, t_until_us)
            gaze = eye_gaze_norm(rows, eye)
            mean, outline = mean_and_outline(gaze, contour_ellipse(gaze))
            attempt.points.append(point)
            attempt.spreads.append(Spread(eye, point.target_norm, mean, outline, point.accuracy_deg))
            if mean is not None:
                outcome = Outcome.COLLECTED
        attempt.shown.append(TargetShown(target, shown_us, t_until_us, outcome))


def _spreads_of_samples(samples: Sequence[CalibrationSample], geometry: ScreenGeometry) -> list[Spread]:
    """Return where the tracker's own samples lie at each target, for each eye; only samples that it used."""
    spreads = []
    for eye, target in dict.fromkeys((sample.eye, sample.target_norm) for sample in samples):
        used = [
            sample.gaze_norm
            for sample in samples
            if sample.eye == eye and sample.target_norm == target and sample.validity == 1
        ]
        gaze = np.array(used, dtype=np.float64).reshape(-1, 2)
        mean, outline = mean_and_outline(gaze, contour_ellipse(gaze))
        offset = accuracy_deg(geometry.norm_to_deg(gaze), geometry.norm_to_deg(target))
        spreads.append(Spread(eye, target, mean, outline, offset))
    return spreads
