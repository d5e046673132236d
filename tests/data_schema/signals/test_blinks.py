from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_schema.signals import blinks
from data_schema.signals.blinks import (
    BlinkParameters,
    blink_mask,
    closed_by_loss,
    closed_by_openness,
    find_blinks,
    find_openness_blinks,
    lid_speed,
)

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


def lids(rate_hz: float, blinks_s: list[tuple[float, float, float]], seconds: float, noise_mm: float, seed: int = 0):
    """Return times and openness of 10 mm; each blink (onset, closing time, opening time) follows half a cosine down to 1 mm."""
    t_us = stamps(round(seconds * rate_hz), rate_hz)
    t_s = (t_us - t_us[0]) / 1e6
    openness = np.full(len(t_s), 10.0)
    for onset, closing, opening in blinks_s:
        down = np.clip((t_s - onset) / closing, 0, 1)
        up = np.clip((t_s - onset - closing) / opening, 0, 1)
        openness -= 9.0 * ((1 - np.cos(np.pi * down)) / 2 - (1 - np.cos(np.pi * up)) / 2)
    return t_us, openness + np.random.default_rng(seed).normal(0, noise_mm, len(t_s))


@pytest.mark.parametrize("rate_hz", [60.0, 120.0, 600.0, 1200.0])
def test_a_blink_begins_and_ends_where_the_lids_move(rate_hz):
    t_us, openness = lids(rate_hz, [(1.0, 0.08, 0.16), (3.0, 0.08, 0.16)], 5.0, 0.05)
    blinks = find_openness_blinks(t_us, openness, openness + 0.4)
    assert len(blinks) == 2
    start_s = (blinks["t_start_us"] - t_us[0]) / 1e6
    duration_ms = (blinks["t_end_us"] - blinks["t_start_us"]) / 1e3
    step_ms = 1e3 / rate_hz
    assert start_s == pytest.approx([1.0, 3.0], abs=0.013 + 1.5 * step_ms / 1e3)
    assert duration_ms == pytest.approx(240.0, abs=25.0 + 2.0 * step_ms)
    # Half open alone misses a good part of it.
    middle = find_blinks(t_us, closed_by_openness(openness, openness, 0.5))
    assert (middle["t_end_us"] - middle["t_start_us"]).max() / 1e3 < 150.0
    # Half a cosine of 9 mm: the fastest is pi / 2 times the mean; smoothing takes some of it.
    if rate_hz >= 120.0:
        assert blinks["closing_peak_mm_s"] == pytest.approx(np.pi / 2 * 9.0 / 0.08, rel=0.12)
        assert blinks["opening_peak_mm_s"] == pytest.approx(np.pi / 2 * 9.0 / 0.16, rel=0.12)
    assert blinks["min_openness_mm"] == pytest.approx(1.2, abs=0.6)


def test_speed_of_the_lids_is_that_of_a_line_and_unknown_beside_a_loss():
    t_us = stamps(200)
    openness = 5.0 + 3.0 * (t_us - t_us[0]) / 1e6
    smooth, speed = lid_speed(t_us, openness)
    np.testing.assert_allclose(speed[20:180], 3.0, rtol=1e-4)  # stamps are whole microseconds
    np.testing.assert_allclose(smooth[20:180], openness[20:180], rtol=1e-6)
    openness[100:160] = np.nan
    _, speed = lid_speed(t_us, openness)
    assert np.isnan(speed[100:160]).all()
    assert np.isnan(speed[99])
    assert np.isfinite(speed[20:90]).all()


def test_a_loss_of_openness_has_no_speed_and_keeps_its_ends():
    t_us, openness = lids(600.0, [], 5.0, 0.1)
    openness[1200:1290] = np.nan
    blinks = find_openness_blinks(t_us, openness, openness)
    assert len(blinks) == 1
    assert blinks["t_start_us"][0] == t_us[1200]
    assert np.isnan(blinks["closing_peak_mm_s"][0])
    # A short one is nothing at all.
    openness[2000:2010] = np.nan
    assert len(find_openness_blinks(t_us, openness, openness)) == 1


def test_real_blinks_last_longer_by_the_lids_speed_than_by_a_mark(shared_data):
    table = pd.read_csv(shared_data / "tobii_spectrum_600hz" / "eye_openness.csv.gz")
    sides = [
        np.where(table[f"{side}_valid"] == 1, table[f"{side}_openness_mm"].to_numpy(dtype=float), np.nan)
        for side in ("left", "right")
    ]
    t_us = table["system_time_stamp"].to_numpy().astype(np.int64)
    found = find_openness_blinks(t_us, *sides)
    moved = found[np.isfinite(found["closing_peak_mm_s"])]
    assert len(moved) >= 6
    durations = (moved["t_end_us"] - moved["t_start_us"]) / 1e3
    assert 150 < np.median(durations) < 350
    # People close their eyes faster than they open them (Nyström et al. 2024).
    assert np.median(moved["closing_peak_mm_s"]) > np.median(moved["opening_peak_mm_s"])


def test_paired_loss_takes_the_union_and_a_lost_eye_does_not_stretch_it():
    t_us = stamps(1200)
    left, right = np.ones(1200, dtype=bool), np.ones(1200, dtype=bool)
    left[600:690], right[606:700] = False, False
    blinks = find_blinks(t_us, closed_by_loss(t_us, left, right))
    assert len(blinks) == 1
    assert blinks["t_start_us"][0] == t_us[600]
    assert blinks["t_end_us"][0] == pytest.approx(t_us[700], abs=2)
    assert np.isnan(blinks["closing_peak_mm_s"][0])
    # The left eye is away all the time: only the right eye's loss counts.
    left[:] = False
    blinks = find_blinks(t_us, closed_by_loss(t_us, left, right))
    assert blinks["t_start_us"][0] == t_us[606]
    # One eye alone is no blink.
    assert not closed_by_loss(t_us, left, np.ones(1200, dtype=bool)).any()


def test_a_hole_in_time_is_no_closed_eye():
    t_us = stamps(600)
    t_us[300:] += 300_000
    closed = np.zeros(600, dtype=bool)
    closed[290:310] = True
    assert len(find_blinks(t_us, closed)) == 0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), origin_us=st.integers(0, 10**15), scale=st.floats(0.1, 10.0))
def test_blinks_depend_on_neither_origin_nor_unit(seed, origin_us, scale):
    rng = np.random.default_rng(seed)
    onsets = np.sort(rng.uniform(0.3, 4.0, 3))
    t_us, openness = lids(300.0, [(onset, 0.07, 0.14) for onset in onsets], 5.0, 0.1, seed)
    first = find_openness_blinks(t_us, openness, openness)
    later = find_openness_blinks(t_us + origin_us, scale * openness, scale * openness)
    np.testing.assert_array_equal(first["t_start_us"] + origin_us, later["t_start_us"])
    np.testing.assert_array_equal(first["t_end_us"] + origin_us, later["t_end_us"])
    assert (first["t_start_us"][1:] >= first["t_end_us"][:-1]).all()


def test_a_blink_costs_the_same_in_a_recording_of_any_length():
    n = 500_000
    t_us = np.arange(n, dtype=np.int64) * 1667
    openness, speed = np.full(n, 9.0), np.zeros(n)
    openness[1000:1100] = 1.0
    speed[990:1000], speed[1100:1110] = -200.0, 200.0
    tracemalloc.start()
    try:
        found = blinks._edges(t_us, openness, speed, (0, 1000, 1099, n - 1), 40.0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found is not None
    # Not a copy of all stamps, which would be 4 MB.
    assert peak < 100_000
