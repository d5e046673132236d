"""What is drawn: no sample is passed over, and nothing of the future is shown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.evidence.drawing import (
    Span,
    bridged,
    column_ranges,
    fixations_until,
    gaze_trail,
    value_range,
)
from annotation.evidence.eyes import EyeEvidence
from data_schema.signals.maps import map_image


@given(st.integers(1, 300), st.integers(0, 2**32 - 1), st.floats(0, 0.9))
def test_every_sample_lies_in_the_range_of_its_column(n_columns: int, seed: int, lost: float) -> None:
    rng = np.random.default_rng(seed)
    t_us = np.sort(rng.integers(0, 1_000_000, 400))
    values = rng.normal(size=400)
    values[rng.uniform(size=400) < lost] = np.nan
    low, high = column_ranges(t_us, values, Span(1_000_000), n_columns)
    for column in range(n_columns):
        inside = values[(t_us * n_columns // 1_000_000).clip(0, n_columns - 1) == column]
        inside = inside[np.isfinite(inside)]
        if len(inside):
            assert (low[column], high[column]) == (inside.min(), inside.max())
        else:
            assert np.isnan(low[column]) and np.isnan(high[column])


def test_short_gaps_are_bridged_and_losses_stay() -> None:
    low = np.array([1.0, np.nan, 3.0, np.nan, np.nan, np.nan, 4.0, np.nan])
    filled, _ = bridged(low, low, 1)
    np.testing.assert_array_equal(filled, [1, 2, 3, np.nan, np.nan, np.nan, 4, np.nan])


def test_a_page_turns_when_the_time_leaves_it_and_never_shows_beyond_the_clip() -> None:
    span = Span(25_000_000, 10_000_000)
    assert not span.follow(9_000_000) and span.start_us == 0
    assert span.follow(10_500_000) and span.start_us == 10_000_000
    assert span.follow(24_000_000) and span.start_us + span.shown_us == 25_000_000
    assert not span.follow(25_000_000)
    assert span.follow(0) and span.start_us == 0
    assert span.time_at(span.share(4_200_000)) == 4_200_000
    whole = Span(3_000_000, 10_000_000)
    assert whole.shown_us == 3_000_000 and not whole.follow(3_000_000)


@pytest.fixture
def eyes() -> EyeEvidence:
    t_us = np.arange(1000) * 2000
    return EyeEvidence(
        gaze_t_us=t_us,
        gaze_norm=np.stack([t_us / 2e6, t_us / 2e6], axis=1),
        velocity_deg_s=np.zeros(1000),
        pupil_mm=np.zeros(1000),
        fixations=np.array([[0, 4e5, 0.1, 0.1], [5e5, 9e5, 0.2, 0.2], [1.2e6, 1.5e6, 0.3, 0.3]]),
        blinks_us=np.zeros((0, 2), np.int64),
        fixation_map=np.zeros((4, 4), np.float32),
        stimulus_box_norm=(0, 0, 1, 1),
        parameters={},
    )


def test_the_trail_ends_at_the_moment_and_shows_nothing_later(eyes: EyeEvidence) -> None:
    points, age = gaze_trail(eyes, 1_000_000, 300_000)
    assert len(points) == 150
    np.testing.assert_allclose(points[-1], (0.5, 0.5))
    assert age[-1] == 0 and age[0] < 1 and (np.diff(age) < 0).all()
    assert len(gaze_trail(eyes, -1)[0]) == 0


def test_fixations_are_cut_to_the_moment(eyes: EyeEvidence) -> None:
    begun = fixations_until(eyes, 700_000)
    np.testing.assert_array_equal(begun[:, :2], [[0, 4e5], [5e5, 7e5]])
    assert eyes.fixations[1, 1] == 9e5, "the evidence itself stays as it is"


def test_the_map_is_clear_where_nobody_looked_and_lightness_rises_with_the_time_looked() -> None:
    image = map_image(np.linspace(0, 1, 11, dtype=np.float32)[None, :])[0].astype(float)
    assert image[0, 3] == 0 and image[-1, 3] < 255
    light = image[:, :3] @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(light) > 0).all() and (np.diff(image[:, 3]) > 0).all()


def test_an_axis_holds_nearly_all_values_and_does_not_blow_up_noise() -> None:
    low, high = value_range(np.array([3.0, 3.01, np.nan]), 0.3)
    assert high - low == pytest.approx(0.3)
    assert value_range(np.full(4, np.nan), 0.3) == (0.0, 0.3)
    low, high = value_range(np.linspace(2, 5, 1000), 0.3)
    assert low < 2 and high > 5
