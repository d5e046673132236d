"""The tables of eye and face that are streamed recording by recording: gaze, fixations, saccades, blinks, landmarks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_schema.publishing.derived_views import LANDMARK_COLUMNS
from data_schema.publishing.tables.declarations import CLIP, PARTICIPANT, RUN, SESSION, PublishedColumn, PublishedTable
from data_schema.session.layout import GAZE

_AXES = ("x", "y", "z")
_KINDS = {"i8": "int64", "f4": "float32", "f8": "float64", "u1": "bool", "i4": "int32"}
_RECEIVED = "t_received_us"
#: How a stamp of a session file is called in the dataset, and what it means there.
_STAMPS = {
    "t_system_us": ("t_us", "Time of the sample since the start of the recording, on the recording computer's clock."),
    "t_device_us": ("t_device_us", "The eye tracker's own clock, moved by the same amount as all its stamps."),
}
#: What the maker of the tracker calls its user coordinate system.
_USER = "user coordinates (origin at the tracker, x right, y up, z towards the participant)"


def _flat(name: str, shape: tuple[int, ...]) -> list[str]:
    return [f"{name}_{axis}" for axis in _AXES[: shape[0]]] if shape else [name]


def _gaze_columns() -> tuple[PublishedColumn, ...]:
    columns: list[PublishedColumn] = [PARTICIPANT, SESSION, RUN]
    for column in GAZE.columns:
        if column.name == _RECEIVED:
            continue
        kind = _KINDS[np.dtype(column.dtype).str[1:]]
        name, meaning = _STAMPS.get(column.name, (column.name, column.meaning))
        for flat, axis in zip(_flat(name, column.shape), (*_AXES, ""), strict=False):
            said = f"{meaning} Axis {axis}." if column.shape else meaning
            said = said.replace("the user coordinate system", _USER)
            columns.append(
                PublishedColumn(flat, kind, column.unit, said.replace("1 if", "True if"), source="eye tracker")
            )
    return tuple(columns)


#: Every gaze sample, one file a recording.
GAZE_TABLE = PublishedTable(
    "gaze", "one sample of the eye tracker", _gaze_columns(), ("participant", "session", "run", "t_us")
)

_START = PublishedColumn(
    "t_start_s", "float64", "s", "Start, since the start of the recording.", source="I-VT on the gaze"
)
_DURATION = PublishedColumn("duration_s", "float64", "s", "Duration.")
FIXATIONS = PublishedTable(
    "fixations",
    "one fixation in a clip, with the study's choice of eye",
    (
        CLIP, PARTICIPANT, _START, _DURATION,
        PublishedColumn("x_norm", "float64", "share of screen width", "Mean horizontal gaze, 0 at the left edge."),
        PublishedColumn("y_norm", "float64", "share of screen height", "Mean vertical gaze, 0 at the top edge."),
    ),
    ("clip_id", "t_start_s"),
)  # fmt: skip
SACCADES = PublishedTable(
    "saccades",
    "one saccade in a clip, with the study's choice of eye",
    (
        CLIP, PARTICIPANT, _START, _DURATION,
        PublishedColumn("amplitude_deg", "float64", "deg", "Angle between its ends."),
        PublishedColumn("peak_velocity_deg_s", "float64", "deg/s", "Highest angular velocity."),
    ),
    ("clip_id", "t_start_s"),
)  # fmt: skip
BLINKS = PublishedTable(
    "blinks", "one blink in a clip", (CLIP, PARTICIPANT, _START, _DURATION), ("clip_id", "t_start_s")
)
#: The face in the camera frames that were looked at, one file a recording; only where landmarks may leave.
LANDMARKS = PublishedTable(
    "landmarks",
    "one camera frame of a clip that was looked at for a face",
    (
        CLIP,
        PARTICIPANT,
        *(
            PublishedColumn(item.name, item.dtype, item.unit, item.meaning, source="detector of faces")
            for item in LANDMARK_COLUMNS
            if item.name != CLIP.name
        ),
    ),
    ("clip_id", "t_s"),
)


def gaze_frame(rows: npt.NDArray[np.void], participant: str, session: str, run: int) -> pd.DataFrame:
    """Return gaze rows as the columns of :data:`GAZE_TABLE`.

    Parameters
    ----------
    rows : structured ndarray, shape (n,)
        Rows of ``/eye/gaze`` whose stamps count from the start of the recording, microseconds.
    participant, session : str
    run : int
    """
    cells: dict[str, npt.NDArray[np.generic] | str | int] = {"participant": participant, "session": session, "run": run}
    for column in GAZE.columns:
        if column.name == _RECEIVED:
            continue
        name = _STAMPS.get(column.name, (column.name, ""))[0]
        values = rows[column.name]
        if column.dtype == "u1":
            values = values != 0
        if not column.shape:
            cells[name] = values
            continue
        for axis, flat in enumerate(_flat(name, column.shape)):
            cells[flat] = values[:, axis]
    frame: pd.DataFrame = pd.DataFrame(cells, index=range(len(rows)))
    return frame
