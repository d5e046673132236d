"""The driver over the SDK's real Python layer; only the library below it is replaced.

``tobii_research`` talks to its native library through one function,
``call_function(name, arguments, callback)``. A stand-in for that function plays a
tracker, so that the SDK's own EyeTracker, calibration classes, locks, data classes
and error codes lie between the driver and it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from collection.devices import sdk
from collection.devices.base import CalibrationSample
from collection.devices.simulated import SimulatedEyeTracker
from collection.devices.tobii import TobiiEyeTracker
from collection.devices.tobii_errors import NEXT_STEPS
from data_schema.clocks import SystemClock
from data_schema.errors import DeviceError
from data_schema.session.layout import GAZE, NOTIFICATIONS, OPENNESS, TIME_SYNC, USER_POSITION

from ..collection.devices.device_lab import SCREEN, Collector, ManualClock, person, record, wait_until
from ..collection.devices.tobii_stand_in import ALL_CAPABILITIES

pytestmark = pytest.mark.lab

#: Numbers of streams in the SDK's library (EyeTracker.py, _subscription_types).
STREAM_NUMBERS = {GAZE: 1, TIME_SYNC: 3, USER_POSITION: 7, OPENNESS: 8}
STREAM_ERRORS, NOTIFICATION = 4, 5
OPERATION_FAILED, ALREADY_STARTED, NOT_STARTED, CONNECTION_FAILED = 214, 210, 211, 204


class Library:
    """The native library with one tracker."""

    def __init__(self, time_stamp: Callable[[], int]) -> None:
        self.time_stamp = time_stamp
        self.device = {
            "address": "tet-tcp://library", "device_name": "", "serial_number": "L-1", "model": "Library",
            "firmware_version": "1.2", "runtime_version": "3.4", "device_capabilities": ALL_CAPABILITIES,
            "core_eyetracker": 42,
        }  # fmt: skip
        self.rate_hz = 60.0
        self.calibrating = False
        self.targets: list[tuple[float, float]] = []
        self.calibration = b""
        self.applied: list[bytes] = []
        self.reachable = True
        self.collects = True
        self.computes = True
        #: The status code of each call by its name, where it is not 0.
        self.fails: dict[str, int] = {}
        self.callbacks: dict[int, Callable[[Any], None]] = {}
        self.area = {
            "top_left": (-264.0, 317.0, 0.0),
            "top_right": (264.0, 317.0, 0.0),
            "bottom_left": (-264.0, 20.0, 0.0),
        }

    def call_function(self, name: str, arguments: tuple[Any, ...], callback: Callable[[Any], None]) -> int:
        answer = getattr(self, name)(*arguments)
        if name in self.fails:
            answer = (self.fails[name], *answer[1:])
        elif not self.reachable and name not in ("find_all_eyetrackers", "get_system_time_stamp"):
            answer = (CONNECTION_FAILED, *answer[1:])
        callback(answer)
        return 0

    def find_all_eyetrackers(self) -> tuple[Any, ...]:
        return 0, [self.device] if self.reachable else []

    def get_device(self, address: str) -> tuple[Any, ...]:
        return 0, self.device

    def get_system_time_stamp(self) -> tuple[Any, ...]:
        return 0, self.time_stamp()

    def get_all_gaze_output_frequencies(self, core: int) -> tuple[Any, ...]:
        return 0, [60.0, 600.0]

    def get_gaze_output_frequency(self, core: int) -> tuple[Any, ...]:
        return 0, self.rate_hz

    def set_gaze_output_frequency(self, core: int, rate_hz: float) -> tuple[Any, ...]:
        self.rate_hz = rate_hz
        return (0,)

    def get_all_eye_tracking_modes(self, core: int) -> tuple[Any, ...]:
        return 0, ["human"]

    def get_eye_tracking_mode(self, core: int) -> tuple[Any, ...]:
        return 0, "human"

    def get_display_area(self, core: int) -> tuple[Any, ...]:
        return 0, self.area

    def set_display_area(self, core: int, *corners: tuple[float, ...]) -> tuple[Any, ...]:
        self.area = dict(zip(("top_left", "top_right", "bottom_left"), corners, strict=True))
        return (0,)

    def apply_licenses(self, core: int, keys: tuple[bytes, ...]) -> tuple[Any, ...]:
        return 0, [4 if key == b"old" else 0 for key in keys]

    def subscribe_to(self, number: int, core: int, callback: Callable[[Any], None]) -> tuple[Any, ...]:
        self.callbacks[number] = callback
        return (0,)

    def unsubscribe_from(self, number: int, core: int) -> tuple[Any, ...]:
        self.callbacks.pop(number, None)
        return (0,)

    def calibration_enter_calibration_mode(self, core: int) -> tuple[Any, ...]:
        if self.calibrating:
            return (ALREADY_STARTED,)
        self.calibrating, self.targets = True, []
        return (0,)

    def calibration_leave_calibration_mode(self, core: int) -> tuple[Any, ...]:
        status = 0 if self.calibrating else NOT_STARTED
        self.calibrating = False
        return (status,)

    def screen_based_calibration_collect_data(self, core: int, x: float, y: float) -> tuple[Any, ...]:
        self.targets.append((x, y))
        return (0 if self.collects else OPERATION_FAILED,)

    def screen_based_monocular_calibration_collect_data(
        self, core: int, x: float, y: float, eye: int
    ) -> tuple[Any, ...]:
        self.targets.append((x, y))
        return (0 if self.collects else OPERATION_FAILED), eye

    def screen_based_calibration_discard_data(self, core: int, x: float, y: float) -> tuple[Any, ...]:
        self.targets.remove((x, y))
        return (0,)

    def screen_based_monocular_calibration_discard_data(
        self, core: int, x: float, y: float, eye: int
    ) -> tuple[Any, ...]:
        return self.screen_based_calibration_discard_data(core, x, y)

    def calibration_compute_and_apply(self, core: int) -> tuple[Any, ...]:
        self.calibration = b"computed" if self.computes else self.calibration
        return (0 if self.computes else OPERATION_FAILED,)

    def monocular_calibration_compute_and_apply(self, core: int) -> tuple[Any, ...]:
        return (*self.calibration_compute_and_apply(core), 0)

    def screen_based_calibration_get_calibration_points(self, core: int) -> tuple[Any, ...]:
        return 0, [
            {
                "position": target,
                "left_sample_position": (target[0] + 0.25, target[1]),
                "left_validity": 1,
                "right_sample_position": (target[0], target[1] + 0.25),
                "right_validity": validity,
            }
            for target in self.targets
            for validity in (-1, 0)
        ]

    def calibration_retrieve(self, core: int) -> tuple[Any, ...]:
        return 0, self.calibration

    def calibration_apply(self, core: int, data: bytes) -> tuple[Any, ...]:
        self.applied.append(data)
        self.calibration = data
        return (0,)

    def deliver(self, number: int, data: dict[str, Any]) -> None:
        """Call back from a thread of the library's."""
        callback = self.callbacks.get(number)
        if callback is not None:
            thread = threading.Thread(target=callback, args=(data,))
            thread.start()
            thread.join()

    def notify(self, name: str, **details: Any) -> None:
        kind = f"eyetracker_notification_{name.lower()}"
        self.deliver(NOTIFICATION, {"notification_type": kind, "system_time_stamp": self.time_stamp(), **details})


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    tobii = pytest.importorskip("tobii_research", reason="needs the Tobii SDK (CPython 3.10)")
    from tobiiresearch.interop import interop

    library = Library(tobii.get_system_time_stamp)
    real_stamp = tobii.get_system_time_stamp()
    library.time_stamp = SystemClock().now_us
    assert abs(real_stamp - library.time_stamp()) < 1_000_000
    monkeypatch.setattr(interop.tobii_research_interop, "call_function", library.call_function)
    return library


@pytest.fixture
def running(library: Library) -> Any:
    sink = Collector()
    device = TobiiEyeTracker(SystemClock(), 600.0, restored_within_s=0.3, screen_mm=(528.0, 297.0))
    device.connect()
    device.start(sink)
    yield device, sink
    device.close()
    assert library.callbacks == {}


def _said(sink: Collector) -> str:
    return "\n".join(message for _, message, _, _ in sink.events)


def test_samples_pass_through_the_sdk_to_rows(library: Library, running: Any) -> None:
    device, sink = running
    clock = ManualClock()
    source = record(SimulatedEyeTracker(clock, person(loss_share=0.2), SCREEN, 120.0), clock, 1.0)
    for table, number in STREAM_NUMBERS.items():
        for row in source.table(table.path):
            library.deliver(number, sdk.sdk_dictionary(row, table))
    device.stop()
    for table in STREAM_NUMBERS:
        received, sent = sink.table(table.path), source.table(table.path)
        assert len(sent) > 0
        if "t_received_us" in received.dtype.names:
            received["t_received_us"] = sent["t_received_us"]
        assert received.tobytes() == sent.tobytes(), table.path
    assert sink.events == []


def test_describe_reads_the_sdks_properties(library: Library, running: Any) -> None:
    info = running[0].describe()
    assert (info.model, info.serial_number, info.firmware) == ("Library", "L-1", "1.2")
    assert info.details["runtime_version"] == "3.4"
    assert info.rates_hz[GAZE.path] == library.rate_hz == 600.0
    assert info.details["display_area_mm"]["bottom_left"] == [-264.0, 20.0, 0.0]
    assert abs(info.details["sdk_minus_host_us"]) < 1000


def test_notifications_pass_through_the_sdk(library: Library, running: Any) -> None:
    device, sink = running
    library.notify("DEVICE_FAULTS", faults="camera")
    library.notify("DISPLAY_AREA_CHANGED", display_area=library.area)
    library.deliver(
        STREAM_ERRORS,
        {
            "system_time_stamp": 9,
            "error": "stream_error_user_error",
            "source": "stream_error_source_user",
            "message": "m",
        },
    )
    device.stop()
    assert sink.table(NOTIFICATIONS.path)["kind"].tolist() == [
        b"DEVICE_FAULTS",
        b"DISPLAY_AREA_CHANGED",
        b"STREAM_ERROR",
    ]
    assert "reports a fault: camera" in _said(sink)


def test_streams_come_back_after_the_cable(library: Library, running: Any) -> None:
    device, sink = running
    row = GAZE.empty(1)
    row["left_gaze_norm"] = 0.25
    sample = sdk.sdk_dictionary(row)
    library.notify("CONNECTION_LOST")
    wait_until(lambda: "connection was lost" in _said(sink), "the loss")
    before = dict(library.callbacks)
    library.notify("CONNECTION_RESTORED")
    wait_until(lambda: "subscribed anew" in _said(sink), "new subscriptions")
    assert set(library.callbacks) == set(before)
    assert library.callbacks[1] is not before[1]
    library.deliver(1, sample)
    wait_until(lambda: len(sink.table()) == 1, "gaze")
    device.stop()


def test_a_refused_stream_can_be_subscribed_to_later(library: Library) -> None:
    """The SDK notes a callback before its library refuses it, and would refuse it the next time itself."""
    device = TobiiEyeTracker(SystemClock(), 600.0)
    device.connect()
    library.fails["subscribe_to"] = 202
    with pytest.raises(DeviceError, match=r"deliver the stream GAZE_DATA: The feature is not supported"):
        device.start(Collector())
    library.fails.clear()
    device.start(Collector())
    assert 1 in library.callbacks
    device.close()


def test_calibration_with_the_sdks_classes(library: Library, running: Any) -> None:
    device, _ = running
    device.calibration_begin("both")
    assert library.calibrating
    assert device.calibration_collect(0.5, 0.5)
    assert device.calibration_collect(0.125, 0.75)
    device.calibration_discard(0.125, 0.75)
    outcome = device.calibration_compute()
    assert (outcome.success, outcome.status) == (True, "calibration_status_success")
    assert outcome.samples == (
        CalibrationSample((0.5, 0.5), "left", (0.75, 0.5), 1),
        CalibrationSample((0.5, 0.5), "right", (0.5, 0.75), -1),
        CalibrationSample((0.5, 0.5), "left", (0.75, 0.5), 1),
        CalibrationSample((0.5, 0.5), "right", (0.5, 0.75), 0),
    )
    device.calibration_end()
    assert not library.calibrating
    device.calibration_apply(device.calibration_data())
    assert library.applied == [b"computed"]


def test_monocular_calibration_with_the_sdks_classes(library: Library, running: Any) -> None:
    device, _ = running
    device.calibration_begin("left")
    assert device.calibration_collect(0.5, 0.5)
    assert device.calibration_compute().status == "calibration_status_success_left_eye"
    library.collects = library.computes = False
    assert not device.calibration_collect(0.25, 0.25)
    outcome = device.calibration_compute()
    assert (outcome.success, outcome.status, outcome.samples) == (False, "calibration_status_failure", ())
    device.calibration_end()


def test_failures_of_a_calibration_are_answers(library: Library, running: Any) -> None:
    device, _ = running
    library.calibrating = True  # another program left it so
    device.calibration_begin("both")
    library.collects = library.computes = False
    assert not device.calibration_collect(0.5, 0.5)
    assert not device.calibration_compute().success
    device.calibration_end()


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (11, "EyeTrackerInvalidOperationError"),
        (14, "EyeTrackerDisplayAreaNotValidError"),
        (18, "EyeTrackerSavedLicenseFailedToApplyError"),
        (200, "EyeTrackerInternalError"),
        (201, "EyeTrackerLicenseError"),
        (202, "EyeTrackerFeatureNotSupportedError"),
        (203, "EyeTrackerUnavailableError"),
        (204, "EyeTrackerConnectionFailedError"),
        (214, "EyeTrackerOperationFailedError"),
        (1001, "EyeTrackerFeatureDeprecatedError"),
    ],
)
def test_every_status_of_the_library_becomes_a_sentence(library: Library, code: int, name: str) -> None:
    library.fails["get_all_gaze_output_frequencies"] = code
    with pytest.raises(DeviceError) as caught:
        TobiiEyeTracker(SystemClock(), 600.0).connect()
    assert str(caught.value).endswith(NEXT_STEPS[name])
    assert type(caught.value.__cause__).__name__ == name


def test_a_number_out_of_bounds_is_no_traceback(library: Library) -> None:
    library.fails["set_gaze_output_frequency"] = 13
    with pytest.raises(DeviceError, match=r"out of bounds.*choose another one"):
        TobiiEyeTracker(SystemClock(), 600.0).connect()


def test_the_display_area_passes_through_the_sdks_class(library: Library, running: Any) -> None:
    device, _ = running
    area = {"top_left": [-1.0, 2.0, 0.0], "top_right": [1.0, 2.0, 0.0], "bottom_left": [-1.0, 0.0, 0.0]}
    device.set_display_area(area)
    assert library.area["top_left"] == (-1.0, 2.0, 0.0)
    assert device.display_area() == area


def test_a_licence_passes_through_the_sdks_classes(library: Library, tmp_path: Any) -> None:
    for name, message in (("good", ""), ("old", "old: the eye tracker Library .L-1. refuses the licence: expired")):
        path = tmp_path / name
        path.write_bytes(name.encode())
        device = TobiiEyeTracker(SystemClock(), 600.0, licence_file=str(path))
        if message:
            with pytest.raises(DeviceError, match=message):
                device.connect()
        else:
            device.connect()
            device.close()


def test_what_the_sdk_does_with_a_callback_that_raises(library: Library) -> None:
    """Why our callbacks do nothing that can fail: the SDK does not get as far as reporting it.

    ``TobiiProCallback.__call__`` calls ``__call_function``, which Python looks up under the
    class's mangled name and does not find.
    """
    import tobii_research

    eye_tracker = tobii_research.EyeTracker("tet-tcp://library")
    swallowed: list[BaseException] = []

    def failing(data: Any) -> None:
        raise OSError("disk full")

    eye_tracker.subscribe_to(tobii_research.EYETRACKER_GAZE_DATA, failing, as_dictionary=True)
    try:
        library.callbacks[1](sdk.sdk_dictionary(GAZE.empty(1)))
    except NameError as error:
        swallowed.append(error)
    eye_tracker.unsubscribe_from(tobii_research.EYETRACKER_GAZE_DATA, failing)
    assert [type(error.__context__) for error in swallowed] == [OSError]


def test_ten_thousand_callbacks_are_quick(library: Library, running: Any) -> None:
    """The SDK's layer with our callback, per sample: far below the 833 us between two samples at 1200 Hz."""
    device, sink = running
    sample = sdk.sdk_dictionary(GAZE.empty(1))
    callback = library.callbacks[1]
    times_us = np.empty(10_000)
    for number in range(len(times_us)):
        started = time.perf_counter_ns()
        callback(sample)
        times_us[number] = (time.perf_counter_ns() - started) / 1000
    device.stop()
    assert len(sink.table()) == len(times_us)
    assert np.percentile(times_us, 99) < 1000
