"""The calibration of a simulated tracker: from what its eyes did to what it then gets right.

As it comes, a simulated tracker has been calibrated for its participant before,
by nobody knows whom, and is wrong by a few tenths of a degree: a recording
without a calibration is usable. ``calibration_begin`` makes an end of that, as a
real calibration of a new person does: from then on, and until a calibration has
been computed, gaze is wrong by about two degrees. A computed one stays in use
until the next, and its error creeps back slowly.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from collection.devices.base import CalibrationOutcome, CalibrationSample
from collection.simulation.calibration import EYES, Correction, RawError, SimulatedCalibration, fit_correction
from collection.simulation.participant import SimulatedParticipant
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

SUCCESS = "calibration_status_success"
FAILURE = "calibration_status_failure"
#: A tracker looks at a target for about half a second; ours.
COLLECT_S = 0.5
#: Samples kept per target.
_KEPT = 60
#: A sample further from the middle of the others is valid but not used.
_STRAY_DEG = 1.5
#: Smallest share of used samples with which a target counts as collected.
_ENOUGH = 0.5
#: An eye whose samples lie further from the targets than this, after the fit, did not look at them.
_WORST_FIT_DEG = 1.5
_MEMORY_US = 5_000_000
#: Real seconds in which the samples that are waited for must come, beside their own duration.
_PATIENCE_S = 10.0


@dataclass(frozen=True)
class _Collected:
    """What was seen at one target: raw directions and validity, shapes (n, 2, 2) and (n, 2)."""

    raw_deg: FloatArray
    validity: npt.NDArray[np.int8]


class SimulatedCalibrator:
    """Errors, corrections and calibration mode of one simulated tracker.

    Parameters
    ----------
    clock : HostClock
        Clock of the recording.
    participant : SimulatedParticipant
        Whose eyes; the errors are drawn from the seed.
    to_deg, to_norm : callable
        Between shares of the display area and degrees, arrays of shape (n, 2).
    usual_bias_deg : ndarray of float64, shape (2, 2)
        Error of each eye of a tracker as it comes.
    uncalibrated : bool
        Begin without the earlier calibration.
    """

    def __init__(
        self,
        clock: HostClock,
        participant: SimulatedParticipant,
        to_deg: Callable[[FloatArray], FloatArray],
        to_norm: Callable[[FloatArray], FloatArray],
        usual_bias_deg: FloatArray,
        *,
        uncalibrated: bool = False,
    ) -> None:
        self._clock = clock
        self._to_deg, self._to_norm = to_deg, to_norm
        self._bias_deg = usual_bias_deg
        rng = participant.rng("calibration")
        self._errors = (RawError.draw(rng), RawError.draw(rng))
        #: From when on which calibration is in use; None is the one of the tracker as it comes.
        first = SimulatedCalibration() if uncalibrated else None
        self._history: list[tuple[int, SimulatedCalibration | None]] = [(-(2**62), first)]
        self._eyes = ""
        self._collected: dict[tuple[float, float], _Collected] = {}
        self._memory: list[tuple[npt.NDArray[np.int64], FloatArray, BoolArray]] = []
        self._seen_us = -(2**62)
        self._changed = threading.Condition()
        self._verbs = threading.RLock()

    @property
    def active(self) -> bool:
        """True in calibration mode."""
        return bool(self._eyes)

    @property
    def _now(self) -> SimulatedCalibration | None:
        return self._history[-1][1]

    # -- what the tracker measures -------------------------------------------------------

    def measure(
        self, t_us: npt.NDArray[np.int64], gaze_deg: FloatArray, noise_deg: FloatArray, valid: BoolArray
    ) -> FloatArray:
        """Return where the tracker sees both eyes look.

        Parameters
        ----------
        t_us : ndarray of int64, shape (n,)
            Host time of the samples, increasing.
        gaze_deg : ndarray of float64, shape (n, 2)
            Where they look.
        noise_deg : ndarray of float64, shape (n, 2, 2)
            What the tracker adds, by sample, eye and axis.
        valid : ndarray of bool, shape (n, 2)
            Which eyes it sees.

        Returns
        -------
        ndarray of float64, shape (n, 2, 2)
            Degrees, by sample, eye and axis.
        """
        with self._changed:
            history = list(self._history)
            remembers = self.active
        measured = gaze_deg[:, None, :] + self._bias_deg + noise_deg
        starts = [since for since, _ in history]
        index = np.searchsorted(starts, t_us, side="right") - 1
        raw = None
        if remembers or any(calibration is not None for _, calibration in history):
            raw = np.stack([error.apply(gaze_deg) for error in self._errors], axis=1) + noise_deg
            for number in np.unique(index):
                calibration = history[number][1]
                if calibration is not None:
                    chosen = index == number
                    measured[chosen] = self._corrected(calibration, t_us[chosen], raw[chosen])
        self._remember(t_us, raw if remembers else None, valid)
        return measured

    def _corrected(
        self, calibration: SimulatedCalibration, t_us: npt.NDArray[np.int64], raw_deg: FloatArray
    ) -> FloatArray:
        corrected = raw_deg.copy()
        minutes = np.maximum(t_us - calibration.t_us, 0) / 60e6
        for side in (0, 1):
            correction = calibration.of(side)
            if correction is not None:
                drift = minutes[:, None] * self._errors[side].drift_deg_per_min
                corrected[:, side] = correction.apply(raw_deg[:, side]) + drift
        return corrected

    def _remember(self, t_us: npt.NDArray[np.int64], raw_deg: FloatArray | None, valid: BoolArray) -> None:
        with self._changed:
            if raw_deg is not None:
                self._memory.append((t_us, raw_deg, valid))
                while len(self._memory) > 1 and self._memory[0][0][-1] < t_us[-1] - _MEMORY_US:
                    self._memory.pop(0)
            self._seen_us = int(t_us[-1])
            # What was in use long before the samples that still come is of no use any more.
            while len(self._history) > 1 and self._history[1][0] < self._seen_us - _MEMORY_US:
                self._history.pop(0)
            self._changed.notify_all()

    # -- the verbs of Calibratable ---------------------------------------------------------

    def begin(self, eyes: str) -> None:
        """Enter calibration mode; the calibration of the tracker as it came is gone from now on."""
        if eyes not in ("both", *EYES):
            raise DeviceError(f"A calibration is for both, left or right eyes, got '{eyes}'. Choose one of these.")
        with self._verbs, self._changed:
            self._eyes = eyes
            self._collected.clear()
            self._memory.clear()
            if self._now is None:
                self._use(SimulatedCalibration(t_us=self._clock.now_us()))

    def collect(self, x: float, y: float, running: Callable[[], bool]) -> bool:
        """Look at the eyes for half a second from now on; tell whether they held still long enough.

        Raises
        ------
        DeviceError
            If the tracker is not in calibration mode, is not started, or is stopped meanwhile.
        """
        with self._verbs:
            self._require_mode("collect calibration data")
            from_us = self._clock.now_us()
            until_us = from_us + round(COLLECT_S * 1e6)
            self._wait_for(until_us, running)
            collected = self._take(from_us, until_us)
            used = (collected.validity == 1).mean(axis=0) if len(collected.validity) else np.zeros(2)
            enough = [used[EYES.index(eye)] >= _ENOUGH for eye in EYES if self._eyes in ("both", eye)]
            if not all(enough):
                return False
            self._collected[_key(x, y)] = collected
            return True

    def _wait_for(self, until_us: int, running: Callable[[], bool]) -> None:
        deadline = time.monotonic() + COLLECT_S / self._clock.speed + _PATIENCE_S
        with self._changed:
            while self._seen_us < until_us:
                if not running() or time.monotonic() > deadline:
                    raise DeviceError(
                        "The simulated eye tracker delivers nothing, so there is nothing to calibrate from. Start the "
                        "recording first."
                    )
                self._changed.wait(0.05)

    def _take(self, from_us: int, until_us: int) -> _Collected:
        with self._changed:
            memory = list(self._memory)
        if not memory:
            return _Collected(np.zeros((0, 2, 2)), np.zeros((0, 2), dtype=np.int8))
        t_us = np.concatenate([piece[0] for piece in memory])
        inside = np.flatnonzero((t_us >= from_us) & (t_us <= until_us))
        chosen = inside[:: max(1, -(-len(inside) // _KEPT))]
        raw = np.concatenate([piece[1] for piece in memory])[chosen]
        valid = np.concatenate([piece[2] for piece in memory])[chosen]
        validity = np.where(valid, 1, -1).astype(np.int8)
        for side in (0, 1):
            if valid[:, side].any():
                middle = np.median(raw[valid[:, side], side], axis=0)
                stray = np.hypot(*(raw[:, side] - middle).T) > _STRAY_DEG
                validity[valid[:, side] & stray, side] = 0
        return _Collected(raw, validity)

    def discard(self, x: float, y: float) -> None:
        """Forget the data of a target."""
        with self._verbs:
            self._require_mode("discard calibration data")
            self._collected.pop(_key(x, y), None)

    def compute(self) -> CalibrationOutcome:
        """Fit what was collected and use it from now on; a failure leaves the old one in use."""
        with self._verbs:
            self._require_mode("compute a calibration")
            fitted: dict[str, Correction] = {}
            for side, eye in enumerate(EYES):
                correction = self._fit(side) if self._eyes in ("both", eye) else None
                if correction is not None:
                    fitted[eye] = correction
            if not fitted:
                return CalibrationOutcome(False, FAILURE)
            old = self._now or SimulatedCalibration()
            new = replace(old, **fitted, t_us=self._clock.now_us())
            self._use(new)
            status = SUCCESS if len(fitted) == 2 else f"{SUCCESS}_{next(iter(fitted))}_eye"
            return CalibrationOutcome(True, status, self._samples(fitted))

    def _fit(self, side: int) -> Correction | None:
        raws, targets = [], []
        for target, collected in self._collected.items():
            used = collected.raw_deg[collected.validity[:, side] == 1, side]
            if len(used):
                raws.append(used)
                targets.append(np.broadcast_to(self._to_deg(np.array([target]))[0], used.shape))
        if not raws:
            return None
        raw, target_deg = np.concatenate(raws), np.concatenate(targets)
        correction = fit_correction(raw, target_deg, len(raws))
        error_deg = np.hypot(*(correction.apply(raw) - target_deg).T)
        return correction if float(np.sqrt(np.mean(error_deg**2))) <= _WORST_FIT_DEG else None

    def _samples(self, fitted: dict[str, Correction]) -> tuple[CalibrationSample, ...]:
        """Return the samples where the new calibration puts them, as a tracker reports them."""
        samples = []
        for target, collected in self._collected.items():
            for side, eye in enumerate(EYES):
                correction = fitted.get(eye)
                raw = collected.raw_deg[:, side]
                norm = self._to_norm(correction.apply(raw) if correction is not None else raw)
                for (x, y), validity in zip(norm, collected.validity[:, side], strict=True):
                    seen = validity >= 0 and correction is not None
                    gaze = (float(x), float(y)) if seen else (float("nan"), float("nan"))
                    samples.append(CalibrationSample(target, eye, gaze, int(validity) if seen else -1))
        return tuple(samples)

    def end(self) -> None:
        """Leave calibration mode; idempotent."""
        with self._changed:
            self._eyes = ""
            self._memory.clear()

    def data(self) -> bytes:
        """Return the calibration in use; empty if none was computed or applied."""
        now = self._now
        return now.to_bytes() if now is not None and (now.left or now.right) is not None else b""

    def apply(self, data: bytes) -> None:
        """Use a calibration that `data` returned before.

        Raises
        ------
        DeviceError
            If it is not one of a simulated tracker.
        """
        try:
            stored = SimulatedCalibration.from_bytes(data, self._clock.now_us())
        except (ValueError, KeyError, TypeError) as error:
            raise DeviceError(
                f"The stored calibration is none of a simulated eye tracker ({error}). Calibrate anew."
            ) from error
        self._use(stored)

    def _use(self, calibration: SimulatedCalibration) -> None:
        with self._changed:
            self._history.append((self._clock.now_us(), calibration))

    def _require_mode(self, doing: str) -> None:
        if not self._eyes:
            raise DeviceError(
                f"The simulated eye tracker cannot {doing}: it is not in calibration mode. Begin the calibration first."
            )


def _key(x: float, y: float) -> tuple[float, float]:
    return round(float(x), 6), round(float(y), 6)
