"""Read a folder of raw Tobii SDK streams saved as CSV.

``gaze.csv`` or ``gaze.csv.gz`` with the field names of the SDK's C sample, and,
where it is there, ``eye_openness.csv[.gz]``. Older recordings have track-box
fields that today's SDK lacks; they are passed over.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_schema.errors import DeviceError
from data_schema.session.layout import GAZE, OPENNESS, Table

Rows = npt.NDArray[np.void]

#: Names of the openness columns in such folders, where they are not the SDK's.
_OPENNESS_NAMES = {
    "left_openness_mm": "left_openness_mm",
    "right_openness_mm": "right_openness_mm",
    "left_valid": "left_valid",
    "right_valid": "right_valid",
    "left_eye_openness_value": "left_openness_mm",
    "right_eye_openness_value": "right_openness_mm",
    "left_eye_validity": "left_valid",
    "right_eye_validity": "right_valid",
}
_AXES = ("x", "y", "z")


def is_tobii_folder(path: Path) -> bool:
    """Tell whether `path` is a folder with a gaze file."""
    return path.is_dir() and _find(path, "gaze") is not None


def read_tobii_folder(path: Path) -> dict[str, Rows]:
    """Read the streams of a folder.

    Parameters
    ----------
    path : Path
        The folder.

    Returns
    -------
    dict of str to structured ndarray
        Rows by table path, as they would stand in a session file.

    Raises
    ------
    DeviceError
        If the gaze file is missing, is no table, or lacks a field.
    """
    gaze_file = _find(path, "gaze")
    if gaze_file is None:
        raise DeviceError(f"{path}: there is no gaze.csv or gaze.csv.gz. Name a folder that holds one.")
    tables = {GAZE.path: _gaze_rows(gaze_file)}
    openness_file = _find(path, "eye_openness")
    if openness_file is not None:
        tables[OPENNESS.path] = _openness_rows(openness_file)
    return tables


def _find(folder: Path, stem: str) -> Path | None:
    for name in (f"{stem}.csv.gz", f"{stem}.csv"):
        if (folder / name).is_file():
            return folder / name
    return None


def _read(path: Path) -> pd.DataFrame:
    try:
        table: pd.DataFrame = pd.read_csv(path)
    except (OSError, EOFError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DeviceError(
            f"{path.name}: cannot be read as a CSV table: {error}. Check that the copy is complete."
        ) from error
    if table.empty:
        raise DeviceError(f"{path.name}: the table has no rows. Name another recording.")
    return table


def _gaze_rows(path: Path) -> Rows:
    table = _read(path)
    rows = GAZE.empty(len(table))
    for column in GAZE.columns:
        if not column.sdk_field:
            continue
        if column.shape:
            names = [f"{column.sdk_field}_{axis}" for axis in _AXES[: column.shape[0]]]
            rows[column.name] = np.column_stack([_column(table, name, path, GAZE) for name in names])
        else:
            rows[column.name] = _column(table, column.sdk_field, path, GAZE)
    # The time of our callback was not recorded; the sample's own host time is the best there is.
    rows["t_received_us"] = rows["t_system_us"]
    return rows


def _openness_rows(path: Path) -> Rows:
    table = _read(path).rename(columns=_OPENNESS_NAMES)
    rows = OPENNESS.empty(len(table))
    rows["t_device_us"] = _column(table, "device_time_stamp", path, OPENNESS)
    rows["t_system_us"] = _column(table, "system_time_stamp", path, OPENNESS)
    for name in ("left_openness_mm", "left_valid", "right_openness_mm", "right_valid"):
        rows[name] = _column(table, name, path, OPENNESS)
    return rows


def _column(table: pd.DataFrame, name: str, path: Path, layout: Table) -> npt.NDArray[np.float64]:
    if name not in table.columns:
        raise DeviceError(
            f"{path.name}: the column '{name}' is missing, which {layout.path} needs. "
            "Expected the field names of the Tobii SDK; import other formats with `emer import`."
        )
    values = table[name].to_numpy()
    if values.dtype.kind not in "iufb":
        raise DeviceError(f"{path.name}: the column '{name}' holds text where numbers are expected.")
    return values
