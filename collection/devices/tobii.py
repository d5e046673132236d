"""A Tobii Pro eye tracker through the Tobii Pro SDK.

The driver finds the tracker, sets it up, and answers the verbs of a calibration;
its streams are :mod:`collection.devices.tobii_streams`, its calibration
:mod:`collection.devices.tobii_calibration`, its errors
:mod:`collection.devices.tobii_errors`. The SDK (``tobii-research``) exists for
CPython 3.10 alone and is imported in :meth:`TobiiEyeTracker.connect`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from collection.devices.base import EYE_TRACKER, CalibrationOutcome, DeviceInfo, Sink
from collection.devices.tobii_calibration import TobiiCalibration
from collection.devices.tobii_errors import import_sdk, translated
from collection.devices.tobii_streams import RESTORED_WITHIN_S, SILENT_S, TobiiStreams
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError
from data_schema.session import markers
from data_schema.session.layout import GAZE, OPENNESS

logger = logging.getLogger(__name__)

_SEARCH_S = 10.0
_NOT_FOUND = (
    "No Tobii eye tracker answered within {seconds:.0f} s. Check the USB cable and that Eye Tracker Manager is closed, "
    "or rehearse with --eye-tracker simulated."
)
CORNERS = ("top_left", "top_right", "bottom_left")
#: The SDK's clock and ours are one if they agree this well; reading both takes microseconds.
_ONE_CLOCK_US = 1_000
#: A display area that differs more than this from the measured screen was set up for another one.
_AREA_TOLERANCE = 0.05


class TobiiEyeTracker:
    """A Tobii Pro tracker.

    Parameters
    ----------
    clock : HostClock
        Clock of the recording; must be the system's, which the SDK stamps with.
    rate_hz : float
        Gaze samples per second that are asked for.
    which : str
        Serial number or address of one tracker; empty if there is only one.
    search_s : float
        How long to look for it.
    mode : str
        Eye tracking mode to set; empty leaves the one it has.
    licence_file : str
        Licence to apply; empty for none.
    screen_mm : tuple of float, optional
        Measured width and height of the screen, to compare the display area with.
    restored_within_s, silent_s : float
        Seconds without gaze after which the streams are subscribed anew: once the connection
        is back, and in general.
    """

    def __init__(
        self,
        clock: HostClock,
        rate_hz: float,
        which: str = "",
        search_s: float = _SEARCH_S,
        *,
        mode: str = "",
        licence_file: str = "",
        screen_mm: tuple[float, float] | None = None,
        restored_within_s: float = RESTORED_WITHIN_S,
        silent_s: float = SILENT_S,
    ) -> None:
        self.clock = clock
        self.rate_hz = rate_hz
        self.which = which
        self.mode = mode
        self.licence_file = licence_file
        self._screen_mm = screen_mm
        self._search_s = search_s
        self._waits_s = (restored_within_s, silent_s)
        self._sdk: ModuleType | None = None
        self._tracker: Any = None
        self._serial = ""
        self._calibration: TobiiCalibration | None = None
        self._streams: TobiiStreams | None = None
        self._licences: list[dict[str, str]] = []
        self._sdk_minus_host_us = 0
        self._verb_lock = threading.RLock()

    # -- the verbs of a device --------------------------------------------------------

    def connect(self) -> None:
        """Find the tracker, apply its licence, set its mode and its rate.

        Raises
        ------
        MissingExtraError
            If the SDK is not installed.
        DeviceError
            If this Python cannot have the SDK, no tracker answers, several do and none is
            chosen, or it lacks the rate or the mode; each with the next step.
        """
        with self._verb_lock:
            if self._tracker is not None:
                return
            if self.clock.speed != 1.0:
                raise DeviceError(
                    "A Tobii eye tracker runs in real time only. Leave --speed out, or use a simulated one."
                )
            self._sdk = sdk = import_sdk()
            tracker = self._find(sdk)
            self._apply_licence(tracker)
            self._set_up(tracker)
            self._measure_clock(sdk)
            self._serial = str(tracker.serial_number)
            self._calibration = TobiiCalibration(sdk, tracker)
            self._tracker = tracker

    def describe(self) -> DeviceInfo:
        """Say what the tracker says of itself. Capabilities are its claims."""
        tracker = self._required()
        with translated(self._sdk, "say what it is"):
            rates = {GAZE.path: float(tracker.get_gaze_output_frequency())}
            if self._claims("CAPABILITY_HAS_EYE_OPENNESS_DATA"):
                rates[OPENNESS.path] = rates[GAZE.path]
            offered = [float(rate) for rate in tracker.get_all_gaze_output_frequencies()]
            details = {
                "address": str(tracker.address),
                "device_name": str(tracker.device_name),
                "runtime_version": str(tracker.runtime_version),
                "eye_tracking_mode": str(tracker.get_eye_tracking_mode()),
                "eye_tracking_modes": [str(mode) for mode in tracker.get_all_eye_tracking_modes()],
                "rates_offered_hz": offered,
                "capabilities": [str(claim) for claim in tracker.device_capabilities],
                "licences": self._licences,
                "sdk_version": str(getattr(self._sdk, "__version__", "")),
                "sdk_minus_host_us": self._sdk_minus_host_us,
            }
        details["display_area_mm"] = self.display_area()
        return DeviceInfo(
            role=EYE_TRACKER,
            kind="tobii",
            model=str(tracker.model),
            serial_number=str(tracker.serial_number),
            firmware=str(tracker.firmware_version),
            rates_hz=rates,
            details=details,
        )

    def start(self, sink: Sink) -> None:
        """Subscribe to the streams that the tracker has.

        Raises
        ------
        DeviceError
            If the tracker is not connected, runs already or refuses the gaze stream.
        """
        with self._verb_lock:
            tracker = self._required()
            if self._streams is not None:
                raise DeviceError("The eye tracker is running already; stop() it before it is started again.")
            restored_within_s, silent_s = self._waits_s
            streams = TobiiStreams(
                self._sdk_module(), tracker, self.clock, sink,
                sdk_minus_host_us=self._sdk_minus_host_us if abs(self._sdk_minus_host_us) > _ONE_CLOCK_US else 0,
                reopen=self._reopen,
                calibrating=lambda: self._calibration is not None and self._calibration.active,
                lost=self._lost,
                restored_within_s=restored_within_s,
                silent_s=silent_s,
            )  # fmt: skip
            streams.start()
            self._streams = streams
            for sentence in self._remarks():
                sink.event(markers.DEVICE_FAULT, f"eye tracker: {sentence}"[:250])

    def stop(self) -> None:
        """Unsubscribe and deliver what waits; idempotent. A callback that still comes finds no queue."""
        with self._verb_lock:
            streams, self._streams = self._streams, None
            if streams is not None:
                streams.stop()

    def close(self) -> None:
        """Stop, leave calibration mode and let go of the tracker; idempotent."""
        with self._verb_lock:
            self.stop()
            if self._calibration is not None:
                self._calibration.end()
            self._calibration = None
            self._tracker = None

    # -- the verbs of a calibration (Calibratable) ---------------------------------------

    def calibration_begin(self, eyes: str) -> None:
        """Enter calibration mode for 'both', 'left' or 'right' eyes."""
        self._calibrator().begin(eyes)

    def calibration_collect(self, x: float, y: float) -> bool:
        """Collect data for a target at (x, y), shares of the display area; blocks for about a second."""
        return self._calibrator().collect(x, y)

    def calibration_discard(self, x: float, y: float) -> None:
        """Forget the data of a target."""
        self._calibrator().discard(x, y)

    def calibration_compute(self) -> CalibrationOutcome:
        """Compute a calibration and use it; a failure leaves the old one in use."""
        return self._calibrator().compute()

    def calibration_end(self) -> None:
        """Leave calibration mode; idempotent."""
        if self._calibration is not None:
            self._calibration.end()

    def calibration_data(self) -> bytes:
        """Return the calibration in use; empty if there is none."""
        return self._calibrator().data()

    def calibration_apply(self, data: bytes) -> None:
        """Use a calibration that ``calibration_data`` returned before."""
        self._calibrator().apply(data)

    # -- the display area -------------------------------------------------------------------

    def display_area(self) -> dict[str, list[float]]:
        """Return the corners of the display area, mm in the tracker's user coordinate system."""
        tracker = self._required()
        with translated(self._sdk, "say its display area"):
            area = tracker.get_display_area()
        return {name: [float(v) for v in getattr(area, name)] for name in CORNERS}

    def set_display_area(self, area: Mapping[str, Sequence[float]]) -> None:
        """Set the display area from its corners top_left, top_right and bottom_left, mm.

        Raises
        ------
        DeviceError
            If a corner is missing or the tracker refuses.
        """
        tracker = self._required()
        missing = [name for name in CORNERS if len(area.get(name, ())) != 3]
        if missing:
            raise DeviceError(
                f"A display area needs three numbers for each of {', '.join(CORNERS)}; {', '.join(missing)} is not so. "
                "Take them from Eye Tracker Manager."
            )
        sdk = self._sdk_module()
        with translated(sdk, "set its display area"):
            tracker.set_display_area(sdk.DisplayArea({name: tuple(float(v) for v in area[name]) for name in CORNERS}))

    def _remarks(self) -> list[str]:
        """Return sentences about what is not as the study says, but no reason to stop."""
        remarks = []
        if abs(self._sdk_minus_host_us) > _ONE_CLOCK_US:
            remarks.append(
                f"the SDK's system clock differs from the host clock by {self._sdk_minus_host_us} us; this was taken "
                "off its system stamps"
            )
        if self._screen_mm is not None:
            area = self.display_area()
            sides = [_distance(area["top_left"], area[name]) for name in ("top_right", "bottom_left")]
            if any(abs(side - mm) > _AREA_TOLERANCE * mm for side, mm in zip(sides, self._screen_mm, strict=True)):
                remarks.append(
                    f"its display area is {sides[0]:.0f} x {sides[1]:.0f} mm, but [screen] of study.toml says "
                    f"{self._screen_mm[0]:.0f} x {self._screen_mm[1]:.0f}; set it up in Eye Tracker Manager"
                )
        return remarks

    # -- finding and setting up --------------------------------------------------------------

    def _find(self, sdk: ModuleType) -> Any:
        if "://" in self.which:
            with translated(sdk, f"be reached at {self.which}"):
                return sdk.EyeTracker(self.which)
        deadline = time.monotonic() + self._search_s
        while True:
            # Each search lasts about two seconds inside the SDK.
            with translated(sdk, "be searched for"):
                found = list(sdk.find_all_eyetrackers())
            chosen = [tracker for tracker in found if self.which in ("", tracker.serial_number, tracker.address)]
            if len(chosen) == 1:
                return chosen[0]
            if len(chosen) > 1:
                raise DeviceError(
                    f"{len(chosen)} Tobii eye trackers answered: {_names(chosen)}. Choose one, such as "
                    f"--eye-tracker tobii:{chosen[0].serial_number}"
                )
            if time.monotonic() >= deadline:
                if found:
                    raise DeviceError(
                        f"No Tobii eye tracker has the serial number or address '{self.which}'. "
                        f"Those that answered: {_names(found)}."
                    )
                raise DeviceError(_NOT_FOUND.format(seconds=self._search_s))

    def _apply_licence(self, tracker: Any) -> None:
        self._licences = []
        if not self.licence_file:
            return
        path = Path(self.licence_file).expanduser()
        try:
            key = path.read_bytes()
        except OSError as error:
            raise DeviceError(
                f"{path}: the licence file cannot be read ({error.strerror or error}). Correct licence_file in "
                "[eye_tracker] of study.toml."
            ) from error
        with translated(self._sdk, "take the licence"):
            failed = tracker.apply_licenses([self._sdk_module().LicenseKey(key)])
        if failed:
            reason = str(failed[0].validation_result).removeprefix("license_").replace("_", " ")
            raise DeviceError(
                f"{path.name}: the eye tracker {tracker.model} ({tracker.serial_number}) refuses the licence: {reason}. "
                "Ask Tobii for one for this serial number."
            )
        self._licences.append({"file": path.name, "result": "applied"})

    def _set_up(self, tracker: Any) -> None:
        """Set mode and rate, where they are not so already; the mode first, rates depend on it."""
        with translated(self._sdk, "be set up"):
            if self.mode:
                modes = [str(mode) for mode in tracker.get_all_eye_tracking_modes()]
                if self.mode not in modes:
                    raise DeviceError(
                        f"The eye tracker {tracker.model} offers the eye tracking modes {', '.join(modes)}, not "
                        f"'{self.mode}'. Set mode in [eye_tracker] of study.toml to one of these."
                    )
                if str(tracker.get_eye_tracking_mode()) != self.mode:
                    tracker.set_eye_tracking_mode(self.mode)
            offered = sorted(float(rate) for rate in tracker.get_all_gaze_output_frequencies())
            nearest = min(offered, key=lambda rate: abs(rate - self.rate_hz), default=0.0)
            if abs(nearest - self.rate_hz) >= 0.5:
                rates = ", ".join(f"{rate:g}" for rate in offered)
                raise DeviceError(
                    f"The eye tracker {tracker.model} offers {rates} Hz, not {self.rate_hz:g}. "
                    "Set rate_hz in [eye_tracker] of study.toml to one of these."
                )
            if abs(float(tracker.get_gaze_output_frequency()) - nearest) >= 0.01:
                tracker.set_gaze_output_frequency(nearest)

    def _measure_clock(self, sdk: ModuleType) -> None:
        """Measure the SDK's system clock against the host clock: the tightest of some readings."""
        best_us = None
        for _ in range(5):
            before = self.clock.now_us()
            with translated(sdk, "say the time"):
                of_sdk = int(sdk.get_system_time_stamp())
            after = self.clock.now_us()
            if best_us is None or after - before < best_us:
                best_us = after - before
                self._sdk_minus_host_us = of_sdk - (before + after) // 2

    def _lost(self) -> None:
        if self._calibration is not None:
            self._calibration.lost()

    def _reopen(self) -> tuple[Any, list[str]]:
        """Get hold of the tracker after it was gone, and set again what it forgot."""
        sdk, tracker = self._sdk_module(), self._required()
        try:
            with translated(sdk, "be reached"):
                tracker.get_gaze_output_frequency()
        except DeviceError:
            # Plugged in again it may be another object to the SDK, with the same serial number.
            with translated(sdk, "be searched for"):
                found = [one for one in sdk.find_all_eyetrackers() if str(one.serial_number) == self._serial]
            if not found:
                raise DeviceError("Check its cable and power.") from None
            tracker = found[0]
        sentences = []
        if self.licence_file:
            self._apply_licence(tracker)
            sentences.append("its licence was applied again")
        self._set_up(tracker)
        before = self._calibration.in_use if self._calibration is not None else b""
        calibration = TobiiCalibration(sdk, tracker)
        if before and calibration.data() != before:
            calibration.apply(before)
            sentences.append("its calibration was applied again")
        calibration.in_use = before
        self._tracker, self._calibration = tracker, calibration
        return tracker, sentences

    def _claims(self, capability: str) -> bool:
        claimed = getattr(self._sdk, capability, None)
        return claimed is not None and claimed in self._required().device_capabilities

    def _calibrator(self) -> TobiiCalibration:
        self._required()
        if self._calibration is None:
            raise DeviceError("The Tobii eye tracker was used before connect().")
        return self._calibration

    def _required(self) -> Any:
        if self._tracker is None:
            raise DeviceError("The Tobii eye tracker was used before connect().")
        return self._tracker

    def _sdk_module(self) -> ModuleType:
        if self._sdk is None:
            raise DeviceError("The Tobii eye tracker was used before connect().")
        return self._sdk


def _names(trackers: Sequence[Any]) -> str:
    return "; ".join(f"tobii:{one.serial_number} ({one.model} at {one.address})" for one in trackers)


def _distance(a: Sequence[float], b: Sequence[float]) -> float:
    return float(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5)
