"""Read a session file: lazily, by trial or by time, also while it is being written."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import numpy.typing as npt

from data_schema.errors import SessionFileError, SessionVersionError
from data_schema.files import file_sha256 as file_sha256
from data_schema.session import markers
from data_schema.session.attributes import read_text
from data_schema.session.layout import (
    FORMAT_NAME,
    FORMAT_VERSION,
    FRAMES,
    MARKERS,
    PACKETS,
    PRESENTATIONS,
    SECOND_FRAMES,
    SECOND_PACKETS,
    TABLE_BY_PATH,
    Blob,
    Table,
    decode_text,
)
from data_schema.session.lock import is_locked
from data_schema.session.table_view import TableView as TableView
from data_schema.session.unclean import open_unclean
from data_schema.session.video import SessionVideo, VideoStream
from data_schema.study.config import StudyConfig, config_from_json
from data_schema.study.folder import parse_session_name

if TYPE_CHECKING:
    pass

Rows = npt.NDArray[np.void]


@dataclass(frozen=True)
class Trial:
    """One stimulus that was shown. Times are host microseconds."""

    trial_id: int
    stimulus_id: str
    target_emotion: str
    t_onset_us: int
    t_offset_us: int
    completed: bool

    @property
    def duration_s(self) -> float:
        """Seconds between the first and the last flip."""
        return (self.t_offset_us - self.t_onset_us) / 1e6


class Session:
    """One open session file. Close it, or use it in a ``with`` block."""

    def __init__(self, path: Path, file: h5py.File, view: io.RawIOBase | None = None) -> None:
        self.path = path
        self.file = file
        self._view = view

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        if self._view is not None:
            self._view.close()

    @property
    def format_version(self) -> tuple[int, int]:
        """Version of the format that the file was written in."""
        return _format_version(self.path, self.file)

    @property
    def participant(self) -> str:
        """Pseudonym of the participant."""
        return read_text(self.file, "participant")

    @property
    def session(self) -> str:
        """Name of the session."""
        return read_text(self.file, "session")

    @property
    def run(self) -> int:
        """Number of the run, from the file's name: 1, unless the session was resumed."""
        named = parse_session_name(self.path)
        return named.run if named is not None else 1

    @cached_property
    def continues_run(self) -> int:
        """The run after which this file goes on; 0 if it is the session's first."""
        rows = self.table(MARKERS)[:]
        rows = rows[rows["kind"] == markers.CONTINUES_RUN.encode()]
        return int(rows["value"][-1]) if len(rows) and np.isfinite(rows["value"][-1]) else 0

    @property
    def simulated(self) -> bool:
        """True if any device was simulated or replayed."""
        return bool(self.file.attrs["simulated"])

    @property
    def created_utc(self) -> str:
        """When the file was made, ISO 8601."""
        return read_text(self.file, "created_utc")

    @property
    def devices(self) -> list[dict[str, Any]]:
        """What each device said of itself."""
        return list(json.loads(self._study_text("devices_json")))

    @property
    def pictures_withheld(self) -> bool:
        """True if the recording was imported from a dataset that holds its faces back: no camera failed."""
        cameras = [device for device in self.devices if device.get("role") == "camera"]
        return any(dict(device.get("details") or {}).get("withheld") is True for device in cameras)

    @property
    def seeds(self) -> dict[str, Any]:
        """Every seed that was used."""
        return dict(json.loads(self._study_text("seeds_json")))

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the software that recorded."""
        return dict(json.loads(self._study_text("versions_json")))

    def config(self) -> StudyConfig:
        """Return the study configuration of the recording."""
        return config_from_json(self.config_json)

    @property
    def config_json(self) -> str:
        """The resolved study configuration, as stored."""
        return self._study_text("config_json")

    def _study_text(self, name: str) -> str:
        try:
            return read_text(self.file["study"], name)
        except (KeyError, OSError, RuntimeError) as error:
            raise SessionFileError(
                self.path,
                f"the attribute '{name}' cannot be read: {error}. If `emer repair` says the same, the file is too "
                f"damaged: copy it again from the recording PC.",
                "/study",
            ) from error

    @cached_property
    def status(self) -> str:
        """``complete``, ``aborted``, ``repaired``, ``interrupted`` or ``recording``."""
        kinds = set(self.table(MARKERS.path).column("kind"))
        if markers.REPAIRED in kinds:
            return "repaired"
        if markers.RECORDING_CLOSED in kinds:
            return "aborted" if markers.RECORDING_ABORTED in kinds else "complete"
        return "recording" if is_locked(self.path) else "interrupted"

    @cached_property
    def sha256(self) -> str:
        """Hash of the whole file."""
        return file_sha256(self.path)

    def table(self, path: str | Table) -> TableView:
        """Return a table by its path; an older file's missing table is empty."""
        table = path if isinstance(path, Table) else TABLE_BY_PATH.get(path)
        if table is None:
            raise SessionFileError(self.path, f"the layout has no table {path}", str(path))
        try:
            dataset = self.file.get(table.path)
        except (OSError, RuntimeError, KeyError) as error:
            raise SessionFileError(self.path, f"cannot be read: {error}", table.path) from error
        ordered = table is MARKERS or table.path not in self._unordered_tables
        return TableView(self.path, table, dataset if isinstance(dataset, h5py.Dataset) else None, ordered)

    @cached_property
    def _unordered_tables(self) -> set[str]:
        try:
            rows = self.table(MARKERS)[:]
        except SessionFileError:
            return set()
        return set(decode_text(rows["message"][rows["kind"] == markers.TIME_WENT_BACK.encode()]))

    def trials(self) -> list[Trial]:
        """Return the trials in the order in which they were shown, without practice trials."""
        rows = self.table(PRESENTATIONS)[:]
        rows = rows[rows["trial_id"] > 0]
        stimuli, targets = decode_text(rows["stimulus_id"]), decode_text(rows["target_emotion"])
        return [
            Trial(
                int(row["trial_id"]),
                str(stimulus),
                str(target),
                int(row["t_onset_us"]),
                int(row["t_offset_us"]),
                bool(row["completed"]),
            )
            for row, stimulus, target in zip(rows, stimuli, targets, strict=True)
        ]

    def begun_trials(self) -> list[int]:
        """Return the trials that began, in order, without practice trials; also those that did not end."""
        rows = self.table(MARKERS)[:]
        begun = rows["trial_id"][rows["kind"] == markers.TRIAL_STARTED.encode()]
        shown = [trial.trial_id for trial in self.trials()]
        return sorted({int(number) for number in begun if number > 0} | set(shown))

    def cut_trials(self) -> dict[int, str]:
        """Return why trials were cut off, by their number: interrupted, skipped, or begun and never ended.

        Recordings without markers of trials (imported ones) have none.
        """
        rows = self.table(MARKERS)[:]
        kinds, numbers = rows["kind"], rows["trial_id"].astype(int)
        begun = set(numbers[kinds == markers.TRIAL_STARTED.encode()].tolist())
        ended = set(numbers[kinds == markers.TRIAL_ENDED.encode()].tolist())
        cut = dict.fromkeys(begun - ended, "the recording ended in it")
        said = decode_text(rows["message"])
        for index in np.flatnonzero(kinds == markers.TRIAL_INTERRUPTED.encode()):
            cut[int(numbers[index])] = str(said[index]) or "it was interrupted"
        for index in np.flatnonzero(kinds == markers.TRIAL_SKIPPED.encode()):
            cut[int(numbers[index])] = "the operator skipped it"
        return {number: reason for number, reason in sorted(cut.items()) if number > 0}

    def held_trials(self) -> dict[int, float]:
        """Return for how many seconds the clips of trials stood still, by their number.

        A participant may ask to stop while a clip plays, and then go on. The question covers the clip, which goes on
        afterwards: what the face shows and the pupil does is then a reaction to the interruption, too. Such a trial
        gives no clip, like one that was cut off; all that was recorded of it stays in the file.
        """
        rows = self.table(MARKERS)[:]
        held: dict[int, float] = {}
        for row in rows[rows["kind"] == markers.CLIP_HELD.encode()]:
            number = int(row["trial_id"])
            held[number] = held.get(number, 0.0) + float(row["value"])
        return {number: seconds for number, seconds in sorted(held.items()) if number > 0}

    @cached_property
    def video(self) -> SessionVideo | None:
        """The face video, or None if there was no camera."""
        return self._video(FRAMES, PACKETS)

    @cached_property
    def second_video(self) -> SessionVideo | None:
        """The video of the second camera, or None if there was none."""
        return self._video(SECOND_FRAMES, SECOND_PACKETS)

    def _video(self, frames: Table, blob: Blob) -> SessionVideo | None:
        packets = self.file.get(blob.path)
        if not isinstance(packets, h5py.Dataset):
            return None
        stream = VideoStream.from_attributes(packets)
        if stream is None:
            return None
        return SessionVideo(self.path, packets, self.table(frames)[:], stream, frames.path, blob.path)


def open_session(path: Path | str, *, salvage: bool = False) -> Session:
    """Open a session file for reading, also while it is written or after a kill.

    Parameters
    ----------
    path : Path
        The session file.
    salvage : bool
        Open a file that was cut short as well, as far as it goes, and take it that
        nobody is writing it. For repair only, which holds the file's lock.

    Raises
    ------
    SessionFileError
        If the file is missing, empty, cut short, or no session file.
    SessionVersionError
        If a newer toolkit wrote it.
    """
    path = Path(path)
    if not path.is_file():
        raise SessionFileError(path, f"there is no such file ({path}). Check the name.")
    if path.stat().st_size == 0:
        raise SessionFileError(path, "the file is empty. Copy it again from the recording PC; nothing can be repaired.")
    try:
        recognised = h5py.is_hdf5(path)
    except OSError as error:
        raise SessionFileError(path, f"cannot be read: {error}. Give yourself the right to read it.") from error
    if not recognised:
        raise SessionFileError(path, "this is no HDF5 file, so no session file. Check the name, or import it first.")
    file, view = _open_hdf5(path, salvage)
    session = Session(path, file, view)
    try:
        _check_identity(path, file)
    except BaseException:
        session.close()
        raise
    return session


def _open_hdf5(path: Path, salvage: bool) -> tuple[h5py.File, io.RawIOBase | None]:
    try:
        return h5py.File(path, "r"), None
    except OSError as plain:
        if not salvage and is_locked(path):
            return _open_growing(path), None
        if "truncated" in str(plain) and not salvage:
            raise SessionFileError(
                path,
                f"the file is cut short ({path.stat().st_size} bytes; more were written). "
                f"Copy it again from the recording PC; if this is the only copy, run `emer repair {path}`",
            ) from plain
        return open_unclean(path)


def _open_growing(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r", libver=("v110", "v110"), swmr=True)
    except (OSError, ValueError) as error:
        raise SessionFileError(path, f"is being recorded and cannot be read yet: {error}. Try again.") from error


def _check_identity(path: Path, file: h5py.File) -> None:
    try:
        name = read_text(file, "format", "")
    except (OSError, RuntimeError) as error:
        raise SessionFileError(path, f"its first bytes cannot be read: {error}. Copy it again.") from error
    if name != FORMAT_NAME:
        raise SessionFileError(
            path, "an HDF5 file, but not a session file of this toolkit (its root lacks format = 'emer-session')."
        )
    version = _format_version(path, file)
    if version[0] > FORMAT_VERSION[0]:
        raise SessionVersionError(
            path,
            f"written in session format {version[0]}.{version[1]}; this toolkit reads up to {FORMAT_VERSION[0]}.x. "
            f"Install a newer emer-toolkit.",
        )


def _format_version(path: Path, file: h5py.File) -> tuple[int, int]:
    text = read_text(file, "format_version", "")
    try:
        major, minor = text.split(".")
        return int(major), int(minor)
    except ValueError:
        raise SessionFileError(path, f"the attribute format_version is '{text}', expected major.minor") from None
