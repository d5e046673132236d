"""A stand-in for ``tobii_research`` that keeps the SDK's names, signatures and rules.

``tests/lab/test_tobii_sdk.py`` compares every name and signature here with the
real SDK. Rules kept: samples come from a thread of the SDK's own; the same
callback twice is refused; a refused callback counts as subscribed; what a
callback raises is swallowed and appears on STREAM_ERRORS; nothing may be
subscribed from within a callback; a failed computation answers and does not raise.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

EXCEPTIONS = (
    "EyeTrackerConnectionFailedError",
    "EyeTrackerDisplayAreaNotValidError",
    "EyeTrackerFeatureDeprecatedError",
    "EyeTrackerFeatureNotSupportedError",
    "EyeTrackerInternalError",
    "EyeTrackerInvalidOperationError",
    "EyeTrackerLicenseError",
    "EyeTrackerOperationFailedError",
    "EyeTrackerSavedLicenseFailedToApplyError",
    "EyeTrackerUnavailableError",
)
CONSTANTS = {
    "CAPABILITY_CAN_SET_DISPLAY_AREA": "capability_can_set_display_area",
    "CAPABILITY_HAS_EXTERNAL_SIGNAL": "capability_has_external_signal",
    "CAPABILITY_HAS_GAZE_DATA": "capability_has_gaze_data",
    "CAPABILITY_HAS_EYE_OPENNESS_DATA": "capability_has_eye_openness_data",
    "CAPABILITY_CAN_DO_SCREEN_BASED_CALIBRATION": "capability_can_do_screen_based_calibration",
    "CAPABILITY_CAN_DO_MONOCULAR_CALIBRATION": "capability_can_do_monocular_calibration",
    "EYETRACKER_GAZE_DATA": "eyetracker_gaze_data",
    "EYETRACKER_EYE_OPENNESS_DATA": "eyetracker_eye_openness_data",
    "EYETRACKER_USER_POSITION_GUIDE": "eyetracker_user_position_guide",
    "EYETRACKER_TIME_SYNCHRONIZATION_DATA": "eyetracker_time_synchronization_data",
    "EYETRACKER_EXTERNAL_SIGNAL": "eyetracker_external_signal",
    "EYETRACKER_STREAM_ERRORS": "eyetracker_stream_errors",
    "CALIBRATION_STATUS_FAILURE": "calibration_status_failure",
    "CALIBRATION_STATUS_SUCCESS": "calibration_status_success",
    "CALIBRATION_STATUS_SUCCESS_LEFT_EYE": "calibration_status_success_left_eye",
    "CALIBRATION_STATUS_SUCCESS_RIGHT_EYE": "calibration_status_success_right_eye",
    "VALIDITY_INVALID_AND_NOT_USED": "validity_invalid_and_not_used",
    "VALIDITY_VALID_BUT_NOT_USED": "validity_valid_but_not_used",
    "VALIDITY_VALID_AND_USED": "validity_valid_and_used",
    "SELECTED_EYE_LEFT": "selected_eye_left",
    "SELECTED_EYE_RIGHT": "selected_eye_right",
    "SELECTED_EYE_BOTH": "selected_eye_both",
    "STREAM_ERROR_SOURCE_USER": "stream_error_source_user",
    "STREAM_ERROR_USER_ERROR": "stream_error_user_error",
    "STREAM_ERROR_CONNECTION_LOST": "stream_error_connection_lost",
    "LICENSE_EXPIRED": "license_expired",
}
CONSTANTS.update(
    {
        f"EYETRACKER_NOTIFICATION_{name}": f"eyetracker_notification_{name.lower()}"
        for name in (
            "CALIBRATION_CHANGED CALIBRATION_MODE_ENTERED CALIBRATION_MODE_LEFT CONNECTION_LOST CONNECTION_RESTORED "
            "DEVICE_FAULTS DEVICE_WARNINGS DISPLAY_AREA_CHANGED EYE_TRACKING_MODE_CHANGED "
            "GAZE_OUTPUT_FREQUENCY_CHANGED STREAM_BUFFER_OVERFLOW"
        ).split()
    }
)
ALL_CAPABILITIES = tuple(value for name, value in CONSTANTS.items() if name.startswith("CAPABILITY_"))


def _exception(name: str) -> type[Exception]:
    def __init__(self: Exception, value: str) -> None:
        self.value = value  # type: ignore[attr-defined]

    def __str__(self: Exception) -> str:
        return repr(self.value)  # type: ignore[attr-defined]

    return type(name, (Exception,), {"__init__": __init__, "__str__": __str__})


ERRORS = {name: _exception(name) for name in EXCEPTIONS}


class DisplayArea:
    def __init__(self, display_area: dict[str, tuple[float, ...]]) -> None:
        for name in ("bottom_left", "top_left", "top_right"):
            if not isinstance(display_area[name], tuple):
                raise ValueError("DisplayArea requires a dictionary with the coordinates")
        self.bottom_left, self.top_left, self.top_right = (
            tuple(float(v) for v in display_area[name]) for name in ("bottom_left", "top_left", "top_right")
        )


AREA = DisplayArea(
    {"top_left": (-264.0, 317.0, 0.0), "top_right": (264.0, 317.0, 0.0), "bottom_left": (-264.0, 20.0, 0.0)}
)


class LicenseKey:
    def __init__(self, key_string: bytes) -> None:
        if not isinstance(key_string, bytes):
            raise ValueError("LicenseKey objects must be created with a string!")
        self.key_string = key_string


class FailedLicense:
    def __init__(self, key_string: bytes, validation_result: int) -> None:
        self.license_key = LicenseKey(key_string)
        self.validation_result = {4: "license_expired", 7: "license_invalid_serial_number"}[validation_result]


class CalibrationEyeData:
    def __init__(self, position_on_display_area: tuple[float, float], validity: int) -> None:
        self.position_on_display_area = position_on_display_area
        self.validity = {
            -1: "validity_invalid_and_not_used",
            0: "validity_valid_but_not_used",
            1: "validity_valid_and_used",
        }[validity]


class CalibrationSample:
    def __init__(self, left_eye: CalibrationEyeData, right_eye: CalibrationEyeData) -> None:
        self.left_eye, self.right_eye = left_eye, right_eye


class CalibrationPoint:
    def __init__(self, position_on_display_area: tuple[float, float], calibration_samples: tuple[Any, ...]) -> None:
        self.position_on_display_area, self.calibration_samples = position_on_display_area, calibration_samples


class CalibrationResult:
    def __init__(self, status: str, calibration_points: tuple[CalibrationPoint, ...]) -> None:
        self.status, self.calibration_points = status, calibration_points


class EyeTracker:
    """What the driver sees of an eye tracker."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.device_name, self.runtime_version = "", "1.0"
        self.model, self.serial_number, self.firmware_version = "Stand-in", "SN-1", "9.9"
        self.device_capabilities: tuple[str, ...] = ALL_CAPABILITIES
        self.rates: tuple[float, ...] = (60.0, 250.0, 600.0)
        self.modes: tuple[str, ...] = ("human", "monkey")
        self.rate_hz, self.mode, self.area = 60.0, "human", AREA
        self.calibration = b""
        self.licences: list[bytes] = []
        self.bad_licences: dict[bytes, int] = {}
        #: Stand-in's own: streams that it refuses, and whether it can be reached.
        self.refuses: tuple[str, ...] = ()
        self.reachable = True
        #: Times that streams must be subscribed after a lost connection before they deliver: 0 means at once.
        self.needs_new_subscription = False
        self.delivers = True
        self.in_calibration_mode = False
        self.collected: dict[tuple[float, float], Any] = {}
        self.collect_fails = self.compute_raises = self.compute_fails = False
        self.callbacks: dict[str, dict[Callable[[Any], None], bool]] = {}
        self.n_subscriptions = 0
        self._calling = threading.local()

    # -- settings

    def _reach(self) -> None:
        if not self.reachable:
            raise ERRORS["EyeTrackerConnectionFailedError"]("The connection to the eye tracker failed. 204")

    def get_all_gaze_output_frequencies(self) -> tuple[float, ...]:
        self._reach()
        return self.rates

    def get_gaze_output_frequency(self) -> float:
        self._reach()
        return self.rate_hz

    def set_gaze_output_frequency(self, gaze_output_frequency: float) -> None:
        self._reach()
        if gaze_output_frequency not in self.rates:
            raise ValueError("The value is out of bounds. 13")
        self.rate_hz = gaze_output_frequency

    def get_all_eye_tracking_modes(self) -> tuple[str, ...]:
        return self.modes

    def get_eye_tracking_mode(self) -> str:
        return self.mode

    def set_eye_tracking_mode(self, eye_tracking_mode: str) -> None:
        self.mode = eye_tracking_mode

    def get_display_area(self) -> DisplayArea:
        self._reach()
        return self.area

    def set_display_area(self, display_area: DisplayArea) -> None:
        if not isinstance(display_area, DisplayArea):
            raise ValueError("Display area must be a DisplayArea object.")
        if display_area.top_left == display_area.top_right:
            raise ERRORS["EyeTrackerDisplayAreaNotValidError"]("The display area is not valid. 14")
        self.area = display_area

    def apply_licenses(self, license_key_ring: Any) -> tuple[FailedLicense, ...]:
        keys = [key if isinstance(key, bytes) else key.key_string for key in license_key_ring]
        self.licences.extend(key for key in keys if key not in self.bad_licences)
        return tuple(FailedLicense(key, self.bad_licences[key]) for key in keys if key in self.bad_licences)

    def retrieve_calibration_data(self) -> bytes:
        self._reach()
        return self.calibration

    def apply_calibration_data(self, calibration_data: bytes) -> None:
        self._reach()
        if not isinstance(calibration_data, bytes):
            raise ValueError("Calibration data must be applied with a bytes object.")
        self.calibration = calibration_data

    # -- streams

    def subscribe_to(
        self, subscription_type: str, callback: Callable[[Any], None], as_dictionary: bool = False
    ) -> None:
        if getattr(self._calling, "now", False):
            raise ERRORS["EyeTrackerOperationFailedError"]("Callback in progress. 217")
        if callback in self.callbacks.setdefault(subscription_type, {}):
            raise ERRORS["EyeTrackerInvalidOperationError"]("The operation is invalid in this context. 11")
        # As the SDK does it: noted first, then asked of the tracker.
        self.callbacks[subscription_type][callback] = as_dictionary
        self._reach()
        if subscription_type in self.refuses:
            raise ERRORS["EyeTrackerFeatureNotSupportedError"]("The feature is not supported by the eye tracker. 202")
        self.n_subscriptions += 1
        self.delivers = True

    def unsubscribe_from(self, subscription_type: str, callback: Callable[[Any], None] | None = None) -> None:
        if callback is not None:
            self.callbacks[subscription_type].pop(callback)
        if callback is None or not self.callbacks[subscription_type]:
            self.callbacks.pop(subscription_type)
        self._reach()

    def deliver(self, stream: str, sample: dict[str, Any]) -> None:
        """Call back from a thread of the SDK's, which swallows what the callback raises."""
        if not self.delivers and "notification" not in stream:
            return

        def call() -> None:
            self._calling.now = True
            for callback, as_dictionary in list(self.callbacks.get(stream, {}).items()):
                try:
                    callback(dict(sample) if as_dictionary else sample)
                except Exception as error:  # noqa: BLE001 - as the SDK does
                    self._report(error)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()

    def _report(self, error: Exception) -> None:
        data = {
            "system_time_stamp": get_system_time_stamp(),
            "error": CONSTANTS["STREAM_ERROR_USER_ERROR"],
            "source": CONSTANTS["STREAM_ERROR_SOURCE_USER"],
            "message": f"User callback raised exception {type(error).__name__}. Message: {error}",
        }
        for callback in list(self.callbacks.get(CONSTANTS["EYETRACKER_STREAM_ERRORS"], {})):
            callback(data)

    def notify(self, name: str, **details: Any) -> None:
        """Deliver a notification, such as CONNECTION_LOST."""
        stream = CONSTANTS[f"EYETRACKER_NOTIFICATION_{name}"]
        self.deliver(stream, {"notification_type": stream, "system_time_stamp": get_system_time_stamp(), **details})

    def unplug(self) -> None:
        self.notify("CONNECTION_LOST")
        self.reachable = self.delivers = False
        self.in_calibration_mode = False

    def plug_in(self, *, streams_go_on: bool, forgets: bool = False) -> None:
        self.reachable, self.delivers = True, streams_go_on
        if forgets:
            self.rate_hz, self.calibration, self.licences = 60.0, b"", []
        self.notify("CONNECTION_RESTORED")

    @property
    def n_subscribed(self) -> int:
        return sum(len(callbacks) for callbacks in self.callbacks.values())


class _Calibration:
    """Both classes of calibration."""

    _tracker: EyeTracker

    def enter_calibration_mode(self) -> None:
        self._tracker._reach()
        if self._tracker.in_calibration_mode:
            raise ERRORS["EyeTrackerInvalidOperationError"]("The calibration has already been started. 210")
        self._tracker.in_calibration_mode = True
        self._tracker.collected.clear()

    def leave_calibration_mode(self) -> None:
        self._tracker._reach()
        if not self._tracker.in_calibration_mode:
            raise ERRORS["EyeTrackerInvalidOperationError"]("Calibration has not been started. 211")
        self._tracker.in_calibration_mode = False

    def _collect(self, x: float, y: float, eye: str) -> str:
        self._tracker._reach()
        if not self._tracker.in_calibration_mode:
            raise ERRORS["EyeTrackerInvalidOperationError"]("Calibration has not been started. 211")
        if self._tracker.collect_fails:
            return CONSTANTS["CALIBRATION_STATUS_FAILURE"]
        self._tracker.collected[float(x), float(y)] = eye
        return CONSTANTS["CALIBRATION_STATUS_SUCCESS" + {"left": "_LEFT_EYE", "right": "_RIGHT_EYE"}.get(eye, "")]

    def compute_and_apply(self) -> CalibrationResult:
        tracker = self._tracker
        if tracker.compute_raises:
            raise ERRORS["EyeTrackerOperationFailedError"]("The operation failed. 214")
        if tracker.compute_fails or not tracker.collected:
            return CalibrationResult(CONSTANTS["CALIBRATION_STATUS_FAILURE"], ())
        eyes = set(tracker.collected.values())
        eye = eyes.pop() if len(eyes) == 1 else "both"
        tracker.calibration = b"calibration " + repr(sorted(tracker.collected.items())).encode()
        used = {"left": (1, -1), "right": (-1, 1), "both": (1, 0)}[eye]
        points = tuple(
            CalibrationPoint(
                (x, y),
                (
                    CalibrationSample(
                        CalibrationEyeData((x + 0.01, y), used[0]), CalibrationEyeData((x - 0.01, y), used[1])
                    ),
                ),
            )
            for x, y in tracker.collected
        )
        suffix = {"left": "_LEFT_EYE", "right": "_RIGHT_EYE"}.get(eye, "")
        return CalibrationResult(CONSTANTS[f"CALIBRATION_STATUS_SUCCESS{suffix}"], points)


class ScreenBasedCalibration(_Calibration):
    def __init__(self, eyetracker: EyeTracker) -> None:
        if CONSTANTS["CAPABILITY_CAN_DO_SCREEN_BASED_CALIBRATION"] not in eyetracker.device_capabilities:
            raise ValueError("A ScreenBasedCalibration object must be initialized with an EyeTracker")
        self._tracker = eyetracker

    def collect_data(self, x: float, y: float) -> str:
        return self._collect(x, y, "both")

    def discard_data(self, x: float, y: float) -> None:
        self._tracker.collected.pop((float(x), float(y)), None)


class ScreenBasedMonocularCalibration(_Calibration):
    def __init__(self, eyetracker: EyeTracker) -> None:
        if CONSTANTS["CAPABILITY_CAN_DO_MONOCULAR_CALIBRATION"] not in eyetracker.device_capabilities:
            raise ValueError("A ScreenBased_Monocular_Calibration object must be initialized with an EyeTracker")
        self._tracker = eyetracker

    def collect_data(self, x: float, y: float, eye_to_calibrate: str) -> str:
        return self._collect(x, y, eye_to_calibrate.removeprefix("selected_eye_"))

    def discard_data(self, x: float, y: float, eye_to_calibrate: str) -> None:
        self._tracker.collected.pop((float(x), float(y)), None)


def get_system_time_stamp() -> int:
    return time.monotonic_ns() // 1000


#: What the driver uses of the module, beside constants and exceptions.
CLASSES = (
    EyeTracker, DisplayArea, LicenseKey, FailedLicense, CalibrationEyeData, CalibrationSample, CalibrationPoint,
    CalibrationResult, ScreenBasedCalibration, ScreenBasedMonocularCalibration,
)  # fmt: skip


def stand_in_sdk(*trackers: EyeTracker) -> ModuleType:
    """Return a module in place of ``tobii_research`` that finds `trackers`."""
    module = ModuleType("tobii_research")
    module.__dict__.update(CONSTANTS)
    module.__dict__.update(ERRORS)
    module.__dict__.update({one.__name__: one for one in CLASSES})
    module.__dict__["__version__"] = "2.1.0"
    module.__dict__["get_system_time_stamp"] = get_system_time_stamp
    module.__dict__["found"] = list(trackers)
    module.__dict__["find_all_eyetrackers"] = lambda: tuple(module.__dict__["found"])
    return module


def stand_in_tracker(serial_number: str = "SN-1", **attributes: Any) -> EyeTracker:
    """Return a tracker with its own serial number and address."""
    tracker = EyeTracker(f"tet-tcp://{serial_number.lower()}")
    tracker.serial_number = serial_number
    for name, value in attributes.items():
        setattr(tracker, name, value)
    return tracker
