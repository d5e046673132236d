"""Write the gaze of a recording as the Parquet table that is published.

The baseline is ``DataFrame.to_parquet`` of the same columns and rows at once, with the same compression, in the same run and
turn about. Memory is the peak of a process of its own that writes a short and a long recording: it must not grow with the length.
"""

from __future__ import annotations

import json
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
from data_schema.publishing.tables.arrow import write_parquet
from data_schema.publishing.tables.build import GAZE_ROWS
from data_schema.publishing.tables.eye import GAZE_TABLE, gaze_frame
from data_schema.session.layout import GAZE

RATE_HZ = 600.0


def _chunks(n: int) -> Iterator[npt.NDArray[Any]]:
    for start in range(0, n, GAZE_ROWS):
        rng = np.random.default_rng(start)
        rows = GAZE.empty(min(GAZE_ROWS, n - start))
        rows["t_system_us"] = np.round((start + np.arange(len(rows))) * 1e6 / RATE_HZ)
        rows["t_device_us"] = rows["t_system_us"]
        for eye in ("left", "right"):
            rows[f"{eye}_gaze_norm"] = rng.normal(0.5, 0.1, (len(rows), 2))
            rows[f"{eye}_gaze_user_mm"] = rng.normal(0.0, 50.0, (len(rows), 3))
            rows[f"{eye}_origin_user_mm"] = rng.normal(0.0, 5.0, (len(rows), 3))
            rows[f"{eye}_pupil_mm"] = rng.normal(3.5, 0.1, len(rows))
            for name in ("gaze", "pupil", "origin"):
                rows[f"{eye}_{name}_valid"] = 1
        yield rows


def _frames(n: int) -> Iterator[pd.DataFrame]:
    for rows in _chunks(n):
        yield gaze_frame(rows, "K7QD2", "01", 1)


def _peak_mb(minutes: float, folder: Path) -> float:
    script = (
        "import resource, sys; from pathlib import Path; from benchmarks.published_tables import _frames; "
        "from data_schema.publishing.tables.arrow import write_parquet; "
        "from data_schema.publishing.tables.eye import GAZE_TABLE; "
        "write_parquet(Path(sys.argv[2]), GAZE_TABLE, _frames(int(sys.argv[1]))); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    command = [sys.executable, "-c", script, str(round(minutes * 60 * RATE_HZ)), str(folder / "peak.parquet")]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def run(quick: bool = False) -> list[dict[str, Any]]:
    minutes, turns, lengths = (5.0, 3, (5.0, 20.0)) if quick else (15.0, 5, (10.0, 60.0))
    n = round(minutes * 60 * RATE_HZ)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        parts = list(_frames(n))
        whole = pd.concat(parts, ignore_index=True)
        ours, theirs = [], []
        for _ in range(turns):
            began = time.perf_counter()
            write_parquet(folder / "ours.parquet", GAZE_TABLE, parts)
            ours.append(n / (time.perf_counter() - began))
            began = time.perf_counter()
            whole.to_parquet(folder / "theirs.parquet", compression="zstd", index=False)
            theirs.append(n / (time.perf_counter() - began))
        sizes = [(folder / name).stat().st_size for name in ("ours.parquet", "theirs.parquet")]
        peaks = [_peak_mb(length, folder) for length in lengths]
    growth = peaks[1] / peaks[0]
    return [
        figure(
            f"published gaze table ({minutes:g} min of {RATE_HZ:g} Hz)", statistics.median(ours), "rows/s",
            baseline="DataFrame.to_parquet of all rows at once", baseline_value=statistics.median(theirs),
            ratio=statistics.median(a / b for a, b in zip(ours, theirs, strict=True)),
        ),
        figure("its bytes a row", sizes[0] / n, "bytes", baseline="DataFrame.to_parquet", baseline_value=sizes[1] / n),
        figure(f"peak memory, {lengths[1]:g} min", peaks[1], "MB", baseline=f"{lengths[0]:g} min", baseline_value=peaks[0]),
        figure(
            f"peak memory at {lengths[1] / lengths[0]:g} times the length", growth, "times", target="< 1.2", met=growth < 1.2
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    for one in run():
        print(json.dumps(one))
