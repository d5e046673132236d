from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from data_schema.signals.features import SUMMARY_FEATURE_NAMES, complete_session, normalise_by_subject

PLACE = {name: i for i, name in enumerate(SUMMARY_FEATURE_NAMES)}


@given(st.integers(0, 10**6), st.integers(1, 6))
def test_k_of_a_session_is_that_of_all_its_fixations(seed, n_clips):
    rng = np.random.default_rng(seed)
    clips = [(rng.gamma(2, 0.15, n), rng.gamma(2, 2.0, n)) for n in rng.integers(2, 30, n_clips)]
    values = np.zeros((n_clips, len(SUMMARY_FEATURE_NAMES)), dtype=np.float32)
    mask = np.zeros(values.shape, dtype=bool)
    for row, (duration, amplitude) in enumerate(clips):
        figures = {"k_pair_count": len(duration)}
        if len(duration) >= 5:
            for name, numbers in (("duration", duration), ("amplitude", amplitude)):
                figures |= {f"k_{name}_mean": numbers.mean(), f"k_{name}_sd": numbers.std()}
        for name, figure in figures.items():
            values[row, PLACE[name]], mask[row, PLACE[name]] = figure, True
    done, known = complete_session(values, mask)
    usable = [row for row, (duration, _) in enumerate(clips) if len(duration) >= 5]
    k = PLACE["k_coefficient"]
    assert_array_equal(np.flatnonzero(known[:, k]), usable)
    if not usable:
        return
    every = [np.concatenate([clips[row][part] for row in usable]) for part in (0, 1)]
    for row in usable:
        z = [(clips[row][part] - every[part].mean()) / every[part].std() for part in (0, 1)]
        assert done[row, k] == pytest.approx((z[0] - z[1]).mean(), abs=2e-3)
    others = np.arange(len(SUMMARY_FEATURE_NAMES)) != k
    assert_array_equal(done[:, others], values[:, others])
    assert not values[:, k].any()  # what was given is as it was
    again, _ = complete_session(done, known)
    assert_array_equal(again, done)


def test_each_person_is_standardised_by_their_own_clips():
    rng = np.random.default_rng(0)
    people = ["A"] * 5 + ["B"] * 4 + ["C"]
    offset = np.array([10.0] * 5 + [-30.0] * 4 + [0.0])
    values = rng.normal(0, 1, (10, 3)) + offset[:, None]
    values[:5, 2] = 7.0  # A's clips are all alike
    mask = np.ones((10, 3), dtype=bool)
    mask[5:8, 1] = False  # B has one clip with the second feature
    order = rng.permutation(10)
    done, known = normalise_by_subject(values[order], mask[order], [people[i] for i in order])
    back = np.argsort(order)
    done, known = done[back], known[back]
    assert_allclose(done[:5, :2].mean(axis=0), 0, atol=1e-6)
    assert_allclose(done[:5, :2].std(axis=0), 1, atol=1e-6)
    assert_allclose(done[5:9, 0], (values[5:9, 0] - values[5:9, 0].mean()) / values[5:9, 0].std(), atol=1e-6)
    assert not done[:5, 2].any()
    assert known[:5].all()
    assert not known[5:9, 1].any()
    assert not known[9].any()  # one clip is its own mean
    assert not done[~known].any()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        normalise_by_subject(np.zeros((2, 3)), np.ones((2, 3), dtype=bool), ["A"])
    with pytest.raises(ValueError, match="min_clips is 1"):
        normalise_by_subject(np.zeros((2, 3)), np.ones((2, 3), dtype=bool), ["A", "A"], 1)
