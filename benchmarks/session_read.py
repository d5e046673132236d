"""Open and slice a one-hour session: 600 Hz gaze and 30 frames per second.

The baseline reads the whole gaze table with h5py and slices in memory, as a script
without the reader would.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from benchmarks.figure import figure
from data_schema.session import SessionWriter, open_session
from data_schema.session.layout import GAZE

RATE_HZ = 600.0


def _write(path: Path, minutes: float) -> None:
    rng = np.random.default_rng(0)
    n = int(minutes * 60 * RATE_HZ)
    with SessionWriter.create(path, participant="P001", session="01", rates_hz={GAZE.path: RATE_HZ}) as writer:
        for start in range(0, n, 24_000):
            rows = GAZE.empty(min(24_000, n - start))
            rows["t_system_us"] = np.round((start + np.arange(len(rows))) * 1e6 / RATE_HZ)
            rows["t_device_us"] = rows["t_system_us"] + 5
            for eye in ("left", "right"):
                rows[f"{eye}_gaze_norm"] = rng.normal(0.5, 0.1, (len(rows), 2))
                rows[f"{eye}_pupil_mm"] = rng.normal(3, 0.1, len(rows))
                rows[f"{eye}_origin_user_mm"] = rng.normal(600, 1, (len(rows), 3))
            writer.append(GAZE.path, rows)
            writer.flush()


def _plain_frame(path: Path) -> pd.DataFrame:
    """Make the same frame as one writes it first."""
    with h5py.File(path, "r") as file:
        rows = file[GAZE.path][:]
    columns = {}
    for name in rows.dtype.names:
        if rows[name].ndim == 1:
            columns[name] = rows[name].copy()
        else:
            for axis in range(rows[name].shape[1]):
                columns[f"{name}_{axis}"] = rows[name][:, axis].copy()
    return pd.DataFrame(columns, copy=False)


def run(quick: bool = False) -> list[dict[str, Any]]:
    minutes = 10.0 if quick else 60.0
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sub-P001_ses-01.h5"
        _write(path, minutes)
        n_bytes = path.stat().st_size
        opened, sliced, whole = [], [], []
        for _ in range(5):
            began = time.perf_counter()
            session = open_session(path)
            view = session.table(GAZE.path)
            opened.append(time.perf_counter() - began)
            start_us = int(rng.uniform(0, (minutes * 60 - 61) * 1e6))
            began = time.perf_counter()
            rows = view.between(start_us, start_us + 60_000_000)
            sliced.append(time.perf_counter() - began)
            began = time.perf_counter()
            with h5py.File(path, "r") as file:
                table = file[GAZE.path][:]
                times = table["t_system_us"]
                same = table[(times >= start_us) & (times < start_us + 60_000_000)]
            whole.append(time.perf_counter() - began)
            if rows.tobytes() != same.tobytes():
                raise RuntimeError("the slice is not what a full scan gives")
            session.close()
        framed, plain = [], []
        for _ in range(3):
            with open_session(path) as session:
                began = time.perf_counter()
                frame = session.table(GAZE.path).frame()
                framed.append(time.perf_counter() - began)
                n_rows = len(frame)
            began = time.perf_counter()
            plain_frame = _plain_frame(path)
            plain.append(time.perf_counter() - began)
            if not frame["t_system_us"].equals(plain_frame["t_system_us"]) or frame.shape != plain_frame.shape:
                raise RuntimeError("the frames differ")
            del frame, plain_frame
    label = f"{minutes:g} min of {RATE_HZ:g} Hz gaze"
    ratio = statistics.median(b / a for a, b in zip(sliced, whole, strict=True))
    return [
        figure(f"open a session ({label}), median", statistics.median(opened), "s"),
        figure(
            f"slice one minute of {label}, median", statistics.median(sliced), "s",
            baseline="h5py, whole table, boolean mask", baseline_value=statistics.median(whole), ratio=1 / ratio,
        ),
        figure(
            f"whole gaze table as a DataFrame ({n_rows} rows), median", statistics.median(framed), "s",
            baseline="h5py, whole table, a copy of each column", baseline_value=statistics.median(plain),
            target="under 1 s for an hour", met=statistics.median(framed) < 1.0,
        ),
        figure("bytes per gaze sample in the file (random values)", n_bytes / n_rows, "bytes"),
    ]  # fmt: skip


if __name__ == "__main__":
    import json

    for one in run():
        print(json.dumps(one))
