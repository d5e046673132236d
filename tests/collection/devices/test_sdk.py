"""Rows from the SDK's samples: every field arrives, whatever numbers carry it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from collection.devices.sdk import gaze_row, sdk_dictionary
from data_schema.session.layout import GAZE


def filled_row(seed: int = 1) -> np.ndarray:
    """Return a row of gaze in which every column has a value of its own."""
    rng = np.random.default_rng(seed)
    row = GAZE.empty(1)
    for number, column in enumerate(GAZE.columns):
        row[column.name] = rng.normal(size=column.shape) if column.dtype == "<f4" else number + 10
    row["left_gaze_norm"] = np.nan
    return row


def test_every_field_of_a_sample_is_in_the_row() -> None:
    row = filled_row()
    assert gaze_row(sdk_dictionary(row), int(row["t_received_us"][0])).tobytes() == row.tobytes()


def test_a_row_can_be_changed_like_any_other() -> None:
    row = gaze_row(sdk_dictionary(filled_row()), 5)
    row["left_pupil_mm"] = 9.0
    assert (row["left_pupil_mm"][0], row["t_received_us"][0]) == (9.0, 5)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("left_gaze_point_validity", np.uint8(1)),
        ("left_pupil_diameter", np.float64(3.25)),
        ("left_pupil_diameter", 3),
        ("left_gaze_point_on_display_area", [0.25, 0.5]),
        ("left_gaze_point_on_display_area", np.array([0.25, 0.5])),
        ("system_time_stamp", np.int64(2**40)),
        ("system_time_stamp", 1e9),
    ],
)
def test_numbers_of_other_types_are_stored_as_numpy_would(field: str, value: Any) -> None:
    sample = {**sdk_dictionary(filled_row()), field: value}
    column = next(column for column in GAZE.columns if column.sdk_field == field)
    expected = np.zeros(column.shape, dtype=column.dtype)
    expected[...] = value
    assert gaze_row(sample, 0)[column.name][0].tolist() == expected.tolist()


def test_a_field_that_is_missing_is_named() -> None:
    sample = sdk_dictionary(filled_row())
    del sample["right_pupil_diameter"]
    with pytest.raises(KeyError, match="right_pupil_diameter"):
        gaze_row(sample, 0)


def test_a_value_that_is_no_number_is_refused() -> None:
    with pytest.raises((TypeError, ValueError)):
        gaze_row({**sdk_dictionary(filled_row()), "left_pupil_diameter": "wide"}, 0)
