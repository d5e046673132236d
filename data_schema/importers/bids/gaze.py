"""Samples of one or two BIDS recordings as rows of ``/eye/gaze`` and ``/eye/openness``.

The columns of our own export are read back without loss. Of any other dataset the columns that the standard names are read:
``timestamp``, ``x_coordinate``, ``y_coordinate`` and ``pupil_size``, in the units that they state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_schema.errors import DataImportError
from data_schema.importers.bids.reading import BidsDataset, BidsRun
from data_schema.publishing.bids.physio import OPENNESS_COLUMN, PHYSIO_COLUMNS
from data_schema.session.layout import GAZE, OPENNESS

Rows = npt.NDArray[Any]
Float = npt.NDArray[np.float64]

#: Time of the run's clock at 0 in the session file: an arbitrary large number, so that nothing comes before the host's clock.
ORIGIN_US = 1_000_000_000_000
#: The same for the tracker's clock.
DEVICE_ORIGIN_US = 500_000_000_000
_NO_TIME_US = -1

_TIME_UNITS: dict[str, float] = {
    "s": 1e6, "sec": 1e6, "second": 1e6, "seconds": 1e6, "ms": 1e3, "millisecond": 1e3, "milliseconds": 1e3,
    "us": 1.0, "µs": 1.0, "μs": 1.0, "microsecond": 1.0, "microseconds": 1.0, "ns": 1e-3, "nanosecond": 1e-3, "nanoseconds": 1e-3,
}  # fmt: skip
_PIXEL = frozenset({"pixel", "pixels", "px"})
_SHARE = frozenset({"normalized", "normalised", "arbitrary [0-1]", "1", "share"})
_FLAGS = {"gaze_valid": "{eye}_gaze_valid", "pupil_valid": "{eye}_pupil_valid", "eye_valid": "{eye}_origin_valid"}


@dataclass
class EyeRecording:
    """One recording of a run and what its sidecar says.

    Parameters
    ----------
    label : str
    about : dict
        The sidecar, inherited parts included.
    eyes : tuple of str
        Eyes of the session that it fills: both for a cyclopean signal.
    """

    label: str
    about: dict[str, Any]
    eyes: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [str(name) for name in self.about.get("Columns", ())]

    def unit(self, column: str) -> str:
        """Return the unit of a column in small letters; empty if it states none."""
        note = self.about.get(column)
        return str(note.get("Units", "")).strip().lower() if isinstance(note, dict) else ""


@dataclass
class RunGaze:
    """The samples of a run, to be read once.

    Parameters
    ----------
    dataset : BidsDataset
    run : BidsRun
    resolution : tuple of int
        Of the screen, pixels.
    notes : list of str
        What a person should know; filled while reading.
    """

    dataset: BidsDataset
    run: BidsRun
    resolution: tuple[int, int]
    notes: list[str] = field(default_factory=list)

    def recordings(self) -> list[EyeRecording]:
        """Return the run's recordings, left before right.

        Raises
        ------
        DataImportError
            If a sidecar lacks what the standard requires.
        """
        found = []
        for label, path in self.run.physio.items():
            about = self.dataset.sidecar(path)
            eye = str(about.get("RecordedEye", ""))
            if eye not in ("left", "right", "cyclopean"):
                raise DataImportError(
                    f"{path.name}: RecordedEye is '{eye}'; the standard asks for left, right or cyclopean."
                )
            system = about.get("SampleCoordinateSystem")
            if system != "gaze-on-screen":
                raise DataImportError(
                    f"{path.name}: its coordinates are '{system}'; only gaze-on-screen can be imported."
                )
            one = EyeRecording(label, about, ("left", "right") if eye == "cyclopean" else (eye,))
            missing = {"timestamp", "x_coordinate", "y_coordinate"} - set(one.columns)
            if missing:
                raise DataImportError(f"{path.name}: its sidecar names no column {', '.join(sorted(missing))}.")
            found.append(one)
        both = [one for one in found if len(one.eyes) == 2]
        if both and len(found) > len(both):
            self.notes.append("a cyclopean recording was left out: each eye has one of its own")
            found = [one for one in found if len(one.eyes) == 1]
        return sorted(found, key=lambda one: one.eyes)

    def chunks(self) -> Iterator[tuple[Rows, Rows | None]]:
        """Read the samples.

        Yields
        ------
        gaze : ndarray, dtype of ``/eye/gaze``
        openness : ndarray, dtype of ``/eye/openness``, or None
            Where a recording has that column.
        """
        recordings = self.recordings()
        streams = [self.dataset.samples(self.run.physio[one.label], one.columns) for one in recordings]
        clocks: list[_Clock | None] = [None] * len(recordings)
        while True:
            parts = [next(stream, None) for stream in streams]
            held = [(one, part) for one, part in zip(recordings, parts, strict=True) if part is not None]
            if not held:
                return
            for place, part in enumerate(parts):
                if part is not None and clocks[place] is None:
                    clocks[place] = _Clock.of(recordings[place], part)
            times = [
                clock.us(part)
                for clock, part in zip(clocks, parts, strict=True)
                if clock is not None and part is not None
            ]
            if len(held) < len(recordings) or any(not np.array_equal(times[0], other) for other in times[1:]):
                raise DataImportError(
                    f"{self.run.stem}: its recordings were not sampled at the same times, so that they are no pair of eyes of "
                    "one tracker. Remove one of them and import again."
                )
            yield self._rows(held, times[0])

    def _rows(
        self, held: list[tuple[EyeRecording, pd.DataFrame]], t_us: npt.NDArray[np.int64]
    ) -> tuple[Rows, Rows | None]:
        gaze = GAZE.empty(len(t_us))
        for column in GAZE.columns:
            if column.dtype == "<f4":
                gaze[column.name] = np.nan
        gaze["t_system_us"] = gaze["t_received_us"] = t_us
        gaze["t_device_us"] = _device_us(held[0][1], t_us)
        openness = None
        for one, part in held:
            for eye in one.eyes:
                self._fill(gaze, one, part, eye)
                if OPENNESS_COLUMN.name in part:
                    if openness is None:
                        openness = OPENNESS.empty(len(t_us))
                        for other in ("left", "right"):
                            openness[f"{other}_openness_mm"], openness[f"{other}_valid"] = np.nan, 0
                    values = _numbers(part, OPENNESS_COLUMN.name)
                    openness[f"{eye}_openness_mm"], openness[f"{eye}_valid"] = values, np.isfinite(values)
        if openness is not None:
            for name in ("t_device_us", "t_system_us"):
                openness[name] = gaze[name]
        return gaze, openness

    def _fill(self, gaze: Rows, one: EyeRecording, part: pd.DataFrame, eye: str) -> None:
        for column in PHYSIO_COLUMNS:
            if column.name in ("timestamp", "device_time") or column.name in _FLAGS or column.name not in part:
                continue
            values = _numbers(part, column.name)
            if column.name in ("x_coordinate", "y_coordinate"):
                values = values / self._scale(one, column.name)
            elif column.name == "pupil_size" and one.unit("pupil_size") != "mm":
                self._note("pupil sizes are not in millimetres and were left out")
                continue
            target = gaze[column.source.format(eye=eye)]
            if column.axis >= 0:
                target[:, column.axis] = values
            else:
                target[:] = values
        finite = {
            "gaze_valid": np.isfinite(gaze[f"{eye}_gaze_norm"]).all(axis=1),
            "pupil_valid": np.isfinite(gaze[f"{eye}_pupil_mm"]),
            "eye_valid": np.isfinite(gaze[f"{eye}_origin_user_mm"]).all(axis=1),
        }
        for name, source in _FLAGS.items():
            gaze[source.format(eye=eye)] = _numbers(part, name) == 1 if name in part else finite[name]

    def _scale(self, one: EyeRecording, column: str) -> float:
        unit = one.unit(column)
        if unit in _PIXEL:
            return float(self.resolution[0 if column.startswith("x") else 1])
        if unit in _SHARE:
            return 1.0
        raise DataImportError(
            f"{self.run.stem}: the unit of {column} is '{unit}'; pixel or a share of the screen (normalized) can be imported."
        )

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


@dataclass(frozen=True)
class _Clock:
    """How stamps of a recording become microseconds of the run's clock."""

    first: float
    start_us: float
    unit_us: float

    @classmethod
    def of(cls, one: EyeRecording, part: pd.DataFrame) -> _Clock:
        stamps = _numbers(part, "timestamp")
        unit = one.unit("timestamp")
        rate = float(one.about.get("SamplingFrequency") or 0)
        scale = _TIME_UNITS.get(unit)
        if scale is None:
            scale = _guessed_unit(stamps, rate)
        start = one.about.get("StartTime", 0)
        return cls(float(stamps[0]), float(start or 0) * 1e6, scale)

    def us(self, part: pd.DataFrame) -> npt.NDArray[np.int64]:
        """Return the times of rows in the session file."""
        since = (_numbers(part, "timestamp") - self.first) * self.unit_us
        times: npt.NDArray[np.int64] = np.round(since + self.start_us).astype(np.int64) + ORIGIN_US
        return times


def _guessed_unit(stamps: Float, rate_hz: float) -> float:
    """Choose the unit with which the stamps fit the sampling frequency."""
    steps = np.diff(stamps)
    step = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    if rate_hz > 0 and step > 0:
        for scale in (1e6, 1e3, 1.0, 1e-3):
            if 0.5 < step * scale * rate_hz / 1e6 < 2.0:
                return scale
    raise DataImportError(
        'the column timestamp states no unit, and none fits SamplingFrequency. Add "Units" to its description in the sidecar.'
    )


def _numbers(part: pd.DataFrame, column: str) -> Float:
    values: Float = pd.to_numeric(part[column], errors="coerce").to_numpy(dtype=np.float64)
    return values


def _device_us(part: pd.DataFrame, t_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    if "device_time" not in part:
        return t_us - ORIGIN_US + DEVICE_ORIGIN_US
    own = _numbers(part, "device_time")
    known = np.isfinite(own)
    stamps: npt.NDArray[np.int64] = np.where(known, np.where(known, own, 0), _NO_TIME_US).astype(np.int64)
    return np.where(stamps == _NO_TIME_US, _NO_TIME_US, stamps + DEVICE_ORIGIN_US)


def screen_of(events_sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of ``[screen]`` that a sidecar of events states."""
    about = events_sidecar.get("StimulusPresentation")
    about = about if isinstance(about, dict) else {}
    fields: dict[str, Any] = {}
    size, resolution, distance = (about.get(name) for name in ("ScreenSize", "ScreenResolution", "ScreenDistance"))
    if isinstance(resolution, list) and len(resolution) == 2:
        fields |= {"width_px": int(resolution[0]), "height_px": int(resolution[1])}
    if isinstance(size, list) and len(size) == 2:
        fields |= {"width_mm": round(float(size[0]) * 1000, 3), "height_mm": round(float(size[1]) * 1000, 3)}
    if isinstance(distance, list) and distance:
        distance = distance[-1]
    if isinstance(distance, (int, float)):
        fields["distance_mm"] = round(float(distance) * 1000, 3)
    if isinstance(about.get("ScreenRefreshRate"), (int, float)):
        fields["refresh_hz"] = float(about["ScreenRefreshRate"])
    return fields
