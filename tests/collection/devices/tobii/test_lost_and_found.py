"""A tracker that goes away, falls silent or forgets, and comes again."""

from __future__ import annotations

import threading
import time
from types import ModuleType
from typing import Any

import pytest

from data_schema.session.layout import GAZE, NOTIFICATIONS

from ..device_lab import Collector, wait_until
from ..tobii_stand_in import EyeTracker, stand_in_tracker
from .driver_lab import GAZE_STREAM, said_by, samples_of, simulated_source, started


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
    device = started(sink, restored_within_s=0.3)
    thread, done = _feeding(tracker, samples_of(simulated_source(0.1), GAZE)[0])
    wait_until(lambda: len(sink.table()) > 5, "gaze before the cable is pulled")
    subscriptions = tracker.n_subscriptions
    tracker.unplug()
    at_loss = len(sink.table())
    tracker.plug_in(streams_go_on=streams_go_on)
    wait_until(lambda: len(sink.table()) > at_loss + 10, "gaze after the cable is back")
    if not streams_go_on:
        assert tracker.n_subscriptions > subscriptions
        wait_until(lambda: "subscribed anew" in said_by(sink), "a word about it")
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
    device = started(sink, restored_within_s=0.2, licence_file=str(licence))
    device.calibration_begin("both")
    assert device.calibration_collect(0.5, 0.5)
    assert device.calibration_compute().success
    device.calibration_end()
    calibration = device.calibration_data()
    tracker.unplug()
    tracker.plug_in(streams_go_on=False, forgets=True)
    wait_until(lambda: "calibration was applied again" in said_by(sink), "the calibration to be applied again")
    device.close()
    assert tracker.calibration == calibration
    assert tracker.licences == [b"key"]
    assert tracker.rate_hz == 600.0
    assert "licence was applied again" in said_by(sink)


def test_a_tracker_that_is_a_new_object_after_the_cable_is_found_by_its_serial_number(
    module: ModuleType, tracker: EyeTracker
) -> None:
    sink = Collector()
    device = started(sink, restored_within_s=0.2)
    other, again = stand_in_tracker("SN-9"), stand_in_tracker("SN-1")
    module.found[:] = [other, again]
    tracker.notify("CONNECTION_LOST")
    tracker.notify("CONNECTION_RESTORED")
    tracker.reachable = tracker.delivers = False
    wait_until(lambda: again.n_subscribed > 0, "the new object to be subscribed to")
    again.deliver(GAZE_STREAM, samples_of(simulated_source(0.1), GAZE)[0])
    wait_until(lambda: len(sink.table()) == 1, "its gaze")
    device.close()
    assert other.n_subscribed == again.n_subscribed == 0


def test_a_tracker_that_falls_silent_without_a_word_is_subscribed_to_anew(tracker: EyeTracker) -> None:
    sink = Collector()
    device = started(sink, silent_s=0.3)
    subscriptions = tracker.n_subscriptions
    tracker.delivers = False
    wait_until(lambda: tracker.n_subscriptions > subscriptions, "a new subscription")
    device.close()
    assert "subscribed anew" in said_by(sink)


def test_a_tracker_that_stays_away_is_reported_and_can_be_stopped(tracker: EyeTracker) -> None:
    sink = Collector()
    device = started(sink, silent_s=0.2)
    tracker.reachable = tracker.delivers = False
    wait_until(lambda: "does not answer" in said_by(sink), "a report")
    device.close()
    assert "cable and power" in said_by(sink)


def test_silence_while_calibrating_is_no_fault(tracker: EyeTracker) -> None:
    sink = Collector()
    device = started(sink, silent_s=0.15)
    device.calibration_begin("both")
    subscriptions = tracker.n_subscriptions
    # Three times the silence that would count, by the clock of the watching thread.
    deadline = time.monotonic() + 0.5
    wait_until(lambda: time.monotonic() > deadline, "half a second")
    assert tracker.n_subscriptions == subscriptions
    device.calibration_end()
    wait_until(lambda: tracker.n_subscriptions > subscriptions, "the watch to go on after the calibration")
    device.close()
