"""Rows of gaze to the file per second, and bytes per row: ours against PyTables as psychopy's ioHub writes.

ioHub's datastore (`psychopy/iohub/datastore/__init__.py`) turns each event into an array of one row
(`_handleEvent`) or a list of events into one array (`_handleEvents`), appends it to an uncompressed table, and
flushes the file once more than `flush_interval` (32) events have come. Both ways are measured, with our columns.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figure import figure
from data_schema.session.layout import GAZE
from data_schema.session.writer import SessionWriter

RATE_HZ = 1200.0
#: Rows that one callback of a device thread brings (10 ms).
ROWS_A_CALL = 12
#: Default of ioHub's datastore: events between two flushes.
IOHUB_FLUSH_EVENTS = 32


def gaze_like(n: int, seed: int = 3) -> np.ndarray:
    """Return rows that compress like real gaze: noise, drifts, invalid stretches of NaN."""
    rng = np.random.default_rng(seed)
    rows = GAZE.empty(n)
    t = np.arange(n)
    rows["t_system_us"] = 10**9 + np.rint(t * 1e6 / RATE_HZ + rng.normal(0, 30, n))
    rows["t_device_us"] = 10**8 + np.rint(t * 1e6 / RATE_HZ)
    rows["t_received_us"] = rows["t_system_us"] + 2500
    lost = rng.random(n // 300 + 1).repeat(300)[:n] < 0.04
    for eye, shift in (("left", -30.0), ("right", 30.0)):
        gaze = np.cumsum(rng.normal(0, 0.002, (n, 2)), axis=0) % 1.0 + rng.normal(0, 0.003, (n, 2))
        rows[f"{eye}_gaze_norm"] = gaze
        rows[f"{eye}_gaze_user_mm"] = np.column_stack([gaze[:, 0] * 528, gaze[:, 1] * 297, rng.normal(0, 0.1, n)])
        rows[f"{eye}_pupil_mm"] = 3.5 + np.cumsum(rng.normal(0, 0.002, n)) % 1.0
        rows[f"{eye}_origin_user_mm"] = np.array([shift, 0.0, 650.0]) + rng.normal(0, 0.2, (n, 3))
        for name in ("gaze", "pupil", "origin"):
            rows[f"{eye}_{name}_valid"] = ~lost
        for name in ("gaze_norm", "gaze_user_mm", "pupil_mm", "origin_user_mm"):
            rows[f"{eye}_{name}"][lost] = np.nan
    return rows


def measure_ours(folder: Path, rows: np.ndarray, rows_a_call: int = ROWS_A_CALL) -> tuple[float, float]:
    """Return rows/s until they are on the disk (fsync included), and bytes a row."""
    path = folder / f"ours-{rows_a_call}.h5"
    writer = SessionWriter.create(path, participant="B1", session="01", rates_hz={GAZE.path: RATE_HZ}, simulated=True)
    empty = path.stat().st_size
    started = time.perf_counter()
    for first in range(0, len(rows), rows_a_call):
        writer.append(GAZE.path, rows[first : first + rows_a_call])
        writer.flush()
    writer.flush(force=True)
    writer.sync()
    elapsed_s = time.perf_counter() - started
    writer.close()
    return len(rows) / elapsed_s, (path.stat().st_size - empty) / len(rows)


def measure_pytables(folder: Path, rows: np.ndarray, events_a_call: int = 1, complevel: int = 0) -> tuple[float, float]:
    """Return rows/s until they are on the disk, and bytes a row, of PyTables used as ioHub uses it."""
    import tables

    path = folder / f"pytables-{events_a_call}-{complevel}.h5"
    filters = tables.Filters(complevel=complevel, complib="zlib", shuffle=complevel > 0)
    # An ioHub event is a list of plain values.
    events = [tuple(event) for event in rows.tolist()]
    with tables.open_file(str(path), "w") as file:
        table = file.create_table("/", "gaze", description=rows.dtype, filters=filters)
        file.flush()
        empty = path.stat().st_size
        waiting = 0
        started = time.perf_counter()
        for first in range(0, len(events), events_a_call):
            block = events[first : first + events_a_call]
            table.append(np.array(block, dtype=rows.dtype))
            if waiting >= IOHUB_FLUSH_EVENTS:
                file.flush()
                waiting = 0
            else:
                waiting += len(block)
        file.flush()
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
        elapsed_s = time.perf_counter() - started
    return len(rows) / elapsed_s, (path.stat().st_size - empty) / len(rows)


def run(n_rows: int = 240_000, *, quick: bool = False) -> list[dict[str, Any]]:
    """Return ingest rates and sizes (fewer rows if `quick`)."""
    n_rows = 40_000 if quick else n_rows
    rows = gaze_like(n_rows)
    share = rows[: n_rows // 4]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, bytes_ours = measure_ours(folder, rows)
        single, bytes_single = measure_pytables(folder, share)
        batched, _ = measure_pytables(folder, share, ROWS_A_CALL)
        _, bytes_packed = measure_pytables(folder, share, ROWS_A_CALL, complevel=1)
    iohub, enough = "PyTables as psychopy's ioHub, event by event", ours >= 50 * RATE_HZ
    return [
        figure("gaze ingest to the disk", ours, "rows/s", baseline=iohub, baseline_value=single,
               target=f"at least {50 * RATE_HZ:.0f}", met=enough),
        figure("gaze ingest to the disk, baseline in lists of 12 events", ours, "rows/s",
               baseline="PyTables as psychopy's ioHub, 12 events a call", baseline_value=batched),
        figure("gaze ingest over what a 1200 Hz tracker produces", ours, "rows/s",
               baseline="a 1200 Hz tracker", baseline_value=RATE_HZ, target="at least 50 times", met=enough),
        figure("bytes per gaze row on file", bytes_ours, "bytes", baseline=iohub, baseline_value=bytes_single,
               target="below the baseline", met=bytes_ours < bytes_single),
        figure("bytes per gaze row on file, compressed baseline", bytes_ours, "bytes",
               baseline="the same table with zlib 1 and shuffle", baseline_value=bytes_packed),
    ]  # fmt: skip


if __name__ == "__main__":
    for item in run():
        print(json.dumps(item))
