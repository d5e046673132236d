"""From a marker set in the presenter's process to its row on file: real recorder, real time, gaze and video besides.

The way: the presenter's queue, the pipe, the recorder's queue, the writer's thread, HDF5, flush. A row is on file when
another process could read it; the recorder acknowledges it within a further 20 ms, so two things are measured: a
reader that looks into the growing file (SWMR) sees the row, and the acknowledgement comes back. The markers are set at
seeded random moments, since the writer looks into its queues every 20 ms.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.figure import figure
from collection.recorder import Recorder, RecorderSettings
from data_schema.clocks import SystemClock
from data_schema.session import markers
from data_schema.session.layout import MARKERS
from data_schema.study.config import parse_config

STORED_MS = 50.0
_DEADLINE_S = 5.0


def run(n_markers: int = 300, *, quick: bool = False) -> list[dict[str, Any]]:
    """Return latencies of `n_markers` markers (60 if `quick`)."""
    n_markers = 60 if quick else n_markers
    with tempfile.TemporaryDirectory() as folder:
        call_ms, stored_ms, acknowledged_ms = measure(Path(folder) / "markers.h5", n_markers)
    median, high = (float(np.percentile(stored_ms, q)) for q in (50, 95))
    of = f"of {n_markers} markers beside 1200 Hz gaze and 1280x720 at 30 fps"
    return [
        figure(f"marker to stored row, median {of}", median, "ms", target=f"below {STORED_MS:g}", met=median < STORED_MS),
        figure(f"marker to stored row, 95th percentile {of}", high, "ms", target=f"below {STORED_MS:g}",
               met=high < STORED_MS),
        figure(f"marker to stored row, longest {of}", max(stored_ms), "ms"),
        figure(f"marker to acknowledgement in the presenter, median {of}", float(np.median(acknowledged_ms)), "ms"),
        figure(f"marker to acknowledgement in the presenter, 95th percentile {of}",
               float(np.percentile(acknowledged_ms, 95)), "ms"),
        figure(f"time of the call that sets a marker, 95th percentile {of}", float(np.percentile(call_ms, 95)), "ms"),
    ]  # fmt: skip


def measure(path: Path, n_markers: int) -> tuple[list[float], list[float], list[float]]:
    """Set markers and watch the file; returns milliseconds of the call, until stored, until acknowledged."""
    config = parse_config(
        {
            "study": {"title": "markers"},
            "eye_tracker": {"kind": "simulated", "rate_hz": 1200.0},
            "camera": {"source": "simulated", "width_px": 1280, "height_px": 720, "fps": 30.0},
            "recording": {"min_free_gb": 0.0},
        },
        "markers",
    )
    settings = RecorderSettings(
        path, "B1", "01", config, clock=SystemClock(), planned_s=60.0, simulated=True, device_seed=1, participant_seed=1
    )
    rng = np.random.default_rng(5)
    pause = threading.Event()
    call_ms, stored_ms, acknowledged_ms = [], [], []
    with Recorder(settings) as recorder:
        recorder.start()
        pause.wait(1.0)
        with h5py.File(path, "r", swmr=True) as file:
            rows = file[MARKERS.path]
            for number in range(n_markers):
                pause.wait(float(rng.uniform(0.02, 0.08)))
                n_before = _settled(rows, recorder)
                called_s = time.perf_counter()
                recorder.marker(markers.OPERATOR_MARK, f"{number}")
                returned_s = time.perf_counter()
                stored_s = acknowledged_s = 0.0
                while not (stored_s and acknowledged_s):
                    if not stored_s:
                        rows.refresh()
                        if rows.shape[0] > n_before:
                            stored_s = time.perf_counter()
                    if not acknowledged_s and recorder.acknowledged.get(MARKERS.path, 0) > n_before:
                        acknowledged_s = time.perf_counter()
                    if time.perf_counter() - called_s > _DEADLINE_S:
                        raise RuntimeError(f"marker {number} was not stored within {_DEADLINE_S:g} s")
                    time.sleep(0.0005)
                if rows[n_before]["message"] != f"{number}".encode():
                    raise RuntimeError(f"row {n_before} is not marker {number} but {rows[n_before]}")
                call_ms.append(1e3 * (returned_s - called_s))
                stored_ms.append(1e3 * (stored_s - called_s))
                acknowledged_ms.append(1e3 * (acknowledged_s - called_s))
        recorder.stop()
    return call_ms, stored_ms, acknowledged_ms


def _settled(rows: h5py.Dataset, recorder: Recorder) -> int:
    """Return the rows on file once reader and acknowledgement agree."""
    deadline_s = time.perf_counter() + _DEADLINE_S
    while time.perf_counter() < deadline_s:
        rows.refresh()
        n = int(rows.shape[0])
        if recorder.acknowledged.get(MARKERS.path, 0) == n:
            return n
        time.sleep(0.001)
    raise RuntimeError("the reader and the recorder do not agree on what is on file")


if __name__ == "__main__":
    for item in run():
        print(json.dumps(item))
