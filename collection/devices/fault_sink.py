"""What stands between a faulty device and the sink, and spoils what passes, by its stamps."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from collection.devices.base import CapturedFrame, Sink
from collection.devices.faults import Fault
from data_schema.session import markers
from data_schema.session.layout import GAZE, NOTIFICATIONS, OPENNESS, TABLE_BY_PATH, USER_POSITION

Rows = npt.NDArray[np.void]

#: The eye that a tracker loses with the fault 'one_eye'.
_LOST_EYE = "right"
#: Where a bad calibration puts the gaze, shares of the display area: about three degrees on a desk.
_BAD_CALIBRATION_NORM = (0.07, 0.10)


class FaultySink:
    """A sink that spoils what it is given, and hands it on.

    Parameters
    ----------
    sink : Sink
        Where the rest goes.
    faults : tuple of Fault
        What goes wrong, and when.
    t_start_us : int
        Host time from which the faults count.
    """

    def __init__(self, sink: Sink, faults: tuple[Fault, ...], t_start_us: int) -> None:
        self._sink = sink
        self._faults = faults
        self._t_start_us = t_start_us
        self._held: list[tuple[str, Rows] | CapturedFrame] = []
        self._said: set[tuple[int, str]] = set()
        self._counts: dict[str, int] = {}
        #: From when on gaze is shifted by a bad calibration, and until when; None while it is not.
        self._shifts: list[tuple[int, bool]] = []
        self._lock = threading.RLock()

    def event(self, kind: str, message: str, value: float = float("nan"), t_system_us: int | None = None) -> None:
        """Pass an event on."""
        self._sink.event(kind, message, value, t_system_us)

    def rows(self, table: str, rows: Rows) -> None:
        """Pass rows on, spoiled."""
        if not len(rows):
            return
        times = rows[TABLE_BY_PATH[table].time_column]
        with self._lock:
            self._announce(int(times[-1]), table)
            stalled = self._during(times, "stall")
            if not stalled[-1]:
                # It is over, or it has not begun: what was held comes first, then all of these.
                self._give_back()
                stalled[:] = False
            rows = self._without_an_eye(table, self._jumped(rows, times), times)
            rows = self._shifted(table, rows, times)
            keep = ~(self._during(times, "silence") | self._during(times, "disconnect"))
            if table in (GAZE.path, OPENNESS.path):
                keep &= ~(self._every_second(table, len(rows)) & self._during(times, "wrong_rate"))
            doubled = self._during(times, "duplicate")
            now = rows[keep & ~stalled]
            later = rows[keep & stalled]
            if len(now):
                self._sink.rows(table, now)
            if len(later):
                self._held.append((table, later))
            again = rows[keep & doubled & ~stalled]
            if len(again):
                self._sink.rows(table, again)

    def frame(self, frame: CapturedFrame) -> None:
        """Pass a frame on, spoiled."""
        times = np.array([frame.t_capture_us])
        with self._lock:
            self._announce(frame.t_capture_us, "")
            slow = self._every_second("frames", 1)[0] and self._during(times, "slow_camera")[0]
            if slow or self._during(times, "silence")[0] or self._during(times, "disconnect")[0]:
                return
            for fault in self._faults:
                if fault.kind == "clock_jump" and frame.t_device_us >= 0 and self._inside(times, fault)[0]:
                    frame = replace(frame, t_device_us=frame.t_device_us + fault.amount_us)
            if self._during(times, "stall")[0]:
                self._held.append(frame)
                return
            self._give_back()
            self._sink.frame(frame)
            if self._during(times, "duplicate")[0]:
                self._sink.frame(frame)

    def is_on(self, kind: str, t_us: int) -> bool:
        """Tell whether a fault of this kind holds at a host time."""
        return bool(self._during(np.array([t_us]), kind)[0])

    def calibrated(self, t_us: int) -> None:
        """Note that a new calibration is in use; a bad one shifts the gaze until the next good one."""
        with self._lock:
            self._shifts.append((t_us, self.is_on("bad_calibration", t_us)))

    def finish(self) -> None:
        """Deliver what is held back."""
        with self._lock:
            self._give_back()

    def _give_back(self) -> None:
        held, self._held = self._held, []
        for item in held:
            if isinstance(item, CapturedFrame):
                self._sink.frame(item)
            else:
                self._sink.rows(*item)

    def _inside(self, times: npt.NDArray[np.int64], fault: Fault) -> npt.NDArray[np.bool_]:
        since_s = (times - self._t_start_us) / 1e6
        return np.asarray((since_s >= fault.at_s) & (since_s < fault.at_s + fault.duration_s))

    def _during(self, times: npt.NDArray[np.int64], kind: str) -> npt.NDArray[np.bool_]:
        inside = np.zeros(len(times), dtype=bool)
        for fault in self._faults:
            if fault.kind == kind:
                inside |= self._inside(times, fault)
        return inside

    def _every_second(self, stream: str, n: int) -> npt.NDArray[np.bool_]:
        """Mark every second one of the next `n` of a stream, whatever the pieces in which they come."""
        count = self._counts.get(stream, 0)
        self._counts[stream] = count + n
        return (count + np.arange(n)) % 2 == 1

    def _without_an_eye(self, table: str, rows: Rows, times: npt.NDArray[np.int64]) -> Rows:
        if table not in (GAZE.path, OPENNESS.path, USER_POSITION.path):
            return rows
        lost = self._during(times, "one_eye")
        if not lost.any():
            return rows
        rows = rows.copy()
        for column in TABLE_BY_PATH[table].columns:
            if column.name.startswith(_LOST_EYE):
                rows[column.name][lost] = 0 if column.dtype == "u1" else np.nan
        return rows

    def _shifted(self, table: str, rows: Rows, times: npt.NDArray[np.int64]) -> Rows:
        if table != GAZE.path or not any(bad for _, bad in self._shifts):
            return rows
        index = np.searchsorted([since for since, _ in self._shifts], times, side="right") - 1
        bad = np.array([bad for _, bad in self._shifts])[index] & (index >= 0)
        rows = rows.copy()
        for eye in ("left", "right"):
            rows[f"{eye}_gaze_norm"][bad] += np.array(_BAD_CALIBRATION_NORM, dtype=np.float32)
        return rows

    def _jumped(self, rows: Rows, times: npt.NDArray[np.int64]) -> Rows:
        if "t_device_us" not in (rows.dtype.names or ()):
            return rows
        for fault in self._faults:
            if fault.kind == "clock_jump":
                inside = self._inside(times, fault)
                if inside.any():
                    rows = rows.copy()
                    rows["t_device_us"][inside] += fault.amount_us
        return rows

    def _announce(self, until_us: int, table: str) -> None:
        """Say once that the connection was lost, and once that it is back, as a tracker does."""
        for number, fault in enumerate(self._faults):
            if fault.kind != "disconnect":
                continue
            moments = (
                (fault.at_s, "connection_lost", "the connection was lost"),
                (fault.at_s + fault.duration_s, "connection_restored", "the connection is back"),
            )
            for at_s, kind, words in moments:
                at_us = self._t_start_us + at_s * 1e6
                if until_us < at_us or (number, kind) in self._said:
                    continue
                self._said.add((number, kind))
                self._sink.event(markers.DEVICE_FAULT, f"{words} (a simulated fault)", t_system_us=round(at_us))
                if table.startswith("/eye/"):
                    row = NOTIFICATIONS.empty(1)
                    row["t_system_us"] = round(at_us)
                    row["kind"] = kind.encode()
                    row["message"] = f"{words} (a simulated fault)".encode()
                    self._sink.rows(NOTIFICATIONS.path, row)
