from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from data_schema.signals.features.scanpath import (
    FocalPairs,
    focal_pairs,
    grid_cells,
    k_coefficient_change,
    stationary_entropy,
    transition_entropy,
)
from data_schema.signals.fixations import FIXATION_DTYPE
from data_schema.signals.saccades import SACCADE_DTYPE


def test_cells_are_counted_row_by_row_and_clipped_to_the_screen():
    points = np.array([[0.0, 0.0], [0.99, 0.0], [0.0, 0.99], [1.0, 1.0], [-3.0, 0.5], [np.nan, 0.5], [0.13, 0.21]])
    assert_array_equal(grid_cells(points, (8, 5)), [0, 7, 32, 39, 16, -1, 9])


def test_entropies_of_known_scanpaths():
    there_and_back = np.tile([3, 8], 20)
    assert stationary_entropy(there_and_back) == pytest.approx(1.0)
    assert transition_entropy(there_and_back) == 0.0
    assert stationary_entropy(np.full(30, 5)) == 0.0
    assert np.isnan(stationary_entropy(np.arange(4)))
    assert np.isnan(transition_entropy(np.arange(10)))
    # From either of two cells to either, as often: one bit.
    either = np.array([0, 0, 1, 1] * 25 + [0])
    assert transition_entropy(either) == pytest.approx(1.0)


@given(st.lists(st.integers(0, 39), min_size=11, max_size=300))
def test_transition_entropy_is_the_weighted_entropy_of_the_rows(cells):
    path = np.array(cells)
    rows = []
    for cell in set(cells[:-1]):
        after = np.bincount(path[1:][path[:-1] == cell])
        share = after[after > 0] / after.sum()
        rows.append((after.sum() / (len(cells) - 1)) * -(share * np.log2(share)).sum())
    assert transition_entropy(path) == pytest.approx(sum(rows), abs=1e-9)
    assert transition_entropy(path) <= np.log2(len(set(cells[1:]))) + 1e-9


def events(dtype, spans, **more):
    table = np.zeros(len(spans), dtype=dtype)
    table["t_start_us"], table["t_end_us"] = np.array(spans).T
    for name, values in more.items():
        table[name] = values
    return table


def test_each_fixation_is_paired_with_the_largest_saccade_that_follows_it():
    fixations = events(FIXATION_DTYPE, [(0, 200_000), (250_000, 700_000), (800_000, 900_000), (950_000, 990_000)])
    saccades = events(
        SACCADE_DTYPE,
        [(100_000, 110_000), (200_000, 220_000), (230_000, 250_000), (700_000, 790_000), (990_000, 999_000)],
        amplitude_deg=[9.0, 2.0, 5.0, 7.0, 3.0],
    )
    pairs = focal_pairs(fixations, saccades)
    # The first lies inside a fixation that was merged over it, the last has no fixation after it; the third has no saccade.
    assert_array_equal(pairs.start_us, [0, 250_000])
    assert_allclose(pairs.duration_s, [0.2, 0.45])
    assert_array_equal(pairs.amplitude_deg, [5.0, 7.0])
    assert len(focal_pairs(fixations[:1], saccades)) == 0
    assert len(focal_pairs(fixations, saccades[:0])) == 0


def test_k_rises_when_scanning_turns_into_staring():
    n = 20
    start = np.arange(2 * n) * 500_000
    noise = np.random.default_rng(1).normal(0, 0.01, 2 * n)
    duration = np.repeat([0.15, 0.6], n) + noise
    amplitude = np.repeat([8.0, 1.0], n) + noise
    turning = FocalPairs(start, duration, amplitude)
    # Standardised by both halves together, each half lies one spread from the mean of each: 2 spreads twice.
    assert k_coefficient_change(turning, n * 500_000) == pytest.approx(4.0, abs=0.05)
    back = FocalPairs(start, duration[::-1], amplitude[::-1])
    assert k_coefficient_change(back, n * 500_000) == pytest.approx(-4.0, abs=0.05)
    assert np.isnan(k_coefficient_change(turning, 4 * 500_000))
    assert np.isnan(k_coefficient_change(FocalPairs(start, np.full(2 * n, 0.3), amplitude), n * 500_000))
