"""Every coefficient against what was published, and against the reference libraries, with missing labels too."""

from __future__ import annotations

import krippendorff
import numpy as np
import pandas as pd
import pingouin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters
from statsmodels.stats.inter_rater import fleiss_kappa as reference_fleiss

from annotation.agreement import classes, scales
from annotation.agreement.resampling import Resamples, divided, estimate

from .published import (
    FOUR_RATERS,
    FOURTEEN_RATERS,
    NAN,
    SIX_TARGETS,
    TWO_ABSTRACTORS,
    as_codes,
    as_raters,
)


def sums_of(codes: np.ndarray, n_classes: int, n_resamples: int = 0) -> classes.ClassSums:
    return classes.class_sums(codes, n_classes, Resamples(len(codes), n_resamples, 1))


def once(n_clips: int) -> Resamples:
    return Resamples(n_clips, 0, 0)


def test_published_with_missing_ratings():
    sums = sums_of(as_codes(FOUR_RATERS), 5)
    assert classes.alpha(sums)[0] == pytest.approx(0.743, abs=5e-4)
    assert classes.alpha(sums, ordinal=True)[0] == pytest.approx(0.815, abs=5e-4)
    assert scales.interval_alpha(FOUR_RATERS, once(12))[0] == pytest.approx(0.849, abs=5e-4)
    assert classes.observed_agreement(sums)[0] == pytest.approx(0.81818, abs=5e-6)
    assert classes.gwet_ac1(sums)[0] == pytest.approx(0.77544, abs=5e-6)
    assert classes.fleiss_kappa(sums)[0] == pytest.approx(0.76117, abs=5e-6)


def test_published_kappas():
    pairs = [(i, j) for (i, j), n in np.ndenumerate(TWO_ABSTRACTORS) for _ in range(n)]
    kappas = classes.cohen_kappas(sums_of(np.array(pairs, dtype=np.int16), 3))
    assert kappas[0, 0] == pytest.approx(0.7964094, abs=5e-8)
    assert classes.fleiss_kappa(sums_of(as_raters(FOURTEEN_RATERS), 5))[0] == pytest.approx(0.210, abs=5e-4)


def test_published_icc():
    # Shrout and Fleiss (1979), table 4: ICC(1,1) .17, ICC(2,1) .29, ICC(3,1) .71, ICC(2,4) .62.
    found = scales.icc_two_way(SIX_TARGETS, once(6))
    assert scales.icc_one_way(SIX_TARGETS, once(6))[0] == pytest.approx(0.17, abs=5e-3)
    assert found["icc_a1"][0] == pytest.approx(0.29, abs=5e-3)
    assert found["icc_c1"][0] == pytest.approx(0.71, abs=6e-3)
    assert found["icc_ak"][0] == pytest.approx(0.62, abs=5e-3)


def drawn(seed: int, n_clips: int = 60, n_raters: int = 4, missing: float = 0.25) -> np.ndarray:
    """Ratings 1 to 5 that agree more often than not, some missing."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, 6, n_clips)
    table = np.where(rng.random((n_clips, n_raters)) < 0.6, truth[:, None], rng.integers(1, 6, (n_clips, n_raters)))
    return np.where(rng.random(table.shape) < missing, NAN, table.astype(float))


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_alpha_is_that_of_the_library(seed):
    table = drawn(seed)
    sums = sums_of(as_codes(table), 5)
    for level, found in (
        ("nominal", classes.alpha(sums)),
        ("ordinal", classes.alpha(sums, ordinal=True)),
        ("interval", scales.interval_alpha(table, once(len(table)))),
    ):
        expected = krippendorff.alpha(table.T, level_of_measurement=level, value_domain=[1, 2, 3, 4, 5])
        assert found[0] == pytest.approx(expected, abs=1e-9), level


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_kappas_are_those_of_the_libraries(seed):
    table = drawn(seed)
    codes = as_codes(table)
    sums = sums_of(codes, 5)
    for power, weights in ((0, None), (1, "linear"), (2, "quadratic")):
        found = classes.cohen_kappas(sums, power=power)[:, 0]
        expected = []
        for a in range(4):
            for b in range(a + 1, 4):
                both = (codes[:, a] >= 0) & (codes[:, b] >= 0)
                expected.append(
                    cohen_kappa_score(codes[both, a], codes[both, b], labels=[0, 1, 2, 3, 4], weights=weights)
                )
        assert found == pytest.approx(expected, abs=1e-9)
        assert classes.mean_of_pairs(found[:, None])[0] == pytest.approx(np.mean(expected))
    full = as_codes(drawn(seed, missing=0.0))
    expected = reference_fleiss(aggregate_raters(full, n_cat=5)[0])
    assert classes.fleiss_kappa(sums_of(full, 5))[0] == pytest.approx(expected, abs=1e-9)


@given(st.integers(0, 10_000), st.integers(0, 4))
def test_a_class_against_all_others_is_the_two_class_problem(seed, index):
    codes = as_codes(drawn(seed))
    collapsed = sums_of(codes, 5).of_class(index)
    direct = sums_of(np.where(codes < 0, -1, codes != index).astype(np.int16), 2)
    for figure in (classes.alpha, classes.fleiss_kappa, classes.gwet_ac1, classes.observed_agreement):
        assert figure(collapsed)[0] == pytest.approx(figure(direct)[0], nan_ok=True)
    assert classes.cohen_kappas(collapsed)[:, 0] == pytest.approx(classes.cohen_kappas(direct)[:, 0], nan_ok=True)


def icc_of_library(table: np.ndarray) -> dict[str, float]:
    long = pd.DataFrame(table).melt(ignore_index=False, var_name="rater", value_name="value").reset_index(names="clip")
    found = pingouin.intraclass_corr(long, targets="clip", raters="rater", ratings="value")
    return {str(name).replace(" ", ""): float(value) for name, value in zip(found["Type"], found["ICC"], strict=True)}


@pytest.mark.filterwarnings("ignore:The inplace keyword")
@pytest.mark.parametrize("seed", [1, 2])
def test_icc_is_that_of_the_library(seed):
    table = drawn(seed, missing=0.0)
    expected = icc_of_library(table)
    found = scales.icc_two_way(table, once(len(table)))
    names = {"icc_a1": ("ICC2", "ICC(A,1)"), "icc_c1": ("ICC3", "ICC(C,1)"), "icc_ak": ("ICC2k", "ICC(A,k)")}
    for name, titles in names.items():
        assert found[name][0] == pytest.approx(next(expected[t] for t in titles if t in expected), abs=1e-9)
    one_way = next(expected[t] for t in ("ICC1", "ICC(1,1)", "ICC(1)") if t in expected)
    assert scales.icc_one_way(table, once(len(table)))[0] == pytest.approx(one_way, abs=1e-9)
    # Clips that a rater left out take no part in the two-way forms.
    holed = np.vstack([table, [[NAN, 5.0, 1.0, 3.0]]])
    assert scales.icc_two_way(holed, once(len(holed)))["icc_a1"][0] == pytest.approx(found["icc_a1"][0])


def test_one_way_icc_takes_clips_with_unequal_numbers_of_ratings():
    table = drawn(3)
    found = scales.icc_one_way(table, once(len(table)))[0]
    # The same analysis of variance by hand, group by group.
    groups = [row[~np.isnan(row)] for row in table]
    groups = [group for group in groups if len(group) >= 2]
    sizes = np.array([len(group) for group in groups])
    grand = np.concatenate(groups).mean()
    between = sum(len(g) * (g.mean() - grand) ** 2 for g in groups) / (len(groups) - 1)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (sizes.sum() - len(groups))
    typical = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / (len(groups) - 1)
    assert found == pytest.approx((between - within) / (between + (typical - 1) * within))


def test_concordance_is_lins_formula_over_shared_clips():
    table = drawn(4, n_raters=2)
    both = ~np.isnan(table).any(axis=1)
    x, y = table[both, 0], table[both, 1]
    # Pearson's r times the bias correction C_b, as Lin (1989) writes it; ours uses the moments directly.
    r = np.corrcoef(x, y)[0, 1]
    scale, shift = x.std() / y.std(), (x.mean() - y.mean()) / np.sqrt(x.std() * y.std())
    assert scales.concordances(table, once(len(table)))[0, 0] == pytest.approx(r * 2 / (scale + 1 / scale + shift**2))
    shifted = np.stack([x, x + 1.0], axis=1)
    assert scales.concordances(shifted, once(len(x)))[0, 0] < 1.0  # a constant shift is no agreement


def test_what_is_not_defined_is_nothing_and_no_warning():
    nobody = np.full((5, 3), -1, dtype=np.int16)
    sums = sums_of(nobody, 7, 20)
    figures = (classes.alpha(sums), classes.fleiss_kappa(sums), classes.gwet_ac1(sums), classes.cohen_kappas(sums)[0])
    assert all(estimate(one).value is None for one in figures)
    single = np.full((5, 2), NAN)
    single[:, 0] = 1.0
    assert estimate(scales.interval_alpha(single, Resamples(5, 20, 0))).value is None
    same = np.ones((5, 2))
    assert estimate(scales.icc_one_way(same, Resamples(5, 20, 0))).value is None  # no variance at all
    assert np.isnan(divided(np.ones(2), np.zeros(2))).all()


def test_intervals_come_from_resampled_clips():
    table = drawn(5, n_clips=80, missing=0.1)
    codes = as_codes(table)
    resamples = Resamples(80, 200, seed=3)
    found = classes.alpha(classes.class_sums(codes, 5, resamples))
    # Row by row: the sums of a resample give what the clips drawn for it give, copied as often as drawn.
    draws = np.random.default_rng(3).integers(0, 80, (200, 80))
    by_hand = [classes.alpha(sums_of(codes[row], 5))[0] for row in draws]
    assert found[1:] == pytest.approx(by_hand, abs=1e-9)
    one = estimate(found)
    assert one.low == pytest.approx(np.quantile(by_hand, 0.025))
    assert one.high == pytest.approx(np.quantile(by_hand, 0.975))
    assert one.low < one.value < one.high
    again = estimate(classes.alpha(classes.class_sums(codes, 5, Resamples(80, 200, seed=3))))
    assert again == one


def test_a_class_that_one_clip_has_gets_no_interval():
    codes = np.zeros((40, 2), dtype=np.int16)
    codes[0] = 1
    found = estimate(classes.alpha(sums_of(codes, 2, 300)))
    assert found.value == 1.0
    assert (found.low, found.high) == (None, None)
