"""The Tobii driver against a stand-in that keeps the SDK's rules as they were measured.

The stand-in refuses the same callback twice, hands out samples from its own
threads and swallows a callback's exceptions, as tobii_research 2.1 does. Where
the SDK itself is installed (CPython 3.10), its own data classes are fed through.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from collection.devices import sdk
from collection.devices.base import Device
from collection.devices.simulated import SimulatedEyeTracker
from collection.devices.tobii import NOTIFICATION_NAMES, TobiiEyeTracker
from data_schema.clocks import ScaledClock, SystemClock
from data_schema.errors import DeviceError, MissingExtraError
from data_schema.session.layout import GAZE, NOTIFICATIONS, OPENNESS, TIME_SYNC, USER_POSITION

from .device_lab import SCREEN, Collector, ManualClock, person, record


class InvalidOperation(Exception):
    pass


class StandInTracker:
    """What the driver sees of an EyeTracker."""

    model, serial_number, firmware_version = "Stand-in", "SN-1", "9.9"
    address, device_name, runtime_version = "tet-tcp://stand-in", "", "1.0"

    def __init__(self, capabilities: tuple[str, ...] = ("openness",), refuses: tuple[str, ...] = ()) -> None:
        self.device_capabilities = capabilities
        self.refuses = refuses
        self.rate_hz = 60.0
        self.callbacks: dict[str, list[Callable[[Any], None]]] = {}
        self.stream_errors: list[Exception] = []

    def get_all_gaze_output_frequencies(self) -> tuple[float, ...]:
        return (60.0, 250.0, 600.0)

    def set_gaze_output_frequency(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz

    def get_gaze_output_frequency(self) -> float:
        return self.rate_hz

    def get_eye_tracking_mode(self) -> str:
        return "human"

    def get_display_area(self) -> SimpleNamespace:
        return SimpleNamespace(
            top_left=(-264.0, 317.0, 0.0), top_right=(264.0, 317.0, 0.0), bottom_left=(-264.0, 20.0, 0.0)
        )

    def subscribe_to(self, stream: str, callback: Callable[[Any], None], as_dictionary: bool = False) -> None:
        if stream in self.refuses:
            raise InvalidOperation(f"{stream} is not supported")
        if callback in self.callbacks.setdefault(stream, []):
            raise InvalidOperation("the same callback twice")
        self.callbacks[stream].append(callback)

    def unsubscribe_from(self, stream: str, callback: Callable[[Any], None]) -> None:
        self.callbacks[stream].remove(callback)

    def deliver(self, stream: str, sample: Any) -> None:
        """Call back from a thread of the SDK's, which swallows what the callback raises."""

        def call() -> None:
            for callback in list(self.callbacks.get(stream, [])):
                try:
                    callback(sample)
                except Exception as error:  # noqa: BLE001 - as the SDK does
                    self.stream_errors.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()

    @property
    def n_subscribed(self) -> int:
        return sum(len(callbacks) for callbacks in self.callbacks.values())


def stand_in_sdk(*trackers: StandInTracker) -> ModuleType:
    module = ModuleType("tobii_research")
    module.__version__ = "2.1.0"  # type: ignore[attr-defined]
    module.find_all_eyetrackers = lambda: trackers  # type: ignore[attr-defined]
    module.EyeTrackerInvalidOperationError = InvalidOperation  # type: ignore[attr-defined]
    module.CAPABILITY_HAS_EYE_OPENNESS_DATA = "openness"  # type: ignore[attr-defined]
    for name in ("GAZE_DATA", "EYE_OPENNESS_DATA", "USER_POSITION_GUIDE", "TIME_SYNCHRONIZATION_DATA", "STREAM_ERRORS"):
        setattr(module, f"EYETRACKER_{name}", name)
    for name in NOTIFICATION_NAMES:
        setattr(module, f"EYETRACKER_NOTIFICATION_{name}", name)
    return module


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> StandInTracker:
    tracker = StandInTracker()
    monkeypatch.setitem(sys.modules, "tobii_research", stand_in_sdk(tracker))
    return tracker


def _simulated() -> Collector:
    clock = ManualClock()
    simulated = SimulatedEyeTracker(clock, person(loss_share=0.2), SCREEN, 120.0)
    sink = record(simulated, clock, 2.0)
    simulated.close()
    return sink


def _eye(gaze: dict[str, Any], eye: str) -> SimpleNamespace:
    return SimpleNamespace(
        gaze_point=SimpleNamespace(
            position_on_display_area=gaze[f"{eye}_gaze_point_on_display_area"],
            position_in_user_coordinates=gaze[f"{eye}_gaze_point_in_user_coordinate_system"],
            validity=bool(gaze[f"{eye}_gaze_point_validity"]),
        ),
        pupil=SimpleNamespace(diameter=gaze[f"{eye}_pupil_diameter"], validity=bool(gaze[f"{eye}_pupil_validity"])),
        gaze_origin=SimpleNamespace(
            position_in_user_coordinates=gaze[f"{eye}_gaze_origin_in_user_coordinate_system"],
            validity=bool(gaze[f"{eye}_gaze_origin_validity"]),
        ),
    )


def test_samples_of_every_stream_become_rows(tracker: StandInTracker) -> None:
    source = _simulated()
    device = TobiiEyeTracker(SystemClock(), 600.0)
    assert isinstance(device, Device)
    device.connect()
    sink = Collector()
    before_us = SystemClock().now_us()
    device.start(sink)
    gaze = source.table(GAZE.path)
    for row in gaze:
        sample = sdk.sdk_dictionary(row)
        as_object = SimpleNamespace(
            device_time_stamp=sample["device_time_stamp"],
            system_time_stamp=sample["system_time_stamp"],
            left_eye=_eye(sample, "left"),
            right_eye=_eye(sample, "right"),
        )
        tracker.deliver("GAZE_DATA", as_object)
    tracker.deliver(
        "EYE_OPENNESS_DATA", SimpleNamespace(**sdk.sdk_dictionary(source.table(OPENNESS.path)[5], OPENNESS))
    )
    position = source.table(USER_POSITION.path)[3]
    tracker.deliver(
        "USER_POSITION_GUIDE",
        SimpleNamespace(
            left_eye=SimpleNamespace(
                user_position=tuple(position["left_position_norm"]), validity=bool(position["left_valid"])
            ),
            right_eye=SimpleNamespace(
                user_position=tuple(position["right_position_norm"]), validity=bool(position["right_valid"])
            ),
        ),
    )
    tracker.deliver(
        "TIME_SYNCHRONIZATION_DATA", SimpleNamespace(**sdk.sdk_dictionary(source.table(TIME_SYNC.path)[0], TIME_SYNC))
    )
    device.close()
    assert tracker.stream_errors == []

    received = sink.table(GAZE.path)
    assert received.dtype == GAZE.dtype
    assert np.all(np.diff(received["t_received_us"]) >= 0)
    assert received["t_received_us"][0] >= before_us
    received["t_received_us"] = gaze["t_received_us"]
    assert received.tobytes() == gaze.tobytes()
    assert sink.table(OPENNESS.path).tobytes() == source.table(OPENNESS.path)[5:6].tobytes()
    assert sink.table(TIME_SYNC.path).tobytes() == source.table(TIME_SYNC.path)[:1].tobytes()
    np.testing.assert_array_equal(
        sink.table(USER_POSITION.path)["left_position_norm"][0], position["left_position_norm"]
    )


def test_describe_repeats_what_the_tracker_claims(tracker: StandInTracker) -> None:
    device = TobiiEyeTracker(SystemClock(), 250.0)
    with pytest.raises(DeviceError, match="before connect"):
        device.describe()
    device.connect()
    info = device.describe()
    device.close()
    assert (info.role, info.kind, info.model, info.serial_number) == ("eye_tracker", "tobii", "Stand-in", "SN-1")
    assert not info.simulated
    assert info.rates_hz == {GAZE.path: 250.0, OPENNESS.path: 250.0}
    assert info.details["display_area_mm"]["top_left"] == [-264.0, 317.0, 0.0]


def test_starting_stopping_and_starting_again_never_subscribes_twice(tracker: StandInTracker) -> None:
    device = TobiiEyeTracker(SystemClock(), 600.0)
    with pytest.raises(DeviceError, match="before connect"):
        device.start(Collector())
    device.connect()
    first = Collector()
    device.start(first)
    with pytest.raises(DeviceError, match="already"):
        device.start(first)
    subscribed = tracker.n_subscribed
    assert subscribed == 5 + len(NOTIFICATION_NAMES)
    late = tracker.callbacks["GAZE_DATA"][0]
    device.stop()
    device.stop()
    assert tracker.n_subscribed == 0
    # A callback that the SDK was already running finds no sink.
    late(sdk.sdk_dictionary(GAZE.empty(1)))
    assert first.n_calls == 0
    second = Collector()
    device.start(second)
    assert tracker.n_subscribed == subscribed
    tracker.deliver("GAZE_DATA", sdk.sdk_dictionary(GAZE.empty(1)))
    device.close()
    device.close()
    assert len(second.table(GAZE.path)) == 1
    assert first.n_calls == 0


def test_notifications_are_kept_and_faults_are_events(tracker: StandInTracker) -> None:
    device = TobiiEyeTracker(SystemClock(), 600.0)
    device.connect()
    sink = Collector()
    device.start(sink)
    tracker.deliver("CONNECTION_LOST", SimpleNamespace(system_time_stamp=123))
    tracker.deliver("DEVICE_WARNINGS", SimpleNamespace(system_time_stamp=124, warnings="hot"))
    tracker.deliver("STREAM_ERRORS", SimpleNamespace(message="a callback failed"))
    device.close()
    rows = sink.table(NOTIFICATIONS.path)
    assert rows["kind"].tolist() == [b"CONNECTION_LOST", b"DEVICE_WARNINGS", b"STREAM_ERROR"]
    assert rows["message"].tolist() == [b"", b"hot", b"a callback failed"]
    assert rows["t_system_us"].tolist()[:2] == [123, 124]
    assert next((kind, t_us) for kind, _, _, t_us in sink.events) == ("device_fault", 123)
    assert len(sink.events) == 2


def test_optional_streams_may_be_refused_and_gaze_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Pro Fusion claims openness at 250 Hz and does not have it: capabilities are claims."""
    lacking = StandInTracker(refuses=("EYE_OPENNESS_DATA", "USER_POSITION_GUIDE"))
    monkeypatch.setitem(sys.modules, "tobii_research", stand_in_sdk(lacking))
    device = TobiiEyeTracker(SystemClock(), 250.0)
    device.connect()
    device.start(Collector())
    assert lacking.callbacks["GAZE_DATA"]
    device.close()

    refusing = StandInTracker(refuses=("GAZE_DATA",))
    monkeypatch.setitem(sys.modules, "tobii_research", stand_in_sdk(refusing))
    device = TobiiEyeTracker(SystemClock(), 250.0)
    device.connect()
    with pytest.raises(DeviceError, match="refused EYETRACKER_GAZE_DATA"):
        device.start(Collector())
    assert refusing.n_subscribed == 0
    device.close()


def test_a_rate_that_the_tracker_lacks_is_answered_with_those_it_has(tracker: StandInTracker) -> None:
    with pytest.raises(DeviceError, match=r"60, 250, 600 Hz, not 1200.*rate_hz"):
        TobiiEyeTracker(SystemClock(), 1200.0).connect()


def test_no_tracker_is_said_after_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    module = stand_in_sdk()
    searches = []
    module.find_all_eyetrackers = lambda: searches.append(1) or ()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tobii_research", module)
    with pytest.raises(DeviceError, match=r"No Tobii eye tracker answered within 0 s.*--eye-tracker simulated"):
        TobiiEyeTracker(SystemClock(), 600.0, search_s=0.01).connect()
    assert searches


def test_without_the_sdk_connect_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # None in sys.modules makes the import fail, also where the SDK is installed.
    monkeypatch.setitem(sys.modules, "tobii_research", None)
    expected = MissingExtraError if sys.version_info[:2] == (3, 10) else DeviceError
    with pytest.raises(expected, match=r'pip install "emer-toolkit\[lab\]"'):
        TobiiEyeTracker(SystemClock(), 600.0).connect()


def test_a_real_tracker_refuses_any_other_speed_than_real_time(tracker: StandInTracker) -> None:
    with pytest.raises(DeviceError, match="real time only"):
        TobiiEyeTracker(ScaledClock.starting_now(10.0), 600.0).connect()


@pytest.mark.lab
def test_the_sdks_own_objects_pass_through_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    real = pytest.importorskip("tobii_research", reason="needs the Tobii SDK (CPython 3.10)")
    stand_in = StandInTracker()
    monkeypatch.setitem(sys.modules, "tobii_research", stand_in_sdk(stand_in))
    source = _simulated()
    device = TobiiEyeTracker(SystemClock(), 600.0)
    device.connect()
    sink = Collector()
    device.start(sink)
    gaze = source.table(GAZE.path)
    for row in gaze:
        stand_in.deliver("GAZE_DATA", real.GazeData(sdk.sdk_dictionary(row)))
    for table, stream, data_class in (
        (OPENNESS, "EYE_OPENNESS_DATA", real.EyeOpennessData),
        (USER_POSITION, "USER_POSITION_GUIDE", real.UserPositionGuide),
        (TIME_SYNC, "TIME_SYNCHRONIZATION_DATA", real.TimeSynchronizationData),
    ):
        for row in source.table(table.path):
            stand_in.deliver(stream, data_class(sdk.sdk_dictionary(row, table)))
    device.close()
    assert stand_in.stream_errors == []
    received = sink.table(GAZE.path)
    received["t_received_us"] = gaze["t_received_us"]
    assert received.tobytes() == gaze.tobytes()
    assert sink.table(OPENNESS.path).tobytes() == source.table(OPENNESS.path).tobytes()
    assert sink.table(TIME_SYNC.path).tobytes() == source.table(TIME_SYNC.path).tobytes()
    assert len(sink.table(USER_POSITION.path)) == len(source.table(USER_POSITION.path))


@pytest.mark.lab
def test_the_sdk_has_every_name_that_the_driver_asks_for() -> None:
    real = pytest.importorskip("tobii_research", reason="needs the Tobii SDK (CPython 3.10)")
    names = [f"EYETRACKER_NOTIFICATION_{name}" for name in NOTIFICATION_NAMES]
    names += ["EYETRACKER_GAZE_DATA", "EYETRACKER_EYE_OPENNESS_DATA", "EYETRACKER_USER_POSITION_GUIDE"]
    names += ["EYETRACKER_TIME_SYNCHRONIZATION_DATA", "EYETRACKER_STREAM_ERRORS", "CAPABILITY_HAS_EYE_OPENNESS_DATA"]
    assert [name for name in names if not hasattr(real, name)] == []
    for name in ("model", "serial_number", "firmware_version", "address", "device_name", "device_capabilities"):
        assert hasattr(real.EyeTracker, name)
    for verb in (
        "subscribe_to",
        "unsubscribe_from",
        "get_all_gaze_output_frequencies",
        "get_eye_tracking_mode",
        "get_display_area",
    ):
        assert callable(getattr(real.EyeTracker, verb))
