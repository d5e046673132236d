"""The Tobii driver against a stand-in that keeps the SDK's rules as they were measured.

``tests/lab/test_tobii_sdk.py`` holds the stand-in against the real SDK and puts
the real SDK's own classes between the driver and a stand-in for its library.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from collection.devices import sdk
from collection.devices.base import Calibratable, CalibrationSample, Device
from collection.devices.simulated import SimulatedEyeTracker
from collection.devices.tobii import TobiiEyeTracker
from collection.devices.tobii_errors import NEXT_STEPS, explained
from collection.devices.tobii_notices import NOTIFICATION_NAMES
from data_schema.clocks import ScaledClock, SystemClock
from data_schema.errors import DeviceError, MissingExtraError
from data_schema.session.layout import GAZE, NOTIFICATIONS, OPENNESS, TIME_SYNC, USER_POSITION, Table

from .device_lab import SCREEN, Collector, ManualClock, person, record, wait_until
from .tobii_stand_in import ALL_CAPABILITIES, CONSTANTS, ERRORS, EyeTracker, stand_in_sdk, stand_in_tracker

GAZE_STREAM = CONSTANTS["EYETRACKER_GAZE_DATA"]
STREAMS = {
    GAZE: GAZE_STREAM,
    OPENNESS: CONSTANTS["EYETRACKER_EYE_OPENNESS_DATA"],
    USER_POSITION: CONSTANTS["EYETRACKER_USER_POSITION_GUIDE"],
    TIME_SYNC: CONSTANTS["EYETRACKER_TIME_SYNCHRONIZATION_DATA"],
}


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = stand_in_sdk(stand_in_tracker())
    monkeypatch.setitem(sys.modules, "tobii_research", module)
    return module


@pytest.fixture
def tracker(module: ModuleType) -> EyeTracker:
    return module.found[0]  # type: ignore[no-any-return]


def _simulated(seconds: float = 2.0) -> Collector:
    clock = ManualClock()
    simulated = SimulatedEyeTracker(clock, person(loss_share=0.2), SCREEN, 120.0)
    sink = record(simulated, clock, seconds)
    simulated.close()
    return sink


def _samples(source: Collector, table: Table) -> list[dict[str, Any]]:
    return [sdk.sdk_dictionary(row, table) for row in source.table(table.path)]


def _started(sink: Collector, **options: Any) -> TobiiEyeTracker:
    device = TobiiEyeTracker(SystemClock(), 600.0, **options)
    device.connect()
    device.start(sink)
    return device


def _said(sink: Collector) -> str:
    return "\n".join(message for _, message, _, _ in sink.events)


# ---------------------------------------------------------------- streams


def test_samples_of_every_stream_become_rows(tracker: EyeTracker) -> None:
    source = _simulated()
    sink = Collector()
    before_us = SystemClock().now_us()
    device = _started(sink)
    assert isinstance(device, Device)
    for table, stream in STREAMS.items():
        for sample in _samples(source, table):
            tracker.deliver(stream, sample)
    device.close()
    assert sink.events == []
    for table in STREAMS:
        received, sent = sink.table(table.path), source.table(table.path)
        assert received.dtype == table.dtype
        if "t_received_us" in received.dtype.names:
            assert np.all(np.diff(received["t_received_us"]) >= 0)
            assert received["t_received_us"][0] >= before_us
            received["t_received_us"] = sent["t_received_us"]
        assert received.tobytes() == sent.tobytes(), table.path


def test_a_callback_returns_while_the_sink_is_stuck(tracker: EyeTracker) -> None:
    """Callbacks stamp and enqueue: a sink that hangs holds up the driver's thread and never the SDK's."""

    class Stuck(Collector):
        def rows(self, table: str, rows: np.ndarray) -> None:
            released.wait(20)
            super().rows(table, rows)

    released = threading.Event()
    sink = Stuck()
    device = _started(sink)
    sample = _samples(_simulated(0.1), GAZE)[0]
    for _ in range(300):
        tracker.deliver(GAZE_STREAM, sample)
    assert sink.n_calls == 0
    released.set()
    device.close()
    assert len(sink.table()) == 300


def test_samples_beyond_the_queue_are_counted_as_dropped(tracker: EyeTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collection.devices.tobii_streams._QUEUE_LIMIT", 50)

    class Stuck(Collector):
        def rows(self, table: str, rows: np.ndarray) -> None:
            entered.set()
            released.wait(20)
            super().rows(table, rows)

    entered, released = threading.Event(), threading.Event()
    sink = Stuck()
    device = _started(sink)
    sample = _samples(_simulated(0.1), GAZE)[0]
    tracker.deliver(GAZE_STREAM, sample)
    wait_until(entered.is_set, "the thread to be stuck in the sink")
    for _ in range(80):
        tracker.deliver(GAZE_STREAM, sample)
    released.set()
    device.close()
    dropped = sum(value for kind, _, value, _ in sink.events if kind == "samples_dropped")
    assert len(sink.table()) + dropped == 81
    assert dropped == 30


def test_a_sample_that_cannot_be_read_costs_itself_alone(tracker: EyeTracker) -> None:
    sink = Collector()
    device = _started(sink)
    good = _samples(_simulated(0.1), GAZE)
    broken = {key: value for key, value in good[0].items() if key != "left_pupil_diameter"}
    for sample in (good[0], broken, good[1]):
        tracker.deliver(GAZE_STREAM, sample)
    device.close()
    assert len(sink.table()) == 2
    assert [(kind, value) for kind, _, value, _ in sink.events] == [("samples_dropped", 1.0)]


def test_a_notification_that_cannot_be_read_ends_nothing(tracker: EyeTracker) -> None:
    sink = Collector()
    device = _started(sink)
    good = _samples(_simulated(0.1), GAZE)
    tracker.deliver(GAZE_STREAM, good[0])
    tracker.notify("GAZE_OUTPUT_FREQUENCY_CHANGED", gaze_output_frequency="unknown")
    tracker.notify("DISPLAY_AREA_CHANGED", display_area={"top_left": 1, "top_right": 2, "bottom_left": 3})
    wait_until(lambda: "cannot be read" in _said(sink), "a sentence about it")
    tracker.deliver(GAZE_STREAM, good[1])
    device.close()
    assert len(sink.table()) == 2


def test_a_sink_that_fails_once_does_not_end_the_samples(tracker: EyeTracker) -> None:
    class Moody(Collector):
        angry = True

        def rows(self, table: str, rows: np.ndarray) -> None:
            if self.angry:
                self.angry = False
                raise OverflowError("too large")
            super().rows(table, rows)

    sink = Moody()
    device = _started(sink)
    good = _samples(_simulated(0.1), GAZE)
    tracker.deliver(GAZE_STREAM, good[0])
    wait_until(lambda: "handed on" in _said(sink), "a sentence about it")
    tracker.deliver(GAZE_STREAM, good[1])
    device.close()
    assert len(sink.table()) == 1


def test_an_error_that_nobody_expects_does_not_end_the_watch(tracker: EyeTracker) -> None:
    sink = Collector()
    device = _started(sink, silent_s=0.2)
    claims = tracker.device_capabilities
    # As a tracker that was just plugged in may not know them yet.
    tracker.device_capabilities = None  # type: ignore[assignment]
    tracker.delivers = False
    wait_until(lambda: "does not answer" in _said(sink), "a report")
    tracker.device_capabilities = claims
    wait_until(lambda: "subscribed anew" in _said(sink), "the streams again")
    device.close()


def test_starting_stopping_and_starting_again_never_subscribes_twice(tracker: EyeTracker) -> None:
    device = TobiiEyeTracker(SystemClock(), 600.0)
    with pytest.raises(DeviceError, match="before connect"):
        device.start(Collector())
    device.connect()
    first = Collector()
    device.start(first)
    with pytest.raises(DeviceError, match="already"):
        device.start(first)
    assert tracker.n_subscribed == 6 + len(NOTIFICATION_NAMES)
    late = next(iter(tracker.callbacks[GAZE_STREAM]))
    device.stop()
    device.stop()
    assert tracker.n_subscribed == 0
    # A callback that the SDK was already running finds the queue closed.
    late(sdk.sdk_dictionary(GAZE.empty(1)))
    assert first.n_calls == 0
    second = Collector()
    device.start(second)
    tracker.deliver(GAZE_STREAM, sdk.sdk_dictionary(GAZE.empty(1)))
    device.close()
    device.close()
    assert len(second.table(GAZE.path)) == 1
    assert first.n_calls == 0


def test_optional_streams_may_be_refused_and_gaze_may_not(tracker: EyeTracker) -> None:
    """A Pro Fusion claims openness at 250 Hz and does not have it: capabilities are claims."""
    tracker.refuses = (STREAMS[OPENNESS], STREAMS[USER_POSITION])
    device = _started(Collector())
    assert tracker.callbacks[GAZE_STREAM]
    assert not tracker.callbacks.get(STREAMS[OPENNESS])
    device.close()
    tracker.refuses = (GAZE_STREAM,)
    with pytest.raises(DeviceError, match="deliver the stream GAZE_DATA"):
        _started(Collector())
    assert tracker.n_subscribed == 0
    # The refusal is not remembered as a subscription.
    tracker.refuses = ()
    _started(Collector()).close()


def test_a_tracker_without_openness_is_not_asked_for_it(tracker: EyeTracker) -> None:
    tracker.device_capabilities = tuple(c for c in ALL_CAPABILITIES if "openness" not in c and "external" not in c)
    device = _started(Collector())
    assert STREAMS[OPENNESS] not in tracker.callbacks
    assert device.describe().rates_hz == {GAZE.path: 600.0}
    device.close()


# ---------------------------------------------------------------- what it says


def test_every_notification_is_a_row_and_faults_are_sentences(tracker: EyeTracker) -> None:
    area = {"top_left": (0.0, 1.0, 2.0), "top_right": (3.0, 1.0, 2.0), "bottom_left": (0.0, 0.0, 2.0)}
    details: dict[str, dict[str, Any]] = {
        "DEVICE_FAULTS": {"faults": "eye camera,illuminator"},
        "DEVICE_WARNINGS": {"warnings": "hot"},
        "DISPLAY_AREA_CHANGED": {"display_area": area},
        "GAZE_OUTPUT_FREQUENCY_CHANGED": {"gaze_output_frequency": 60.0},
        "STREAM_BUFFER_OVERFLOW": {"notification_source_stream": "stream_gaze_data"},
    }
    sink = Collector()
    device = _started(sink)
    before_us = SystemClock().now_us()
    for name in NOTIFICATION_NAMES:
        tracker.notify(name, **details.get(name, {}))
    device.close()
    rows = sink.table(NOTIFICATIONS.path)
    assert [kind.decode() for kind in rows["kind"]] == list(NOTIFICATION_NAMES)
    assert np.all(rows["t_system_us"] >= before_us)
    messages = dict(zip(NOTIFICATION_NAMES, (text.decode() for text in rows["message"]), strict=True))
    assert messages["DEVICE_FAULTS"] == "eye camera,illuminator"
    assert messages["DISPLAY_AREA_CHANGED"].startswith("top_left 0.0, 1.0, 2.0; top_right 3.0")
    assert messages["GAZE_OUTPUT_FREQUENCY_CHANGED"] == "60 Hz"
    said = _said(sink)
    assert "check its cable" in said
    assert "reports a fault: eye camera,illuminator" in said
    assert "warns: hot" in said
    assert "samples were lost in the SDK's buffer (stream_gaze_data)" in said
    # Entering and leaving the calibration is no fault.
    assert len(sink.events) == len(NOTIFICATION_NAMES) - 3


def test_an_error_that_the_sdk_swallowed_is_said(tracker: EyeTracker) -> None:
    sink = Collector()
    device = _started(sink)
    tracker.deliver(
        CONSTANTS["EYETRACKER_STREAM_ERRORS"],
        {
            "system_time_stamp": 5_000,
            "error": "stream_error_too_many_subscribers",
            "source": "stream_error_source_subscription_gaze_data",
            "message": "no room",
        },
    )
    device.close()
    row = sink.table(NOTIFICATIONS.path)[0]
    assert (row["kind"], row["t_system_us"]) == (b"STREAM_ERROR", 5_000)
    assert "no room" in _said(sink)
    assert "close other programs" in _said(sink)


def test_a_ttl_signal_is_kept_beside_the_notifications(tracker: EyeTracker) -> None:
    sink = Collector()
    device = _started(sink)
    signal = {"value": 5, "change_type": "external_signal_change_type_value_changed"}
    tracker.deliver(
        CONSTANTS["EYETRACKER_EXTERNAL_SIGNAL"], {**signal, "device_time_stamp": 77, "system_time_stamp": 88}
    )
    device.close()
    row = sink.table(NOTIFICATIONS.path)[0]
    assert (row["kind"], row["t_system_us"]) == (b"EXTERNAL_SIGNAL", 88)
    assert row["message"] == b"value 5, value_changed, device 77"
    assert sink.events == []


# ---------------------------------------------------------------- lost and found


def _feeding(tracker: EyeTracker, sample: dict[str, Any]) -> tuple[threading.Thread, threading.Event]:
    """Deliver gaze from a thread until told to stop, as a tracker that looks at a participant does."""
    done = threading.Event()

    def feed() -> None:
        while not done.wait(0.01):
            tracker.deliver(GAZE_STREAM, sample)

    thread = threading.Thread(target=feed)
    thread.start()
    return thread, done


@pytest.mark.parametrize("streams_go_on", [True, False])
def test_after_an_unplugged_cable_gaze_comes_again(tracker: EyeTracker, streams_go_on: bool) -> None:
    """Whether the SDK's streams survive a lost connection is not documented: both must work."""
    sink = Collector()
    device = _started(sink, restored_within_s=0.3)
    thread, done = _feeding(tracker, _samples(_simulated(0.1), GAZE)[0])
    wait_until(lambda: len(sink.table()) > 5, "gaze before the cable is pulled")
    subscriptions = tracker.n_subscriptions
    tracker.unplug()
    at_loss = len(sink.table())
    tracker.plug_in(streams_go_on=streams_go_on)
    wait_until(lambda: len(sink.table()) > at_loss + 10, "gaze after the cable is back")
    if not streams_go_on:
        assert tracker.n_subscriptions > subscriptions
        wait_until(lambda: "subscribed anew" in _said(sink), "a word about it")
    else:
        assert tracker.n_subscriptions == subscriptions
    done.set()
    thread.join()
    device.close()
    kinds = [kind.decode() for kind in sink.table(NOTIFICATIONS.path)["kind"]]
    assert kinds[:2] == ["CONNECTION_LOST", "CONNECTION_RESTORED"]
    assert tracker.n_subscribed == 0


def test_a_tracker_that_forgot_is_set_up_again(tracker: EyeTracker, tmp_path: Any) -> None:
    licence = tmp_path / "key.lic"
    licence.write_bytes(b"key")
    sink = Collector()
    device = _started(sink, restored_within_s=0.2, licence_file=str(licence))
    device.calibration_begin("both")
    assert device.calibration_collect(0.5, 0.5)
    assert device.calibration_compute().success
    device.calibration_end()
    calibration = device.calibration_data()
    tracker.unplug()
    tracker.plug_in(streams_go_on=False, forgets=True)
    wait_until(lambda: "calibration was applied again" in _said(sink), "the calibration to be applied again")
    device.close()
    assert tracker.calibration == calibration
    assert tracker.licences == [b"key"]
    assert tracker.rate_hz == 600.0
    assert "licence was applied again" in _said(sink)


def test_a_tracker_that_is_a_new_object_after_the_cable_is_found_by_its_serial_number(
    module: ModuleType, tracker: EyeTracker
) -> None:
    sink = Collector()
    device = _started(sink, restored_within_s=0.2)
    other, again = stand_in_tracker("SN-9"), stand_in_tracker("SN-1")
    module.found[:] = [other, again]
    tracker.notify("CONNECTION_LOST")
    tracker.notify("CONNECTION_RESTORED")
    tracker.reachable = tracker.delivers = False
    wait_until(lambda: again.n_subscribed > 0, "the new object to be subscribed to")
    again.deliver(GAZE_STREAM, _samples(_simulated(0.1), GAZE)[0])
    wait_until(lambda: len(sink.table()) == 1, "its gaze")
    device.close()
    assert other.n_subscribed == again.n_subscribed == 0


def test_a_tracker_that_falls_silent_without_a_word_is_subscribed_to_anew(tracker: EyeTracker) -> None:
    sink = Collector()
    device = _started(sink, silent_s=0.3)
    subscriptions = tracker.n_subscriptions
    tracker.delivers = False
    wait_until(lambda: tracker.n_subscriptions > subscriptions, "a new subscription")
    device.close()
    assert "subscribed anew" in _said(sink)


def test_a_tracker_that_stays_away_is_reported_and_can_be_stopped(tracker: EyeTracker) -> None:
    sink = Collector()
    device = _started(sink, silent_s=0.2)
    tracker.reachable = tracker.delivers = False
    wait_until(lambda: "does not answer" in _said(sink), "a report")
    device.close()
    assert "cable and power" in _said(sink)


def test_silence_while_calibrating_is_no_fault(tracker: EyeTracker) -> None:
    sink = Collector()
    device = _started(sink, silent_s=0.15)
    device.calibration_begin("both")
    subscriptions = tracker.n_subscriptions
    # Three times the silence that would count, by the clock of the watching thread.
    deadline = time.monotonic() + 0.5
    wait_until(lambda: time.monotonic() > deadline, "half a second")
    assert tracker.n_subscriptions == subscriptions
    device.calibration_end()
    wait_until(lambda: tracker.n_subscriptions > subscriptions, "the watch to go on after the calibration")
    device.close()


# ---------------------------------------------------------------- finding and setting up


def test_describe_repeats_what_the_tracker_claims(tracker: EyeTracker) -> None:
    device = TobiiEyeTracker(SystemClock(), 250.0, mode="monkey")
    with pytest.raises(DeviceError, match="before connect"):
        device.describe()
    device.connect()
    info = device.describe()
    device.close()
    assert (info.role, info.kind, info.model, info.serial_number) == ("eye_tracker", "tobii", "Stand-in", "SN-1")
    assert info.firmware == "9.9"
    assert not info.simulated
    assert info.rates_hz == {GAZE.path: 250.0, OPENNESS.path: 250.0}
    assert info.details["display_area_mm"]["top_left"] == [-264.0, 317.0, 0.0]
    assert info.details["eye_tracking_mode"] == tracker.mode == "monkey"
    assert info.details["rates_offered_hz"] == [60.0, 250.0, 600.0]
    assert set(info.details["capabilities"]) == set(ALL_CAPABILITIES)
    assert abs(info.details["sdk_minus_host_us"]) < 1000


def test_several_trackers_are_all_named_and_one_can_be_chosen(module: ModuleType) -> None:
    one, two = stand_in_tracker("SN-1"), stand_in_tracker("SN-2")
    module.found[:] = [one, two]
    with pytest.raises(DeviceError, match=r"2 Tobii eye trackers answered: tobii:SN-1 .*; tobii:SN-2 .*Choose one"):
        TobiiEyeTracker(SystemClock(), 600.0).connect()
    for which in ("SN-2", "tet-tcp://sn-2"):
        device = TobiiEyeTracker(SystemClock(), 600.0, which if which == "SN-2" else "")
        if which != "SN-2":
            device.which = which
        device.connect()
        assert device.describe().details["address"] == "tet-tcp://sn-2"
        device.close()
    with pytest.raises(DeviceError, match=r"'SN-3'\. Those that answered: tobii:SN-1 .*tobii:SN-2"):
        TobiiEyeTracker(SystemClock(), 600.0, "SN-3", search_s=0.01).connect()


def test_a_rate_and_a_mode_that_the_tracker_lacks_are_answered_with_those_it_has(tracker: EyeTracker) -> None:
    with pytest.raises(DeviceError, match=r"60, 250, 600 Hz, not 1200.*rate_hz"):
        TobiiEyeTracker(SystemClock(), 1200.0).connect()
    with pytest.raises(DeviceError, match=r"modes human, monkey, not 'infant'.*\[eye_tracker\]"):
        TobiiEyeTracker(SystemClock(), 600.0, mode="infant").connect()


def test_no_tracker_is_said_after_the_search(module: ModuleType) -> None:
    module.found.clear()
    with pytest.raises(DeviceError, match=r"No Tobii eye tracker answered within 0 s.*--eye-tracker simulated"):
        TobiiEyeTracker(SystemClock(), 600.0, search_s=0.01).connect()


def test_a_licence_is_applied_and_a_refused_one_is_explained(tracker: EyeTracker, tmp_path: Any) -> None:
    good, bad = tmp_path / "good.lic", tmp_path / "bad.lic"
    good.write_bytes(b"good")
    bad.write_bytes(b"bad")
    tracker.bad_licences = {b"bad": 7}
    device = TobiiEyeTracker(SystemClock(), 600.0, licence_file=str(good))
    device.connect()
    assert tracker.licences == [b"good"]
    assert device.describe().details["licences"] == [{"file": "good.lic", "result": "applied"}]
    device.close()
    with pytest.raises(DeviceError, match=r"bad\.lic: .*SN-1.* refuses the licence: invalid serial number"):
        TobiiEyeTracker(SystemClock(), 600.0, licence_file=str(bad)).connect()
    with pytest.raises(DeviceError, match="cannot be read"):
        TobiiEyeTracker(SystemClock(), 600.0, licence_file=str(tmp_path / "absent.lic")).connect()


def test_a_display_area_of_another_screen_is_said_at_the_start(tracker: EyeTracker) -> None:
    sink = Collector()
    _started(sink, screen_mm=(528.0, 297.0)).close()
    assert sink.events == []
    _started(sink, screen_mm=(345.0, 194.0)).close()
    assert "display area is 528 x 297 mm, but [screen] of study.toml says 345 x 194" in _said(sink)


def test_the_display_area_can_be_set(tracker: EyeTracker) -> None:
    device = TobiiEyeTracker(SystemClock(), 600.0)
    device.connect()
    area = {"top_left": [-100, 200, 0], "top_right": [100, 200, 0], "bottom_left": [-100, 80, 0]}
    device.set_display_area(area)
    assert device.display_area() == area
    with pytest.raises(DeviceError, match="bottom_left is not so"):
        device.set_display_area({name: area[name] for name in ("top_left", "top_right")})
    with pytest.raises(DeviceError, match=r"display area is not valid.*Eye Tracker Manager"):
        device.set_display_area({**area, "top_right": area["top_left"]})
    device.close()


def test_a_clock_of_the_sdk_that_is_not_ours_is_taken_off(module: ModuleType, tracker: EyeTracker) -> None:
    ahead_us = 7_000_000_000
    module.get_system_time_stamp = lambda: SystemClock().now_us() + ahead_us
    sink = Collector()
    device = _started(sink)
    sample = {**_samples(_simulated(0.1), GAZE)[0], "system_time_stamp": ahead_us + 1_000_000}
    tracker.deliver(GAZE_STREAM, sample)
    device.close()
    assert sink.table()["t_system_us"][0] == pytest.approx(1_000_000, abs=1_000)
    assert "differs from the host clock" in _said(sink)


def test_without_the_sdk_connect_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # None in sys.modules makes the import fail, also where the SDK is installed.
    monkeypatch.setitem(sys.modules, "tobii_research", None)
    expected = MissingExtraError if sys.version_info[:2] == (3, 10) else DeviceError
    with pytest.raises(expected, match=r'pip install "emer-toolkit\[lab\]"'):
        TobiiEyeTracker(SystemClock(), 600.0).connect()


def test_a_real_tracker_refuses_any_other_speed_than_real_time(tracker: EyeTracker) -> None:
    with pytest.raises(DeviceError, match="real time only"):
        TobiiEyeTracker(ScaledClock.starting_now(10.0), 600.0).connect()


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_every_error_of_the_sdk_has_a_next_step(tracker: EyeTracker, name: str) -> None:
    def refuse() -> float:
        raise ERRORS[name]("said by the SDK. 7")

    tracker.get_gaze_output_frequency = refuse  # type: ignore[method-assign]
    device = TobiiEyeTracker(SystemClock(), 600.0)
    with pytest.raises(DeviceError) as caught:
        device.connect()
    assert str(caught.value) == f"The eye tracker could not be set up: said by the SDK. 7. {NEXT_STEPS[name]}"


def test_an_error_that_is_new_to_us_still_gets_a_next_step() -> None:
    assert "Close Eye Tracker Manager" in str(explained(RuntimeError("odd"), "work"))


# ---------------------------------------------------------------- calibration


@pytest.fixture
def device(tracker: EyeTracker) -> Any:
    device = TobiiEyeTracker(SystemClock(), 600.0)
    device.connect()
    yield device
    device.close()


def test_calibration_of_both_eyes(device: TobiiEyeTracker, tracker: EyeTracker) -> None:
    assert isinstance(device, Calibratable)
    assert device.calibration_data() == b""
    device.calibration_begin("both")
    assert tracker.in_calibration_mode
    assert device.calibration_collect(0.5, 0.5)
    assert device.calibration_collect(0.1, 0.9)
    device.calibration_discard(0.1, 0.9)
    outcome = device.calibration_compute()
    assert (outcome.success, outcome.status) == (True, "calibration_status_success")
    assert outcome.samples == (
        CalibrationSample((0.5, 0.5), "left", (0.51, 0.5), 1),
        CalibrationSample((0.5, 0.5), "right", (0.49, 0.5), 0),
    )
    device.calibration_end()
    device.calibration_end()
    assert not tracker.in_calibration_mode
    saved = device.calibration_data()
    assert saved
    tracker.calibration = b"another"
    device.calibration_apply(saved)
    assert tracker.calibration == saved
    with pytest.raises(DeviceError, match="no calibration to apply"):
        device.calibration_apply(b"")


@pytest.mark.parametrize("eye", ["left", "right"])
def test_calibration_of_one_eye(device: TobiiEyeTracker, tracker: EyeTracker, eye: str) -> None:
    device.calibration_begin(eye)
    assert device.calibration_collect(0.5, 0.5)
    assert set(tracker.collected.values()) == {eye}
    outcome = device.calibration_compute()
    assert (outcome.success, outcome.status) == (True, f"calibration_status_success_{eye}_eye")
    assert [sample.validity for sample in outcome.samples if sample.eye != eye] == [-1]
    device.calibration_discard(0.5, 0.5)
    assert tracker.collected == {}


def test_a_tracker_that_cannot_calibrate_one_eye_says_what_to_do(device: TobiiEyeTracker, tracker: EyeTracker) -> None:
    tracker.device_capabilities = tuple(c for c in ALL_CAPABILITIES if "monocular" not in c)
    with pytest.raises(DeviceError, match="cannot calibrate one eye; calibrate both"):
        device.calibration_begin("left")
    with pytest.raises(DeviceError, match="both, left, right eyes, got 'middle'"):
        device.calibration_begin("middle")
    tracker.device_capabilities = ()
    with pytest.raises(DeviceError, match=r"points = 0 in \[calibration\]"):
        device.calibration_begin("both")
    assert not tracker.in_calibration_mode


def test_failures_are_answers_and_leave_the_old_calibration(device: TobiiEyeTracker, tracker: EyeTracker) -> None:
    tracker.calibration = b"old"
    device.calibration_begin("both")
    tracker.collect_fails = True
    assert not device.calibration_collect(0.5, 0.5)
    tracker.compute_fails = True
    outcome = device.calibration_compute()
    assert dataclasses.astuple(outcome) == (False, "calibration_status_failure", ())
    # Its documentation says that it raises instead.
    tracker.compute_raises = True
    assert dataclasses.astuple(device.calibration_compute()) == (False, "calibration_status_failure", ())
    device.calibration_end()
    assert device.calibration_data() == b"old"


def test_a_calibration_mode_that_another_program_left_behind_is_taken_over(
    device: TobiiEyeTracker, tracker: EyeTracker
) -> None:
    tracker.in_calibration_mode = True
    device.calibration_begin("both")
    assert device.calibration_collect(0.5, 0.5)


def test_a_tracker_unplugged_while_it_is_calibrated_has_left_the_mode(tracker: EyeTracker) -> None:
    sink = Collector()
    device = _started(sink)
    device.calibration_begin("both")
    tracker.unplug()
    wait_until(lambda: "connection was lost" in _said(sink), "the loss to be noticed")
    with pytest.raises(DeviceError, match="not in calibration mode"):
        device.calibration_collect(0.5, 0.5)
    device.calibration_end()
    with pytest.raises(DeviceError, match=r"could not enter calibration mode: .*cable"):
        device.calibration_begin("both")
    device.close()


def test_verbs_before_connect_are_refused() -> None:
    device = TobiiEyeTracker(SystemClock(), 600.0)
    for call in (
        device.calibration_compute,
        device.calibration_data,
        device.display_area,
        lambda: device.calibration_begin("both"),
    ):
        with pytest.raises(DeviceError, match="before connect"):
            call()
    device.calibration_end()
    device.close()
