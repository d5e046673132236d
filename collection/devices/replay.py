"""Replay a recording as if its devices were here now.

A Tobii folder or a session file is played by the recording's clock, at the raw
intervals, gaps and drift included, and from the start again at the end. Host
stamps are moved to now. The device clock reads at first what it read when the
recording began, and goes on from there, also when the device is started again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from collection.devices.base import CAMERA, EYE_TRACKER, CapturedFrame, DeviceInfo, Sink
from collection.devices.scheduled import ScheduledDevice
from collection.devices.tobii_folder import is_tobii_folder, read_tobii_folder
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError, SessionFileError
from data_schema.session.layout import (
    FRAMES,
    GAZE,
    NOTIFICATIONS,
    OPENNESS,
    TABLE_BY_PATH,
    TIME_SYNC,
    USER_POSITION,
    Table,
)
from data_schema.session.reader import open_session

Rows = npt.NDArray[np.void]

_TRACKER_TABLES: tuple[Table, ...] = (GAZE, OPENNESS, USER_POSITION, TIME_SYNC, NOTIFICATIONS)
#: Rates that trackers are sold with; a measured rate within 1 % of one is called that.
_USUAL_RATES_HZ = (30.0, 33.0, 40.0, 50.0, 60.0, 90.0, 120.0, 150.0, 250.0, 300.0, 500.0, 600.0, 1000.0, 1200.0)
#: Rows handed over at once.
_CHUNK = 2400


@dataclass(frozen=True)
class TrackerRecording:
    """The tracker's streams of one recording.

    Parameters
    ----------
    name : str
        Name of the file or folder.
    model, serial_number, firmware : str
        Of the tracker that was recorded.
    tables : dict of str to structured ndarray
        Rows by table path, in the order of their host times.
    """

    name: str
    model: str
    serial_number: str
    firmware: str
    tables: dict[str, Rows]


def read_tracker_recording(path: Path, *, whole: bool = False) -> TrackerRecording:
    """Read what a tracker delivered.

    Parameters
    ----------
    path : Path
        A Tobii folder or a session file.
    whole : bool
        All rows of all streams. By default only the time in which there was gaze,
        because a replayed tracker that is silent at first looks broken.

    Raises
    ------
    DeviceError
        If there is nothing to replay.
    """
    if is_tobii_folder(path):
        tables = read_tobii_folder(path)
        model, serial_number, firmware = "Tobii recording (CSV)", "", ""
    elif path.is_file():
        try:
            with open_session(path) as session:
                tables = {table.path: session.table(table)[:] for table in _TRACKER_TABLES}
                described = next((d for d in session.devices if d.get("role") == EYE_TRACKER), {})
        except SessionFileError as error:
            raise DeviceError(f"replay:{path.name}: {error}") from error
        model, serial_number, firmware = (str(described.get(k, "")) for k in ("model", "serial_number", "firmware"))
    else:
        raise DeviceError(
            f"replay:{path}: there is no such session file or folder with a gaze.csv. Check the name after 'replay:'."
        )
    if len(tables[GAZE.path]) < 2:
        raise DeviceError(f"replay:{path.name}: the recording has fewer than 2 gaze samples. Name another one.")
    if not whole:
        times = tables[GAZE.path][GAZE.time_column]
        tables = {p: _between(TABLE_BY_PATH[p], rows, int(times.min()), int(times.max())) for p, rows in tables.items()}
    return TrackerRecording(
        path.name, model, serial_number, firmware, {p: rows for p, rows in tables.items() if len(rows)}
    )


class ReplayEyeTracker(ScheduledDevice):
    """A tracker that delivers a recording again.

    Parameters
    ----------
    clock : HostClock
        Clock of the recording that is being made.
    path : Path
        A Tobii folder or a session file.
    loop : bool
        Start again at the end, with stamps that go on.
    whole : bool
        See :func:`read_tracker_recording`.
    """

    def __init__(self, clock: HostClock, path: Path, *, loop: bool = True, whole: bool = False) -> None:
        super().__init__(clock, f"replay of {path.name}")
        self.path = path
        self.loop = loop
        self._whole = whole
        self._epoch_us: int | None = None

    def describe(self) -> DeviceInfo:
        """Say what is replayed."""
        self._require_connected()
        recording = self._recording
        return DeviceInfo(
            role=EYE_TRACKER,
            kind="replay",
            model=recording.model,
            serial_number=recording.serial_number,
            firmware=recording.firmware,
            simulated=True,
            replayed_from=recording.name,
            rates_hz={
                path: _rate_hz(rows[TABLE_BY_PATH[path].time_column])
                for path, rows in recording.tables.items()
                if path != NOTIFICATIONS.path
            },
            details={"duration_s": self._period_host_us / 1e6, "loop": self.loop},
        )

    def _open(self) -> None:
        self._recording = read_tracker_recording(self.path, whole=self._whole)
        tables = self._recording.tables
        gaze = tables[GAZE.path]
        firsts = [int(rows[TABLE_BY_PATH[p].time_column][0]) for p, rows in tables.items()]
        lasts = [int(rows[TABLE_BY_PATH[p].time_column][-1]) for p, rows in tables.items()]
        self._first_us = min(firsts)
        # The next turn begins one sample interval after the last sample, on both clocks.
        self._period_host_us = max(lasts) - self._first_us + round(float(np.median(np.diff(gaze["t_system_us"]))))
        elapsed_host = int(gaze["t_system_us"][-1] - gaze["t_system_us"][0])
        elapsed_device = int(gaze["t_device_us"][-1] - gaze["t_device_us"][0])
        self._period_device_us = round(self._period_host_us * elapsed_device / max(elapsed_host, 1))

    def _begin(self, t_start_us: int) -> None:
        if self._epoch_us is None:
            self._epoch_us = t_start_us
        self._shift_us = t_start_us - self._first_us
        self._device_shift_us = t_start_us - self._epoch_us
        self._turn = 0
        self._delivered = dict.fromkeys(self._recording.tables, 0)

    def _produce(self, sink: Sink, until_us: int) -> None:
        while True:
            host_us = self._shift_us + self._turn * self._period_host_us
            for path, rows in self._recording.tables.items():
                times = rows[TABLE_BY_PATH[path].time_column]
                end = int(np.searchsorted(times, until_us - host_us, side="right"))
                while self._delivered[path] < end:
                    begin = self._delivered[path]
                    piece = rows[begin : min(end, begin + _CHUNK)].copy()
                    self._delivered[path] = begin + len(piece)
                    device_us = self._device_shift_us + self._turn * self._period_device_us
                    sink.rows(path, _moved(piece, host_us, device_us))
            if not self.loop or until_us < host_us + self._first_us + self._period_host_us:
                return
            self._turn += 1
            self._delivered = dict.fromkeys(self._recording.tables, 0)


class ReplayCamera(ScheduledDevice):
    """A camera that delivers the face video of a session file again.

    Parameters
    ----------
    clock : HostClock
        Clock of the recording that is being made.
    path : Path
        A session file.
    loop : bool
        Start again at the end.
    """

    def __init__(self, clock: HostClock, path: Path, *, loop: bool = True) -> None:
        super().__init__(clock, f"replay of {path.name}")
        self.path = path
        self.loop = loop

    def describe(self) -> DeviceInfo:
        """Say what is replayed."""
        self._require_connected()
        return DeviceInfo(
            role=CAMERA,
            kind="replay",
            model=self._model,
            simulated=True,
            replayed_from=self.path.name,
            rates_hz={FRAMES.path: _rate_hz(self._rows["t_capture_us"])},
            width_px=self._width_px,
            height_px=self._height_px,
            details={"duration_s": self._period_us / 1e6, "loop": self.loop, "frames": len(self._rows)},
        )

    def _open(self) -> None:
        try:
            self._session = open_session(self.path)
        except SessionFileError as error:
            raise DeviceError(f"replay:{self.path.name}: {error}") from error
        video = self._session.video
        if video is None or len(video) < 2:
            self._session.close()
            raise DeviceError(f"replay:{self.path.name}: the session holds no face video. Name another one.")
        self._video = video
        self._rows = video.frames
        self._width_px, self._height_px = video.stream.width_px, video.stream.height_px
        described = next((d for d in self._session.devices if d.get("role") == CAMERA), {})
        self._model = str(described.get("model", ""))
        times = self._rows["t_capture_us"]
        self._first_us = int(times[0])
        self._period_us = int(times[-1]) - self._first_us + round(float(np.median(np.diff(times))))

    def _release(self) -> None:
        self._session.close()

    def _begin(self, t_start_us: int) -> None:
        self._frames = self._all_frames(t_start_us)
        self._pending: CapturedFrame | None = None

    def _produce(self, sink: Sink, until_us: int) -> None:
        while True:
            if self._pending is None:
                self._pending = next(self._frames, None)
            if self._pending is None or self._pending.t_capture_us > until_us:
                return
            frame, self._pending = self._pending, None
            sink.frame(frame)

    def _all_frames(self, t_start_us: int) -> Iterator[CapturedFrame]:
        turn = 0
        while True:
            shift_us = t_start_us - self._first_us + turn * self._period_us
            for index, image in self._video.decode_many(np.arange(len(self._rows))):
                row = self._rows[index]
                t_device_us = int(row["t_device_us"])
                yield CapturedFrame(
                    int(row["t_capture_us"]) + shift_us,
                    np.ascontiguousarray(image[:, :, ::-1]),
                    t_device_us if t_device_us < 0 else t_device_us + shift_us,
                    int(row["missed_before"]),
                )
            if not self.loop:
                return
            turn += 1


def _between(table: Table, rows: Rows, first_us: int, last_us: int) -> Rows:
    times = rows[table.time_column]
    return rows[(times >= first_us) & (times <= last_us)]


def _moved(rows: Rows, host_us: int, device_us: int) -> Rows:
    """Move all stamps of `rows`, in place: the device's by one number, the host's by another."""
    for name in rows.dtype.names or ():
        if name == "t_device_us":
            rows[name] += device_us
        elif name.startswith("t_") and name.endswith("_us"):
            rows[name] += host_us
    return rows


def _rate_hz(times_us: npt.NDArray[np.int64]) -> float:
    """Return the nominal rate of a stream from its stamps."""
    if len(times_us) < 2:
        return 0.0
    measured = 1e6 / max(float(np.median(np.diff(times_us))), 1.0)
    nearest = min(_USUAL_RATES_HZ, key=lambda rate: abs(rate - measured))
    return nearest if abs(nearest - measured) < 0.01 * nearest else round(measured, 3)
