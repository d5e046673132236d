"""Where targets are and in which order they come."""

from __future__ import annotations

import math

import numpy as np
import pytest

from collection.calibration.targets import (
    CALIBRATION_LAYOUTS,
    CENTRE,
    VALIDATION_LAYOUTS,
    calibration_targets,
    nearest_target,
    recheck_targets,
    validation_targets,
)
from data_schema.study.sections import CalibrationSection

from .calibration_lab import GEOMETRY


def test_there_is_a_layout_for_every_number_that_a_study_may_ask_for() -> None:
    fields = CalibrationSection.model_fields
    assert set(CALIBRATION_LAYOUTS) == set(fields["points"].annotation.__args__)
    assert set(VALIDATION_LAYOUTS) == set(fields["validation_points"].annotation.__args__)
    for layouts in (CALIBRATION_LAYOUTS, VALIDATION_LAYOUTS):
        for number, layout in layouts.items():
            assert len(set(layout)) == number
            assert all(0.05 <= part <= 0.95 for target in layout for part in target)


def test_a_validation_target_lies_away_from_every_calibration_target() -> None:
    calibrated = {target for layout in CALIBRATION_LAYOUTS.values() for target in layout}
    for layout in VALIDATION_LAYOUTS.values():
        for target in layout:
            away = [
                float(np.hypot(*(GEOMETRY.norm_to_deg(target) - GEOMETRY.norm_to_deg(other)))) for other in calibrated
            ]
            assert min(away) > 2.0, target


@pytest.mark.parametrize("n", [5, 9, 13])
def test_the_centre_comes_first_and_the_rest_at_random(n: int) -> None:
    orders = [calibration_targets(n, np.random.default_rng(seed)) for seed in range(12)]
    assert {order[0] for order in orders} == {CENTRE}
    assert len(set(orders)) > 6
    assert all(set(order) == set(CALIBRATION_LAYOUTS[n]) for order in orders)
    assert orders[3] == calibration_targets(n, np.random.default_rng(3))


def test_unknown_numbers_are_refused_with_those_that_there_are() -> None:
    rng = np.random.default_rng(1)
    assert calibration_targets(0, rng) == validation_targets(0, rng) == ()
    with pytest.raises(ValueError, match="no calibration with 3 points; there are: 0, 1, 5, 9, 13"):
        calibration_targets(3, rng)
    with pytest.raises(ValueError, match="no validation with 9 points; there are: 0, 1, 4, 5, 8"):
        validation_targets(9, rng)


def test_a_recheck_uses_targets_of_the_validation_far_apart() -> None:
    rng = np.random.default_rng(2)
    chosen = recheck_targets(VALIDATION_LAYOUTS[4] * 2, rng)
    assert set(chosen) <= set(VALIDATION_LAYOUTS[4])
    assert math.dist(*chosen) == pytest.approx(0.6)
    assert recheck_targets([], rng) == (CENTRE,)
    assert recheck_targets([(0.4, 0.6)], rng) == ((0.4, 0.6),)


def test_the_nearest_target() -> None:
    assert nearest_target((0.5, 0.2), CALIBRATION_LAYOUTS[9]) == (0.5, 0.1)
