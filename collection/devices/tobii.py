"""A Tobii Pro eye tracker through the Tobii Pro SDK.

A thin driver: callbacks of the SDK stamp the sample and hand it to the sink,
nothing else, because an exception or a delay in them loses samples silently.
The SDK (``tobii-research``) exists for CPython 3.10 alone and is imported in
:meth:`TobiiEyeTracker.connect`.
"""

from __future__ import annotations

import importlib
import logging
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from collection.devices import sdk
from collection.devices.base import EYE_TRACKER, DeviceInfo, Sink
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError, MissingExtraError
from data_schema.session import markers
from data_schema.session.layout import GAZE, NOTIFICATIONS, OPENNESS, TIME_SYNC, USER_POSITION

logger = logging.getLogger(__name__)

_SEARCH_S = 10.0
_NOT_FOUND = (
    "No Tobii eye tracker answered within {seconds:.0f} s. Check the USB cable and that Eye Tracker Manager is closed, "
    "or rehearse with --eye-tracker simulated."
)
#: Notifications that are kept, by their name in the SDK behind EYETRACKER_NOTIFICATION_.
NOTIFICATION_NAMES = (
    "CALIBRATION_CHANGED",
    "CALIBRATION_MODE_ENTERED",
    "CALIBRATION_MODE_LEFT",
    "CONNECTION_LOST",
    "CONNECTION_RESTORED",
    "DEVICE_FAULTS",
    "DEVICE_WARNINGS",
    "DISPLAY_AREA_CHANGED",
    "EYE_TRACKING_MODE_CHANGED",
    "GAZE_OUTPUT_FREQUENCY_CHANGED",
    "STREAM_BUFFER_OVERFLOW",
)
#: What a notification may say beside its time.
_NOTIFICATION_DETAILS = ("message", "faults", "warnings", "gaze_output_frequency", "notification_source_stream")
_FAULTS = {"CONNECTION_LOST", "CONNECTION_RESTORED", "DEVICE_FAULTS", "STREAM_BUFFER_OVERFLOW"}


class TobiiEyeTracker:
    """A Tobii Pro tracker.

    Parameters
    ----------
    clock : HostClock
        Clock of the recording; must be the system's, which the SDK stamps with.
    rate_hz : float
        Gaze samples per second that are asked for.
    address : str
        Address of one tracker; empty for the first that is found.
    search_s : float
        How long to look for it.
    """

    def __init__(self, clock: HostClock, rate_hz: float, address: str = "", search_s: float = _SEARCH_S) -> None:
        self.clock = clock
        self.rate_hz = rate_hz
        self.address = address
        self._search_s = search_s
        self._sdk: ModuleType | None = None
        self._tracker: Any = None
        self._subscribed: list[tuple[Any, Callable[[Any], None]]] = []
        self._sink: Sink | None = None
        self._sink_lock = threading.Lock()
        self._verb_lock = threading.RLock()

    # -- the verbs ------------------------------------------------------------------

    def connect(self) -> None:
        """Find the tracker and set its rate.

        Raises
        ------
        MissingExtraError
            If the SDK is not installed.
        DeviceError
            If this Python cannot have the SDK, no tracker answers, or it lacks the rate.
        """
        with self._verb_lock:
            if self._tracker is not None:
                return
            if self.clock.speed != 1.0:
                raise DeviceError(
                    "A Tobii eye tracker runs in real time only. Leave --speed out, or use a simulated one."
                )
            self._sdk = _import_sdk()
            tracker = self._find(self._sdk)
            try:
                offered = sorted(float(rate) for rate in tracker.get_all_gaze_output_frequencies())
                if not any(abs(rate - self.rate_hz) < 0.5 for rate in offered):
                    rates = ", ".join(f"{rate:g}" for rate in offered)
                    raise DeviceError(
                        f"The eye tracker {tracker.model} offers {rates} Hz, not {self.rate_hz:g}. "
                        "Set rate_hz in [eye_tracker] of study.toml to one of these."
                    )
                tracker.set_gaze_output_frequency(self.rate_hz)
            except self._sdk_errors() as error:
                raise DeviceError(
                    f"The eye tracker was found but does not answer ({error}). Unplug it, plug it in again, and close "
                    "Eye Tracker Manager."
                ) from error
            self._tracker = tracker

    def describe(self) -> DeviceInfo:
        """Say what the tracker says of itself. Capabilities are its claims."""
        tracker = self._required()
        rates = {GAZE.path: float(tracker.get_gaze_output_frequency())}
        if self._claims("CAPABILITY_HAS_EYE_OPENNESS_DATA"):
            rates[OPENNESS.path] = rates[GAZE.path]
        return DeviceInfo(
            role=EYE_TRACKER,
            kind="tobii",
            model=str(tracker.model),
            serial_number=str(tracker.serial_number),
            firmware=str(tracker.firmware_version),
            rates_hz=rates,
            details={
                "address": str(tracker.address),
                "device_name": str(tracker.device_name),
                "runtime_version": str(getattr(tracker, "runtime_version", "")),
                "eye_tracking_mode": str(tracker.get_eye_tracking_mode()),
                "capabilities": [str(claim) for claim in tracker.device_capabilities],
                "sdk_version": str(getattr(self._sdk, "__version__", "")),
                "display_area_mm": _display_area(tracker),
            },
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
            if self._subscribed:
                raise DeviceError("The eye tracker is running already; stop() it before it is started again.")
            self._sink = sink
            try:
                self._subscribe(tracker, "EYETRACKER_GAZE_DATA", self._on_gaze, required=True)
                if self._claims("CAPABILITY_HAS_EYE_OPENNESS_DATA"):
                    self._subscribe(tracker, "EYETRACKER_EYE_OPENNESS_DATA", self._on_openness)
                self._subscribe(tracker, "EYETRACKER_USER_POSITION_GUIDE", self._on_user_position)
                self._subscribe(tracker, "EYETRACKER_TIME_SYNCHRONIZATION_DATA", self._on_time_sync)
                self._subscribe(tracker, "EYETRACKER_STREAM_ERRORS", self._on_stream_error)
                for name in NOTIFICATION_NAMES:
                    self._subscribe(tracker, f"EYETRACKER_NOTIFICATION_{name}", self._notifier(name))
            except DeviceError:
                self.stop()
                raise

    def stop(self) -> None:
        """Unsubscribe; idempotent. A callback that still comes finds no sink."""
        with self._verb_lock:
            with self._sink_lock:
                self._sink = None
            subscribed, self._subscribed = self._subscribed, []
            for stream, callback in subscribed:
                try:
                    self._tracker.unsubscribe_from(stream, callback)
                except self._sdk_errors() as error:
                    # The tracker may be gone; there is nothing left to stop then.
                    logger.warning("unsubscribing from %s failed: %s", stream, error)

    def close(self) -> None:
        """Stop and let go of the tracker; idempotent."""
        with self._verb_lock:
            self.stop()
            self._tracker = None

    # -- callbacks: stamp, hand over, nothing else --------------------------------

    def _on_gaze(self, sample: Any) -> None:
        self._deliver(GAZE.path, sdk.gaze_row(sample, self.clock.now_us()))

    def _on_openness(self, sample: Any) -> None:
        self._deliver(OPENNESS.path, sdk.openness_row(sample))

    def _on_user_position(self, sample: Any) -> None:
        self._deliver(USER_POSITION.path, sdk.user_position_row(sample, self.clock.now_us()))

    def _on_time_sync(self, sample: Any) -> None:
        self._deliver(TIME_SYNC.path, sdk.time_sync_row(sample))

    def _on_stream_error(self, error: Any) -> None:
        message = _field(error, "message") or str(error)
        self._notify("STREAM_ERROR", str(message), self.clock.now_us(), fault=True)

    def _notifier(self, name: str) -> Callable[[Any], None]:
        def on_notification(data: Any) -> None:
            stamp = _field(data, "system_time_stamp")
            said = (_field(data, detail) for detail in _NOTIFICATION_DETAILS)
            message = next((str(value) for value in said if value), "")
            self._notify(name, message, int(stamp) if stamp else self.clock.now_us(), fault=name in _FAULTS)

        return on_notification

    def _notify(self, kind: str, message: str, t_system_us: int, *, fault: bool) -> None:
        row = NOTIFICATIONS.empty(1)
        row["t_system_us"] = t_system_us
        row["kind"] = kind.encode()
        row["message"] = message.encode()[:256]
        self._deliver(NOTIFICATIONS.path, row)
        if fault:
            with self._sink_lock:
                if self._sink is not None:
                    words = f"eye tracker: {kind.lower().replace('_', ' ')} {message}".strip()
                    self._sink.event(markers.DEVICE_FAULT, words[:250], t_system_us=t_system_us)

    def _deliver(self, table: str, row: sdk.Row) -> None:
        with self._sink_lock:
            if self._sink is not None:
                self._sink.rows(table, row)

    # -- the SDK --------------------------------------------------------------------

    def _find(self, tobii: ModuleType) -> Any:
        if self.address:
            try:
                return tobii.EyeTracker(self.address)
            except self._sdk_errors() as error:
                raise DeviceError(
                    f"No Tobii eye tracker answered at {self.address} ({error}). "
                    "Check the address in Eye Tracker Manager."
                ) from error
        deadline = time.monotonic() + self._search_s
        while True:
            # Each search lasts about two seconds inside the SDK.
            found = tobii.find_all_eyetrackers()
            if found:
                if len(found) > 1:
                    logger.warning("%d eye trackers answered; taking %s", len(found), found[0].address)
                return found[0]
            if time.monotonic() >= deadline:
                raise DeviceError(_NOT_FOUND.format(seconds=self._search_s))

    def _subscribe(self, tracker: Any, name: str, callback: Callable[[Any], None], *, required: bool = False) -> None:
        stream = getattr(self._sdk, name, None)
        refusals: tuple[type[Exception], ...] = (DeviceError, *self._sdk_errors())
        try:
            if stream is None:
                raise DeviceError(f"This Tobii SDK has no stream {name}. Install tobii-research 2.1 or later.")
            tracker.subscribe_to(stream, callback, as_dictionary=False)
        except refusals as error:
            if required:
                raise DeviceError(
                    f"The eye tracker refused {name}: {error}. Unplug it, plug it in again, and close other programs "
                    "that use it."
                ) from error
            logger.warning("stream %s is not recorded: %s", name, error)
            return
        self._subscribed.append((stream, callback))

    def _claims(self, capability: str) -> bool:
        claimed = getattr(self._sdk, capability, None)
        return claimed is not None and claimed in self._required().device_capabilities

    def _required(self) -> Any:
        if self._tracker is None:
            raise DeviceError("The Tobii eye tracker was used before connect().")
        return self._tracker

    def _sdk_errors(self) -> tuple[type[Exception], ...]:
        """Return the SDK's own exceptions; they share no base."""
        found = vars(self._sdk) if self._sdk is not None else {}
        return tuple(
            value
            for name, value in found.items()
            if name.startswith("EyeTracker") and name.endswith("Error") and isinstance(value, type)
        )


def _import_sdk() -> ModuleType:
    try:
        return importlib.import_module("tobii_research")
    except ImportError as error:
        if sys.version_info[:2] != (3, 10):
            version = f"{sys.version_info[0]}.{sys.version_info[1]}"
            raise DeviceError(
                f"The Tobii SDK exists for CPython 3.10 only, and this is {version}. Make an environment "
                'with Python 3.10 and install: pip install "emer-toolkit[lab]". Or rehearse with --eye-tracker simulated.'
            ) from error
        raise MissingExtraError("lab", "tobii_research", "Recording with a Tobii eye tracker") from error


def _field(data: Any, name: str) -> Any:
    return data.get(name) if isinstance(data, dict) else getattr(data, name, None)


def _display_area(tracker: Any) -> dict[str, list[float]]:
    area = tracker.get_display_area()
    return {name: [float(v) for v in getattr(area, name)] for name in ("top_left", "top_right", "bottom_left")}
