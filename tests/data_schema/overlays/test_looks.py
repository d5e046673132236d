from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_schema.overlays.looks import StimulusClock


def test_between_flips_time_runs_on_and_repeats_stand_still():
    # 60 Hz flips of a 30 Hz film whose first two frames were never shown.
    flip = 1_000_000 + np.arange(8) * 16_667
    clip = np.array([66_667, 66_667, 100_000, 100_000, 133_333, 133_333, 166_667, 166_667])
    clock = StimulusClock(flip, clip, 999_000)
    assert clock.stimulus_us(flip[[0, 2, 4, 6]]).tolist() == [66_667, 100_000, 133_333, 166_667]
    assert clock.stimulus_us(flip[:1] - 10_000).tolist() == [56_667]
    assert clock.stimulus_us(flip[6:7] + 20_000).tolist() == [186_667]


def test_without_flips_it_played_from_the_onset():
    empty = np.zeros(0, dtype=np.int64)
    assert StimulusClock(empty, empty, 5_000).stimulus_us(np.array([5_000, 6_500])).tolist() == [0, 1_500]


@given(st.lists(st.integers(1_000, 60_000), min_size=2, max_size=60), st.integers(0, 2**31))
def test_it_never_runs_backwards(steps, seed):
    rng = np.random.default_rng(seed)
    flip = np.cumsum(steps)
    clip = np.cumsum(rng.integers(0, 2, len(steps)) * 33_333)
    times = np.sort(rng.integers(-10_000, flip[-1] + 10_000, 200))
    assert (np.diff(StimulusClock(flip, clip, 0).stimulus_us(times)) >= 0).all()


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_the_order_of_the_rows_does_not_matter(order):
    flip, clip = np.arange(4)[order] * 20_000, np.arange(4)[order] * 40_000
    assert StimulusClock(flip, clip, 0).stimulus_us(np.array([30_000])).tolist() == [60_000]
