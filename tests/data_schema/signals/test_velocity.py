from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from data_schema.signals.velocity import (
    angle_of_unit_vectors_deg,
    angular_velocity,
    nominal_interval_us,
    unit_vectors,
    velocity_of_directions,
    window_size,
)

from .recordings import stamps

RATES_HZ = (30.0, 50.0, 60.0, 90.0, 120.0, 150.0, 250.0, 300.0, 600.0, 1200.0)


def turning(n: int, rate_hz: float, deg_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Return times and directions of an eye that turns at one speed."""
    t_us = stamps(n, rate_hz)
    angle = np.radians(deg_s) * (t_us - t_us[0]) / 1e6
    return t_us, np.column_stack([np.sin(angle), np.zeros(n), -np.cos(angle)])


@pytest.mark.parametrize(
    ("rate_hz", "size"),
    [(30, 2), (50, 2), (60, 2), (90, 2), (120, 3), (150, 4), (250, 6), (300, 7), (500, 11), (600, 13), (1200, 25)],
)
def test_windows_of_20_ms_at_each_rate(rate_hz, size):
    assert window_size(20.0, 1e6 / rate_hz) == size
    assert window_size(20.0, nominal_interval_us(stamps(400, rate_hz))) == size


def test_intervals_of_coarse_stamps_and_across_holes():
    coarse = (stamps(600, 600.0) // 1000) * 1000
    assert nominal_interval_us(coarse) == pytest.approx(1e6 / 600.0, rel=0.005)
    holed = stamps(600, 120.0)
    holed[300:] += 2_000_000
    assert nominal_interval_us(holed) == pytest.approx(1e6 / 120.0, rel=0.001)
    assert np.isnan(nominal_interval_us(stamps(1)))


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_steady_turn_has_its_speed_at_every_rate_from_the_first_sample_to_the_last(rate_hz):
    t_us, direction = turning(round(rate_hz), rate_hz, 40.0)
    assert_allclose(velocity_of_directions(t_us, direction), 40.0, rtol=2e-3)
    assert_allclose(velocity_of_directions(t_us, 700.0 * direction), 40.0, rtol=2e-3)


def test_speed_from_gaze_and_eye_counts_a_moving_head():
    t_us = stamps(300, 300.0)
    seconds = (t_us - t_us[0]) / 1e6
    gaze = np.zeros((300, 3))
    # The head slides by 65 mm/s at 650 mm while gaze stays: the eye turns by 0.1 rad/s.
    eye = np.column_stack([65.0 * seconds - 32.0, np.zeros(300), np.full(300, 650.0)])
    assert_allclose(angular_velocity(t_us, gaze, eye)[150], np.degrees(0.1), rtol=1e-3)


def test_an_even_window_reaches_further_back():
    t_us = stamps(20, 60.0)
    direction = np.tile([0.0, 0.0, -1.0], (20, 1))
    direction[10:] = [np.sin(0.02), 0.0, -np.cos(0.02)]
    fast = np.flatnonzero(velocity_of_directions(t_us, direction) > 30.0)
    assert fast.tolist() == [10]
    # The first sample after a loss has nothing before it and looks ahead instead.
    direction[9] = np.nan
    direction[11:] = [np.sin(0.04), 0.0, -np.cos(0.04)]
    assert np.flatnonzero(velocity_of_directions(t_us, direction) > 30.0).tolist() == [10, 11]


def test_a_single_sample_between_losses_has_no_speed():
    t_us, direction = turning(30, 300.0, 10.0)
    direction[[9, 11]] = np.nan
    velocity = velocity_of_directions(t_us, direction)
    assert np.isnan(velocity[[9, 10, 11]]).all()
    assert np.isfinite(np.delete(velocity, [9, 10, 11])).all()


def test_angles_keep_their_digits():
    first = unit_vectors(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]))
    second = unit_vectors(np.array([[1e-9, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]))
    angles = angle_of_unit_vectors_deg(first, second)
    assert_allclose(angles[:3], [np.degrees(1e-9), 90.0, 180.0], rtol=1e-9)
    assert np.isnan(angles[3])


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    rate_hz=st.sampled_from(RATES_HZ),
    origin_us=st.integers(min_value=-(10**15), max_value=10**15),
    length=st.floats(min_value=0.01, max_value=1e4),
)
def test_speed_depends_on_neither_the_clocks_origin_nor_the_unit_of_length(data, rate_hz, origin_us, length):
    seed = data.draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    t_us = stamps(120, rate_hz)
    direction = rng.normal(0, 0.05, (120, 3)) + [0.0, 0.0, -1.0]
    direction[rng.random(120) < 0.1] = np.nan
    velocity = velocity_of_directions(t_us, direction)
    assert_allclose(velocity_of_directions(t_us + origin_us, direction * length), velocity, rtol=1e-9)
    assert_array_equal(np.isnan(velocity[np.isnan(direction[:, 0])]), True)
