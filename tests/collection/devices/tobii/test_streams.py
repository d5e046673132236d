"""Samples and streams of the Tobii driver, against a stand-in that keeps the SDK's rules as they were measured.

``tests/lab/test_tobii_sdk.py`` holds the stand-in against the real SDK and puts
the real SDK's own classes between the driver and a stand-in for its library.
"""

from __future__ import annotations

import threading

import numpy as np
import pytest

from collection.devices import sdk
from collection.devices.base import Device
from collection.devices.tobii import TobiiEyeTracker
from collection.devices.tobii_notices import NOTIFICATION_NAMES
from data_schema.clocks import SystemClock
from data_schema.errors import DeviceError
from data_schema.session.layout import GAZE, OPENNESS, USER_POSITION

from ..device_lab import Collector, wait_until
from ..tobii_stand_in import ALL_CAPABILITIES, EyeTracker
from .driver_lab import GAZE_STREAM, STREAMS, said_by, samples_of, simulated_source, started


def test_samples_of_every_stream_become_rows(tracker: EyeTracker) -> None:
    source = simulated_source()
    sink = Collector()
    before_us = SystemClock().now_us()
    device = started(sink)
    assert isinstance(device, Device)
    for table, stream in STREAMS.items():
        for sample in samples_of(source, table):
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
    device = started(sink)
    sample = samples_of(simulated_source(0.1), GAZE)[0]
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
    device = started(sink)
    sample = samples_of(simulated_source(0.1), GAZE)[0]
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
    device = started(sink)
    good = samples_of(simulated_source(0.1), GAZE)
    broken = {key: value for key, value in good[0].items() if key != "left_pupil_diameter"}
    for sample in (good[0], broken, good[1]):
        tracker.deliver(GAZE_STREAM, sample)
    device.close()
    assert len(sink.table()) == 2
    assert [(kind, value) for kind, _, value, _ in sink.events] == [("samples_dropped", 1.0)]


def test_a_notification_that_cannot_be_read_ends_nothing(tracker: EyeTracker) -> None:
    sink = Collector()
    device = started(sink)
    good = samples_of(simulated_source(0.1), GAZE)
    tracker.deliver(GAZE_STREAM, good[0])
    tracker.notify("GAZE_OUTPUT_FREQUENCY_CHANGED", gaze_output_frequency="unknown")
    tracker.notify("DISPLAY_AREA_CHANGED", display_area={"top_left": 1, "top_right": 2, "bottom_left": 3})
    wait_until(lambda: "cannot be read" in said_by(sink), "a sentence about it")
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
    device = started(sink)
    good = samples_of(simulated_source(0.1), GAZE)
    tracker.deliver(GAZE_STREAM, good[0])
    wait_until(lambda: "handed on" in said_by(sink), "a sentence about it")
    tracker.deliver(GAZE_STREAM, good[1])
    device.close()
    assert len(sink.table()) == 1


def test_an_error_that_nobody_expects_does_not_end_the_watch(tracker: EyeTracker) -> None:
    sink = Collector()
    device = started(sink, silent_s=0.2)
    claims = tracker.device_capabilities
    # As a tracker that was just plugged in may not know them yet.
    tracker.device_capabilities = None  # type: ignore[assignment]
    tracker.delivers = False
    wait_until(lambda: "does not answer" in said_by(sink), "a report")
    tracker.device_capabilities = claims
    wait_until(lambda: "subscribed anew" in said_by(sink), "the streams again")
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
    device = started(Collector())
    assert tracker.callbacks[GAZE_STREAM]
    assert not tracker.callbacks.get(STREAMS[OPENNESS])
    device.close()
    tracker.refuses = (GAZE_STREAM,)
    with pytest.raises(DeviceError, match="deliver the stream GAZE_DATA"):
        started(Collector())
    assert tracker.n_subscribed == 0
    # The refusal is not remembered as a subscription.
    tracker.refuses = ()
    started(Collector()).close()


def test_a_tracker_without_openness_is_not_asked_for_it(tracker: EyeTracker) -> None:
    tracker.device_capabilities = tuple(c for c in ALL_CAPABILITIES if "openness" not in c and "external" not in c)
    device = started(Collector())
    assert STREAMS[OPENNESS] not in tracker.callbacks
    assert device.describe().rates_hz == {GAZE.path: 600.0}
    device.close()
