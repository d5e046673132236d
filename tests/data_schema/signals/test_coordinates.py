from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_schema.signals.coordinates import (
    WHOLE_SCREEN,
    screen_to_stimulus,
    sigma_on_stimulus,
    stimulus_box_norm,
    stimulus_to_screen,
)

side = st.integers(16, 8000)
share = st.floats(-2, 3)


@given(side, side, side, side, share, share)
def test_there_and_back(screen_w, screen_h, width, height, x, y):
    box = stimulus_box_norm((screen_w, screen_h), (width, height))
    assert stimulus_to_screen(screen_to_stimulus([x, y], box), box) == pytest.approx([x, y], abs=1e-9)


def test_a_narrow_stimulus_leaves_bars_at_the_sides():
    box = stimulus_box_norm((1920, 1080), (1440, 1080))
    assert box == pytest.approx((0.125, 0, 0.75, 1))
    assert screen_to_stimulus([0.125, 1.0], box) == pytest.approx([0, 1])
    assert screen_to_stimulus([0.5, 0.5], box) == pytest.approx([0.5, 0.5])
    assert (screen_to_stimulus(np.array([[0.05, 0.5]]), box)[:, 0] < 0).all(), "the grey beside it"
    assert sigma_on_stimulus((0.03, 0.05), box) == pytest.approx((0.04, 0.05))


def test_one_of_the_screens_own_shape_fills_it():
    assert stimulus_box_norm((1920, 1080), (1280, 720)) == pytest.approx(WHOLE_SCREEN)
