"""Turn rows of an exported table into rows of ``/eye/gaze`` and ``/eye/openness``.

What the file does not say stays NaN: nothing is computed that the other system did not export, except the share of
the display area from pixels (or millimetres) and the screen's size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_schema.errors import DataImportError
from data_schema.importers.dialects import EYES, Columns
from data_schema.importers.screen_size import ScreenMeasure
from data_schema.importers.survey import RecordingSurvey, block_columns, sample_rows
from data_schema.importers.text import Block, Float, Int, TextColumn, TextTable
from data_schema.session.layout import GAZE, OPENNESS

Rows = npt.NDArray[np.void]
Bool = npt.NDArray[np.bool_]

#: A stamp refined by the tracker's own clock may differ from the exported millisecond by its rounding, no more.
_ROUNDING_US = 1000.0
#: How far a gaze point may lie from where the ray from the eye meets the display, mm: both are rounded to 0.1 on each axis.
_ROUNDED_MM = 0.3


def sample_roles(columns: Columns) -> tuple[str, ...]:
    """Return the roles that the conversion reads."""
    unused = (
        "participant_name",
        "recording_name",
        "software_version",
        "event_value",
        "stimulus",
        "media",
        "resolution",
    )
    return tuple(role for role in columns.number if role not in unused and not role.startswith("media"))


@dataclass(frozen=True)
class Screen:
    """Size of the display area: pixels for ``px`` columns, millimetres for ``mm`` columns."""

    width_px: int
    height_px: int
    width_mm: float
    height_mm: float


class SampleConverter:
    """Convert the samples of one recording, block by block.

    Parameters
    ----------
    columns : Columns
    recording : RecordingSurvey
    screen : Screen
    table : TextTable
        For messages.
    """

    def __init__(self, columns: Columns, recording: RecordingSurvey, screen: Screen, table: TextTable) -> None:
        self._columns = columns
        self._recording = recording
        self._screen = screen
        self._table = table
        self._roles = sample_roles(columns)
        self._last_device = float("nan")
        self._last_us = np.iinfo(np.int64).min
        self._pupil_seen = False
        #: Samples left out since the tracker's stamp came twice.
        self.n_duplicates = 0
        #: Eye samples that hold a gaze point although they are marked as invalid.
        self.n_invalid_with_gaze = 0
        #: The screen as gaze in millimetres and as a share of it tell.
        self.measured = ScreenMeasure()

    def rows(self, block: Block, start: int, stop: int) -> tuple[Rows, Rows]:
        """Return gaze and openness rows of the samples between two rows of a block; both may be empty."""
        values, words = block_columns(self._columns, block, self._roles)
        part = slice(start, stop)
        values = {role: column[part] for role, column in values.items()}
        words = {role: TextColumn(column.codes[part], column.values) for role, column in words.items()}
        keep = self._kept(values, sample_rows(values, words, stop - start))
        values = {role: column[keep] for role, column in values.items()}
        words = {role: TextColumn(column.codes[keep], column.values) for role, column in words.items()}
        t_us, device_us = self._stamps(values)
        rows = GAZE.empty(len(keep))
        rows["t_system_us"] = rows["t_received_us"] = t_us
        rows["t_device_us"] = device_us
        for eye in EYES:
            if self._columns.dialect.name == "sdk":
                self._fill_sdk_eye(rows, eye, values, words, block.first_row + start)
            else:
                self._fill_eye(rows, eye, values, words)
            seen = rows[rows[f"{eye}_gaze_valid"] == 1]
            self.measured.add(
                seen[f"{eye}_gaze_norm"].astype(np.float64), seen[f"{eye}_gaze_user_mm"].astype(np.float64)
            )
        return rows, self._openness(values, t_us, device_us)

    # ------------------------------------------------------------------ which rows, when

    def _kept(self, values: dict[str, Float], samples: Bool) -> npt.NDArray[np.intp]:
        """Return the samples' rows without those whose device stamp is that of the sample before."""
        rows = np.flatnonzero(samples)
        if "device_time" not in values or not len(rows):
            return rows
        device = values["device_time"][rows]
        twice = np.diff(device, prepend=self._last_device) == 0
        self._last_device = float(device[-1])
        self.n_duplicates += int(twice.sum())
        return np.asarray(rows[~twice])

    def _stamps(self, values: dict[str, Float]) -> tuple[Int, Int]:
        recording = self._recording
        t_us = values["time"] * recording.unit_us
        device = values.get("device_time")
        if device is not None and recording.unit_us > 1.0:
            offset, slope = recording.device_line
            refined = offset + slope * (device - recording.device_first)
            t_us = np.where(np.isfinite(refined), np.clip(refined, t_us - _ROUNDING_US, t_us + _ROUNDING_US), t_us)
        stamps = np.round(t_us).astype(np.int64) + recording.computer_offset_us
        if len(stamps):
            # The limits above may cross by a fraction of a millisecond; time itself does not go back.
            stamps = np.maximum.accumulate(np.maximum(stamps, self._last_us))
            self._last_us = int(stamps[-1])
        if device is None:
            return stamps, stamps
        return stamps, np.where(np.isfinite(device), device, stamps).astype(np.int64)

    # ------------------------------------------------------------------ eyes

    def _fill_eye(self, rows: Rows, eye: str, values: dict[str, Float], words: dict[str, TextColumn]) -> None:
        n = len(rows)
        norm = self._gaze_norm(eye, values, n)
        seen: Bool = np.asarray(np.isfinite(norm).all(axis=1))
        valid: Bool = seen
        if f"{eye}_validity" in words:
            codes = self._columns.dialect.valid_codes
            marked = words[f"{eye}_validity"].equals(lambda text: text.lower().removesuffix(".0") in codes)
            self.n_invalid_with_gaze += int(np.count_nonzero(seen & ~marked & (norm >= 0).all(axis=1)))
            valid = np.asarray(seen & marked)
            usable = marked
        else:
            usable = np.ones(n, dtype=np.bool_)
        gaze_mm = _vectors(values, f"{eye}_mm", n)
        if self._columns.dialect.name in ("prolab", "studio") and np.isfinite(gaze_mm[:, :2]).any():
            # On the display area itself: its plane is z = 0 by definition.
            gaze_mm[:, 2] = np.where(np.isfinite(gaze_mm[:, :2]).all(axis=1), 0.0, np.nan)
        eye_mm = _vectors(values, f"{eye}_eye", n)
        gaze_mm = _along_direction(gaze_mm, eye_mm, _vectors(values, f"{eye}_direction", n))
        pupil = values.get(f"{eye}_pupil", np.full(n, np.nan))
        has_eye = usable & np.isfinite(eye_mm).all(axis=1)
        has_pupil = usable & (np.nan_to_num(pupil, nan=-1.0) > 0)
        rows[f"{eye}_gaze_norm"] = np.where(valid[:, None], norm, np.nan)
        rows[f"{eye}_gaze_user_mm"] = np.where(valid[:, None], gaze_mm, np.nan)
        rows[f"{eye}_origin_user_mm"] = np.where(has_eye[:, None], eye_mm, np.nan)
        rows[f"{eye}_pupil_mm"] = np.where(has_pupil, pupil, np.nan)
        rows[f"{eye}_gaze_valid"] = valid
        rows[f"{eye}_origin_valid"] = has_eye
        rows[f"{eye}_pupil_valid"] = has_pupil

    def _gaze_norm(self, eye: str, values: dict[str, Float], n: int) -> Float:
        """Return gaze as share of the display area, shape (n, 2)."""
        screen = self._screen
        for role, size in (
            ("norm", (1.0, 1.0)),
            ("px", (float(screen.width_px), float(screen.height_px))),
            ("mm", (screen.width_mm, screen.height_mm)),
        ):
            x, y = values.get(f"{eye}_{role}_x"), values.get(f"{eye}_{role}_y")
            if x is not None and y is not None:
                return np.column_stack([x / size[0], y / size[1]])
        return np.full((n, 2), np.nan)

    def _fill_sdk_eye(
        self, rows: Rows, eye: str, values: dict[str, Float], words: dict[str, TextColumn], first_row: int
    ) -> None:
        n = len(rows)
        for role, column, size in (("norm", "gaze_norm", 2), ("mm", "gaze_user_mm", 3), ("eye", "origin_user_mm", 3)):
            packed = words.get(f"{eye}_{role}_tuple")
            if packed is not None:
                rows[f"{eye}_{column}"] = self._unpacked(packed, size, f"{eye}_{role}_tuple", first_row)
            else:
                rows[f"{eye}_{column}"] = _vectors(values, f"{eye}_{role}", n)[:, :size]
        rows[f"{eye}_pupil_mm"] = values.get(f"{eye}_pupil", np.full(n, np.nan))
        for role, column in (
            ("gaze_valid", "gaze_valid"),
            ("pupil_valid", "pupil_valid"),
            ("origin_valid", "origin_valid"),
        ):
            said = values.get(f"{eye}_{role}")
            if said is None:
                numbers = {"pupil_valid": "pupil_mm", "origin_valid": "origin_user_mm"}[role]
                there = np.isfinite(rows[f"{eye}_{numbers}"])
                rows[f"{eye}_{column}"] = there.all(axis=1) if there.ndim > 1 else there
            else:
                rows[f"{eye}_{column}"] = np.nan_to_num(said, nan=0.0) == 1

    def _unpacked(self, column: TextColumn, size: int, role: str, first_row: int) -> Float:
        """Return the numbers of cells such as '(0.1, 0.2)', shape (n, size)."""
        values = np.full((len(column.values) + 1, size), np.nan)
        if column.values:
            text = pc.replace_substring_regex(pa.array(column.values), r"np\.float\d*\(([^)]*)\)", r"\1")
            parts = pc.split_pattern(pc.utf8_trim(text, "()[]{} "), ",")
            lengths = pc.list_value_length(parts).to_numpy(zero_copy_only=False)
            try:
                numbers = pc.cast(pc.utf8_trim_whitespace(pc.list_flatten(parts)), pa.float64())
            except pa.ArrowInvalid:
                numbers = None
            if numbers is None or not np.all(lengths == size):
                bad = next((v for v in column.values if not _is_tuple(v, size)), column.values[0])
                line = self._table.line_of(first_row + int(np.flatnonzero(column.codes == column.values.index(bad))[0]))
                name = self._table.header[self._columns.number[role]]
                raise DataImportError(
                    f"{self._table.path.name}: near line {line}, column '{name}': '{bad[:40]}' is no tuple of {size} numbers, "
                    "such as (0.1, 0.2). Write the SDK's dictionaries as they are."
                )
            values[:-1] = numbers.to_numpy(zero_copy_only=False).reshape(-1, size)
        return np.asarray(values[column.codes])

    # ------------------------------------------------------------------ openness

    def _openness(self, values: dict[str, Float], t_us: Int, device_us: Int) -> Rows:
        if not any(f"{eye}_openness" in values for eye in EYES):
            return OPENNESS.empty(0)
        rows = openness_rows(values, len(t_us))
        rows["t_system_us"], rows["t_device_us"] = t_us, device_us
        return rows


def openness_rows(values: dict[str, Float], n_rows: int) -> Rows:
    """Return rows of ``/eye/openness`` without their times."""
    rows = OPENNESS.empty(n_rows)
    for eye in EYES:
        openness = values.get(f"{eye}_openness", np.full(n_rows, np.nan))
        said = values.get(f"{eye}_openness_valid")
        rows[f"{eye}_openness_mm"] = openness
        rows[f"{eye}_valid"] = np.isfinite(openness) if said is None else np.nan_to_num(said, nan=0.0) == 1
    return rows


def _along_direction(gaze_mm: Float, eye_mm: Float, direction: Float) -> Float:
    """Give gaze points on the display the digits that the direction of gaze has and they have not.

    Pro Lab rounds millimetres to 0.1, which is 0.01 degrees or, over a velocity window of 20 ms, half a degree a second;
    directions have five decimals. Where the ray meets the display next to the exported point it is that point.
    """
    seen = np.isfinite(gaze_mm).all(axis=1) & np.isfinite(eye_mm).all(axis=1) & np.isfinite(direction).all(axis=1)
    seen &= np.nan_to_num(direction[:, 2]) < 0
    refined = gaze_mm.copy()
    reach = -eye_mm[seen, 2] / direction[seen, 2]
    refined[seen] = eye_mm[seen] + reach[:, None] * direction[seen]
    # Both points and positions are rounded: further away than that, the two columns speak of different things.
    near = seen & (np.abs(refined - gaze_mm).max(axis=1) <= _ROUNDED_MM)
    return np.where(near[:, None], refined, gaze_mm)


def _vectors(values: dict[str, Float], role: str, n: int) -> Float:
    missing = np.full(n, np.nan)
    return np.column_stack([values.get(f"{role}_{axis}", missing) for axis in "xyz"])


def _is_tuple(text: str, size: int) -> bool:
    parts = text.strip("()[]{} ").split(",")
    try:
        return len([float(part) for part in parts]) == size
    except ValueError:
        return False
