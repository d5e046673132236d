"""The layout of a session file, declared once.

Writer, reader, validator, repair, synthetic builder and the reference page in
the docs are all generated from :data:`TABLES` and :data:`BLOBS`.

Rules that come from HDF5's single-writer multiple-reader mode (SWMR):

* everything is created before recording starts, nothing afterwards;
* text is fixed-length UTF-8, tables are flat;
* a table that grows fast (`FAST`) is compressed and written in whole chunks; a
  partly filled compressed chunk would be rewritten at a new place at each flush
  and the old place is lost under SWMR. A table of single events (`SLOW`) is
  uncompressed, so that each row can be flushed at once.

Times are integer microseconds. ``t_system_us`` is the host's monotonic clock,
the one that the Tobii SDK's system time uses; ``t_device_us`` is a device's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

FORMAT_NAME = "emer-session"
#: major.minor. A reader opens every older version and the same major version.
FORMAT_VERSION = (1, 0)


class Growth(str, Enum):
    """How a table is written."""

    FAST = "fast"
    SLOW = "slow"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        The unit is in the name (``_us``, ``_mm``, ``_norm``, ``_deg``).
    dtype : str
        numpy dtype string; text is ``S<n>`` and holds UTF-8.
    unit : str
        Unit as printed in the reference; empty for codes and text.
    meaning : str
        One sentence.
    shape : tuple of int
        Shape of one cell.
    sdk_field : str
        Name of the field in the Tobii Pro SDK's dictionary, where there is one.
    """

    name: str
    dtype: str
    unit: str
    meaning: str
    shape: tuple[int, ...] = ()
    sdk_field: str = ""

    @property
    def is_text(self) -> bool:
        """Tell whether the column holds fixed-length UTF-8 text."""
        return self.dtype.startswith("S")


@dataclass(frozen=True)
class Table:
    """One table (a one-dimensional compound dataset) of a session file."""

    path: str
    meaning: str
    columns: tuple[Column, ...]
    growth: Growth = Growth.SLOW
    #: Column by which rows are ordered and sliced in time; empty if there is none.
    time_column: str = ""
    #: True if `time_column` must never decrease (a device's own clock may be reset).
    monotonic: bool = True
    #: First format version that has this table.
    since: tuple[int, int] = (1, 0)

    @property
    def dtype(self) -> np.dtype[np.void]:
        """Return the numpy dtype of one row, packed (no padding)."""
        return np.dtype([(c.name, c.dtype, c.shape) if c.shape else (c.name, c.dtype) for c in self.columns])

    def column(self, name: str) -> Column:
        """Return the declaration of column `name`."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.path} has no column '{name}'")

    def empty(self, n: int = 0) -> npt.NDArray[np.void]:
        """Return `n` zeroed rows."""
        return np.zeros(n, dtype=self.dtype)


@dataclass(frozen=True)
class Blob:
    """A growing one-dimensional array of bytes."""

    path: str
    meaning: str
    attributes: tuple[str, ...]
    since: tuple[int, int] = (1, 0)


def _eye_gaze_columns(eye: str) -> tuple[Column, ...]:
    return (
        Column(
            f"{eye}_gaze_norm",
            "<f4",
            "share of the display area",
            f"Gaze point of the {eye} eye, x right, y down; (0, 0) is the top left corner.",
            (2,),
            f"{eye}_gaze_point_on_display_area",
        ),
        Column(
            f"{eye}_gaze_user_mm",
            "<f4",
            "mm",
            f"Gaze point of the {eye} eye in the user coordinate system.",
            (3,),
            f"{eye}_gaze_point_in_user_coordinate_system",
        ),
        Column(f"{eye}_gaze_valid", "u1", "", "1 if the gaze point is valid.", (), f"{eye}_gaze_point_validity"),
        Column(f"{eye}_pupil_mm", "<f4", "mm", f"Pupil diameter of the {eye} eye.", (), f"{eye}_pupil_diameter"),
        Column(f"{eye}_pupil_valid", "u1", "", "1 if the pupil diameter is valid.", (), f"{eye}_pupil_validity"),
        Column(
            f"{eye}_origin_user_mm",
            "<f4",
            "mm",
            f"Position of the {eye} eye in the user coordinate system.",
            (3,),
            f"{eye}_gaze_origin_in_user_coordinate_system",
        ),
        Column(f"{eye}_origin_valid", "u1", "", "1 if the eye position is valid.", (), f"{eye}_gaze_origin_validity"),
    )


def _device_stamps() -> tuple[Column, ...]:
    return (
        Column("t_device_us", "<i8", "us", "The tracker's own clock.", (), "device_time_stamp"),
        Column(
            "t_system_us", "<i8", "us", "Host monotonic clock, as the SDK stamped the sample.", (), "system_time_stamp"
        ),
    )


_RECEIVED = Column("t_received_us", "<i8", "us", "Host monotonic clock when our callback ran.")
_TRIAL = Column("trial_id", "<i4", "", "Number of the trial in this session, from 1; 0 outside trials.")
_T_SYSTEM = Column("t_system_us", "<i8", "us", "Host monotonic clock.")

GAZE = Table(
    "/eye/gaze",
    "Gaze samples of the eye tracker, with all fields of the SDK's gaze sample. Invalid numbers are NaN.",
    (*_device_stamps(), _RECEIVED, *_eye_gaze_columns("left"), *_eye_gaze_columns("right")),
    Growth.FAST,
    "t_system_us",
)
OPENNESS = Table(
    "/eye/openness",
    "Eye openness: the diameter of the largest sphere that fits between the lids.",
    (
        *_device_stamps(),
        Column("left_openness_mm", "<f4", "mm", "Openness of the left eye.", (), "left_eye_openness_value"),
        Column("left_valid", "u1", "", "1 if the left value is valid.", (), "left_eye_validity"),
        Column("right_openness_mm", "<f4", "mm", "Openness of the right eye.", (), "right_eye_openness_value"),
        Column("right_valid", "u1", "", "1 if the right value is valid.", (), "right_eye_validity"),
    ),
    Growth.FAST,
    "t_system_us",
)
USER_POSITION = Table(
    "/eye/user_position",
    "Where the head is in the track box (user position guide).",
    (
        Column("t_received_us", "<i8", "us", "Host monotonic clock when our callback ran; the SDK gives no stamp."),
        Column(
            "left_position_norm",
            "<f4",
            "share of the track box",
            "Left eye, 0 to 1 on each axis; 0.5 is best.",
            (3,),
            "left_user_position",
        ),
        Column("left_valid", "u1", "", "1 if valid.", (), "left_user_position_validity"),
        Column("right_position_norm", "<f4", "share of the track box", "Right eye.", (3,), "right_user_position"),
        Column("right_valid", "u1", "", "1 if valid.", (), "right_user_position_validity"),
    ),
    Growth.FAST,
    "t_received_us",
)
TIME_SYNC = Table(
    "/eye/time_sync",
    "Time synchronisation pairs: host request, device stamp, host response.",
    (
        Column("t_request_us", "<i8", "us", "Host clock when the request left.", (), "system_request_time_stamp"),
        Column("t_device_us", "<i8", "us", "Device clock when it was answered.", (), "device_time_stamp"),
        Column("t_response_us", "<i8", "us", "Host clock when the answer arrived.", (), "system_response_time_stamp"),
    ),
    Growth.SLOW,
    "t_request_us",
)
NOTIFICATIONS = Table(
    "/eye/notifications",
    "Notifications of the tracker: connection lost or restored, faults, changed display area or rate.",
    (
        _T_SYSTEM,
        Column("kind", "S48", "", "Name of the notification, as in the SDK."),
        Column("message", "S256", "", "What the tracker said."),
    ),
    Growth.SLOW,
    "t_system_us",
)
FRAMES = Table(
    "/face/frames",
    "One row a camera frame; the encoded frame is in /face/packets.",
    (
        Column("t_capture_us", "<i8", "us", "Host monotonic clock at capture."),
        Column("t_device_us", "<i8", "us", "The camera's own stamp; -1 if it has none."),
        Column("pts", "<i8", "time base of the stream", "Presentation time stamp in the encoded stream."),
        Column("packet_offset", "<i8", "bytes", "First byte of the frame in /face/packets."),
        Column("packet_size", "<i4", "bytes", "Number of bytes of the frame."),
        Column("keyframe", "u1", "", "1 if decoding can start here."),
        Column("missed_before", "<i4", "frames", "Frames that the camera or the queue lost just before this one."),
    ),
    Growth.FAST,
    "t_capture_us",
)
PRESENTATIONS = Table(
    "/stimulus/presentations",
    "One row a clip shown (written when it ended).",
    (
        _TRIAL,
        Column("stimulus_id", "S64", "", "Identifier of the stimulus in study.toml."),
        Column("target_emotion", "S16", "", "Emotion that the stimulus is meant to induce."),
        Column("t_onset_us", "<i8", "us", "Host clock of the first flip."),
        Column("t_offset_us", "<i8", "us", "Host clock of the last flip."),
        Column("duration_expected_s", "<f8", "s", "Duration of the file."),
        Column("n_flips", "<i4", "flips", "Screen refreshes while it played."),
        Column("n_flips_late", "<i4", "flips", "Refreshes that came more than half a period late."),
        Column("completed", "u1", "", "1 if it played to its end."),
    ),
    Growth.SLOW,
    "t_onset_us",
)
FLIPS = Table(
    "/stimulus/flips",
    "One row a screen refresh while a clip played.",
    (
        _TRIAL,
        Column("t_flip_us", "<i8", "us", "Host clock when the refresh happened."),
        Column("t_due_us", "<i8", "us", "Host clock when it was due."),
        Column("clip_time_us", "<i8", "us", "Time inside the clip that was shown (pts)."),
    ),
    Growth.FAST,
    "t_flip_us",
)
RESPONSES = Table(
    "/responses/items",
    "One row an answer of the participant.",
    (
        _TRIAL,
        Column("scale", "S32", "", "What was asked: an emotion, valence, arousal, familiarity, attention, ..."),
        Column("value", "<f8", "the scale's", "The answer as a number; NaN for text."),
        Column("text", "S256", "", "The answer as text, where it is text."),
        Column("t_shown_us", "<i8", "us", "Host clock when the question appeared."),
        Column("t_answered_us", "<i8", "us", "Host clock of the answer."),
    ),
    Growth.SLOW,
    "t_answered_us",
)
CALIBRATION_ATTEMPTS = Table(
    "/calibration/attempts",
    "One row a calibration or validation attempt.",
    (
        _T_SYSTEM,
        Column("attempt_id", "<i4", "", "Number of the attempt, from 1."),
        Column("kind", "S16", "", "calibration or validation."),
        Column("status", "S32", "", "What the tracker answered."),
        Column("chosen", "u1", "", "1 if this attempt was used for the session."),
        Column("blob_offset", "<i8", "bytes", "First byte of the calibration data in /calibration/data; -1 if none."),
        Column("blob_size", "<i4", "bytes", "Its length."),
    ),
    Growth.SLOW,
    "t_system_us",
)
CALIBRATION_POINTS = Table(
    "/calibration/points",
    "One row a target, eye and sample of a calibration.",
    (
        Column("attempt_id", "<i4", "", "Number of the attempt."),
        Column("eye", "S8", "", "left or right."),
        Column("target_norm", "<f4", "share of the display area", "Where the target was.", (2,)),
        Column("gaze_norm", "<f4", "share of the display area", "Where the eye looked.", (2,)),
        Column("validity", "i1", "", "-1 invalid and not used, 0 valid but not used, 1 valid and used."),
    ),
)
VALIDATION_POINTS = Table(
    "/calibration/validation",
    "One row a validation target and eye.",
    (
        Column("attempt_id", "<i4", "", "Number of the attempt."),
        Column("eye", "S8", "", "left or right."),
        Column("target_norm", "<f4", "share of the display area", "Where the target was.", (2,)),
        Column("accuracy_deg", "<f4", "deg", "Mean offset of gaze from the target."),
        Column("precision_rms_s2s_deg", "<f4", "deg", "Root mean square of sample-to-sample distances."),
        Column("precision_sd_deg", "<f4", "deg", "Standard deviation of gaze."),
        Column("data_loss", "<f4", "share", "Share of samples without gaze."),
    ),
)
MARKERS = Table(
    "/events/markers",
    "Everything else that happened: steps of the protocol, operator actions, faults, dropped data, the end.",
    (
        _T_SYSTEM,
        _TRIAL,
        Column("kind", "S48", "", "What happened (see data_schema.session.markers)."),
        Column("value", "<f8", "", "A number that belongs to it; NaN if there is none."),
        Column("message", "S256", "", "One sentence for people."),
    ),
    Growth.SLOW,
    "t_system_us",
    monotonic=False,
)
ANCHORS = Table(
    "/clock/anchors",
    "Pairs of host monotonic and UTC time.",
    (
        _T_SYSTEM,
        Column("t_utc_us", "<i8", "us since 1970-01-01", "UTC at the same moment."),
        Column("uncertainty_us", "<i8", "us", "Half the time that the double reading took."),
    ),
    Growth.SLOW,
    "t_system_us",
)
PLANTED = Table(
    "/simulation/planted",
    "Only in simulated recordings: what was planted for each trial. Empty in real ones; never exported for training.",
    (
        _TRIAL,
        Column("felt_emotion", "S16", "", "Emotion that the simulated participant feels."),
        Column("shown_emotion", "S16", "", "Emotion that the simulated face shows."),
        Column("masked", "u1", "", "1 if the face was made to hide the feeling."),
        Column("valence", "<f4", "-1 to 1", "Felt valence."),
        Column("arousal", "<f4", "-1 to 1", "Felt arousal."),
        Column("shown_valence", "<f4", "-1 to 1", "Valence that the face shows."),
        Column("shown_arousal", "<f4", "-1 to 1", "Arousal that the face shows."),
        Column("intensity", "<f4", "0 to 3", "Intensity of the shown expression."),
    ),
)

TABLES: tuple[Table, ...] = (
    GAZE, OPENNESS, USER_POSITION, TIME_SYNC, NOTIFICATIONS,
    FRAMES,
    PRESENTATIONS, FLIPS, RESPONSES,
    CALIBRATION_ATTEMPTS, CALIBRATION_POINTS, VALIDATION_POINTS,
    MARKERS, ANCHORS, PLANTED,
)  # fmt: skip

PACKETS = Blob(
    "/face/packets",
    "The encoded face video: the packets of /face/frames, one after the other.",
    ("codec", "extradata", "width_px", "height_px", "time_base", "pixel_format"),
)
CALIBRATION_DATA = Blob("/calibration/data", "Calibration data as the tracker gave it.", ())
BLOBS: tuple[Blob, ...] = (PACKETS, CALIBRATION_DATA)

TABLE_BY_PATH: dict[str, Table] = {table.path: table for table in TABLES}
BLOB_BY_PATH: dict[str, Blob] = {blob.path: blob for blob in BLOBS}


@dataclass(frozen=True)
class Attribute:
    """One attribute of the file's root or of ``/study``."""

    name: str
    meaning: str


#: Attributes of the root group.
ROOT_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("format", f"Always '{FORMAT_NAME}'."),
    Attribute("format_version", "major.minor"),
    Attribute("participant", "Pseudonym of the participant."),
    Attribute("session", "Name of the session."),
    Attribute("created_utc", "ISO 8601, when the file was made."),
    Attribute("simulated", "1 if any device of the recording was simulated or replayed."),
)
#: Attributes of the group /study.
STUDY_ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("config_json", "The resolved study configuration."),
    Attribute("versions_json", "Versions of Python, the toolkit and its libraries."),
    Attribute("devices_json", "What each device said of itself."),
    Attribute("seeds_json", "Every seed that was used."),
)


def encode_text(text: str, size: int) -> bytes:
    """Encode `text` as UTF-8 of at most `size` bytes, cut at a character's boundary.

    Parameters
    ----------
    text : str
        Any text. NUL characters, which fixed-length text cannot hold, become spaces.
    size : int
        Room in bytes.
    """
    raw = text.replace("\0", " ").encode("utf-8")
    return raw if len(raw) <= size else raw[:size].decode("utf-8", errors="ignore").encode("utf-8")


def make_row(table: Table, **values: object) -> npt.NDArray[np.void]:
    """Return one row of `table`, shape (1,), from values by column name.

    Columns that are not named are zero or empty; numbers of type float that are
    not named are NaN, so that a missing number is never taken for a zero.

    Raises
    ------
    KeyError
        If the table has no such column.
    """
    row = table.empty(1)
    for column in table.columns:
        if column.is_text:
            text = str(values.pop(column.name, ""))
            row[column.name] = encode_text(text, np.dtype(column.dtype).itemsize)
        elif column.name in values:
            row[column.name] = values.pop(column.name)
        elif np.dtype(column.dtype).kind == "f":
            row[column.name] = np.nan
    if values:
        raise KeyError(f"{table.path} has no column '{next(iter(values))}'")
    return row


def decode_text(values: npt.NDArray[np.bytes_]) -> npt.NDArray[np.object_]:
    """Decode a fixed-length text column into an array of str."""
    return np.array([bytes(value).decode("utf-8", errors="replace") for value in values], dtype=object)
