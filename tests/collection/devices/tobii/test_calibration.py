"""Calibration by the Tobii driver."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from collection.devices.base import Calibratable, CalibrationSample
from collection.devices.tobii import TobiiEyeTracker
from data_schema.clocks import SystemClock
from data_schema.errors import DeviceError

from ..device_lab import Collector, wait_until
from ..tobii_stand_in import ALL_CAPABILITIES, EyeTracker
from .driver_lab import said_by, started


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
    device = started(sink)
    device.calibration_begin("both")
    tracker.unplug()
    wait_until(lambda: "connection was lost" in said_by(sink), "the loss to be noticed")
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
