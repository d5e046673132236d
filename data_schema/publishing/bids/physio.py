"""Gaze as BIDS eye tracking: one ``_recording-eyeN_physio.tsv.gz`` and its sidecar an eye.

The columns are declared once, here; the sidecar, the writer and the importer read this declaration. Nothing is rounded or
filtered: screen coordinates are the tracker's 32-bit share of the display area times the resolution, and dividing gives
that number back.

References
----------
BIDS Specification 1.11.1, "Physiological recordings", "Eye-tracking": columns ``timestamp``, ``x_coordinate``,
``y_coordinate`` come first; units of the coordinates are required; one recording an eye.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_schema.publishing.bids.tsv import GzipRows, seconds
from data_schema.session.layout import OPENNESS

Rows = npt.NDArray[Any]

#: Label of the recording and the eye that it holds.
EYES: dict[str, str] = {"eye1": "left", "eye2": "right"}

#: Gaze rows turned into text at once: about 20 MB of text.
CHUNK_ROWS = 65_536


@dataclass(frozen=True)
class PhysioColumn:
    """One column of an eye's file.

    Parameters
    ----------
    name : str
    unit : str
        As BIDS writes it in ``Units``; empty for flags.
    description : str
        ``{eye}`` stands for the eye.
    source : str
        Column of ``/eye/gaze`` that it is read from; ``{eye}`` stands for the eye.
    axis : int
        Component of the source; -1 if it has one only.
    """

    name: str
    unit: str
    description: str
    source: str
    axis: int = -1


_USER = "user coordinates of the tracker: origin at the tracker, x right, y up, z towards the participant"
_VALID = {"0": "not valid", "1": "valid"}

#: The columns of an eye's file, in their order; ``timestamp`` and the coordinates have to come first.
PHYSIO_COLUMNS: tuple[PhysioColumn, ...] = (
    PhysioColumn(
        "timestamp", "s", "Time of the sample on the run's clock, which events and video share.", "t_system_us"
    ),
    PhysioColumn(
        "x_coordinate",
        "pixel",
        "Gaze point of the {eye} eye, to the right of the screen's left edge; beyond the screen if people look there. n/a where "
        "the tracker gave no valid gaze, such as in blinks.",
        "{eye}_gaze_norm",
        0,
    ),
    PhysioColumn(
        "y_coordinate",
        "pixel",
        "Gaze point of the {eye} eye, downwards from the screen's upper edge. n/a as x_coordinate.",
        "{eye}_gaze_norm",
        1,
    ),
    PhysioColumn(
        "pupil_size", "mm", "Pupil diameter of the {eye} eye; n/a where the tracker gave none.", "{eye}_pupil_mm"
    ),
    PhysioColumn("gaze_valid", "", "Whether the tracker holds the gaze point for valid.", "{eye}_gaze_valid"),
    PhysioColumn("pupil_valid", "", "Whether the tracker holds the pupil diameter for valid.", "{eye}_pupil_valid"),
    PhysioColumn("gaze_x", "mm", f"Gaze point of the {{eye}} eye in {_USER}.", "{eye}_gaze_user_mm", 0),
    PhysioColumn("gaze_y", "mm", "Gaze point of the {eye} eye, y of the same coordinates.", "{eye}_gaze_user_mm", 1),
    PhysioColumn("gaze_z", "mm", "Gaze point of the {eye} eye, z of the same coordinates.", "{eye}_gaze_user_mm", 2),
    PhysioColumn("eye_x", "mm", f"Position of the {{eye}} eye in {_USER}.", "{eye}_origin_user_mm", 0),
    PhysioColumn("eye_y", "mm", "Position of the {eye} eye, y of the same coordinates.", "{eye}_origin_user_mm", 1),
    PhysioColumn("eye_z", "mm", "Position of the {eye} eye, z of the same coordinates.", "{eye}_origin_user_mm", 2),
    PhysioColumn("eye_valid", "", "Whether the tracker holds the eye's position for valid.", "{eye}_origin_valid"),
    PhysioColumn(
        "device_time", "us", "The tracker's own clock, moved so that no date can be read off it.", "t_device_us"
    ),
)
#: One more column where the tracker measured how far the eye is open.
OPENNESS_COLUMN = PhysioColumn(
    "openness", "mm", "Openness of the {eye} eye: diameter of the largest sphere between the lids.", "{eye}_openness_mm"
)

_NOTHING: tuple[float, int] = (0.0, 0)
_FLAGS = frozenset({"gaze_valid", "pupil_valid", "eye_valid"})


def eye_columns(rows: Rows, eye: str, resolution: tuple[int, int], openness: Rows | None) -> list[Any]:
    """Return the columns of one eye.

    Parameters
    ----------
    rows : structured ndarray, shape (n,)
        Rows of ``/eye/gaze``, times in microseconds of the run's clock.
    eye : str
        ``left`` or ``right``.
    resolution : tuple of int
        Width and height of the screen in pixels.
    openness : structured ndarray, shape (n,), optional
        Rows of ``/eye/openness`` at the samples; None if the tracker gives none.

    Returns
    -------
    list of columns, each of shape (n,)
        In the order of :data:`PHYSIO_COLUMNS`.
    """
    columns: list[Any] = []
    for column in PHYSIO_COLUMNS:
        if column.name == "timestamp":
            columns.append(seconds(rows["t_system_us"]))
            continue
        values = rows[column.source.format(eye=eye)]
        if column.axis >= 0:
            values = values[:, column.axis]
        if column.name == "x_coordinate":
            values = values.astype(np.float64) * resolution[0]
        elif column.name == "y_coordinate":
            values = values.astype(np.float64) * resolution[1]
        columns.append(np.ascontiguousarray(values))
    if openness is not None:
        valid = openness[f"{eye}_valid"] == 1
        columns.append(np.where(valid, openness[f"{eye}_openness_mm"], np.float32(np.nan)))
    return columns


class OpennessAt:
    """Openness of the eyes at the samples of gaze: rows of both streams with the same device stamp belong together.

    The stream is read as far as the samples need it, and forgotten behind them.

    Parameters
    ----------
    chunks : iterator of structured ndarray
        Rows of ``/eye/openness``, in the order of their arrival.
    """

    def __init__(self, chunks: Iterator[Rows]) -> None:
        self._chunks = chunks
        self._rows = OPENNESS.empty(0)

    def rows(self, gaze: Rows) -> Rows:
        """Return one row of openness for each row of gaze, stamped as that is; not valid where there is none.

        Parameters
        ----------
        gaze : structured ndarray, shape (n,)
            The next rows of ``/eye/gaze``.
        """
        found = OPENNESS.empty(len(gaze))
        for name in ("t_device_us", "t_system_us"):
            found[name] = gaze[name]
        for eye in EYES.values():
            found[f"{eye}_openness_mm"], found[f"{eye}_valid"] = np.nan, 0
        stamps = gaze["t_device_us"]
        self._read_until(int(stamps.max()))
        if len(self._rows):
            order = np.argsort(self._rows["t_device_us"], kind="stable")
            rows = self._rows[order]
            at = np.clip(np.searchsorted(rows["t_device_us"], stamps), 0, len(rows) - 1)
            same = rows["t_device_us"][at] == stamps
            for eye in EYES.values():
                for name in (f"{eye}_openness_mm", f"{eye}_valid"):
                    found[name][same] = rows[name][at[same]]
            self._rows = self._rows[self._rows["t_device_us"] > stamps.max()]
        return found

    def _read_until(self, stamp: int) -> None:
        while not len(self._rows) or int(self._rows["t_device_us"][-1]) < stamp:
            more = next(self._chunks, None)
            if more is None:
                return
            self._rows = np.concatenate((self._rows, more))


@dataclass(frozen=True)
class GazeFacts:
    """What is known of a run's gaze once it is written.

    Parameters
    ----------
    n_samples : int
    first_us, last_us : int
        Times of the first and the last sample.
    valid : dict of str to int
        Samples with valid gaze, by eye.
    distance_m : dict of str to float
        Mean distance of each eye from the tracker, metres; NaN where it was never measured.
    """

    n_samples: int
    first_us: int
    last_us: int
    valid: dict[str, int]
    distance_m: dict[str, float]


def write_eyes(
    chunks: Iterable[Rows],
    paths: Mapping[str, Path],
    resolution: tuple[int, int],
    openness: OpennessAt | None = None,
    each: Callable[[Rows, Rows | None], None] | None = None,
) -> GazeFacts:
    """Write the files of both eyes in one pass over the samples.

    Parameters
    ----------
    chunks : iterable of structured ndarray
        Rows of ``/eye/gaze``, times in microseconds of the run's clock.
    paths : mapping of str to Path
        File of each eye, by ``left`` and ``right``.
    resolution : tuple of int
    openness : OpennessAt, optional
    each : callable, optional
        Also given each chunk, and the openness at its samples.

    Returns
    -------
    GazeFacts
    """
    n, first, last = 0, 0, 0
    valid = dict.fromkeys(paths, 0)
    distance = dict.fromkeys(paths, _NOTHING)
    with ExitStack() as stack:
        files = {eye: stack.enter_context(GzipRows(path)) for eye, path in paths.items()}
        for rows in chunks:
            if not len(rows):
                continue
            if not n:
                first = int(rows["t_system_us"][0])
            last = int(rows["t_system_us"][-1])
            n += len(rows)
            opened = openness.rows(rows) if openness is not None else None
            for eye, file in files.items():
                file.write(eye_columns(rows, eye, resolution, opened))
                valid[eye] += int(np.count_nonzero(rows[f"{eye}_gaze_valid"] == 1))
                total, measured = distance[eye]
                placed = rows[f"{eye}_origin_user_mm"][rows[f"{eye}_origin_valid"] == 1].astype(np.float64)
                distance[eye] = (total + float(np.linalg.norm(placed, axis=1).sum()), measured + len(placed))
            if each is not None:
                each(rows, opened)
    means = {eye: total / measured / 1000.0 if measured else math.nan for eye, (total, measured) in distance.items()}
    return GazeFacts(n, first, last, valid, means)


def column_notes(eye: str, with_openness: bool) -> dict[str, Any]:
    """Return the sidecar's description of each column."""
    declared = (*PHYSIO_COLUMNS, OPENNESS_COLUMN) if with_openness else PHYSIO_COLUMNS
    notes: dict[str, Any] = {"Columns": [column.name for column in declared]}
    for column in declared:
        note: dict[str, Any] = {"Description": column.description.format(eye=eye)}
        if column.unit:
            note["Units"] = column.unit
        if column.name in _FLAGS:
            note["Levels"] = _VALID
        if column.name == "timestamp":
            note["Origin"] = "start of the run"
        notes[column.name] = note
    return notes
