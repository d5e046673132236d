"""Replaying real streams and recorded sessions."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from collection.devices.frame_code import read_frame_number
from collection.devices.replay import ReplayCamera, ReplayEyeTracker, read_tracker_recording
from data_schema.clocks import ScaledClock, fit_clock
from data_schema.errors import DeviceError
from data_schema.session.layout import GAZE, OPENNESS, TIME_SYNC, USER_POSITION
from data_schema.session.reader import open_session

from .device_lab import Collector, ManualClock, record, wait_until


@pytest.fixture
def spectrum(shared_data: Path) -> Path:
    return shared_data / "tobii_spectrum_600hz"


def test_a_tobii_folder_is_replayed_value_by_value(spectrum: Path) -> None:
    raw = pd.read_csv(spectrum / "gaze.csv.gz")
    clock = ManualClock()
    started_us = clock.now_us()
    tracker = ReplayEyeTracker(clock, spectrum, loop=False)
    sink = record(tracker, clock, 12.0)
    info = tracker.describe()
    tracker.close()

    gaze = sink.table(GAZE.path)
    assert len(gaze) == len(raw) == 5977
    np.testing.assert_array_equal(
        gaze["t_system_us"] - started_us, raw["system_time_stamp"] - raw["system_time_stamp"][0]
    )
    np.testing.assert_array_equal(gaze["t_device_us"], raw["device_time_stamp"])
    for eye in ("left", "right"):
        np.testing.assert_array_equal(gaze[f"{eye}_pupil_mm"], raw[f"{eye}_pupil_diameter"].astype(np.float32))
        np.testing.assert_array_equal(gaze[f"{eye}_gaze_valid"], raw[f"{eye}_gaze_point_validity"])
        for axis, name in enumerate("xy"):
            expected = raw[f"{eye}_gaze_point_on_display_area_{name}"].astype(np.float32)
            np.testing.assert_array_equal(gaze[f"{eye}_gaze_norm"][:, axis], expected)
        for axis, name in enumerate("xyz"):
            expected = raw[f"{eye}_gaze_origin_in_user_coordinate_system_{name}"].astype(np.float32)
            np.testing.assert_array_equal(gaze[f"{eye}_origin_user_mm"][:, axis], expected)
    assert info.replayed_from == "tobii_spectrum_600hz"
    assert info.simulated
    assert info.rates_hz == {GAZE.path: 600.0, OPENNESS.path: 600.0}


def test_the_real_drift_between_the_clocks_survives_replay(spectrum: Path) -> None:
    recording = read_tracker_recording(spectrum, whole=True).tables[OPENNESS.path]
    clock = ManualClock()
    tracker = ReplayEyeTracker(clock, spectrum, whole=True, loop=False)
    replayed = record(tracker, clock, 66.0).table(OPENNESS.path)
    tracker.close()
    assert len(replayed) == 38_281
    real, ours = (fit_clock(rows["t_device_us"], rows["t_system_us"]).segments for rows in (recording, replayed))
    assert [s.drift_ppm for s in ours] == pytest.approx([s.drift_ppm for s in real])
    assert ours[0].drift_ppm == pytest.approx(8.13, abs=0.1)
    # The recording's own hole of 538 ms.
    assert np.diff(replayed["t_system_us"]).max() == 538_820


def test_only_the_time_with_gaze_is_replayed_by_default(spectrum: Path) -> None:
    tables = read_tracker_recording(spectrum).tables
    assert tables[OPENNESS.path]["t_system_us"][0] >= tables[GAZE.path]["t_system_us"][0]
    assert tables[OPENNESS.path]["t_system_us"][-1] <= tables[GAZE.path]["t_system_us"][-1]
    assert len(tables[OPENNESS.path]) > 5000


def test_looping_goes_on_without_a_step_on_either_clock(spectrum: Path) -> None:
    clock = ManualClock()
    tracker = ReplayEyeTracker(clock, spectrum)
    gaze = record(tracker, clock, 35.0).table(GAZE.path)
    tracker.close()
    assert len(gaze) == pytest.approx(35 * 600, abs=30)
    np.testing.assert_array_equal(gaze["left_pupil_mm"][:5977], gaze["left_pupil_mm"][5977 : 2 * 5977])
    for name in ("t_system_us", "t_device_us"):
        assert np.diff(gaze[name]).min() > 1500
        assert np.diff(gaze[name]).max() < 1900
    # A tracker with a reset clock would show as more than one segment.
    assert len(fit_clock(gaze["t_device_us"], gaze["t_system_us"]).segments) == 1


def test_a_replay_at_thirty_times_the_speed_gives_the_stamps_of_real_time(spectrum: Path) -> None:
    clock = ScaledClock.starting_now(30.0)
    tracker = ReplayEyeTracker(clock, spectrum)
    sink = Collector()
    tracker.connect()
    started_us = clock.now_us()
    tracker.start(sink)
    wait_until(lambda: len(sink.table(GAZE.path)) > 3000, "five seconds of samples")
    tracker.stop()
    tracker.close()
    gaze = sink.table(GAZE.path)
    assert np.median(np.diff(gaze["t_system_us"])) == pytest.approx(1667, abs=1)
    assert gaze["t_system_us"][0] - started_us < 5_000_000
    assert gaze["t_system_us"][-1] <= clock.now_us()


def test_a_session_file_is_replayed_with_all_its_tracker_streams(session_file: Path) -> None:
    clock = ManualClock()
    tracker = ReplayEyeTracker(clock, session_file, loop=False)
    sink = record(tracker, clock, 5.0)
    info = tracker.describe()
    tracker.close()
    with open_session(session_file) as session:
        for path in (GAZE.path, OPENNESS.path, USER_POSITION.path):
            stored = session.table(path)[:]
            replayed = sink.table(path)
            assert len(replayed) == pytest.approx(len(stored), abs=2)
        stored, replayed = session.table(GAZE)[:], sink.table(GAZE.path)
    np.testing.assert_array_equal(replayed["left_gaze_norm"], stored["left_gaze_norm"])
    for name in ("t_system_us", "t_device_us", "t_received_us"):
        np.testing.assert_array_equal(np.diff(replayed[name]), np.diff(stored[name]))
    np.testing.assert_array_equal(
        replayed["t_received_us"] - replayed["t_system_us"], stored["t_received_us"] - stored["t_system_us"]
    )
    # The simulated tracker that was recorded had 400 ppm.
    assert abs(fit_clock(replayed["t_device_us"], replayed["t_system_us"]).segments[0].drift_ppm) == pytest.approx(
        400, abs=80
    )
    assert info.kind == "replay"
    assert info.model == "Simulated eye tracker"
    assert info.rates_hz[GAZE.path] == 120.0
    assert len(sink.table(TIME_SYNC.path)) >= 1


def test_a_sessions_camera_is_replayed_frame_by_frame(session_file: Path) -> None:
    clock = ManualClock()
    camera = ReplayCamera(clock, session_file)
    sink = record(camera, clock, 4.0)
    info = camera.describe()
    camera.close()
    with open_session(session_file) as session:
        stored = session.video
        assert stored is not None
        times, n = stored.frame_times_us, len(stored)
    assert len(sink.frames) > 2 * n
    np.testing.assert_array_equal(np.diff(sink.times_us[:n]), np.diff(times))
    assert [read_frame_number(frame.image) for frame in sink.frames[: 2 * n]] == [*range(n), *range(n)]
    assert info.replayed_from == session_file.name
    assert (info.width_px, info.height_px) == (320, 240)


def test_what_cannot_be_replayed_is_refused_at_connect(tmp_path: Path, session_file: Path) -> None:
    clock = ManualClock()
    with pytest.raises(DeviceError, match="no such session file"):
        ReplayEyeTracker(clock, tmp_path / "absent.h5").connect()
    (tmp_path / "empty.h5").write_bytes(b"")
    with pytest.raises(DeviceError, match="empty"):
        ReplayEyeTracker(clock, tmp_path / "empty.h5").connect()
    with pytest.raises(DeviceError, match=r"empty\.h5"):
        ReplayCamera(clock, tmp_path / "empty.h5").connect()
    with pytest.raises(DeviceError, match=r"gaze\.csv"):
        ReplayEyeTracker(clock, tmp_path).connect()


def test_damaged_tables_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    folder.mkdir()
    (folder / "gaze.csv").write_text("device_time_stamp,system_time_stamp\n1,2\n3,4\n", encoding="utf-8")
    with pytest.raises(DeviceError, match="left_gaze_point_on_display_area_x"):
        read_tracker_recording(folder)
    (folder / "gaze.csv").write_text("device_time_stamp,system_time_stamp\n", encoding="utf-8")
    with pytest.raises(DeviceError, match="no rows"):
        read_tracker_recording(folder)
    (folder / "gaze.csv").unlink()
    (folder / "gaze.csv.gz").write_bytes(gzip.compress(b"device_time_stamp,system_time_stamp\n1,2\n" * 500)[:30])
    with pytest.raises(DeviceError, match="copy is complete"):
        read_tracker_recording(folder)
