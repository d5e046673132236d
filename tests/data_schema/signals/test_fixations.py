from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from data_schema.signals.fixations import IVTParameters, SampleKind, classify, classify_directions, find_eye_movements
from data_schema.signals.gaze import ScreenGeometry, combine_eyes, fill_gaps, sample_interval_us, select_eye

from .recordings import gaze_rows, prolab_ivt, prolab_rows, spectrum_600hz, stamps

FIXATION, SACCADE, NO_EYES = int(SampleKind.FIXATION), int(SampleKind.SACCADE), int(SampleKind.NO_EYES)


def classify_norm(gaze_norm, rate_hz=600.0, parameters=None):
    signal = select_eye(gaze_rows(stamps(len(gaze_norm), rate_hz), gaze_norm))
    return classify(signal.t_us, signal.gaze_mm, signal.eye_mm, signal.gaze_norm, parameters)


def jump(*stays: tuple[float, int], move: int = 18) -> np.ndarray:
    """Return gaze that stays at each x for so many samples and moves between them in `move` samples."""
    x = [np.full(stays[0][1], stays[0][0])]
    for (before, _), (after, n) in zip(stays[:-1], stays[1:], strict=True):
        x += [np.linspace(before, after, move + 2)[1:-1], np.full(n, after)]
    x = np.concatenate(x)
    return np.column_stack([x, np.full(len(x), 0.5)])


def kappa(a: np.ndarray, b: np.ndarray) -> float:
    """Cohen's kappa."""
    chance = sum((a == k).mean() * (b == k).mean() for k in np.union1d(a, b))
    return ((a == b).mean() - chance) / (1 - chance)


def agreement(real: dict[str, np.ndarray], kinds: np.ndarray) -> tuple[float, float]:
    """Return agreement and kappa over the samples that Tobii calls fixation or saccade."""
    judged = np.isin(real["kind"], (FIXATION, SACCADE))
    assert judged.sum() == 4782
    return float((kinds == real["kind"])[judged].mean()), kappa(real["kind"][judged], kinds[judged])


def test_agrees_with_tobii_on_the_real_recording(shared_data):
    real = prolab_ivt(shared_data)
    rows = prolab_rows(real)
    kinds = find_eye_movements(rows).kind
    share, chance_free = agreement(real, kinds)
    assert share >= 0.9995
    assert chance_free >= 0.998
    # Losses, discarded fixations and single samples between two losses are told apart as Tobii does.
    assert (kinds != real["kind"]).sum() <= 3
    # Each step is needed: the median, and the choice of what is averaged.
    raw = agreement(real, find_eye_movements(rows, parameters=IVTParameters(noise_reduction="none")).kind)
    smeared = agreement(real, find_eye_movements(rows, parameters=IVTParameters(noise_reduction="moving_average")).kind)
    assert smeared[0] < raw[0] < share


def test_agrees_with_tobii_where_positions_are_coarse_or_flat(shared_data):
    real = prolab_ivt(shared_data)
    gaze = combine_eyes(real["left_gaze_mm"], real["right_gaze_mm"], "average")
    eye = combine_eyes(real["left_eye_mm"], real["right_eye_mm"], "average")
    share, chance_free = agreement(real, classify(real["t_us"], gaze, eye).kind)
    assert share >= 0.998
    assert chance_free >= 0.99
    screen = ScreenGeometry(1920, 1080, 527.0, 296.5, 570.0)
    share, chance_free = agreement(real, find_eye_movements(prolab_rows(real, flat=True), screen).kind)
    assert share >= 0.995
    assert chance_free >= 0.97


def test_finds_two_fixations_and_the_saccade_between():
    found = classify_norm(jump((0.3, 180), (0.7, 240)))
    assert len(found.fixations) == 2
    assert_allclose(found.fixations["x_norm"], [0.3, 0.7], atol=0.01)
    assert_allclose(found.fixations["y_norm"], 0.5, atol=1e-6)
    durations = (found.fixations["t_end_us"] - found.fixations["t_start_us"]) / 1e6
    assert_allclose(durations, [0.3, 0.4], atol=0.02)
    assert len(found.saccades) == 1
    expected = np.degrees(2 * np.arctan(0.2 * 528.0 / 650.0))
    assert found.saccades["amplitude_deg"][0] == pytest.approx(expected, rel=0.05)
    # A ramp of 18 of 360 deg/s or so: the peak is near its mean speed.
    assert found.saccades["peak_velocity_deg_s"][0] == pytest.approx(expected / (19 / 600), rel=0.15)


def test_short_fixations_are_discarded():
    gaze = jump((0.2, 180), (0.5, 30), (0.8, 180))
    assert len(classify_norm(gaze).fixations) == 2
    assert len(classify_norm(gaze, parameters=IVTParameters(min_fixation_ms=20.0)).fixations) == 3


def test_close_fixations_are_merged_and_distant_ones_are_not():
    def shaken(step_norm: float) -> np.ndarray:
        gaze = np.full((400, 2), 0.5)
        gaze[198:202, 0] += 0.02
        gaze[202:, 0] += step_norm
        return gaze

    near, far = 0.3 / 46.5, 2.0 / 46.5  # about 46.5 degrees of visual angle across the screen's middle
    assert len(classify_norm(shaken(near)).fixations) == 1
    assert len(classify_norm(shaken(far)).fixations) == 2
    apart = replace(IVTParameters(), merge_max_angle_deg=5.0)
    assert len(classify_norm(shaken(far), parameters=apart).fixations) == 1


def test_losses_are_marked_and_bridged_only_on_request():
    gaze = np.full((300, 2), 0.5)
    gaze[100:124] = np.nan  # 40 ms
    plain = classify_norm(gaze)
    assert (plain.kind[100:124] == NO_EYES).all()
    bridged = classify_norm(gaze, parameters=IVTParameters(max_gap_ms=75.0))
    assert (bridged.kind == FIXATION).all()
    assert len(bridged.fixations) == 1
    long = np.full((300, 2), 0.5)
    long[100:180] = np.nan  # 133 ms
    assert (classify_norm(long, parameters=IVTParameters(max_gap_ms=75.0)).kind[100:180] == NO_EYES).all()


@pytest.mark.parametrize(("hole_us", "n_fixations"), [(70_000, 1), (80_000, 2), (10_000_000, 2)])
def test_a_fixation_ends_where_the_tracker_sent_nothing(hole_us, n_fixations):
    t_us = stamps(600, 300.0)
    t_us[300:] += hole_us - (t_us[300] - t_us[299])
    ahead = np.tile([0.0, 0.0, -1.0], (600, 1))
    found = classify_directions(t_us, ahead)
    assert len(found.fixations) == n_fixations
    seconds = (found.fixations["t_end_us"] - found.fixations["t_start_us"]).sum() / 1e6
    assert seconds == pytest.approx(2.0 + (hole_us / 1e6 if n_fixations == 1 else 0.0), abs=0.01)


def test_a_saccade_ends_where_the_tracker_sent_nothing():
    t_us = stamps(200, 300.0)
    t_us[100:] += 5_000_000
    turned = np.radians(np.arange(200) * 0.5)  # 150 deg/s throughout
    found = classify_directions(t_us, np.column_stack([np.sin(turned), np.zeros(200), -np.cos(turned)]))
    assert found.saccades["amplitude_deg"] == pytest.approx([49.5, 49.5], abs=0.01)
    assert (found.saccades["t_end_us"] - found.saccades["t_start_us"]).max() < 400_000


def test_gaps_are_filled_by_straight_lines():
    t_us = np.array([0, 10, 20, 40, 50], dtype=np.int64) * 1000
    values = np.array([[0.0], [np.nan], [np.nan], [8.0], [np.nan]])
    assert_allclose(fill_gaps(t_us, values, 75.0)[:, 0], [0.0, 2.0, 4.0, 8.0, np.nan])
    assert_allclose(fill_gaps(t_us, values, 30.0)[:, 0], values[:, 0])


@pytest.mark.parametrize("rate_hz", [30.0, 60.0, 120.0, 250.0, 1200.0])
def test_other_rates_find_the_same_fixations(rate_hz):
    n = round(0.5 * rate_hz)
    found = classify_norm(jump((0.3, n), (0.7, n), move=max(1, round(0.03 * rate_hz))), rate_hz=rate_hz)
    assert len(found.fixations) == 2
    assert_allclose(found.fixations["x_norm"], [0.3, 0.7], atol=0.03)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_tiny_recordings(n):
    found = classify_norm(np.full((n, 2), 0.5))
    assert len(found.kind) == n
    assert len(found.fixations) <= 1


def test_real_600hz_recording_gives_plausible_fixations(shared_data):
    rows = spectrum_600hz(shared_data)
    signal = select_eye(rows)
    found = classify(signal.t_us, signal.gaze_mm, signal.eye_mm, signal.gaze_norm)
    seconds = (signal.t_us[-1] - signal.t_us[0]) / 1e6
    durations = (found.fixations["t_end_us"] - found.fixations["t_start_us"]) / 1e6
    assert 1.0 < len(found.fixations) / seconds < 5.0
    assert 0.1 < np.median(durations) < 0.6
    assert (np.diff(found.fixations["t_start_us"]) > 0).all()


def restless(seed: int, rate_hz: float, n: int = 400) -> np.ndarray:
    """Return rows of gaze that stays, jumps, shakes and is lost at random, each eye for itself."""
    rng = np.random.default_rng(seed)
    length = max(2, round(0.25 * rate_hz))
    gaze = np.repeat(rng.uniform(0.1, 0.9, (n // length + 1, 2)), length, axis=0)[:n] + rng.normal(0, 2e-4, (n, 2))
    rows = gaze_rows(stamps(n, rate_hz), gaze)
    for side in ("left", "right"):
        for start in rng.integers(0, n, 4):
            lost = slice(start, start + rng.integers(1, length))
            rows[f"{side}_gaze_valid"][lost] = rows[f"{side}_origin_valid"][lost] = 0
    return rows


RATES = st.sampled_from([30.0, 60.0, 120.0, 250.0, 300.0, 600.0, 1200.0])
EYES = st.sampled_from(["average", "strict_average", "left", "right"])


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    rate_hz=RATES,
    eye=EYES,
    gap_ms=st.sampled_from([0.0, 75.0]),
    noise=st.sampled_from([("none", 3), ("median", 3), ("moving_average", 5)]),
)
def test_events_and_labels_say_the_same(seed, rate_hz, eye, gap_ms, noise):
    parameters = IVTParameters(eye=eye, max_gap_ms=gap_ms, noise_reduction=noise[0], noise_window_samples=noise[1])
    rows = restless(seed, rate_hz)
    found = find_eye_movements(rows, parameters=parameters)
    assert np.isin(found.kind, list(SampleKind)).all()
    inside = np.zeros((2, len(rows)), dtype=int)
    for i, table in enumerate((found.fixations, found.saccades)):
        assert (table["t_end_us"] > table["t_start_us"]).all()
        assert (np.diff(table["t_start_us"]) > 0).all()
        for event in table:
            inside[i, event["first"] : event["last"] + 1] += 1
    # Each sample is in at most one event, and it bears that event's name unless there were no eyes.
    assert inside.sum(axis=0).max() <= 1
    assert set(found.kind[inside[0] == 1]) <= {FIXATION, NO_EYES}
    assert_array_equal(found.kind == FIXATION, (inside[0] == 1) & (found.kind != NO_EYES))
    assert_array_equal(found.kind == SACCADE, inside[1] == 1)
    # The median interval is rounded to microseconds, and a tenth of it is left to the stamps.
    shortest = (found.fixations["t_end_us"] - found.fixations["t_start_us"]).min(initial=60_000)
    assert shortest >= 60_000 - 0.11e6 / rate_hz - 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), rate_hz=RATES, origin_us=st.integers(0, 10**15))
def test_the_clocks_origin_does_not_matter(seed, rate_hz, origin_us):
    rows = restless(seed, rate_hz)
    first = find_eye_movements(rows)
    rows["t_system_us"] += origin_us
    later = find_eye_movements(rows)
    assert_array_equal(first.kind, later.kind)
    assert_array_equal(first.fixations["t_start_us"] + origin_us, later.fixations["t_start_us"])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), rate_hz=RATES)
def test_a_higher_threshold_never_makes_a_fast_sample_of_a_slow_one(seed, rate_hz):
    rows = restless(seed, rate_hz)
    bare = IVTParameters(merge_fixations=False, min_fixation_ms=0.0)
    counts = []
    slow = np.zeros(len(rows), dtype=bool)
    for threshold in (10.0, 30.0, 100.0, 300.0):
        kind = find_eye_movements(rows, parameters=replace(bare, velocity_threshold_deg_s=threshold)).kind
        assert not (slow & (kind == SACCADE)).any()
        slow = kind == FIXATION
        counts.append(int(slow.sum()))
    assert counts == sorted(counts)
    longest = [
        len(find_eye_movements(rows, parameters=IVTParameters(min_fixation_ms=ms)).fixations)
        for ms in (0, 60, 120, 300)
    ]
    assert longest == sorted(longest, reverse=True)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), rate_hz=RATES, gap_ms=st.floats(0.0, 200.0))
def test_no_loss_is_bridged_beyond_the_limit(seed, rate_hz, gap_ms):
    rng = np.random.default_rng(seed)
    t_us = stamps(200, rate_hz)
    values = rng.normal(0, 1, (200, 2))
    values[rng.random(200) < 0.3] = np.nan
    filled = fill_gaps(t_us, values, gap_ms)
    there = np.flatnonzero(np.isfinite(values[:, 0]))
    assert_array_equal(filled[there], values[there])
    for before, after in zip(there[:-1], there[1:], strict=True):
        bridged = np.isfinite(filled[before + 1 : after, 0])
        assert bridged.all() or not bridged.any()
        if len(bridged):
            assert bridged.all() == (gap_ms > 0 and t_us[after] - t_us[before] <= gap_ms * 1000.0)
    assert np.isnan(filled[: there[0]]).all()
    assert np.isnan(filled[there[-1] + 1 :]).all()


def test_each_eyes_loss_is_bridged_by_itself():
    # Both eyes are lost for 40 ms in common, but the left one for 120 ms: the right eye alone is bridged at 75 ms.
    rows = gaze_rows(stamps(600), np.full((600, 2), 0.5))
    for side, lost in (("left", slice(200, 272)), ("right", slice(240, 264))):
        rows[f"{side}_gaze_valid"][lost] = rows[f"{side}_origin_valid"][lost] = 0
    for eye, bridged in (("average", True), ("right", True), ("left", False), ("strict_average", False)):
        kind = find_eye_movements(rows, parameters=IVTParameters(eye=eye, max_gap_ms=75.0)).kind
        assert (kind[240:264] == FIXATION).all() == bridged
        assert (kind[240:264] == NO_EYES).all() != bridged


@pytest.mark.parametrize("rate_hz", [60.0, 120.0, 300.0, 1200.0])
def test_losing_one_eye_is_no_saccade(rate_hz):
    # Eyes 62 mm apart that look at points 8 mm apart: their directions differ by 5 degrees.
    n = round(2 * rate_hz)
    rows = gaze_rows(stamps(n, rate_hz), np.full((n, 2), 0.5))
    rows["left_gaze_user_mm"][:, 0] -= 4.0
    rows["right_gaze_user_mm"][:, 0] += 4.0
    rng = np.random.default_rng(0)
    for side, first in (("left", 0), ("right", n // 2)):
        for start in [first, *(first + rng.integers(n // 20, n // 2 - n // 20, 4))]:
            lost = slice(start, start + rng.integers(1, n // 20))
            rows[f"{side}_gaze_valid"][lost] = rows[f"{side}_origin_valid"][lost] = 0
    plain = IVTParameters(noise_reduction="none", merge_fixations=False)
    found = find_eye_movements(rows, parameters=plain)
    assert (found.kind == FIXATION).all()
    assert np.nanmax(found.velocity_deg_s) < 1e-3
    strict = find_eye_movements(rows, parameters=replace(plain, eye="strict_average"))
    assert (strict.kind == NO_EYES).any()
    # An eye that is never there together with the other leaves the other as it is.
    rows["left_gaze_valid"] = rows["left_origin_valid"] = 0
    assert_array_equal(
        find_eye_movements(rows, parameters=plain).kind,
        find_eye_movements(rows, parameters=replace(plain, eye="right")).kind,
    )


def test_a_mean_that_becomes_one_eye_is_no_saccade():
    n = 600
    gaze, eye = np.zeros((n, 3)), np.tile([0.0, 0.0, 650.0], (n, 1))
    eye[:, 0] += np.linspace(0.0, 20.0, n)  # the head moves slowly
    moved = classify(stamps(n), gaze, eye, parameters=IVTParameters(noise_reduction="none"))
    for lost in (slice(100, 101), slice(300, 360), slice(500, 600)):
        eye[lost, 0] += 31.0
    gaze[400] = eye[400] = np.nan
    switched = classify(stamps(n), gaze, eye, parameters=IVTParameters(noise_reduction="none"))
    assert (switched.kind[np.arange(n) != 400] == FIXATION).all()
    np.testing.assert_allclose(switched.velocity_deg_s[200:250], moved.velocity_deg_s[200:250], rtol=0.02)


def test_eighteen_samples_of_300_hz_are_60_ms():
    for kept, samples in ((True, 18), (False, 17)):
        rows = gaze_rows(stamps(120, 300.0), np.full((120, 2), 0.5))
        outside = np.r_[0:40, 40 + samples : 120]
        for side in ("left", "right"):
            rows[f"{side}_gaze_valid"][outside] = 0
        found = find_eye_movements(rows)
        assert len(found.fixations) == kept
        assert (found.kind[40 : 40 + samples] == (FIXATION if kept else SampleKind.UNCLASSIFIED)).all()


@pytest.mark.parametrize(
    "wrong", [{"eye": "both"}, {"noise_reduction": "mean"}, {"noise_window_samples": 4}, {"velocity_window_ms": 0.0}]
)
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        IVTParameters(**wrong)


def test_stamps_in_milliseconds_at_2000_hz_find_the_same_fixations():
    x = jump((0.3, 600), (0.5, 800), (0.4, 400), move=60)
    rows = gaze_rows(stamps(len(x), 2000.0), x)
    fine = find_eye_movements(rows)
    # Half of the stamps are now that of the sample before.
    rows["t_system_us"] = rows["t_system_us"] // 1000 * 1000
    coarse = find_eye_movements(rows)
    assert len(fine.fixations) == len(coarse.fixations) == 3
    assert (fine.kind == coarse.kind).mean() > 0.98
    assert sample_interval_us(rows["t_system_us"].astype(np.int64)) == pytest.approx(500.0, rel=0.01)
