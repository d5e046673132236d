from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from data_schema.signals.noise import half_windows, reduce_noise

from .recordings import stamps


def test_windows_shrink_on_both_sides_alike():
    valid = np.ones(12, dtype=bool)
    valid[6] = False
    assert half_windows(stamps(12), valid, 5).tolist() == [0, 1, 2, 2, 1, 0, -1, 0, 1, 2, 1, 0]
    late = stamps(12)
    late[4:] += 1_000_000  # a hole in time ends a stretch as a loss does
    assert half_windows(late, np.ones(12, dtype=bool), 3).tolist() == [0, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0]


def test_known_values():
    t_us = stamps(6)
    values = np.array([[0.0], [6.0], [3.0], [np.nan], [5.0], [7.0]])
    assert_allclose(reduce_noise(t_us, values, "moving_average", 3)[:, 0], [0.0, 3.0, 3.0, np.nan, 5.0, 7.0])
    assert_allclose(reduce_noise(t_us, values, "median", 3)[:, 0], [0.0, 3.0, 3.0, np.nan, 5.0, 7.0])
    spike = np.zeros((9, 2))
    spike[4] = [9.0, -9.0]
    assert not reduce_noise(stamps(9), spike, "median", 5).any()
    assert_allclose(reduce_noise(stamps(9), spike, "moving_average", 9)[4], [1.0, -1.0])


@pytest.mark.parametrize(("method", "samples"), [("median", 4), ("median", 0), ("mean", 3)])
def test_what_is_no_window_is_refused(method, samples):
    with pytest.raises(ValueError, match=r"odd|one of"):
        reduce_noise(stamps(5), np.zeros((5, 1)), method, samples)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    method=st.sampled_from(["moving_average", "median"]),
    samples=st.sampled_from([1, 3, 5, 7, 9]),
    shift=st.floats(-1e3, 1e3),
)
def test_smoothing_keeps_losses_range_straight_lines_and_shifts(seed, method, samples, shift):
    rng = np.random.default_rng(seed)
    t_us = stamps(60)
    values = rng.normal(0, 1, (60, 2))
    values[rng.random(60) < 0.15] = np.nan
    smooth = reduce_noise(t_us, values, method, samples)
    assert_array_equal(np.isnan(smooth), np.isnan(values))
    assert np.nanmax(smooth) <= np.nanmax(values) + 1e-9
    assert np.nanmin(smooth) >= np.nanmin(values) - 1e-9
    assert_allclose(reduce_noise(t_us, values + shift, method, samples), smooth + shift, atol=1e-9)
    line = np.where(np.isnan(values), np.nan, np.arange(60.0)[:, None])
    assert_allclose(reduce_noise(t_us, line, method, samples), line, atol=1e-9)
