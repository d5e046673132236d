"""A device that misbehaves on request.

Wraps any device and spoils what it delivers, at a given time, so that the
recorder, the quality page and an operator's training can meet each fault
without breaking hardware.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from collection.devices.base import CapturedFrame, Device, DeviceInfo, PlantedReaction, Reactive, Scheduled, Sink
from data_schema.clocks import HostClock
from data_schema.errors import DeviceError
from data_schema.session import markers
from data_schema.session.layout import NOTIFICATIONS, TABLE_BY_PATH

Rows = npt.NDArray[np.void]

#: Kind of fault and what it does.
FAULT_KINDS: dict[str, str] = {
    "absent": "connect() fails as if the cable were out",
    "disconnect": "says that the connection is lost and delivers nothing; with a duration it comes back",
    "silence": "delivers nothing and says nothing",
    "stall": "holds everything back and delivers it at once afterwards",
    "clock_jump": "the device's own clock jumps by `amount_us`",
    "duplicate": "delivers everything twice",
}


@dataclass(frozen=True)
class Fault:
    """One fault.

    Parameters
    ----------
    kind : str
        One of :data:`FAULT_KINDS`.
    at_s : float
        Seconds after the start of the device.
    duration_s : float
        How long it lasts; infinite by default.
    amount_us : int
        Size of a clock jump, microseconds.
    """

    kind: str
    at_s: float = 0.0
    duration_s: float = float("inf")
    amount_us: int = 1_000_000

    def __post_init__(self) -> None:
        if self.kind not in FAULT_KINDS:
            raise DeviceError(f"There is no fault '{self.kind}'. Known faults: {', '.join(FAULT_KINDS)}.")
        if not self.at_s >= 0 or not self.duration_s > 0:
            raise DeviceError(
                f"A fault begins at 0 s or later and lasts more than 0 s, got {self.at_s:g}, {self.duration_s:g}."
            )


class FaultyDevice:
    """Any device, with faults.

    Parameters
    ----------
    device : Device
        The device that is wrapped.
    faults : sequence of Fault
        What goes wrong, and when; none is allowed.
    clock : HostClock
        Clock of the recording.
    """

    def __init__(self, device: Device, faults: tuple[Fault, ...], clock: HostClock) -> None:
        self.device = device
        self.faults = tuple(faults)
        self.clock = clock
        self._filter: _FaultySink | None = None

    def connect(self) -> None:
        """Connect the wrapped device, or fail if it is to be absent."""
        if any(fault.kind == "absent" for fault in self.faults):
            raise DeviceError("The device does not answer (a simulated fault). Remove the fault 'absent' to go on.")
        self.device.connect()

    def describe(self) -> DeviceInfo:
        """Say what the wrapped device is, and that it is to misbehave."""
        info = self.device.describe()
        names = [fault.kind for fault in self.faults]
        return replace(info, details={**info.details, "simulated_faults": names}) if names else info

    def start(self, sink: Sink) -> None:
        """Start the wrapped device; faults count from now."""
        spoiled = _FaultySink(sink, self.faults, self.clock.now_us())
        self.device.start(spoiled)
        self._filter = spoiled

    def stop(self) -> None:
        """Stop the wrapped device; what a stall holds back is delivered first."""
        self.device.stop()
        if self._filter is not None:
            self._filter.finish()
            self._filter = None

    def close(self) -> None:
        """Stop and release the wrapped device."""
        self.stop()
        self.device.close()

    def stop_at(self, t_us: int) -> None:
        """Pass an end on, if the wrapped device works by schedule."""
        if isinstance(self.device, Scheduled):
            self.device.stop_at(t_us)

    def react(self, reaction: PlantedReaction) -> None:
        """Pass a reaction on, if the wrapped device is simulated."""
        if isinstance(self.device, Reactive):
            self.device.react(reaction)


class _FaultySink:
    """Stands between a device and the sink and spoils what passes, by its stamps."""

    def __init__(self, sink: Sink, faults: tuple[Fault, ...], t_start_us: int) -> None:
        self._sink = sink
        self._faults = faults
        self._t_start_us = t_start_us
        self._held: list[tuple[str, Rows] | CapturedFrame] = []
        self._said: set[tuple[int, str]] = set()
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
            rows = self._jumped(rows, times)
            keep = ~(self._during(times, "silence") | self._during(times, "disconnect"))
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
            if self._during(times, "silence")[0] or self._during(times, "disconnect")[0]:
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
