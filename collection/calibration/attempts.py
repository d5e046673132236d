"""Make attempts, one after the other, and know which calibration and which validation hold."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from collection.calibration.choices import listed
from collection.calibration.gate import judge
from collection.calibration.measuring import ABORTED, Measurer
from collection.calibration.results import CALIBRATION, RECHECK, VALIDATION, Attempt, Outcome
from collection.calibration.storage import AttemptStore
from collection.calibration.targets import Target, calibration_targets, recheck_targets, validation_targets
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError
from data_schema.signals.validation import BOTH
from data_schema.study.sections import CalibrationSection

#: Told of the phase, the number of targets that are done, and of how many.
Show = Callable[[str, int, int], None]


class AttemptMaker:
    """Calibrate, collect again, validate and re-check; every attempt ends up in the file.

    Parameters
    ----------
    measurer : Measurer
        Does the work.
    store : AttemptStore
        Writes it down.
    clock : HostClock
    config : CalibrationSection
        Points, eyes and limits.
    seed : int
        Of the study.
    participant : str
        Code; with the seed and the attempt's number it decides on the order of the targets.
    show : callable
        Told before each target.
    """

    def __init__(
        self,
        measurer: Measurer,
        store: AttemptStore,
        clock: HostClock,
        config: CalibrationSection,
        seed: int,
        participant: str,
        show: Show,
    ) -> None:
        self.measurer = measurer
        self.store = store
        self.made: list[Attempt] = []
        self.eyes: str = config.eyes
        #: In use on the tracker, and the validation that speaks for it.
        self.calibration: Attempt | None = None
        self.validation: Attempt | None = None
        #: Why the last action gave nothing; empty if it gave something.
        self.failure = ""
        self.n_redos = 0
        self._clock = clock
        self._config = config
        self._seed = (seed, zlib.crc32(participant.encode()))
        self._show = show
        #: Targets of the calibration that is open on the tracker, and what became of them.
        self._collected: dict[Target, Outcome] = {}

    # ------------------------------------------------------------------ actions

    def calibrate(self) -> None:
        """Calibrate all points anew, then validate.

        Raises
        ------
        DeviceError
            If the tracker is gone or silent.
        """
        attempt = self._begin(CALIBRATION, self._config.points)
        targets = calibration_targets(self._config.points, self._rng(attempt))
        with self._measuring(attempt):
            self._enter(attempt)
            self._collected = {}
            self._collect(attempt, targets, again=False)
        self._settle(attempt)

    def redo(self, targets: Sequence[Target]) -> None:
        """Collect some points again, compute anew from all, then validate; does nothing for no points.

        Raises
        ------
        DeviceError
            If the tracker is gone or silent.
        """
        if not targets:
            return
        self.n_redos += 1
        attempt = self._begin(CALIBRATION, len(targets))
        attempt.note = f"{len(targets)} of {len(self._collected)} targets collected again"
        with self._measuring(attempt):
            self._collect(attempt, targets, again=True)
        self._settle(attempt)

    def validate(self) -> None:
        """Validate what the tracker uses now, and let the gate judge it.

        Raises
        ------
        DeviceError
            If the tracker is gone or silent.
        """
        attempt = self._begin(VALIDATION, self._config.validation_points)
        targets = validation_targets(self._config.validation_points, self._rng(attempt))
        with self._measuring(attempt):
            self.measurer.validate(attempt, targets, lambda i, n: self._show("validating", i, n))
            attempt.gate, attempt.problems = judge(attempt, self._config)
            attempt.message = "; ".join((attempt.gate, *attempt.problems))
        self.validation = attempt

    def recheck(self) -> Attempt:
        """Measure a few targets of the accepted validation again; the attempt says whether that worked."""
        before = self.validation.points if self.validation is not None else []
        attempt = self._begin(RECHECK, 0)
        targets = recheck_targets([point.target_norm for point in before], self._rng(attempt))
        attempt.n_points = len(targets)
        try:
            with self._measuring(attempt):
                self.measurer.validate(attempt, targets, lambda i, n: self._show("rechecking", i, n))
                attempt.message = "measured"
        except DeviceError:
            # Whoever asked for the re-check sees it in the attempt.
            pass
        return attempt

    def put_back(self, attempt: Attempt) -> None:
        """Take an earlier attempt as the one that holds; the tracker has been given its data already."""
        self.calibration, self.failure = self.calibration_of(attempt), ""
        self.validation = attempt if attempt.kind == VALIDATION else None
        self.eyes = attempt.eyes

    def write_down(self) -> None:
        """Write the rows of all attempts that were made since the last time, with what is in use now."""
        for attempt in self.made:
            attempt.chosen = attempt is self.calibration or (attempt is self.validation and attempt.chosen)
        self.store.finish()

    # ------------------------------------------------------------- what there is

    @property
    def current(self) -> Attempt | None:
        """The attempt that holds, as the operator sees it: the validation, or the calibration without one."""
        return self.validation or self.calibration

    @property
    def open_targets(self) -> dict[Target, Outcome]:
        """Targets of the calibration in use that can be collected again: those that the tracker still holds."""
        still_open = self.measurer.open_attempt is not None and self.measurer.open_attempt is self.calibration
        return self._collected if still_open else {}

    @property
    def earlier(self) -> list[Attempt]:
        """Attempts that can be put into use instead of the current one."""
        return [
            attempt
            for attempt in listed(self.made)
            if (attempt is not self.current or self.failure) and self.calibration_of(attempt) is not None
        ]

    def calibration_of(self, attempt: Attempt) -> Attempt | None:
        """Return the calibration that an attempt is or tests, if it is in use or can be put into use again."""
        number = attempt.validates if attempt.kind == VALIDATION else attempt.attempt_id
        found = next((a for a in self.made if a.attempt_id == number and a.kind == CALIBRATION), None)
        if found is None or not found.success or not (found.blob or found is self.calibration):
            return None
        return found

    # ------------------------------------------------------------------ the frame

    def _begin(self, kind: str, n_points: int) -> Attempt:
        attempt = Attempt(len(self.made) + 1, kind, self.eyes, self._clock.now_us(), n_points)
        if kind != CALIBRATION and self.calibration is not None:
            attempt.validates = self.calibration.attempt_id
        self.made.append(attempt)
        self.store.begin(attempt)
        return attempt

    @contextmanager
    def _measuring(self, attempt: Attempt) -> Iterator[None]:
        """Write what an attempt showed, however it ends."""
        try:
            yield
        except DeviceError as error:
            attempt.status, attempt.success, attempt.message = attempt.status or "failed", False, str(error)
            raise
        except BaseException:
            attempt.status, attempt.success, attempt.message = ABORTED, False, "stopped"
            raise
        finally:
            attempt.t_end_us = self._clock.now_us()
            self.store.measured(attempt)

    def _enter(self, attempt: Attempt) -> None:
        """Enter calibration mode for the wanted eyes; a tracker that refuses one eye alone calibrates both."""
        try:
            self.measurer.enter(self.eyes)
        except DeviceError as error:
            if self.eyes == BOTH:
                raise
            self.measurer.enter(BOTH)
            attempt.note = f"the tracker calibrates both eyes, the {self.eyes} one counts: {error}"

    def _collect(self, attempt: Attempt, targets: Sequence[Target], again: bool) -> None:
        self.measurer.collect(attempt, targets, again, lambda i, n: self._show("calibrating", i, n))
        self._collected.update({shown.target_norm: shown.outcome for shown in attempt.shown})
        self.measurer.compute(attempt)

    def _settle(self, attempt: Attempt) -> None:
        """Take a calibration as the one in use if it succeeded, and test it."""
        if not attempt.success:
            self.failure = attempt.message
            return
        self.calibration, self.validation = attempt, None
        if self._config.validation_points:
            self.validate()

    def _rng(self, attempt: Attempt) -> np.random.Generator:
        return np.random.default_rng((*self._seed, attempt.attempt_id))
