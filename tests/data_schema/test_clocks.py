"""The clock model finds what was put in, and says what the real recording says."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_schema.clocks import ScaledClock, SystemClock, fit_clock, host_clock_of, host_ns
from data_schema.errors import ClockError


def stamps(n: int, drift_ppm: float, jitter_us: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    device = 4_000_000_000 + np.arange(n, dtype=np.int64) * 1667
    system = device + 77_000_000 + drift_ppm * 1e-6 * (device - device[0]) + rng.normal(0, jitter_us, n)
    return device, np.round(system).astype(np.int64)


@given(st.floats(-200, 200), st.floats(0, 400), st.integers(0, 5))
def test_drift_and_offset_are_found(drift_ppm: float, jitter_us: float, seed: int) -> None:
    device, system = stamps(6000, drift_ppm, jitter_us, seed)
    model = fit_clock(device, system)
    assert model.resets == ()
    assert model.drift_ppm == pytest.approx(drift_ppm, abs=0.1 + jitter_us / 60)
    true = device + 77_000_000 + drift_ppm * 1e-6 * (device - device[0])
    assert np.abs(model.to_system(device) - true).max() < 2 + jitter_us / 2


def test_a_reset_splits_the_model() -> None:
    device, system = stamps(3000, 10, 100)
    device[1800:] -= 3_000_000_000
    model = fit_clock(device, system)
    assert model.resets == (1800,)
    assert np.abs(model.to_system(device) - system).max() < 600


def test_one_bad_stamp_is_no_reset_and_does_not_bend_the_line() -> None:
    device, system = stamps(3000, 10, 50)
    system[500] += 5_000_000
    model = fit_clock(device, system)
    assert model.resets == ()
    assert model.drift_ppm == pytest.approx(10, abs=2)


def test_too_few_or_unequal_stamps_are_refused() -> None:
    with pytest.raises(ClockError, match="at least two"):
        fit_clock(np.array([1]), np.array([2]))
    with pytest.raises(ClockError, match="equally long"):
        fit_clock(np.array([1, 2]), np.array([2]))


def test_the_real_recording_drifts_by_8_ppm(shared_data: Path) -> None:
    """Titta's test recording, openness stream over 64 s: +8 ppm, residual SD 0.23 ms."""
    table = pd.read_csv(shared_data / "tobii_spectrum_600hz" / "eye_openness.csv.gz")
    model = fit_clock(table["device_time_stamp"].to_numpy(), table["system_time_stamp"].to_numpy())
    assert model.drift_ppm == pytest.approx(8.1, abs=0.5)
    assert model.residual_sd_us < 300
    assert model.resets == ()


def test_a_scaled_clock_runs_faster_from_where_it_starts() -> None:
    clock = ScaledClock.starting_now(1000.0)
    first, real = clock.now_us(), SystemClock().now_us()
    clock.sleep_until(first + 5_000_000)
    assert clock.now_us() >= first + 5_000_000
    assert SystemClock().now_us() - real < 2_000_000
    with pytest.raises(ValueError, match="larger than 0"):
        ScaledClock.starting_now(0)


def openness_stamps(shared_data: Path) -> tuple[np.ndarray, np.ndarray]:
    table = pd.read_csv(shared_data / "tobii_spectrum_600hz" / "eye_openness.csv.gz")
    return table["device_time_stamp"].to_numpy(), table["system_time_stamp"].to_numpy()


def test_the_real_recording_has_nothing_to_find(shared_data: Path) -> None:
    for name in ("eye_openness", "gaze"):
        table = pd.read_csv(shared_data / "tobii_spectrum_600hz" / f"{name}.csv.gz")
        model = fit_clock(table["device_time_stamp"].to_numpy(), table["system_time_stamp"].to_numpy())
        assert (model.resets, model.drift_changes, model.duplicates) == ((), (), ()), name
        assert model.residual_sd_us < 300


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("ppm", [200.0, -200.0, 500.0])
def test_a_change_of_drift_in_the_real_recording_is_found(shared_data: Path, share: float, ppm: float) -> None:
    device, system = openness_stamps(shared_data)
    row = int(share * len(device))
    later_us = np.maximum(0, device - device[row])
    model = fit_clock(device, system + np.round(ppm * 1e-6 * later_us).astype(np.int64))
    assert len(model.drift_changes) == 1
    assert model.resets == ()
    assert abs(device[model.drift_changes[0]] - device[row]) < 5_000_000
    before, after = model.segments
    assert after.drift_ppm - before.drift_ppm == pytest.approx(ppm, abs=60)
    assert max(before.residual_sd_us, after.residual_sd_us) < 300


def test_a_reset_and_duplicates_in_the_real_recording_are_found(shared_data: Path) -> None:
    device, system = openness_stamps(shared_data)
    device = device.copy()
    device[20_000:] -= 900_000_000
    for row in (5_000, 30_000):
        device, system = np.insert(device, row, device[row - 1]), np.insert(system, row, system[row - 1])
    model = fit_clock(device, system)
    assert model.duplicates == (5_000, 30_000)
    assert model.resets == (20_001,)
    assert model.drift_changes == ()


def test_a_stamp_that_comes_again_later_is_a_duplicate() -> None:
    device, system = stamps(3000, 10, 20)
    device[700] = device[650]
    system[2000] = system[1999]
    assert fit_clock(device, system).duplicates == (700, 2000)


def test_the_same_stamps_after_a_reset_are_no_duplicates() -> None:
    device, system = stamps(3000, 10, 20)
    device[1500:] = device[:1500]
    model = fit_clock(device, system)
    assert model.resets == (1500,)
    assert model.duplicates == ()


@given(st.floats(-200, 200), st.floats(0, 400), st.integers(0, 3))
def test_a_steady_drift_is_not_broken_up(drift_ppm: float, jitter_us: float, seed: int) -> None:
    device, system = stamps(60_000, drift_ppm, jitter_us, seed)
    assert fit_clock(device, system).drift_changes == ()


def test_two_changes_of_drift_and_a_reset_give_four_lines() -> None:
    device, system = stamps(120_000, 20, 80)
    for row, ppm in ((30_000, 150.0), (60_000, -250.0)):
        system = system + np.round(ppm * 1e-6 * np.maximum(0, device - device[row])).astype(np.int64)
    device = device.copy()
    device[90_000:] += 77_000_000
    model = fit_clock(device, system)
    assert model.resets == (90_000,)
    assert [round(row, -4) for row in model.drift_changes] == [30_000, 60_000]
    assert [segment.drift_ppm for segment in model.segments] == pytest.approx([20, 170, -80, -80], abs=5)
    assert np.abs(model.to_system(device) - system).max() < 900


def test_one_stamp_far_off_is_no_change_of_drift() -> None:
    device, system = stamps(60_000, 10, 50)
    device[20_000] += 40_000_000
    model = fit_clock(device, system)
    assert (model.resets, model.drift_changes) == ((), ())
    assert model.drift_ppm == pytest.approx(10, abs=1)


def test_the_host_clock_of_windows_is_the_performance_counter() -> None:
    """Before Python 3.13 the monotonic clock of Windows moves in steps of 15.6 ms, and the SDK's does not."""
    assert host_clock_of("win32") is time.perf_counter_ns
    assert host_clock_of("linux") is host_clock_of("darwin") is time.monotonic_ns
    assert host_ns is host_clock_of(sys.platform)
    assert abs(SystemClock().now_us() - host_ns() // 1000) < 1_000_000


def test_three_pairs_on_a_bow_are_fitted_with_all_of_them() -> None:
    """A recording of three seconds has three synchronisation pairs; each is as far from the line as the others."""
    device = np.array([0, 1_000_000, 2_000_000])
    segment = fit_clock(device, device + np.array([100, 140, 100])).segments[0]
    assert segment.n_used == 3
    assert segment.residual_sd_us == pytest.approx(18.9, abs=0.1)
