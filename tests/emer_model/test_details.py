"""Further summaries of the eyes: what each kind sees, and what missing values do to it."""

from __future__ import annotations

import numpy as np
import pytest

from emer_model.data.details import averages, course, extremes, fixation_places, rhythm

NAMES = ("pupil", "speed")


@pytest.fixture
def eye():
    """Four clips of 32 chunks and two features, all measured."""
    return np.random.default_rng(0).normal(size=(4, 32, 2)).astype(np.float32)


def column(table, name):
    values, mask, names = table
    return values[:, names.index(name)], mask[:, names.index(name)]


def test_extremes_see_a_short_event_wherever_it_is(eye):
    mask = np.ones(eye.shape, dtype=bool)
    for start in (0, 13, 29):
        burst = 0.1 * eye
        burst[1, start : start + 3, 0] += 3.0
        values, _ = column(extremes(burst, mask, NAMES), "extremes/pupil/highest_event")
        assert values[1] > 2.0 and np.delete(values, 1).max() < 0.5
    shifted = extremes(eye + 7, mask, NAMES)
    np.testing.assert_allclose(column(shifted, "extremes/pupil/highest")[0], eye[:, :, 0].max(axis=1) + 7, rtol=1e-6)
    np.testing.assert_allclose(
        column(shifted, "extremes/speed/lowest_event")[0],
        column(extremes(eye, mask, NAMES), "extremes/speed/lowest_event")[0],
        atol=1e-5,
    )


def test_the_course_knows_the_order_and_averages_do_not(eye):
    mask = np.ones(eye.shape, dtype=bool)
    time = (np.arange(32) + 0.5) / 32
    eye[:, :, 0] = np.cos(3 * np.pi * time)
    table = course(eye, mask, NAMES)
    np.testing.assert_allclose(column(table, "course/pupil/cosine_3")[0], np.sqrt(32 / 2), rtol=1e-4)
    np.testing.assert_allclose(column(table, "course/pupil/cosine_2")[0], 0, atol=1e-5)
    backwards = course(eye[:, ::-1], mask, NAMES)
    np.testing.assert_allclose(
        column(backwards, "course/pupil/cosine_3")[0], -column(table, "course/pupil/cosine_3")[0], rtol=1e-4
    )


def test_rhythm_is_of_the_shape_and_not_of_the_size(eye):
    mask = np.ones(eye.shape, dtype=bool)
    eye[:, :, 0] = np.sin(2 * np.pi * np.arange(32) / 4)  # four chunks a wave
    table = rhythm(eye, mask, NAMES)
    assert (column(table, "rhythm/pupil/lag_2")[0] < -0.9).all() and (
        column(table, "rhythm/pupil/lag_4")[0] > 0.8
    ).all()
    bands = np.stack([column(table, f"rhythm/pupil/band_{k}")[0] for k in range(1, 9)])
    assert (bands.argmax(axis=0) == 3).all()  # of 16 frequencies the eighth
    for scale in (1e-4, 1e6):
        np.testing.assert_allclose(rhythm(eye * np.float32(scale), mask, NAMES)[0], table[0], rtol=2e-3, atol=2e-3)


def test_what_does_not_vary_has_no_rhythm_and_what_is_missing_stays_masked(eye):
    mask = np.ones(eye.shape, dtype=bool)
    eye[0, :, 0] = 3.7
    mask[1, 5:, 0] = False
    mask[2, :, 1] = False
    eye[~mask] = np.nan
    for make in (averages, extremes, course, rhythm):
        values, valid, names = make(eye, mask, NAMES)
        assert values.dtype == np.float32 and np.isfinite(values).all() and (values[~valid] == 0).all()
        assert len(names) == len(set(names)) == values.shape[1] == valid.shape[1]
        assert not valid[2, [i for i, name in enumerate(names) if "/speed/" in name]].any()
        assert valid[3].all()
    assert not column(rhythm(eye, mask, NAMES), "rhythm/pupil/lag_1")[1][:2].any()
    assert not column(course(eye, mask, NAMES), "course/pupil/cosine_1")[1][1]
    assert column(extremes(eye, mask, NAMES), "extremes/pupil/highest")[1][1]


def test_fixations_are_counted_where_they_lie():
    fixations = np.zeros((3, 10, 4), dtype=np.float32)
    mask = np.zeros((3, 10), dtype=bool)
    mask[0, :6], mask[1, :1] = True, True
    fixations[0, :6, 0], fixations[0, :6, 1] = [0.1, 0.9, 0.1, 0.9, 0.1, 0.9], 0.125
    fixations[:, :, 3] = np.where(np.arange(10) < 3, 0.2, 0.8)
    fixations[1, 0, :2] = (0.5, 0.875)
    table = fixation_places(fixations, mask)
    values, valid, names = table
    assert np.isfinite(values).all() and not valid[2].any() and (values[~valid] == 0).all()
    cells = values[:, [i for i, name in enumerate(names) if "/cell_" in name]] ** 2
    np.testing.assert_allclose(cells[:2].sum(axis=1), 1, rtol=1e-5)
    assert cells[0].reshape(4, 5)[0, [0, 4]].sum() > 0.6 and cells[1].reshape(4, 5)[3, 2] > 0.5
    np.testing.assert_allclose(column(table, "fixations/distance/mean")[0][0], 0.8, rtol=1e-5)
    assert not column(table, "fixations/distance/mean")[1][1]  # of one fixation
    np.testing.assert_allclose(column(table, "fixations/log_duration/early_minus_late")[0][0], np.log(0.25), rtol=1e-5)
    expected = np.percentile(fixations[0, :6, 0].astype(np.float64), 10)
    np.testing.assert_allclose(column(table, "fixations/x_norm/percentile_10")[0][0], expected, rtol=1e-5)
