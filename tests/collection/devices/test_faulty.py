"""Faults on request."""

from __future__ import annotations

import numpy as np
import pytest

from collection.devices.base import Attentive, Calibratable, PlantedReaction
from collection.devices.fault_sink import FaultySink
from collection.devices.faulty import FAULT_KINDS, Fault, FaultyDevice
from collection.devices.simulated import SimulatedEyeTracker
from collection.devices.simulated_camera import SimulatedCamera
from data_schema.errors import DeviceError
from data_schema.session.layout import GAZE, NOTIFICATIONS, OPENNESS

from .device_lab import SCREEN, Collector, ManualClock, person, record, wait_until


def _tracker(*faults: Fault, seconds: float = 4.0) -> tuple[Collector, np.ndarray, np.ndarray]:
    """Return what came, what would have come, and the seconds since the start of the former's gaze."""
    collected = []
    for chosen in (faults, ()):
        clock = ManualClock()
        device = FaultyDevice(SimulatedEyeTracker(clock, person(), SCREEN, 200.0), chosen, clock)
        started_us = clock.now_us()
        collected.append(record(device, clock, seconds))
        device.close()
    gaze = collected[0].table(GAZE.path)
    return collected[0], collected[1].table(GAZE.path), (gaze["t_system_us"] - started_us) / 1e6


def _camera(*faults: Fault) -> tuple[Collector, np.ndarray]:
    clock = ManualClock()
    device = FaultyDevice(SimulatedCamera(clock, person(), 64, 64, 30.0), faults, clock)
    started_us = clock.now_us()
    sink = record(device, clock, 4.0)
    device.close()
    return sink, (sink.times_us - started_us) / 1e6


def test_silence_takes_its_time_out_of_all_streams_without_a_word() -> None:
    sink, whole, since_s = _tracker(Fault("silence", 1.0, 0.5))
    assert not np.any((since_s >= 1.0) & (since_s < 1.5))
    assert len(whole) - len(since_s) == pytest.approx(100, abs=2)
    assert len(sink.table(OPENNESS.path)) == len(since_s)
    assert sink.events == []
    frames, times_s = _camera(Fault("silence", 1.0, 0.5))
    assert not np.any((times_s >= 1.0) & (times_s < 1.5))
    assert frames.events == []


def test_a_lost_connection_is_announced_and_so_is_its_return() -> None:
    sink, _, since_s = _tracker(Fault("disconnect", 1.0, 2.0))
    assert not np.any((since_s >= 1.0) & (since_s < 3.0))
    assert since_s[-1] > 3.9
    kinds = sink.table(NOTIFICATIONS.path)["kind"].tolist()
    assert kinds == [b"connection_lost", b"connection_restored"]
    assert [kind for kind, *_ in sink.events] == ["device_fault", "device_fault"]
    forever, _, since_s = _tracker(Fault("disconnect", 1.0))
    assert since_s[-1] < 1.0
    assert len(forever.events) == 1


def test_a_stall_delivers_late_and_loses_nothing() -> None:
    clock = ManualClock()
    device = FaultyDevice(SimulatedEyeTracker(clock, person(), SCREEN, 200.0), (Fault("stall", 1.0, 1.0),), clock)
    sink = Collector()
    device.connect()
    started_us = clock.now_us()
    device.start(sink)
    clock.advance(0.9)
    wait_until(lambda: len(sink.table()) > 170, "the samples before the stall")
    clock.advance(1.0)
    wait_until(lambda: bool(device._filter and len(device._filter._held) >= 3), "samples to be held back")
    assert sink.table()["t_system_us"].max() < started_us + 1_000_000
    clock.advance(1.0)
    device.stop()
    device.close()
    gaze = sink.table()
    assert np.all(np.diff(gaze["t_system_us"]) > 0)
    assert np.diff(gaze["t_system_us"]).max() < 8_000
    assert len(gaze) == pytest.approx(2.9 * 200, abs=2)


def test_a_stall_at_the_end_is_paid_when_the_device_stops() -> None:
    sink, whole, since_s = _tracker(Fault("stall", 1.0))
    assert len(since_s) == len(whole)
    frames, times_s = _camera(Fault("stall", 1.0))
    assert times_s[-1] > 3.9
    assert sink.events == frames.events == []


def test_a_clock_jump_moves_the_device_clock_alone() -> None:
    sink, whole, since_s = _tracker(Fault("clock_jump", 2.0, amount_us=-5_000_000))
    gaze = sink.table(GAZE.path)
    np.testing.assert_array_equal(gaze["t_system_us"], whole["t_system_us"])
    moved = gaze["t_device_us"] - whole["t_device_us"]
    np.testing.assert_array_equal(moved, np.where(since_s >= 2.0, -5_000_000, 0))
    frames, times_s = _camera(Fault("clock_jump", 2.0, amount_us=1_000_000))
    intervals = np.diff([frame.t_device_us for frame in frames.frames])
    assert intervals.max() > 1_000_000
    assert np.diff(times_s).max() < 0.06


def test_duplicates_come_twice() -> None:
    sink, whole, _ = _tracker(Fault("duplicate", 1.0, 1.0))
    gaze = sink.table(GAZE.path)
    assert len(gaze) - len(whole) == pytest.approx(200, abs=2)
    assert len(np.unique(gaze["t_system_us"])) == len(whole)
    frames, times_s = _camera(Fault("duplicate", 1.0, 1.0))
    assert len(times_s) - len(np.unique(times_s)) == pytest.approx(30, abs=4)
    assert frames.events == []


def test_half_the_rate_is_delivered_and_the_whole_described() -> None:
    sink, whole, since_s = _tracker(Fault("wrong_rate", 1.0, 2.0))
    during = (since_s >= 1.0) & (since_s < 3.0)
    assert during.sum() == pytest.approx(200, abs=2)
    assert (~during).sum() == pytest.approx(len(whole) - 400, abs=2)
    assert len(sink.table(OPENNESS.path)) == len(since_s)
    assert np.median(np.diff(since_s[during])) == pytest.approx(0.01, abs=0.001)
    frames, times_s = _camera(Fault("slow_camera", 1.0, 2.0))
    slow = np.diff(times_s[(times_s >= 1.0) & (times_s < 3.0)])
    assert np.median(slow) == pytest.approx(2 / 30, abs=0.01)
    assert sum(frame.missed_before for frame in frames.frames) == 0


def test_half_the_rate_does_not_depend_on_the_pieces_in_which_rows_come() -> None:
    fault = Fault("wrong_rate", 0.0)
    rows = GAZE.empty(100)
    rows["t_system_us"] = np.arange(100)
    kept = []
    for cuts in ([100], [1] * 100, [3] * 33 + [1]):
        sink = Collector()
        spoiled = FaultySink(sink, (fault,), 0)
        first = 0
        for n in cuts:
            spoiled.rows(GAZE.path, rows[first : first + n])
            first += n
        kept.append(sink.table()["t_system_us"].tolist())
    assert kept[0] == kept[1] == kept[2] == list(range(0, 100, 2))


def test_one_eye_is_lost_in_all_streams() -> None:
    sink, whole, since_s = _tracker(Fault("one_eye", 1.0, 1.0))
    during = (since_s >= 1.0) & (since_s < 2.0)
    gaze = sink.table(GAZE.path)
    assert not gaze["right_gaze_valid"][during].any()
    assert np.isnan(gaze["right_gaze_norm"][during]).all()
    assert np.isnan(gaze["right_pupil_mm"][during]).all()
    np.testing.assert_array_equal(gaze["left_gaze_norm"], whole["left_gaze_norm"])
    np.testing.assert_array_equal(gaze["right_gaze_norm"][~during], whole["right_gaze_norm"][~during])
    openness = sink.table(OPENNESS.path)
    assert not openness["right_valid"][during].any()
    assert openness["left_valid"][during].any()


def test_a_calibratable_tracker_stays_one_and_a_camera_does_not_become_one() -> None:
    clock = ManualClock()
    tracker = FaultyDevice(SimulatedEyeTracker(clock, person(), SCREEN), (), clock)
    nested = FaultyDevice(tracker, (Fault("silence", 9.0),), clock)
    camera = FaultyDevice(SimulatedCamera(clock, person(), 64, 64, 30.0), (), clock)
    assert isinstance(tracker, Calibratable)
    assert isinstance(nested, Calibratable)
    assert isinstance(nested, Attentive)
    assert not isinstance(camera, Calibratable)
    assert tracker.display_area() == tracker.device.display_area()


def test_an_absent_device_fails_at_connect() -> None:
    clock = ManualClock()
    device = FaultyDevice(SimulatedEyeTracker(clock, person(), SCREEN), (Fault("absent"),), clock)
    with pytest.raises(DeviceError, match="does not answer"):
        device.connect()
    device.close()


def test_faults_are_described_and_reactions_passed_on() -> None:
    clock = ManualClock()
    inner = SimulatedEyeTracker(clock, person(), SCREEN)
    device = FaultyDevice(inner, (Fault("silence", 1.0), Fault("duplicate", 0.0)), clock)
    device.connect()
    assert device.describe().details["simulated_faults"] == ["silence", "duplicate"]
    device.react(PlantedReaction.rest(5))
    assert [reaction.t_us for reaction in inner._reactions] == [5]
    device.close()


def test_unknown_and_impossible_faults_are_refused() -> None:
    with pytest.raises(DeviceError, match="Known faults") as caught:
        Fault("explode")
    assert all(kind in str(caught.value) for kind in FAULT_KINDS)
    with pytest.raises(DeviceError, match="begins at 0 s"):
        Fault("silence", -1.0)
    with pytest.raises(DeviceError, match="lasts more than 0 s"):
        Fault("silence", 1.0, 0.0)
