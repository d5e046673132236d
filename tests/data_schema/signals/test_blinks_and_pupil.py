from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_schema.signals.blinks import BlinkParameters, blink_mask, closed_by_openness, find_blinks
from data_schema.signals.pupil import baseline_mm, clean_pupil

from .recordings import stamps


def test_a_blink_is_found_in_openness_and_a_look_away_is_not():
    t_us = stamps(3000)
    left = np.full(3000, 9.0)
    left[600:720] = 1.0  # 200 ms
    left[1200:1800] = np.nan  # 1 s lost
    left[2400:2406] = 1.0  # 10 ms of noise
    blinks = find_blinks(t_us, closed_by_openness(left, left.copy(), 0.5))
    assert len(blinks) == 1
    assert blinks["t_start_us"][0] == t_us[600]
    assert (blinks["t_end_us"][0] - blinks["t_start_us"][0]) / 1000 == pytest.approx(200.0, abs=2.0)
    assert blink_mask(t_us, blinks).sum() == 120
    assert blink_mask(t_us, blinks, padding_ms=50.0).sum() == 180


def test_a_wink_is_no_blink_and_an_absent_eye_does_not_vote():
    left, right = np.full(1200, 9.0), np.full(1200, 9.0)
    left[600:720] = 1.0
    assert not closed_by_openness(left, right, 0.5).any()
    assert closed_by_openness(left, np.full(1200, np.nan), 0.5).sum() == 120
    assert not closed_by_openness(np.full(9, np.nan), np.full(9, np.nan), 0.5).any()


def test_flicker_within_a_blink_is_one_blink():
    closed = np.zeros(1200, dtype=bool)
    closed[600:660] = closed[670:720] = True
    assert len(find_blinks(stamps(1200), closed)) == 1
    assert len(find_blinks(stamps(1200), closed, BlinkParameters(merge_ms=0.0))) == 2


def test_real_openness_gives_a_human_blink_rate(shared_data):
    table = pd.read_csv(shared_data / "tobii_spectrum_600hz" / "eye_openness.csv.gz")
    sides = []
    for side in ("left", "right"):
        values = table[f"{side}_openness_mm"].to_numpy(dtype=float)
        sides.append(np.where(table[f"{side}_valid"] == 1, values, np.nan))
    t_us = table["system_time_stamp"].to_numpy().astype(np.int64)
    blinks = find_blinks(t_us, closed_by_openness(*sides, 0.5))
    per_minute = 60 * len(blinks) / ((t_us[-1] - t_us[0]) / 1e6)
    assert 2 < per_minute < 40
    assert 80 < np.median(blinks["t_end_us"] - blinks["t_start_us"]) / 1000 < 400


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
