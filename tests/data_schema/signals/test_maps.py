from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_schema.signals.maps import fixation_map

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
