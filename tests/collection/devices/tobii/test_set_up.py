"""Finding a tracker, setting it up, and errors of the SDK with their next steps."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from collection.devices.tobii import TobiiEyeTracker
from collection.devices.tobii_errors import NEXT_STEPS, explained
from data_schema.clocks import ScaledClock, SystemClock
from data_schema.errors import DeviceError, MissingExtraError
from data_schema.session.layout import GAZE, OPENNESS

from ..device_lab import Collector
from ..tobii_stand_in import ALL_CAPABILITIES, ERRORS, EyeTracker, stand_in_tracker
from .driver_lab import GAZE_STREAM, said_by, samples_of, simulated_source, started


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
    started(sink, screen_mm=(528.0, 297.0)).close()
    assert sink.events == []
    started(sink, screen_mm=(345.0, 194.0)).close()
    assert "display area is 528 x 297 mm, but [screen] of study.toml says 345 x 194" in said_by(sink)


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
    device = started(sink)
    sample = {**samples_of(simulated_source(0.1), GAZE)[0], "system_time_stamp": ahead_us + 1_000_000}
    tracker.deliver(GAZE_STREAM, sample)
    device.close()
    assert sink.table()["t_system_us"][0] == pytest.approx(1_000_000, abs=1_000)
    assert "differs from the host clock" in said_by(sink)


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
