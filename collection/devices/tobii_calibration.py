"""Calibrate a Tobii Pro tracker: both eyes, or one alone.

The SDK has one class for both eyes and one for a chosen eye. A computation that
fails does not raise; it answers with a status, and the old calibration stays in
use. The tracker can be in calibration mode once only, also over programs.
"""

from __future__ import annotations

import logging
import threading
from types import ModuleType
from typing import Any

from collection.devices.base import CalibrationOutcome, CalibrationSample
from collection.devices.tobii_errors import explained, sdk_errors, translated
from data_schema.errors import DeviceError

logger = logging.getLogger(__name__)

#: Failure as the SDK says it, for the case in which it raises instead.
FAILURE = "calibration_status_failure"
_SUCCESSES = (
    "calibration_status_success",
    "calibration_status_success_left_eye",
    "calibration_status_success_right_eye",
)
#: The SDK's words for what became of a sample, as the session file counts them.
VALIDITIES: dict[Any, int] = {
    "validity_invalid_and_not_used": -1,
    "validity_valid_but_not_used": 0,
    "validity_valid_and_used": 1,
}
EYES = ("both", "left", "right")
_CAN_BOTH = "CAPABILITY_CAN_DO_SCREEN_BASED_CALIBRATION"
_CAN_ONE = "CAPABILITY_CAN_DO_MONOCULAR_CALIBRATION"


class TobiiCalibration:
    """The seven verbs of :class:`~collection.devices.base.Calibratable` for one tracker.

    Parameters
    ----------
    sdk : module
        ``tobii_research``.
    tracker : tobii_research.EyeTracker
        Connected.
    """

    def __init__(self, sdk: ModuleType, tracker: Any) -> None:
        self._sdk = sdk
        self._tracker = tracker
        self._running: Any = None
        self._selected: Any = None
        self._lock = threading.RLock()
        self._changed = False
        #: What was last computed or applied here, to notice a tracker that forgot it.
        self.in_use = b""

    @property
    def active(self) -> bool:
        """True while the tracker is in calibration mode, as far as is known here."""
        return self._running is not None

    def begin(self, eyes: str) -> None:
        """Enter calibration mode for 'both', 'left' or 'right' eyes.

        Raises
        ------
        DeviceError
            If the tracker cannot calibrate so, or refuses.
        """
        if eyes not in EYES:
            raise DeviceError(f"A calibration is for {', '.join(EYES)} eyes, got '{eyes}'. Choose one of these.")
        with self._lock:
            self.end()
            self._require(
                _CAN_BOTH, "It cannot be calibrated on a screen; set points = 0 in [calibration] of study.toml."
            )
            if eyes == "both":
                calibration, selected = self._sdk.ScreenBasedCalibration, None
            else:
                self._require(_CAN_ONE, "It cannot calibrate one eye; calibrate both and use the better one.")
                calibration = self._sdk.ScreenBasedMonocularCalibration
                selected = getattr(self._sdk, f"SELECTED_EYE_{eyes.upper()}")
            with translated(self._sdk, "be calibrated"):
                running = calibration(self._tracker)
            self._enter(running)
            self._running, self._selected = running, selected

    def _enter(self, running: Any) -> None:
        with translated(self._sdk, "enter calibration mode"):
            try:
                running.enter_calibration_mode()
            except self._sdk.EyeTrackerInvalidOperationError:
                # A program that crashed in calibration mode leaves the tracker there.
                logger.warning("the eye tracker was in calibration mode already; leaving it and entering again")
                running.leave_calibration_mode()
                running.enter_calibration_mode()

    def collect(self, x: float, y: float) -> bool:
        """Collect at a target; True if the tracker got enough of every eye that is calibrated."""
        running = self._required("collect calibration data")
        with translated(self._sdk, "collect calibration data"):
            status = running.collect_data(x, y, *self._selection())
        return status in _SUCCESSES

    def discard(self, x: float, y: float) -> None:
        """Forget the data of a target."""
        running = self._required("discard calibration data")
        with translated(self._sdk, "discard calibration data"):
            running.discard_data(x, y, *self._selection())

    def compute(self) -> CalibrationOutcome:
        """Compute and use a calibration; a failure is an outcome and no error."""
        running = self._required("compute a calibration")
        try:
            with translated(self._sdk, "compute a calibration"):
                result = running.compute_and_apply()
        except DeviceError as error:
            # Its documentation says that it raises on too little data, its code that it answers.
            if isinstance(error.__cause__, self._sdk.EyeTrackerOperationFailedError):
                return CalibrationOutcome(False, FAILURE)
            raise
        status = str(result.status)
        success = status in _SUCCESSES
        self._changed = self._changed or success
        return CalibrationOutcome(success, status, _samples(result))

    def end(self) -> None:
        """Leave calibration mode; idempotent, also when the tracker is gone."""
        with self._lock:
            running, self._running, self._selected = self._running, None, None
            if running is None:
                return
            try:
                running.leave_calibration_mode()
                if self._changed:
                    self.in_use, self._changed = self.data(), False
            except (*sdk_errors(self._sdk), DeviceError) as error:
                logger.warning("%s", explained(error, "leave calibration mode"))

    def lost(self) -> None:
        """Note that the tracker is gone, and with it its calibration mode."""
        self._running = self._selected = None

    def data(self) -> bytes:
        """Return the calibration in use; empty if the tracker has none."""
        with translated(self._sdk, "hand out its calibration"):
            data = self._tracker.retrieve_calibration_data()
        return bytes(data) if data else b""

    def apply(self, data: bytes) -> None:
        """Use a calibration that `data` returned before."""
        if not data:
            raise DeviceError("There is no calibration to apply. Calibrate first, or choose an attempt that succeeded.")
        with translated(self._sdk, "take the stored calibration"):
            self._tracker.apply_calibration_data(bytes(data))
        self.in_use = bytes(data)

    def _selection(self) -> tuple[Any, ...]:
        return () if self._selected is None else (self._selected,)

    def _required(self, doing: str) -> Any:
        running = self._running
        if running is None:
            raise DeviceError(
                f"The eye tracker cannot {doing}: it is not in calibration mode. Begin the calibration again; it was "
                "left if the tracker was unplugged in between."
            )
        return running

    def _require(self, capability: str, otherwise: str) -> None:
        claimed = getattr(self._sdk, capability, None)
        if claimed is None or claimed not in self._tracker.device_capabilities:
            raise DeviceError(f"The eye tracker {self._tracker.model} does not claim {capability}. {otherwise}")


def _samples(result: Any) -> tuple[CalibrationSample, ...]:
    """Return the samples of the SDK's result, one an eye."""
    return tuple(
        CalibrationSample(
            target_norm=_pair(point.position_on_display_area),
            eye=eye,
            gaze_norm=_pair(getattr(sample, f"{eye}_eye").position_on_display_area),
            validity=VALIDITIES.get(getattr(sample, f"{eye}_eye").validity, -1),
        )
        for point in result.calibration_points
        for sample in point.calibration_samples
        for eye in ("left", "right")
    )


def _pair(position: Any) -> tuple[float, float]:
    x, y = position
    return float(x), float(y)
