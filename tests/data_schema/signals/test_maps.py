from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_schema.signals.maps import MovingMap, fixation_map

position = st.floats(-0.5, 1.5)
fixations = st.lists(st.tuples(position, position, st.floats(0.0, 10.0)), max_size=40)


@given(fixations, st.floats(0.005, 0.3))
def test_a_map_sums_to_one_or_is_empty(found, sigma):
    xy = np.array([f[:2] for f in found], dtype=float).reshape(-1, 2)
    weight = np.array([f[2] for f in found])
    drawn = fixation_map(xy, weight, (sigma, sigma * 1.7))
    on_screen = ((xy >= 0) & (xy <= 1)).all(axis=1) & (weight > 0)
    assert drawn.shape == (32, 32)
    assert (drawn >= 0).all()
    assert drawn.sum() == (pytest.approx(1.0) if on_screen.any() else 0.0)


def test_the_peak_is_where_the_eyes_rested():
    drawn = fixation_map(np.array([[0.25, 0.8]]), np.array([0.3]), (0.03, 0.05), shape=(40, 80))
    row, column = np.unravel_index(drawn.argmax(), drawn.shape)
    assert abs((column + 0.5) / 80 - 0.25) < 0.02
    assert abs((row + 0.5) / 40 - 0.8) < 0.03


def test_weight_is_duration():
    drawn = fixation_map(np.array([[0.1, 0.5], [0.9, 0.5]]), np.array([0.3, 0.1]), (0.02, 0.02))
    assert drawn[:, :16].sum() == pytest.approx(0.75, abs=1e-6)


def test_the_width_is_sigma():
    drawn = fixation_map(np.array([[0.5, 0.5]]), np.array([1.0]), (0.05, 0.1), shape=(400, 400))
    centres = (np.arange(400) + 0.5) / 400
    assert np.sqrt(((centres - 0.5) ** 2 * drawn.sum(axis=0)).sum()) == pytest.approx(0.05, rel=0.01)
    assert np.sqrt(((centres - 0.5) ** 2 * drawn.sum(axis=1)).sum()) == pytest.approx(0.1, rel=0.01)


def test_missing_fixations_are_left_out():
    assert fixation_map(np.array([[np.nan, 0.5]]), np.array([1.0]), (0.1, 0.1)).sum() == 0.0


@given(st.integers(0, 2**32 - 1), st.integers(0, 3_000_000), st.integers(1, 2_000_000))
def test_a_moving_map_holds_the_seconds_of_its_window(seed, t0, length):
    rng = np.random.default_rng(seed)
    start = rng.integers(0, 3_000_000, 12)
    end = start + rng.integers(1, 500_000, 12)
    # Far from the edges the Gaussian loses nothing beyond them.
    moving = MovingMap(start, end, rng.uniform(0.3, 0.7, (12, 2)), (0.02, 0.02), (20, 30))
    overlap = np.clip(np.minimum(end, t0 + length) - np.maximum(start, t0), 0, None).sum() / 1e6
    assert moving.between(t0, t0 + length).sum() == pytest.approx(overlap, abs=1e-9)


def test_windows_side_by_side_make_the_whole():
    rng = np.random.default_rng(3)
    start = np.sort(rng.integers(0, 2_000_000, 20))
    xy = rng.uniform(0.0, 1.0, (20, 2))
    moving = MovingMap(start, start + 250_000, xy, (0.05, 0.05))
    parts = sum(moving.between(t, t + 100_000) for t in range(0, 2_300_000, 100_000))
    whole = moving.between(0, 2_300_000)
    assert parts == pytest.approx(whole)
    drawn = fixation_map(xy, np.full(20, 0.25), (0.05, 0.05), whole.shape)
    assert whole / whole.sum() == pytest.approx(drawn)
