"""What the recorder may expect of any device."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from collection.devices.base import CAMERA, EYE_TRACKER, Attentive, Calibratable, Device, PlantedReaction, Reactive
from collection.devices.faulty import FaultyDevice
from collection.devices.replay import ReplayCamera, ReplayEyeTracker
from collection.devices.simulated import SimulatedEyeTracker
from collection.devices.simulated_camera import SimulatedCamera
from collection.devices.video_file import VideoFileCamera
from data_schema.clocks import ScaledClock
from data_schema.errors import DeviceError
from data_schema.session.layout import FRAMES, TABLE_BY_PATH

from ..collection.devices.device_lab import (
    SCREEN,
    Collector,
    ManualClock,
    person,
    record,
    wait_until,
    write_session,
    write_video,
)

Make = Callable[..., Device]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    write_session(folder / "session.h5")
    write_video(folder / "face.mp4", list(range(0, 1500, 40)))
    return folder


def _tobii_folder(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue("shared_data")
    return folder / "tobii_spectrum_600hz"


KINDS = (
    "simulated tracker",
    "simulated camera",
    "replay of Tobii CSV",
    "replay of a session's tracker",
    "replay of a session's camera",
    "video file",
    "faulty tracker without a fault",
    "faulty camera without a fault",
)


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, recordings: Path) -> Make:
    kind: str = request.param
    folder = _tobii_folder(request) if "CSV" in kind else recordings
    return {
        "simulated tracker": lambda clock: SimulatedEyeTracker(clock, person(), SCREEN, 300.0),
        "simulated camera": lambda clock: SimulatedCamera(clock, person(), 320, 180, 30.0),
        "replay of Tobii CSV": lambda clock: ReplayEyeTracker(clock, folder),
        "replay of a session's tracker": lambda clock: ReplayEyeTracker(clock, folder / "session.h5"),
        "replay of a session's camera": lambda clock: ReplayCamera(clock, folder / "session.h5"),
        "video file": lambda clock: VideoFileCamera(clock, folder / "face.mp4"),
        "faulty tracker without a fault": lambda clock: FaultyDevice(
            SimulatedEyeTracker(clock, person(), SCREEN, 300.0), (), clock
        ),
        "faulty camera without a fault": lambda clock: FaultyDevice(
            SimulatedCamera(clock, person(), 320, 180, 30.0), (), clock
        ),
    }[kind]


def _n_delivered(sink: Collector) -> int:
    return len(sink.frames) + sum(len(rows) for pieces in sink.pieces.values() for rows in pieces)


def test_a_device_is_a_device_and_describes_itself_before_it_starts(make: Make) -> None:
    device = make(ManualClock())
    assert isinstance(device, Device)
    with pytest.raises(DeviceError, match="before connect"):
        device.describe()
    device.connect()
    device.connect()
    info = device.describe()
    assert info.role in (EYE_TRACKER, CAMERA)
    assert info.kind
    assert info.model
    assert all(rate > 0 for rate in info.rates_hz.values())
    if info.role == CAMERA:
        assert set(info.rates_hz) == {FRAMES.path}
        assert info.width_px % 2 == info.height_px % 2 == 0
        assert info.width_px > 0
    device.close()


def test_what_it_delivers_has_the_layouts_types_and_the_described_rates(make: Make) -> None:
    clock = ManualClock()
    device = make(clock)
    sink = record(device, clock, 3.0)
    info = device.describe()
    device.close()
    assert sink.events == []
    for table, pieces in sink.pieces.items():
        assert all(piece.dtype == TABLE_BY_PATH[table].dtype for piece in pieces)
        assert len(sink.table(table)) == pytest.approx(3.0 * info.rates_hz[table], rel=0.05, abs=4)
    if info.role == CAMERA:
        assert len(sink.frames) == pytest.approx(3.0 * info.rates_hz[FRAMES.path], rel=0.12, abs=2)
        for frame in sink.frames:
            assert frame.image.shape == (info.height_px, info.width_px, 3)
            assert frame.image.dtype == np.uint8
            assert frame.image.flags["C_CONTIGUOUS"]
    assert set(sink.pieces) <= set(info.rates_hz)


def test_stamps_increase_and_lie_between_start_and_stop(make: Make) -> None:
    clock = ManualClock()
    device = make(clock)
    started_us = clock.now_us()
    sink = record(device, clock, 3.2)
    device.close()
    for table in sink.pieces:
        rows = sink.table(table)
        times = rows[TABLE_BY_PATH[table].time_column]
        assert np.all(np.diff(times) > 0), table
        assert started_us <= times[0]
        assert times[-1] <= clock.now_us()
        if "t_device_us" in (rows.dtype.names or ()):
            assert np.all(np.diff(rows["t_device_us"]) > 0), table
    if sink.frames:
        assert np.all(np.diff(sink.times_us) > 0)
        assert started_us <= sink.times_us[0]
        assert sink.times_us[-1] <= clock.now_us()
        device_us = np.array([frame.t_device_us for frame in sink.frames])
        assert np.all(device_us == -1) or np.all(np.diff(device_us) > 0)


def test_stop_and_close_are_idempotent_and_nothing_comes_after_them(make: Make) -> None:
    clock = ManualClock()
    device = make(clock)
    device.stop()
    sink = record(device, clock, 0.7)
    delivered = sink.n_calls
    assert delivered > 0
    clock.advance(2.0)
    device.stop()
    device.stop()
    device.close()
    device.close()
    clock.advance(2.0)
    assert sink.n_calls == delivered


def test_a_device_starts_again_after_stop_and_after_close(make: Make) -> None:
    clock = ManualClock()
    device = make(clock)
    first = record(device, clock, 0.7)
    clock.advance(5.0)
    second = record(device, clock, 0.7)
    device.close()
    third = record(device, clock, 0.7)
    device.close()
    for earlier, later in ((first, second), (second, third)):
        assert _n_delivered(later) > 0
        for table in earlier.pieces:
            name = TABLE_BY_PATH[table].time_column
            assert later.table(table)[name][0] > earlier.table(table)[name][-1]
        if earlier.frames:
            assert later.frames[0].t_capture_us > earlier.frames[-1].t_capture_us


def test_starting_too_early_or_twice_is_refused(make: Make) -> None:
    device = make(ManualClock())
    with pytest.raises(DeviceError, match="before connect"):
        device.start(Collector())
    device.connect()
    device.start(Collector())
    with pytest.raises(DeviceError, match="already"):
        device.start(Collector())
    device.close()


def test_close_alone_stops_a_running_device_and_its_thread(make: Make) -> None:
    before = set(threading.enumerate())
    device = make(ManualClock())
    device.connect()
    device.start(Collector())
    assert any(thread.daemon for thread in set(threading.enumerate()) - before)
    device.close()
    assert set(threading.enumerate()) <= before


def test_it_delivers_by_itself_while_a_real_clock_runs(make: Make) -> None:
    device = make(ScaledClock.starting_now(20.0))
    sink = Collector(keep_images=False)
    device.connect()
    device.start(sink)
    wait_until(lambda: _n_delivered(sink) > 20, "20 samples or frames")
    device.stop()
    device.close()
    assert sink.events == []


def test_content_does_not_depend_on_how_often_the_clock_was_looked_at(make: Make) -> None:
    """One turn of the clock by hand, or many: the same samples, because they are owed by schedule."""
    clock = ManualClock()
    device = make(clock)
    at_once = record(device, clock, 1.3)
    device.close()

    clock = ManualClock()
    device = make(clock)
    sink = Collector()
    device.connect()
    device.start(sink)
    for _ in range(13):
        seen = _n_delivered(sink)
        clock.advance(0.1)
        wait_until(lambda seen=seen: _n_delivered(sink) > seen, "data for a tenth of a second")
    device.stop()
    device.close()

    assert set(sink.pieces) == set(at_once.pieces)
    for table in sink.pieces:
        # As bytes, because NaN equals nothing.
        assert sink.table(table).tobytes() == at_once.table(table).tobytes(), table
    assert len(sink.frames) == len(at_once.frames)
    for one, other in zip(sink.frames, at_once.frames, strict=True):
        assert (one.t_capture_us, one.t_device_us) == (other.t_capture_us, other.t_device_us)
        np.testing.assert_array_equal(one.image, other.image)


def test_trackers_that_can_be_calibrated_are_simulated_ones_here(make: Make) -> None:
    """Whoever asks by the protocol gets the truth, through a wrapper too; replays cannot be calibrated."""
    device = make(ManualClock())
    device.connect()
    info = device.describe()
    assert isinstance(device, Calibratable) == (info.kind == "simulated" and info.role == EYE_TRACKER)
    if isinstance(device, Calibratable):
        assert isinstance(device, Attentive)
        assert device.calibration_data() == b""
        device.look_at(0, (0.5, 0.5))
        device.calibration_begin("both")
        assert not device.calibration_compute().success
        device.calibration_end()
        device.calibration_end()
    device.close()


def test_simulated_devices_can_be_told_what_is_felt(make: Make) -> None:
    device = make(ManualClock())
    device.connect()
    if device.describe().kind == "simulated":
        assert isinstance(device, Reactive)
        device.react(PlantedReaction.rest(0))
    device.close()
