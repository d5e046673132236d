from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_schema.signals.pupil import PupilParameters, baseline_mm, clean_pupil, clean_pupils, combine_pupils

from .recordings import stamps


def test_pupil_keeps_what_is_real_and_drops_what_is_not():
    t_us = stamps(3000)
    rng = np.random.default_rng(0)
    true = 3.0 + 0.3 * np.sin(2 * np.pi * (t_us - t_us[0]) / 5e6) + rng.normal(0, 0.002, 3000)
    raw = true.copy()
    raw[500] = 7.0  # a spike
    raw[1000] = 12.0  # no pupil
    raw[1500:1600] = np.nan  # a loss of 167 ms
    clean = clean_pupil(t_us, raw)
    assert np.isnan(clean[[500, 1000]]).all()
    assert np.isnan(clean[1470:1630]).all()  # and 50 ms around
    assert np.isfinite(clean[1400:1460]).all()
    kept = np.isfinite(clean)
    assert kept.mean() > 0.9
    np.testing.assert_array_equal(clean[kept], true[kept])


def test_blinks_are_cut_out_of_the_pupil():
    t_us = stamps(600)
    blinking = np.zeros(600, dtype=bool)
    blinking[200:290] = True
    clean = clean_pupil(t_us, np.full(600, 3.0), blinking)
    assert np.isnan(clean[171:319]).all()
    assert np.isfinite(clean[:169]).all()


def test_baseline_needs_enough_data():
    assert baseline_mm(np.array([3.0, 3.2, 9.0])) == pytest.approx(3.2)
    assert np.isnan(baseline_mm(np.array([3.0] + [np.nan] * 9)))
    assert np.isnan(baseline_mm(np.zeros(0)))


def test_a_lost_eye_does_not_make_the_pupil_jump():
    t_us = stamps(3000)
    rng = np.random.default_rng(1)
    true = 3.0 + 0.2 * np.sin(2 * np.pi * (t_us - t_us[0]) / 4e6)
    left, right = true + 0.25 + rng.normal(0, 0.002, 3000), true - 0.25 + rng.normal(0, 0.002, 3000)
    right[1000:1600] = np.nan
    left[2000:2500] = np.nan
    pupil = clean_pupils(t_us, left, right)
    there = np.isfinite(pupil)
    assert there.mean() > 0.9
    assert np.abs(pupil - true)[there].max() < 0.02
    # Without looking at their difference there is a jump of a quarter of a millimetre.
    assert np.nanmax(np.abs(np.where(np.isnan(right), left, (left + right) / 2) - true)) > 0.2


def test_selected_eyes_are_not_mixed():
    t_us = stamps(4)
    left, right = np.array([3.0, np.nan, 3.0, 3.0]), np.array([4.0, 4.0, np.nan, 4.0])
    np.testing.assert_array_equal(combine_pupils(t_us, left, right, "left"), left)
    np.testing.assert_array_equal(combine_pupils(t_us, left, right, "strict_average"), [3.5, np.nan, np.nan, 3.5])
    np.testing.assert_allclose(combine_pupils(t_us, left, right), 3.5)
    np.testing.assert_allclose(combine_pupils(t_us, left[1:2], right[1:2])[:1], [4.0])


def test_short_blinks_are_padded_too_and_islands_are_dropped():
    t_us = stamps(1200)
    blinking = np.zeros(1200, dtype=bool)
    blinking[600:630] = True  # 50 ms, shorter than a loss that is padded
    clean = clean_pupil(t_us, np.full(1200, 3.0), blinking)
    assert np.isnan(clean[571:659]).all()
    raw = np.full(1200, 3.0)
    raw[300:340] = raw[350:400] = np.nan
    clean = clean_pupil(t_us, raw, parameters=PupilParameters(gap_min_ms=1e9))
    assert np.isnan(clean[340:350]).all()
    raw[340:380] = 3.0  # 67 ms: no island
    clean = clean_pupil(t_us, raw, parameters=PupilParameters(gap_min_ms=1e9))
    assert np.isfinite(clean[340:380]).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), gap_ms=st.sampled_from([0.0, 100.0, 250.0]))
def test_cleaning_invents_nothing_and_bridges_no_longer_than_asked(seed, gap_ms):
    rng = np.random.default_rng(seed)
    t_us = stamps(900, 300.0)
    true = 3.0 + np.cumsum(rng.normal(0, 0.002, 900))
    raw = true.copy()
    for start in rng.integers(0, 900, 4):
        raw[start : start + rng.integers(1, 120)] = np.nan
    bare = clean_pupils(t_us, raw, raw, parameters=PupilParameters())
    kept = np.isfinite(bare)
    np.testing.assert_allclose(bare[kept], true[kept])
    assert not kept[np.isnan(raw)].any()
    bridged = clean_pupils(t_us, raw, raw, parameters=PupilParameters(max_gap_ms=gap_ms))
    new = np.isfinite(bridged) & ~kept
    there = np.flatnonzero(kept)
    for at in np.flatnonzero(new):
        before, after = there[there < at][-1], there[there > at][0]
        assert t_us[after] - t_us[before] <= gap_ms * 1000.0
    if gap_ms == 0.0:
        assert not new.any()
