"""Between the Tobii Pro SDK's samples and the rows of a session file.

Both directions read the field names off the layout, so the SDK's names stand
in one place. Samples may be the SDK's dictionaries (``as_dictionary=True``) or
its data objects; the row is the same.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from data_schema.session.layout import GAZE, OPENNESS, TIME_SYNC, USER_POSITION, Table

Row = npt.NDArray[np.void]


def gaze_row(sample: Any, t_received_us: int) -> Row:
    """Turn one gaze sample into a row of ``/eye/gaze``, shape (1,).

    Parameters
    ----------
    sample : dict or tobii_research.GazeData
        As the SDK's callback receives it.
    t_received_us : int
        Host monotonic microseconds when the callback ran.
    """
    fields = sample if isinstance(sample, Mapping) else _gaze_dictionary(sample)
    try:
        return _packed_gaze_row(fields, t_received_us)
    except (struct.error, TypeError, ValueError, OverflowError):
        # A value that C's types do not take as it is: let numpy convert it, or say what is wrong with it.
        row = _row_of(GAZE, fields)
        row["t_received_us"] = t_received_us
        return row


#: The values of a gaze sample in the order of the layout's columns, and these columns as one C struct.
_gaze_values = itemgetter(*(column.sdk_field for column in GAZE.columns if column.sdk_field))
_STRUCT_CODES = {"<i8": "q", "<f4": "f", "u1": "B"}
_GAZE_STRUCT = struct.Struct(
    "<" + "".join(f"{math.prod(column.shape)}{_STRUCT_CODES[column.dtype]}" for column in GAZE.columns)
)


def _packed_gaze_row(fields: Mapping[str, Any], t_received_us: int) -> Row:
    """Pack a gaze sample at once: 0.8 us (measured), where setting each column of a row takes 11."""
    (
        t_device_us, t_system_us,
        (lx, ly), (lux, luy, luz), l_gaze, l_mm, l_pupil, (lox, loy, loz), l_origin,
        (rx, ry), (rux, ruy, ruz), r_gaze, r_mm, r_pupil, (rox, roy, roz), r_origin,
    ) = _gaze_values(fields)  # fmt: skip
    # A bytearray, so that the row can be changed like any other.
    packed = bytearray(
        _GAZE_STRUCT.pack(
            t_device_us, t_system_us, t_received_us,
            lx, ly, lux, luy, luz, l_gaze, l_mm, l_pupil, lox, loy, loz, l_origin,
            rx, ry, rux, ruy, ruz, r_gaze, r_mm, r_pupil, rox, roy, roz, r_origin,
        )
    )  # fmt: skip
    return np.frombuffer(packed, dtype=GAZE.dtype)


def openness_row(sample: Any) -> Row:
    """Turn one eye openness sample into a row of ``/eye/openness``, shape (1,)."""
    if isinstance(sample, Mapping):
        return _row_of(OPENNESS, sample)
    return _row_of(OPENNESS, {column.sdk_field: getattr(sample, column.sdk_field) for column in OPENNESS.columns})


def user_position_row(sample: Any, t_received_us: int) -> Row:
    """Turn one user position sample into a row of ``/eye/user_position``, shape (1,)."""
    if isinstance(sample, Mapping):
        fields: Mapping[str, Any] = sample
    else:
        fields = {}
        for eye in ("left", "right"):
            data = getattr(sample, f"{eye}_eye")
            fields[f"{eye}_user_position"] = data.user_position
            fields[f"{eye}_user_position_validity"] = data.validity
    row = _row_of(USER_POSITION, fields)
    row["t_received_us"] = t_received_us
    return row


def time_sync_row(sample: Any) -> Row:
    """Turn one time synchronisation sample into a row of ``/eye/time_sync``, shape (1,)."""
    if isinstance(sample, Mapping):
        return _row_of(TIME_SYNC, sample)
    return _row_of(TIME_SYNC, {column.sdk_field: getattr(sample, column.sdk_field) for column in TIME_SYNC.columns})


def rows_of(
    table: Table, samples: Sequence[Mapping[str, Any]], t_received_us: Sequence[int] | None = None
) -> npt.NDArray[np.void]:
    """Turn many of the SDK's dictionaries into rows of `table`, column by column.

    A fifth of the time that one row after the other takes, which is why callbacks keep
    the dictionaries and leave the conversion to a thread of the driver.

    Parameters
    ----------
    table : Table
        ``/eye/gaze``, ``/eye/openness``, ``/eye/user_position`` or ``/eye/time_sync``.
    samples : sequence of dict
        As the SDK's callbacks receive them.
    t_received_us : sequence of int, optional
        Host monotonic microseconds of each callback, where the table keeps it.

    Returns
    -------
    structured ndarray, shape (n_samples,)

    Raises
    ------
    KeyError, ValueError, TypeError
        If a sample lacks a field or holds something that is no number.
    """
    rows = table.empty(len(samples))
    for column in table.columns:
        if column.sdk_field:
            field = column.sdk_field
            rows[column.name] = [sample[field] for sample in samples]
        elif column.name == "t_received_us" and t_received_us is not None:
            rows[column.name] = t_received_us
    return rows


def sdk_dictionary(row: Row | np.void, table: Table = GAZE) -> dict[str, Any]:
    """Return the dictionary that the SDK would have delivered for a row.

    Parameters
    ----------
    row : structured scalar or array of shape (1,)
        A row of `table`.
    table : Table
        The table that it belongs to; gaze by default.

    Returns
    -------
    dict
        The SDK's field names with plain Python numbers and tuples.
    """
    cell = np.atleast_1d(row)[0]
    sample: dict[str, Any] = {}
    for column in table.columns:
        if column.sdk_field:
            value = cell[column.name]
            sample[column.sdk_field] = tuple(float(v) for v in value) if column.shape else value.item()
    return sample


def _row_of(table: Table, fields: Mapping[str, Any]) -> Row:
    row = table.empty(1)
    for column in table.columns:
        if column.sdk_field:
            row[column.name] = fields[column.sdk_field]
    return row


def _gaze_dictionary(sample: Any) -> dict[str, Any]:
    """Flatten a GazeData object; the SDK nests eyes and quantities where its dictionaries do not."""
    fields: dict[str, Any] = {
        "device_time_stamp": sample.device_time_stamp,
        "system_time_stamp": sample.system_time_stamp,
    }
    for eye in ("left", "right"):
        data = getattr(sample, f"{eye}_eye")
        gaze, pupil, origin = data.gaze_point, data.pupil, data.gaze_origin
        fields[f"{eye}_gaze_point_on_display_area"] = gaze.position_on_display_area
        fields[f"{eye}_gaze_point_in_user_coordinate_system"] = gaze.position_in_user_coordinates
        fields[f"{eye}_gaze_point_validity"] = int(gaze.validity)
        fields[f"{eye}_pupil_diameter"] = pupil.diameter
        fields[f"{eye}_pupil_validity"] = int(pupil.validity)
        fields[f"{eye}_gaze_origin_in_user_coordinate_system"] = origin.position_in_user_coordinates
        fields[f"{eye}_gaze_origin_validity"] = int(origin.validity)
    return fields
