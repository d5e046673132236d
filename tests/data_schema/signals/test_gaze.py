from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from data_schema.signals.gaze import (
    angle_between_deg,
    combine_eyes,
    contiguous_runs,
    select_eye,
)
from data_schema.signals.velocity import angular_velocity

from .recordings import SCREEN, gaze_rows, stamps


def test_screen_angles_of_known_points():
    assert_allclose(SCREEN.norm_to_deg([0.5, 0.5]), [0.0, 0.0])
    right = np.degrees(np.arctan(264.0 / 650.0))
    assert_allclose(SCREEN.norm_to_deg([1.0, 0.5]), [right, 0.0])
    assert_allclose(SCREEN.norm_to_deg([0.5, 1.0]), [0.0, np.degrees(np.arctan(148.5 / 650.0))])
    width, height = SCREEN.deg_to_norm(1.0)
    assert_allclose(width * 528.0, height * 297.0)
    assert_allclose(width * 528.0, 2 * 650.0 * np.tan(np.radians(0.5)))


@pytest.mark.parametrize(
    ("eye", "expected"),
    [
        ("average", [1.5, 2.0, 3.0, np.nan]),
        ("strict_average", [1.5, np.nan, np.nan, np.nan]),
        ("left", [1.0, np.nan, 3.0, np.nan]),
        ("right", [2.0, 2.0, np.nan, np.nan]),
    ],
)
def test_eye_selection(eye, expected):
    assert_array_equal(combine_eyes([1.0, np.nan, 3.0, np.nan], [2.0, 2.0, np.nan, np.nan], eye), expected)


def test_unknown_eye_is_refused():
    with pytest.raises(ValueError, match="strict_average"):
        combine_eyes([1.0], [1.0], "both")


def test_velocity_of_a_constant_rotation_is_that_rotation():
    t_us = stamps(600)
    angle = np.radians(40.0 * (t_us - t_us[0]) / 1e6 - 20.0)
    eye = np.tile([0.0, 0.0, 650.0], (len(t_us), 1))
    gaze = eye + 650.0 * np.column_stack([np.sin(angle), np.zeros(len(t_us)), -np.cos(angle)])
    assert_allclose(angular_velocity(t_us, gaze, eye), 40.0, rtol=2e-4)


def test_velocity_never_looks_across_a_loss_or_a_hole():
    t_us = stamps(200)
    t_us[100:] += 500_000
    gaze = np.zeros((200, 3))
    gaze[100:, 0] = 300.0
    gaze[40:45] = np.nan
    gaze[45:100, 0] = 150.0
    eye = np.tile([0.0, 0.0, 650.0], (200, 1))
    velocity = angular_velocity(t_us, gaze, eye)
    assert np.isnan(velocity[40:45]).all()
    assert_allclose(velocity[np.isfinite(velocity)], 0.0, atol=1e-9)
    starts, ends = contiguous_runs(t_us, np.isfinite(gaze[:, 0]))
    assert starts.tolist() == [0, 45, 100]
    assert ends.tolist() == [39, 99, 199]


def test_small_angles_keep_their_digits():
    eye = np.array([0.0, 0.0, 650.0])
    tiny = angle_between_deg(np.zeros(3), np.array([1e-6, 0.0, 0.0]), eye)
    assert_allclose(tiny, np.degrees(1e-6 / 650.0), rtol=1e-9)


def test_gaze_without_3d_is_placed_on_the_screen():
    rows = gaze_rows(stamps(10), np.full((10, 2), 0.75))
    for side in ("left", "right"):
        rows[f"{side}_gaze_user_mm"] = rows[f"{side}_origin_user_mm"] = np.nan
    assert np.isnan(select_eye(rows).gaze_mm).all()
    signal = select_eye(rows, screen=SCREEN)
    assert_allclose(signal.gaze_mm[0], [132.0, 74.25, 0.0])
    assert_allclose(signal.eye_mm[0], [0.0, 0.0, 650.0])


def test_no_samples_are_no_problem():
    signal = select_eye(gaze_rows(stamps(0), np.zeros((0, 2))), screen=SCREEN)
    assert len(signal) == 0
    assert len(angular_velocity(signal.t_us, signal.gaze_mm, signal.eye_mm)) == 0
