"""Devices for a recorder that is observed from inside its own process; named as factories in its settings.

`devices` notes how long each call of the sink by the tracker's thread takes, with one sample a call, as the Tobii
SDK delivers them. `devices_on_a_stalling_disk` besides holds each second one write to the file up for 50 ms. The
writer's thread sleeps without Python's lock, as it does in HDF5: h5py releases that lock in all calls that write.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from collection.devices.base import Device
from collection.recorder.settings import RecorderSettings, registry_devices
from collection.recorder.sink import RecordingSink
from data_schema.session.buffers import BlobBuffer, TableBuffer
from data_schema.session.layout import GAZE

STALL_S, STALL_EVERY_S = 0.05, 1.0
#: Upper edges of the classes of durations, microseconds: 10 a factor of ten, from 1 us to 10 s.
EDGES_US = [10 ** (step / 10) for step in range(71)]


class _Durations:
    """A histogram of durations: of constant size, however long the recording."""

    def __init__(self) -> None:
        self.counts = [0] * (len(EDGES_US) + 1)
        self.longest_us = 0.0

    def add(self, duration_us: float) -> None:
        place = 0 if duration_us <= 1.0 else math.ceil(10 * math.log10(duration_us))
        self.counts[min(place, len(EDGES_US))] += 1
        self.longest_us = max(self.longest_us, duration_us)


def percentile_us(counts: list[int], q: float) -> float:
    """Return the upper edge of the class in which the percentile lies, microseconds."""
    place = int(np.searchsorted(np.cumsum(counts), q / 100 * sum(counts)))
    return EDGES_US[place] if place < len(EDGES_US) else math.inf


def observations_path(session: Path) -> Path:
    """Return where the recorder's process leaves what it observed."""
    return session.with_suffix(".observed.json")


def devices(settings: RecorderSettings) -> list[Device]:
    """Return the ordinary devices, with their calls of the sink timed."""
    _observe(settings.path, [])
    return registry_devices(settings)


def devices_on_a_stalling_disk(settings: RecorderSettings) -> list[Device]:
    """Return the same, on a disk that stands still for 50 ms every second."""
    stalls: list[float] = []
    held_up_s = [time.monotonic()]

    def stalling(write: Any) -> Any:
        def held_up(self: Any, *arguments: Any) -> Any:
            now_s = time.monotonic()
            if self.n_waiting and now_s - held_up_s[0] >= STALL_EVERY_S:
                held_up_s[0] = now_s
                time.sleep(STALL_S)
                stalls.append(now_s)
            return write(self, *arguments)

        return held_up

    TableBuffer.write = stalling(TableBuffer.write)  # type: ignore[method-assign]
    BlobBuffer.write = stalling(BlobBuffer.write)  # type: ignore[method-assign]
    _observe(settings.path, stalls)
    return registry_devices(settings)


def _observe(session: Path, stalls: list[float]) -> None:
    durations = _Durations()
    rows_of_sink, close_sink = RecordingSink.rows, RecordingSink.close

    def rows(self: RecordingSink, table: str, rows: np.ndarray) -> None:
        if table != GAZE.path:
            rows_of_sink(self, table, rows)
            return
        for number in range(len(rows)):
            started_ns = time.perf_counter_ns()
            rows_of_sink(self, table, rows[number : number + 1])
            durations.add((time.perf_counter_ns() - started_ns) / 1e3)

    def close(self: RecordingSink) -> None:
        close_sink(self)
        observed = {"counts": durations.counts, "longest_us": durations.longest_us, "stalls": len(stalls)}
        observations_path(session).write_text(json.dumps(observed), encoding="utf-8")

    RecordingSink.rows = rows  # type: ignore[method-assign]
    RecordingSink.close = close  # type: ignore[method-assign]
