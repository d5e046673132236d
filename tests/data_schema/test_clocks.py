"""The clock model finds what was put in, and says what the real recording says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_schema.clocks import ScaledClock, SystemClock, fit_clock
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
