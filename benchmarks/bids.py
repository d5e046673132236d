"""Write gaze at 1200 Hz as the BIDS files of both eyes.

The baseline is ``pandas.DataFrame.to_csv`` of the same columns and rows through the same compression, in the same run and turn
about. Memory is the peak of a process of its own that writes a short and a long recording: it must not grow with the length.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.figure import figure
from data_schema.publishing.bids.physio import CHUNK_ROWS, PHYSIO_COLUMNS, write_eyes
from data_schema.publishing.bids.tsv import GZIP_LEVEL
from data_schema.session.layout import GAZE

RATE_HZ = 1200.0
RESOLUTION = (1920, 1080)


def _chunks(n: int) -> Iterator[npt.NDArray[Any]]:
    for start in range(0, n, CHUNK_ROWS):
        rng = np.random.default_rng(start)
        rows = GAZE.empty(min(CHUNK_ROWS, n - start))
        rows["t_system_us"] = np.round((start + np.arange(len(rows))) * 1e6 / RATE_HZ)
        rows["t_device_us"] = rows["t_system_us"]
        lost = rng.uniform(size=len(rows)) < 0.03
        for eye in ("left", "right"):
            rows[f"{eye}_gaze_norm"] = rng.normal(0.5, 0.1, (len(rows), 2))
            rows[f"{eye}_gaze_user_mm"] = rng.normal(0, 100, (len(rows), 3))
            rows[f"{eye}_origin_user_mm"] = rng.normal(600, 1, (len(rows), 3))
            rows[f"{eye}_pupil_mm"] = rng.normal(3, 0.1, len(rows))
            for name in ("gaze_norm", "gaze_user_mm", "origin_user_mm", "pupil_mm"):
                rows[f"{eye}_{name}"][lost] = np.nan
            for name in ("gaze_valid", "pupil_valid", "origin_valid"):
                rows[f"{eye}_{name}"] = ~lost
        yield rows


def _ours(n: int, folder: Path) -> float:
    began = time.perf_counter()
    write_eyes(_chunks(n), {eye: folder / f"{eye}.tsv.gz" for eye in ("left", "right")}, RESOLUTION)
    return time.perf_counter() - began


def _pandas(n: int, folder: Path) -> float:
    began = time.perf_counter()
    rows = np.concatenate(list(_chunks(n)))
    for eye in ("left", "right"):
        cells = {}
        for column in PHYSIO_COLUMNS:
            values = rows[column.source.format(eye=eye)]
            values = values[:, column.axis] if column.axis >= 0 else values
            if column.name in ("x_coordinate", "y_coordinate"):
                values = values.astype(np.float64) * RESOLUTION[column.axis]
            cells[column.name] = values / 1e6 if column.name == "timestamp" else values
        pd.DataFrame(cells).to_csv(
            folder / f"{eye}_pandas.tsv.gz", sep="\t", header=False, index=False, na_rep="n/a",
            compression={"method": "gzip", "compresslevel": GZIP_LEVEL, "mtime": 0},
        )  # fmt: skip
    return time.perf_counter() - began


def _generating(n: int) -> float:
    began = time.perf_counter()
    for _ in _chunks(n):
        pass
    return time.perf_counter() - began


def _check(folder: Path) -> None:
    for eye in ("left", "right"):
        ours, theirs = (
            pd.read_csv(folder / name, sep="\t", header=None, na_values="n/a")
            for name in (f"{eye}.tsv.gz", f"{eye}_pandas.tsv.gz")
        )
        np.testing.assert_allclose(ours.to_numpy(), theirs.to_numpy(), rtol=1e-6)


_PEAK = """
import re, sys, tempfile
from pathlib import Path
from benchmarks import bids
with tempfile.TemporaryDirectory() as folder:
    bids._ours(int(sys.argv[1]), Path(folder))
# Of this program alone; ru_maxrss would also count the process that started it.
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1))
"""


def _peak_mb(minutes: float) -> float:
    n = int(minutes * 60 * RATE_HZ)
    done = subprocess.run([sys.executable, "-c", _PEAK, str(n)], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def run(quick: bool = False) -> list[dict[str, Any]]:
    minutes = 1.0 if quick else 4.0
    n = int(minutes * 60 * RATE_HZ)
    ours, theirs = [], []
    generating = _generating(n)
    for _ in range(2 if quick else 3):
        with tempfile.TemporaryDirectory() as folder:
            ours.append(_ours(n, Path(folder)) - generating)
            theirs.append(_pandas(n, Path(folder)) - generating)
            _check(Path(folder))
    label = f"{minutes:g} min of {RATE_HZ:g} Hz gaze, both eyes"
    figures = [
        figure(
            f"write {label}, gzip included", statistics.median(ours), "s",
            baseline="pandas.DataFrame.to_csv, same columns, same compression", baseline_value=statistics.median(theirs),
            ratio=statistics.median(b / a for a, b in zip(ours, theirs, strict=True)),
        ),
        figure("times faster than real time", minutes * 60 / statistics.median(ours), ""),
    ]  # fmt: skip
    if Path("/proc/self/status").exists():
        short, long = (2.0, 10.0) if quick else (5.0, 60.0)
        few, many = _peak_mb(short), _peak_mb(long)
        figures.append(
            figure(
                f"peak memory of a process that writes {long:g} min", many, "MB",
                baseline=f"{short:g} min", baseline_value=few, target="grows by less than 10 %", met=many < 1.1 * few,
            )
        )  # fmt: skip
    return figures


if __name__ == "__main__":
    import json

    for one in run():
        print(json.dumps(one))
