"""The clock model on a real 600 Hz recording: what is left over, and what of planted faults is found.

The recording (Tobii Pro Spectrum, eye openness, 64 s, and gaze, 10 s) is no part of the project: name its folder in
EMER_TEST_DATA, or have it at ../shared/data. Faults are planted into its stamps one at a time, at 20 seeded places.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figure import figure
from data_schema.clocks import ClockModel, fit_clock

RESIDUAL_SD_MS = 0.3
N_PLANTED = 20
RESET_US, DRIFT_CHANGE_PPM, BLOCK_US = -50_000, 200.0, 5_000_000
Stamps = tuple[np.ndarray, np.ndarray]


def recordings() -> Path | None:
    """Return the folder of the real recording, or None."""
    named = os.environ.get("EMER_TEST_DATA", "")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = folder / "tobii_spectrum_600hz"
    return folder if folder.is_dir() else None


def stamps(path: Path) -> Stamps:
    """Return device and host stamps of a recording, microseconds."""
    with gzip.open(path, "rt", newline="") as file:
        rows = [(int(row["device_time_stamp"]), int(row["system_time_stamp"])) for row in csv.DictReader(file)]
    device, system = np.array(rows, dtype=np.int64).T
    return device, system


def _with_reset(device: np.ndarray, system: np.ndarray, row: int) -> Stamps:
    device = device.copy()
    device[row:] += RESET_US
    return device, system


def _with_drift_change(device: np.ndarray, system: np.ndarray, row: int) -> Stamps:
    return device, system + np.round(DRIFT_CHANGE_PPM * 1e-6 * np.maximum(0, device - device[row])).astype(np.int64)


def _with_duplicate(device: np.ndarray, system: np.ndarray, row: int) -> Stamps:
    return np.insert(device, row, device[row - 1]), np.insert(system, row, system[row - 1])


def found(real: Stamps, row: int) -> tuple[bool, bool, bool]:
    """Tell whether a reset, a change of drift and a duplicate at a row are found there, and nothing else."""

    def events(planted: Stamps) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        model: ClockModel = fit_clock(*planted)
        return model.resets, model.drift_changes, model.duplicates

    reset = events(_with_reset(*real, row)) == ((row,), (), ())
    duplicate = events(_with_duplicate(*real, row)) == ((), (), (row,))
    resets, changes, duplicates = events(_with_drift_change(*real, row))
    near = len(changes) == 1 and abs(int(real[0][changes[0]] - real[0][row])) <= BLOCK_US
    return reset, near and not resets and not duplicates, duplicate


def run() -> list[dict[str, Any]]:
    """Return residuals of the real recording and the shares of planted faults that are found; nothing without it."""
    folder = recordings()
    if folder is None:
        print("clock_model: skipped: no real recording (name its folder in EMER_TEST_DATA)", file=sys.stderr)
        return []
    figures = []
    for name in ("eye_openness", "gaze"):
        device, system = stamps(folder / f"{name}.csv.gz")
        started = time.perf_counter()
        model = fit_clock(device, system)
        fit_s = time.perf_counter() - started
        sd_ms = model.residual_sd_us / 1e3
        seconds = (device[-1] - device[0]) / 1e6
        clean = (model.resets, model.drift_changes, model.duplicates) == ((), (), ())
        figures += [
            figure(f"residual SD, real {name}, {seconds:.0f} s at 600 Hz, drift {model.drift_ppm:+.1f} ppm", sd_ms,
                   "ms", target=f"below {RESIDUAL_SD_MS:g}, and nothing found", met=sd_ms < RESIDUAL_SD_MS and clean),
            figure(f"time of the fit, real {name}, {len(device)} samples", fit_s, "s"),
        ]  # fmt: skip
    real = stamps(folder / "eye_openness.csv.gz")
    n = len(real[0])
    rows = np.random.default_rng(0).integers(n // 4, 3 * n // 4, N_PLANTED)
    outcomes = np.array([found(real, int(row)) for row in rows])
    words = (
        f"resets of the device's clock by {RESET_US / 1e3:g} ms",
        f"changes of drift by {DRIFT_CHANGE_PPM:g} ppm, to {BLOCK_US / 1e6:g} s",
        "duplicated samples",
    )
    for column, what in enumerate(words):
        n_found = int(outcomes[:, column].sum())
        figures.append(
            figure(f"{what} found, of {N_PLANTED} planted, and nothing else", n_found, "found",
                   target=f"{N_PLANTED}", met=n_found == N_PLANTED)
        )  # fmt: skip
    figures.append(figure("time of the fit, an hour at 1200 Hz", _hour_s(), "s"))
    return figures


def _hour_s() -> float:
    device = 4_000_000_000 + np.round(np.arange(3600 * 1200) * 1e6 / 1200).astype(np.int64)
    system = device + 77_000_000 + np.random.default_rng(0).normal(0, 100, len(device)).astype(np.int64)
    started = time.perf_counter()
    fit_clock(device, system)
    return time.perf_counter() - started


if __name__ == "__main__":
    for item in run():
        print(json.dumps(item))
