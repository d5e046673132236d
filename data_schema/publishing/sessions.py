"""One recording as others may see it: times from its own origin, no serial numbers, no words, no face beyond consent.

The host's clock counts from the start of the computer, so that times of two recordings would tell that one computer made
both, and when. All times are therefore counted from the recording's origin: its first gaze sample (its first camera frame, or
its first stimulus, where there is no gaze). The tracker's own clock is counted from the same sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data_schema.errors import ExportError, SessionFileError
from data_schema.publishing.consent import FACE_LEVELS
from data_schema.publishing.free_text import published_message
from data_schema.session.layout import (
    CALIBRATION_ATTEMPTS,
    CALIBRATION_POINTS,
    CALIBRATION_TARGETS,
    FLIPS,
    FRAMES,
    GAZE,
    LUMINANCE,
    MARKERS,
    OPENNESS,
    PRESENTATIONS,
    RESPONSES,
    TABLE_BY_PATH,
    TIME_SYNC,
    USER_POSITION,
    VALIDATION_POINTS,
    Table,
    encode_text,
)
from data_schema.session.markers import MARKER_KINDS
from data_schema.session.reader import Session, open_session
from data_schema.session.screen import recorded_screen
from data_schema.signals.gaze import ScreenGeometry, sample_interval_us

if TYPE_CHECKING:
    import pandas as pd

Rows = npt.NDArray[np.void]

#: Tables of a session that can be published, and the columns of each that are left out.
PUBLISHED_TABLES: dict[str, tuple[str, ...]] = {
    GAZE.path: (),
    OPENNESS.path: (),
    USER_POSITION.path: (),
    TIME_SYNC.path: (),
    # Where packets lie in our file, and the encoder's clock, mean nothing outside it.
    FRAMES.path: ("t_device_us", "pts", "packet_offset", "packet_size"),
    PRESENTATIONS.path: (),
    FLIPS.path: (),
    LUMINANCE.path: (),
    RESPONSES.path: ("text",),
    CALIBRATION_ATTEMPTS.path: ("blob_offset", "blob_size", "note"),
    CALIBRATION_TARGETS.path: (),
    CALIBRATION_POINTS.path: (),
    VALIDATION_POINTS.path: (),
    MARKERS.path: (),
}
#: What presents stimuli and records where nothing else is named.
RECORDER = "EMER toolkit"
#: A time that was never measured, in tables and gaze rows.
NO_TIME_US = -1
_DEVICE = "t_device_us"
#: A time inside a stimulus: no clock of this machine.
_OTHER_TIMES = ("clip_time_us",)


@dataclass(frozen=True)
class PublishedDevice:
    """A device as others may know it: its model and rate, no serial number, name or address.

    Parameters
    ----------
    name : str
        Manufacturer's model; the kind (such as 'simulated') where the file says no model.
    rate_hz : float
        Measured rate of its stream; NaN if it delivered nothing.
    """

    name: str
    rate_hz: float


@dataclass(frozen=True)
class PublishedRecording:
    """One recorded file under its published name.

    Parameters
    ----------
    participant, session : str
        Published codes.
    run : int
    faces : str
        What may leave of the face: video, blurred, landmarks, features or none.
    acquired : date or None
        Shifted day of recording; None where dates are dropped.
    simulated : bool
    clip_ids : dict of str to str
        The study's names of this file's clips by their published names. Never to be written into an export.
    """

    participant: str
    session: str
    run: int
    faces: str
    acquired: date | None
    simulated: bool
    clip_ids: dict[str, str]
    _path: Path
    _stimuli: frozenset[str]
    _free_text: bool
    _faces: Callable[[], dict[str, Rows]]

    @property
    def name(self) -> str:
        """Name in the manner of BIDS: sub-K7QD2_ses-01, with _run-02 and so on for the later runs of a session."""
        run = f"_run-{self.run:02d}" if self.run > 1 else ""
        return f"sub-{self.participant}_ses-{self.session}{run}"

    @contextmanager
    def open(self) -> Iterator[PublishedSession]:
        """Open the recording for reading.

        Raises
        ------
        SessionFileError
            If the file cannot be read.
        """
        with open_session(self._path) as session:
            yield PublishedSession(session, self)


class PublishedSession:
    """What may be read of an open recording.

    Parameters
    ----------
    session : Session
        The study's own file.
    recording : PublishedRecording
        What may leave of it, and under which name.
    """

    def __init__(self, session: Session, recording: PublishedRecording) -> None:
        self._session = session
        self._recording = recording
        self._stimuli = recording._stimuli
        self._free_text = recording._free_text
        self.faces = recording.faces
        self.screen: ScreenGeometry = recorded_screen(session)
        self.refresh_hz = float(session.config().screen.refresh_hz)
        self._origin_us = origin_us(session)
        self._device_origin_us = _device_origin_us(session)
        gaze_us = session.table(GAZE)[:20_000]["t_system_us"].astype(np.int64)
        self.tracker = PublishedDevice(_model(session, "eye_tracker"), _rate_hz(gaze_us))
        frames_us = session.table(FRAMES)[:]["t_capture_us"].astype(np.int64)
        #: Software that showed the stimuli, and its version; empty where nobody knows it.
        self.presented_by = presented_by(session)
        self.camera = PublishedDevice(_model(session, "camera"), _rate_hz(frames_us)) if len(frames_us) else None

    def n_rows(self, table: Table | str) -> int:
        """Return the number of rows of a table."""
        return len(self._session.table(table))

    def gaze(self, chunk_rows: int = 100_000) -> Iterator[Rows]:
        """Read gaze samples in chunks.

        Yields
        ------
        ndarray, dtype of ``/eye/gaze``, shape (n,)
            Times in microseconds since the recording's origin, ``t_device_us`` since the tracker's stamp at that sample; -1
            where there was none.
        """
        yield from self.rows(GAZE, chunk_rows)

    def rows(self, table: Table, chunk_rows: int = 100_000) -> Iterator[Rows]:
        """Read a table in chunks, times shifted as in :meth:`gaze`, texts of people empty; all columns are there.

        Raises
        ------
        ExportError
            If the table is none that can be published.
        """
        self._refuse(table.path)
        view = self._session.table(table)
        for start in range(0, len(view), chunk_rows):
            yield self._without_words(table, self._shifted(table, view[start : start + chunk_rows]))

    def table(self, path: Table | str) -> pd.DataFrame:
        """Return a whole table without the columns that stay in the study.

        Parameters
        ----------
        path : Table or str
            One of :data:`PUBLISHED_TABLES`.

        Returns
        -------
        DataFrame
            Text decoded; a column of two or three numbers becomes ``name_x, name_y, name_z``. Times in microseconds since
            the recording's origin, -1 where there was none. Messages of markers are empty unless the software alone can
            have written them.

        Raises
        ------
        ExportError
            If the table is none that can be published.
        """
        table = path if isinstance(path, Table) else TABLE_BY_PATH[path]
        chunks = list(self.rows(table))
        rows = np.concatenate(chunks) if chunks else table.empty(0)
        frame = self._session.table(table).frame(rows)
        kept: pd.DataFrame = frame.drop(columns=[name for name in self._left_out(table.path) if name in frame.columns])
        return kept

    @property
    def video_start_us(self) -> int | None:
        """Time of the first camera frame since the recording's origin; the published video begins with it."""
        video = self._session.video
        if video is None or not len(video):
            return None
        return int(video.frame_times_us[0]) - self._origin_us

    @property
    def frame_times_us(self) -> npt.NDArray[np.int64]:
        """Times of the camera frames since the recording's origin, shape (n_frames,)."""
        video = self._session.video
        times = video.frame_times_us if video is not None else np.zeros(0, dtype=np.int64)
        return times - self._origin_us

    def landmarks(self) -> pd.DataFrame:
        """Return the landmarks of the face in the analysed camera frames of all clips.

        Returns
        -------
        DataFrame
            ``data_schema.publishing.derived_views.LANDMARK_COLUMNS``, sorted by clip and time.

        Raises
        ------
        ExportError
            If no landmarks may leave.
        """
        from data_schema.publishing.derived_views import landmark_table

        if FACE_LEVELS.index(self.faces) < FACE_LEVELS.index("landmarks"):
            raise ExportError(self._beyond("landmarks of the face"))
        names = {own: name for name, own in self._recording.clip_ids.items()}
        return landmark_table(self._recording._faces(), names, self._origin_us)

    def write_face_video(self, path: Path) -> None:
        """Write the face video, as it is or with the head covered, whichever the participant agreed to.

        Raises
        ------
        ExportError
            If no video may leave, or there is none.
        """
        from data_schema.publishing.face_video import write_covered

        if self.faces not in ("video", "blurred"):
            raise ExportError(self._beyond("the face video"))
        video = self._session.video
        if video is None or not len(video):
            raise ExportError(f"{self._recording.name}: there is no face video. Ask for n_rows('/face/frames') first.")
        try:
            if self.faces == "video":
                video.remux(path)
            else:
                write_covered(video, list(self._recording._faces().values()), path)
        except SessionFileError as error:
            raise ExportError(f"the face video cannot be written: {error}") from error

    def _beyond(self, what: str) -> str:
        return (
            f"{self._recording.name}: {what} may not leave the study: consent and [publish] faces allow at most "
            f"'{self.faces}'. Publish less of the face."
        )

    def _refuse(self, path: str) -> None:
        if path not in PUBLISHED_TABLES:
            raise ExportError(
                f"{path}: stays in the study. Tables that can be published: {', '.join(sorted(PUBLISHED_TABLES))}."
            )

    def _left_out(self, path: str) -> tuple[str, ...]:
        return () if self._free_text and path == RESPONSES.path else PUBLISHED_TABLES[path]

    def _shifted(self, table: Table, rows: Rows) -> Rows:
        rows = rows.copy()
        for column in table.columns:
            name = column.name
            if not (name.startswith("t_") and name.endswith("_us")) or name in _OTHER_TIMES:
                continue
            origin = self._device_origin_us if name == _DEVICE else self._origin_us
            rows[name] = rebased(rows[name], origin, signed=name == _DEVICE)
        return rows

    def _without_words(self, table: Table, rows: Rows) -> Rows:
        if table is MARKERS:
            known = np.isin(rows["kind"], [kind.encode() for kind in MARKER_KINDS])
            rows = rows[known]
            if not self._free_text:
                for row in rows:
                    said = published_message(
                        row["kind"].decode(), row["message"].decode("utf-8", "replace"), self._stimuli
                    )
                    row["message"] = encode_text(said, rows.dtype["message"].itemsize)
        elif not self._free_text:
            for name in ("text", "note"):
                if name in (rows.dtype.names or ()):
                    rows[name] = b""
        return rows


def rebased(times_us: npt.NDArray[Any], origin: int, *, signed: bool = False) -> npt.NDArray[np.int64]:
    """Count times from an origin; times that were never measured become :data:`NO_TIME_US`.

    Parameters
    ----------
    times_us : ndarray of int64
        A time that was never measured is 0 or less, where the clock is above 0.
    origin : int
    signed : bool
        True for a clock that may show negative times; only -1 and 0 then mean that there is none.
    """
    times = times_us.astype(np.int64)
    missing = np.isin(times, (-1, 0)) if signed else times <= 0
    moved: npt.NDArray[np.int64] = np.where(missing & (abs(origin) > 1), NO_TIME_US, times - origin)
    return moved


def origin_us(session: Session) -> int:
    """Return the host time from which a recording's published times count.

    A recording that was itself imported from a published dataset keeps the origin that it had there.
    """
    for device in session.devices:
        kept = (device.get("details") or {}).get("published_origin_us")
        if kept is not None:
            return int(kept)
    for table, name in ((GAZE, "t_system_us"), (FRAMES, "t_capture_us"), (PRESENTATIONS, "t_onset_us")):
        view = session.table(table)
        if len(view):
            return int(view[:1][name][0])
    rows = session.table(MARKERS)[:1]
    return int(rows["t_system_us"][0]) if len(rows) else 0


def _device_origin_us(session: Session) -> int:
    for table in (GAZE, OPENNESS, TIME_SYNC):
        view = session.table(table)
        if len(view):
            return int(view[:1][_DEVICE][0])
    return 0


def _rate_hz(times_us: npt.NDArray[np.int64]) -> float:
    """Return the rate while the device delivered: the mean of all intervals that are no holes.

    The median alone is a whole number of microseconds, or of the camera's ticks: who counts samples by it is a second off
    after half an hour.
    """
    median = sample_interval_us(times_us)
    if not median > 0:
        return float("nan")
    steps = np.diff(times_us)
    return 1e6 / float(steps[(steps > 0.5 * median) & (steps < 1.5 * median)].mean())


def presented_by(session: Session) -> tuple[str, str]:
    """Return what showed the stimuli and its version: the toolkit, or what an imported recording names, perhaps nothing."""
    for device in session.devices:
        details = device.get("details") or {}
        if device.get("role") == "eye_tracker" and details.get("imported"):
            return str(details.get("software") or ""), str(details.get("software_version") or "")
    return RECORDER, session.versions.get("emer-toolkit", "")


def _model(session: Session, role: str) -> str:
    for device in session.devices:
        if device.get("role") == role:
            model = str(device.get("model", "") or "")
            # A replay names its file, which somebody may have named after a person.
            kind = str(device.get("kind", "") or "").partition(":")[0]
            return model if model and not any(mark in model for mark in "/\\") else kind
    return ""
