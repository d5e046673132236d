from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from data_schema.session.layout import OPENNESS
from data_schema.signals.chunks import chunk_index, chunk_statistics, entropy_per_chunk, overlap_per_chunk
from data_schema.signals.eye_signals import prepare_eye_signals
from data_schema.signals.features import (
    EYE_FEATURE_NAMES,
    EYE_FEATURES,
    FEATURE_SOURCES,
    SUMMARY_FEATURE_NAMES,
    SUMMARY_FEATURES,
    PupilBaseline,
    eye_features,
    fixation_sequence,
)

from ..recordings import SCREEN, gaze_rows, spectrum_600hz, stamps

START, END = 5_000_000, 9_000_000
BASELINE = PupilBaseline(3.0, 2.9)


def column(values: np.ndarray, name: str) -> np.ndarray:
    return values[:, EYE_FEATURE_NAMES.index(name)]


def wandering(rate_hz: float = 600.0, seed: int = 0) -> np.ndarray:
    """Gaze that rests at a new place every 0.4 s, from 1 s before the clip to 1 s after it."""
    rng = np.random.default_rng(seed)
    t_us = stamps(round(6 * rate_hz), rate_hz, START - 1_000_000)
    places = rng.uniform(0.2, 0.8, (15, 2))
    gaze = places[np.minimum(((t_us - t_us[0]) / 4e5).astype(int), 14)] + rng.normal(0, 1e-4, (len(t_us), 2))
    return gaze_rows(t_us, gaze, pupil_mm=3.0 + 0.1 * (t_us - START) / 1e6)


# ---------------------------------------------------------------- chunk statistics


@st.composite
def signals(draw):
    n = draw(st.integers(0, 200))
    steps = draw(st.lists(st.integers(1, 40_000), min_size=n, max_size=n))
    number = st.one_of(st.just(float("nan")), st.floats(-1e3, 1e3))
    return np.cumsum(np.array(steps, dtype=np.int64)), np.array(draw(st.lists(number, min_size=n, max_size=n)))


@given(signals(), st.integers(1, 40), st.floats(-100, 100))
def test_chunk_statistics_equal_plain_ones(signal, n_chunks, shift):
    t_us, values = signal
    end = int(t_us[-1]) + 1 if len(t_us) else 1000
    index = chunk_index(t_us, 0, end, n_chunks)
    found = chunk_statistics(t_us, values, index, n_chunks)
    moved = chunk_statistics(t_us + 10**15, values + shift, index, n_chunks)
    for k in range(n_chunks):
        inside = values[index == k]
        valid = inside[np.isfinite(inside)]
        if not len(inside):
            assert np.isnan(found.valid_share[k])
        else:
            assert found.valid_share[k] == len(valid) / len(inside)
        if not len(valid):
            assert np.isnan(found.mean[k])
            continue
        assert_allclose(found.mean[k], valid.mean(), rtol=1e-9, atol=1e-9)
        assert_allclose(moved.mean[k], valid.mean() + shift, rtol=1e-9, atol=1e-9)
        if len(valid) >= 2:
            assert_allclose(found.sd[k], valid.std(), rtol=1e-6, atol=1e-9)
            assert_allclose(moved.sd[k], found.sd[k], rtol=1e-5, atol=1e-7)
        else:
            assert np.isnan(found.sd[k])
        if len(valid) >= 3:
            t_s = t_us[index == k][np.isfinite(inside)] / 1e6
            assert_allclose(found.slope[k], np.polyfit(t_s - t_s.mean(), valid, 1)[0], rtol=1e-5, atol=1e-4)
        else:
            assert np.isnan(found.slope[k])


@given(st.integers(1, 64), st.integers(64, 10**7), st.integers(0, 10**15))
def test_each_sample_of_a_clip_is_in_one_chunk(n_chunks, duration_us, start_us):
    t_us = np.linspace(start_us - 1000, start_us + duration_us + 1000, 500).astype(np.int64)
    index = chunk_index(t_us, start_us, start_us + duration_us, n_chunks)
    inside = (t_us >= start_us) & (t_us < start_us + duration_us)
    assert_array_equal(index >= 0, inside)
    assert index.max() < n_chunks
    assert (np.diff(index[inside]) >= 0).all()
    assert chunk_index(np.array([start_us]), start_us, start_us + duration_us, n_chunks)[0] == 0


@given(st.lists(st.integers(0, 1000), max_size=20, unique=True), st.integers(1, 50))
def test_overlaps_share_out_each_event(edges, n_chunks):
    edges = np.array(sorted(edges[: len(edges) // 2 * 2]), dtype=np.int64)
    starts, ends = edges[::2], edges[1::2]
    shares = overlap_per_chunk(starts, ends, 200, 800, n_chunks)
    expected = np.clip(np.minimum(ends, 800) - np.maximum(starts, 200), 0, None).sum()
    assert shares.sum() == pytest.approx(expected)
    assert (shares <= 600 / n_chunks + 1e-6).all()


def test_entropy_of_a_chunk_is_that_of_its_histogram():
    rng = np.random.default_rng(3)
    index = np.repeat([0, 1, 2, -1], 64)
    cells = np.concatenate([rng.integers(0, 4, 64), np.zeros(64), np.tile(np.arange(16), 4), np.zeros(64)]).astype(int)
    cells[128:132] = -1  # cells 0 to 3 once less, and not counted
    found = entropy_per_chunk(cells, 16, index, 4, 10)
    share = np.bincount(cells[:64], minlength=4) / 64
    assert found[0] == pytest.approx(-(share * np.log2(share)).sum())
    assert found[1] == 0.0
    last = np.bincount(cells[132:192], minlength=16) / 60
    assert found[2] == pytest.approx(-(last * np.log2(last)).sum())
    assert np.isnan(found[3])
    assert np.isnan(entropy_per_chunk(cells, 16, index, 4, 61)[2])


def test_an_empty_clip_is_refused():
    with pytest.raises(ValueError, match="ends after"):
        chunk_index(np.zeros(3, dtype=np.int64), 10, 10, 4)


# ---------------------------------------------------------------- eye features


def test_features_are_declared_once_with_unit_and_definition():
    assert len(set(EYE_FEATURE_NAMES)) == len(EYE_FEATURES) >= 30
    assert len(set(SUMMARY_FEATURE_NAMES)) == len(SUMMARY_FEATURES) >= 70
    assert set(EYE_FEATURE_NAMES) <= set(SUMMARY_FEATURE_NAMES)
    for feature in (*EYE_FEATURES, *SUMMARY_FEATURES):
        assert feature.unit
        assert feature.definition.endswith(".")
        assert "{" not in feature.definition
        assert all(source in FEATURE_SOURCES for source in feature.source.split("; ") if source)


def test_known_behaviour_gives_known_features():
    signals = prepare_eye_signals(wandering(), None, SCREEN)
    values, mask = eye_features(signals, START, END, 32, BASELINE)
    assert values.shape == mask.shape == (32, len(EYE_FEATURES))
    assert values.dtype == np.float32
    middle_s = (np.arange(32) + 0.5) * 4 / 32
    assert_allclose(column(values, "pupil_change_mean"), 0.1 * middle_s, atol=2e-3)
    assert_allclose(column(values, "pupil_trial_change_mean"), 0.1 + 0.1 * middle_s, atol=2e-3)
    assert_allclose(column(values, "pupil_change_slope"), 0.1, atol=2e-3)
    assert_allclose(column(values, "eye_distance_mean"), 650.0, rtol=0.01)
    assert_array_equal(column(values, "gaze_valid_share"), 1.0)
    assert column(values, "saccade_rate").mean() * 4 == 10  # a jump every 0.4 s
    assert column(values, "fixation_share").mean() > 0.9
    started = column(mask, "fixation_duration_mean")
    assert started.sum() == 10
    assert_allclose(column(values, "fixation_duration_mean")[started], 0.4, atol=0.04)
    assert not column(mask, "openness_mean").any()
    assert not column(values, "blink_share").any()


def test_masked_values_are_zero_and_nothing_is_nan():
    rows = wandering()
    lost = (rows["t_system_us"] >= START + 1_000_000) & (rows["t_system_us"] < START + 2_000_000)
    for side in ("left", "right"):
        for name in ("gaze", "pupil", "origin"):
            rows[f"{side}_{name}_valid"][lost] = 0
    values, mask = eye_features(prepare_eye_signals(rows, None, SCREEN), START, END, 32, BASELINE)
    assert np.isfinite(values).all()
    assert (values[~mask] == 0).all()
    assert_array_equal(column(mask, "gaze_x_mean"), ~np.isin(np.arange(32), range(8, 16)))
    assert_array_equal(column(values, "gaze_valid_share")[8:16], 0.0)
    assert column(mask, "gaze_valid_share").all()
    # Nobody saw what the eyes did meanwhile: no fixation is not the same as none known.
    for name in ("fixation_rate", "fixation_share", "saccade_rate"):
        assert_array_equal(column(mask, name), ~np.isin(np.arange(32), range(8, 16)))
    assert column(mask, "blink_rate").all()


def test_chunks_shorter_than_a_sample_interval_are_masked():
    signals = prepare_eye_signals(wandering(60.0), None, SCREEN)
    n_samples = 4 * 60
    values, mask = eye_features(signals, START, END, n_samples // 2, BASELINE)
    assert column(mask, "gaze_x_mean").all()
    values, mask = eye_features(signals, START, END, n_samples * 2, BASELINE)
    assert not mask.any()
    assert not values.any()
    # A clip of one sample: there is one, but nothing that varies over it.
    _, mask = eye_features(signals, START, START + 20_000, 1, BASELINE)
    assert column(mask, "gaze_x_mean").all()
    assert not column(mask, "gaze_x_slope").any()


def test_entropy_grows_with_the_places_looked_at():
    still = wandering()
    for side in ("left", "right"):
        still[f"{side}_gaze_norm"] = 0.5
    resting, _ = eye_features(prepare_eye_signals(still, None, SCREEN), START, END, 1, BASELINE)
    moving, _ = eye_features(prepare_eye_signals(wandering(), None, SCREEN), START, END, 1, BASELINE)
    assert column(resting, "gaze_entropy")[0] == 0.0
    assert 2.0 < column(moving, "gaze_entropy")[0] < np.log2(11)


def test_no_gaze_is_all_masked_and_no_baseline_masks_the_change_alone():
    empty = wandering()[:0]
    values, mask = eye_features(prepare_eye_signals(empty, None, SCREEN), START, END, 32, BASELINE)
    assert not mask.any()
    assert not values.any()
    values, mask = eye_features(prepare_eye_signals(wandering(), None, SCREEN), START, END, 32, PupilBaseline())
    assert not column(mask, "pupil_change_mean").any()
    assert column(mask, "pupil_valid_share").all()


def test_features_do_not_depend_on_when_the_computer_was_started():
    rows = wandering()
    first = eye_features(prepare_eye_signals(rows, None, SCREEN), START, END, 32, BASELINE)
    later = rows.copy()
    shift = 3_600_000_000_000
    later["t_system_us"] += shift
    second = eye_features(prepare_eye_signals(later, None, SCREEN), START + shift, END + shift, 32, BASELINE)
    assert_array_equal(first[1], second[1])
    assert_allclose(first[0], second[0], rtol=1e-5, atol=1e-6)


def test_rate_changes_nothing_but_noise():
    fast, fast_mask = eye_features(prepare_eye_signals(wandering(1200.0), None, SCREEN), START, END, 8, BASELINE)
    slow, slow_mask = eye_features(prepare_eye_signals(wandering(300.0), None, SCREEN), START, END, 8, BASELINE)
    assert_array_equal(column(fast_mask, "gaze_x_mean"), column(slow_mask, "gaze_x_mean"))
    for name, tolerance in (("gaze_x_mean", 0.01), ("pupil_change_mean", 0.01), ("fixation_rate", 0.01)):
        assert_allclose(column(fast, name), column(slow, name), atol=tolerance)


def test_blinks_come_from_openness_where_there_is_one():
    rows = wandering()
    openness = OPENNESS.empty(len(rows))
    openness["t_system_us"] = rows["t_system_us"]
    closed = (rows["t_system_us"] >= START + 500_000) & (rows["t_system_us"] < START + 700_000)
    for side in ("left", "right"):
        openness[f"{side}_openness_mm"] = np.where(closed, 1.0, 9.0)
        openness[f"{side}_valid"] = 1
    values, mask = eye_features(prepare_eye_signals(rows, openness, SCREEN), START, END, 32, BASELINE)
    # The lids' speed is taken over 25 ms, so that a jump of the openness counts half of that on both sides.
    assert column(values, "blink_share").sum() * 4 / 32 == pytest.approx(0.224, abs=0.005)
    assert column(values, "blink_rate").argmax() == 3
    assert column(mask, "openness_mean").all()
    assert not column(mask, "pupil_change_mean")[5]


def test_fixation_sequence_is_cut_to_the_clip():
    sequence = fixation_sequence(prepare_eye_signals(wandering(), None, SCREEN), START, END)
    onset, duration = sequence[:, 2], sequence[:, 3]
    assert len(sequence) == 11
    assert onset[0] == 0.0
    assert (np.diff(onset) > 0).all()
    assert (onset + duration <= 4.0 + 1e-9).all()
    assert duration.sum() > 3.5


def test_real_recording_fills_nearly_all_chunks(shared_data):
    rows = spectrum_600hz(shared_data)
    t_us = rows["t_system_us"]
    start, end = int(t_us[1000]), int(t_us[5000])
    values, mask = eye_features(prepare_eye_signals(rows, None, SCREEN), start, end, 32, PupilBaseline(3.0, 3.0))
    assert np.isfinite(values).all()
    assert column(mask, "gaze_x_mean").mean() > 0.9
    assert 0.3 < column(values, "fixation_share").mean() <= 1.0
    distance = column(values, "eye_distance_mean")[column(mask, "eye_distance_mean")]
    assert ((distance > 400) & (distance < 900)).all()
