"""Write a session file: append-only, readable while it grows and after a kill.

Nothing is ever overwritten. Everything is created before the first row; then
the file is switched to HDF5's single-writer multiple-reader mode (SWMR), in
which whatever was flushed can be read, also after the process was killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from data_schema.clocks import HostClock, SystemClock
from data_schema.errors import RecordingError, SessionFileError
from data_schema.session import markers
from data_schema.session.buffers import BlobBuffer, Rows, TableBuffer
from data_schema.session.creation import LIBVER, create_datasets, software_versions, write_attributes
from data_schema.session.layout import (
    ANCHORS,
    BLOBS,
    FORMAT_NAME,
    FORMAT_VERSION,
    FRAMES,
    MARKERS,
    PACKETS,
    SECOND_FRAMES,
    SECOND_PACKETS,
    TABLES,
    make_row,
)
from data_schema.session.lock import acquire_lock, release_lock
from data_schema.session.video import VideoStream

#: Frame table and packets of each camera.
_CAMERAS: dict[int, tuple[str, str]] = {
    1: (FRAMES.path, PACKETS.path),
    2: (SECOND_FRAMES.path, SECOND_PACKETS.path),
}
_FRAMES_OF = {packets: frames for frames, packets in _CAMERAS.values()}


class SessionWriter:
    """Append rows, packets and markers to a new session file.

    Make one with :meth:`create`. All methods must be called from one thread.
    Appending only buffers; call :meth:`flush` often, which writes what is due:
    whole chunks of fast tables, everything of slow ones, and anything older than
    the flush interval. What :meth:`flush` returns is on file and survives a kill;
    what :meth:`sync` has seen survives a power cut as far as the disk is honest.
    """

    def __init__(
        self,
        path: Path,
        file: h5py.File,
        lock: Any,
        clock: HostClock,
        flush_interval_s: float,
    ) -> None:
        self.path = path
        self.clock = clock
        self.flush_interval_s = flush_interval_s
        self._file: h5py.File | None = file
        self._lock = lock
        self._tables = {table.path: TableBuffer(table, file[table.path]) for table in TABLES}
        self._blobs = {blob.path: BlobBuffer(file[blob.path]) for blob in BLOBS}
        #: Buffers in which something waits: `flush` is called hundreds of times a second.
        self._waiting: dict[str, TableBuffer] = {}
        self._durable = self._count()
        # A handle of our own for fsync: HDF5's belongs to HDF5's C runtime, which on
        # Windows need not be Python's.
        self._sync_fd = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        participant: str,
        session: str,
        config_json: str = "{}",
        devices: list[dict[str, Any]] | None = None,
        seeds: dict[str, Any] | None = None,
        video: VideoStream | None = None,
        second_video: VideoStream | None = None,
        rates_hz: dict[str, float] | None = None,
        simulated: bool = False,
        clock: HostClock | None = None,
        flush_interval_s: float = 0.5,
        created_utc: str | None = None,
        versions: dict[str, str] | None = None,
    ) -> SessionWriter:
        """Create a session file and make it ready for rows.

        Parameters
        ----------
        path : Path
            Must not exist; its folder is made.
        participant, session : str
            Pseudonym and session name.
        config_json : str
            The resolved study configuration.
        devices : list of dict
            What each device said of itself.
        seeds : dict
            Every seed in use.
        video : VideoStream, optional
            The encoded face video; None if there is no camera.
        second_video : VideoStream, optional
            The encoded video of the second camera.
        rates_hz : dict
            Rows per second by table path; a chunk holds a part of the flush interval.
        simulated : bool
            True if any device is simulated or replayed.
        clock : HostClock, optional
            Stamps the markers; the system's by default.
        flush_interval_s : float
            Longest time that a row waits.
        created_utc : str, optional
            When the recording was made, for a repaired copy; now by default.
        versions : dict, optional
            Software that recorded it, for a repaired copy; this software by default.

        Raises
        ------
        RecordingError
            If the file exists already or cannot be created.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordingError(f"{path.parent}: cannot create the folder: {error}. Check name and rights.") from error
        if path.exists():
            raise RecordingError(
                f"{path.name} exists already, and a recording is never overwritten. "
                f"Choose another session, for example: --session 02"
            )
        lock = acquire_lock(path)
        try:
            file = h5py.File(path, "x", libver=LIBVER)
            try:
                write_attributes(
                    file,
                    {
                        "format": FORMAT_NAME,
                        "format_version": ".".join(str(part) for part in FORMAT_VERSION),
                        "participant": participant,
                        "session": session,
                        "created_utc": created_utc or datetime.now(timezone.utc).isoformat(timespec="microseconds"),
                        "simulated": np.uint8(simulated),
                    },
                    {
                        "config_json": config_json,
                        "versions_json": json.dumps(versions or software_versions(), sort_keys=True),
                        "devices_json": json.dumps(devices or [], sort_keys=True),
                        "seeds_json": json.dumps(seeds or {}, sort_keys=True),
                    },
                )
                create_datasets(file, video, rates_hz or {}, flush_interval_s, second_video)
                file.flush()
                file.swmr_mode = True
                return cls(path, file, lock, clock or SystemClock(), flush_interval_s)
            except BaseException:
                _give_room(path)
                with contextlib.suppress(OSError, RuntimeError):
                    file.close()
                path.unlink(missing_ok=True)
                raise
        except (OSError, RuntimeError, ValueError) as error:
            release_lock(path, lock)
            raise RecordingError(
                f"{path}: cannot create the session file: {_reason(error)}. Check the folder and the disk."
            ) from error
        except BaseException:
            release_lock(path, lock)
            raise

    def __enter__(self) -> SessionWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self.close(None if error is None else f"{kind.__name__ if kind else 'error'}: {error}")

    @property
    def durable(self) -> dict[str, int]:
        """Rows by table path, and bytes by blob path, that are on file; a snapshot that is never changed."""
        return self._durable

    def append(self, table_path: str, rows: Rows) -> None:
        """Buffer rows of a table.

        Parameters
        ----------
        table_path : str
            Such as ``/eye/gaze``.
        rows : structured ndarray, shape (n,)
            Of the table's declared dtype. The array is kept, not copied.

        Raises
        ------
        RecordingError
            If the table or its columns are not the declared ones.
        """
        buffer = self._tables.get(table_path)
        if buffer is None:
            raise RecordingError(f"{self.path.name}: the layout has no table {table_path}")
        if rows.dtype is not buffer.dtype and rows.dtype != buffer.dtype:
            raise RecordingError(
                f"{self.path.name}: {table_path}: rows have the columns {rows.dtype.names}, "
                f"expected {buffer.dtype.names}"
            )
        if len(rows):
            buffer.append(rows)
            self._waiting[table_path] = buffer

    def append_packet(self, payload: bytes, frame: Rows, camera: int = 1) -> None:
        """Buffer one encoded frame and its row of ``/face/frames`` (of ``/camera_2/frames`` for camera 2).

        `frame` has shape (1,); its offset and size are filled in here.
        """
        frames, packets = _CAMERAS[camera]
        frame["packet_offset"] = self._blobs[packets].append(payload)
        frame["packet_size"] = len(payload)
        self.append(frames, frame)

    def append_blob(self, blob_path: str, payload: bytes) -> int:
        """Buffer bytes of a blob and return the offset at which they will lie."""
        return self._blobs[blob_path].append(payload)

    def marker(
        self,
        kind: str,
        message: str = "",
        value: float = float("nan"),
        t_system_us: int | None = None,
        trial_id: int = 0,
    ) -> None:
        """Buffer a row of ``/events/markers``; it is written at the next flush."""
        stamp = self.clock.now_us() if t_system_us is None else t_system_us
        self.append(
            MARKERS.path,
            make_row(MARKERS, t_system_us=stamp, trial_id=trial_id, kind=kind, value=value, message=message),
        )

    def anchor(self) -> None:
        """Buffer a pair of host and UTC time, read between two readings of the host clock.

        With a clock that does not run at the speed of real time there is no such
        pair, and nothing is written.
        """
        if self.clock.speed != 1.0:
            return
        before = self.clock.now_us()
        utc_us = time.time_ns() // 1000
        after = self.clock.now_us()
        self.append(
            ANCHORS.path,
            make_row(
                ANCHORS,
                t_system_us=(before + after) // 2,
                t_utc_us=utc_us,
                uncertainty_us=max(1, (after - before) // 2),
            ),
        )

    def flush(self, force: bool = False) -> dict[str, int]:
        """Write what is due, or everything with `force`.

        Returns
        -------
        dict
            :attr:`durable` after the write.

        Raises
        ------
        RecordingError
            If the disk refuses; what was flushed before stays readable.
        """
        self._check_open()
        try:
            self._flush(force)
        except (OSError, RuntimeError) as error:
            raise RecordingError(
                f"{self.path}: writing failed: {_reason(error)}. What was written before is safe. "
                f"Free some disk, then run: emer repair {self.path}"
            ) from error
        return self.durable

    def _flush(self, force: bool) -> None:
        late_before_s = time.monotonic() - self.flush_interval_s
        due = {path: buffer.n_due(late_before_s, force) for path, buffer in self._waiting.items()}
        wrote = False
        for path, blob in self._blobs.items():
            frames = _FRAMES_OF.get(path)
            # Packets before their frame rows: a frame on file always has its bytes.
            if force or frames is None or due.get(frames) or blob.oldest_s <= late_before_s:
                wrote |= blob.write()
        for path, n in due.items():
            if n:
                buffer = self._waiting[path]
                buffer.write(n)
                wrote = True
                if not buffer.n_waiting:
                    del self._waiting[path]
        if wrote:
            self._durable = self._count()

    def _count(self) -> dict[str, int]:
        counts = {path: buffer.n_on_file for path, buffer in self._tables.items()}
        counts.update({path: blob.n_on_file for path, blob in self._blobs.items()})
        return counts

    def sync(self) -> None:
        """Force what is on file onto the disk (fsync)."""
        self._check_open()
        os.fsync(self._sync_fd)

    def close(self, aborted_because: str | None = None) -> None:
        """Write everything, mark the end and close. Safe to call twice.

        Parameters
        ----------
        aborted_because : str, optional
            Why the session ended before its protocol did; None if it was completed.
        """
        if self._file is None:
            return
        try:
            if aborted_because is not None:
                self.marker(markers.RECORDING_ABORTED, aborted_because)
            self.anchor()
        except BaseException:
            self._release()
            raise
        self.finish()

    def finish(self, t_system_us: int | None = None) -> None:
        """Write everything and close with the closing marker alone, stamped `t_system_us` or now."""
        try:
            self.flush(force=True)
            self.marker(markers.RECORDING_CLOSED, "the recorder closed the file", t_system_us=t_system_us)
            self.flush(force=True)
            self.sync()
        finally:
            self._release()

    def abandon(self) -> None:
        """Close without the closing marker, as after a failed write; the file then needs ``emer repair``."""
        if self._file is not None:
            self._release()

    def discard(self) -> None:
        """Close and remove a file that is not worth keeping, such as half an import; also where the disk is full."""
        _give_room(self.path)
        with contextlib.suppress(RecordingError):
            self.abandon()
        self.path.unlink(missing_ok=True)

    def _release(self) -> None:
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
        except (OSError, RuntimeError) as error:
            raise RecordingError(f"{self.path}: closing failed: {error}. Run: emer repair {self.path}") from error
        finally:
            os.close(self._sync_fd)
            release_lock(self.path, self._lock)

    def _check_open(self) -> None:
        if self._file is None:
            raise SessionFileError(self.path, "the writer is closed")


def _give_room(path: Path) -> None:
    """Cut a file that will be removed to nothing, so that a full disk takes what HDF5 still has to write.

    HDF5 keeps what it could not write, tries again when the process ends, and crashes if that fails, too (1.14, tried).
    """
    with contextlib.suppress(OSError):
        os.truncate(path, 0)


def _reason(error: Exception) -> str:
    """Return what the system said, without the addresses and sizes that HDF5 wraps it in."""
    found = re.search(r"error message = '([^']*)'", str(error))
    return found.group(1) if found else " ".join(str(error).split())
