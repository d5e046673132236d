"""Eye movements: agreement with Tobii's own labels on a real recording, and how long the signals of a clip take.

The baseline of agreement is what a script without the filter does: the speed from each sample to the next of both eyes'
mean gaze on the screen, seen from a fixed distance, against the same threshold of 30 deg/s and nothing else. Agreement is
over the samples that Tobii calls fixation or saccade. Needs the recording `tobii_prolab_ivt` (EMER_TEST_DATA, else
`shared/data` beside the project); without it the speed alone is measured.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.figure import figure
from data_schema.session.layout import GAZE, OPENNESS
from data_schema.signals.eye_signals import prepare_eye_signals
from data_schema.signals.fixations import IVTParameters, find_eye_movements
from data_schema.signals.gaze import ScreenGeometry

SCREEN = ScreenGeometry(1920, 1080, 527.0, 296.5, 650.0)
KINDS = {"Unclassified": 0, "Fixation": 1, "Saccade": 2, "EyesNotFound": 3}
THRESHOLD_DEG_S = 30.0

Rows = npt.NDArray[np.void]
Kinds = npt.NDArray[np.int64]


def _recording() -> Path | None:
    folder = os.environ.get("EMER_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(folder) / "tobii_prolab_ivt" / "ivt_300Hz.tsv.gz"
    return path if path.is_file() else None


def _read(path: Path) -> tuple[Rows, Kinds]:
    """Return a Pro Lab export as rows of /eye/gaze in the display's coordinates, and Tobii's labels."""
    table = pd.read_csv(path, sep="\t", decimal=",", low_memory=False)
    table = table[table["Sensor"] == "Eye Tracker"]
    rows = GAZE.empty(len(table))
    rows["t_system_us"] = rows["t_device_us"] = table["Eyetracker timestamp [μs]"]
    for side in ("left", "right"):
        gaze = table[[f"Gaze point {side} {axis} [DACS mm]" for axis in "XY"]].to_numpy(dtype=float)
        eye = table[[f"Eye position {side} {axis} [DACS mm]" for axis in "XYZ"]].to_numpy(dtype=float)
        direction = table[[f"Gaze direction {side} {axis} [DACS norm]" for axis in "XYZ"]].to_numpy(dtype=float)
        rows[f"{side}_gaze_norm"] = gaze / (SCREEN.width_mm, SCREEN.height_mm)
        # The direction has more digits than the gaze point: follow it to the display.
        rows[f"{side}_gaze_user_mm"] = eye - eye[:, 2:] / direction[:, 2:] * direction
        rows[f"{side}_origin_user_mm"] = eye
        valid = (table[f"Validity {side}"] == "Valid").to_numpy()
        rows[f"{side}_gaze_valid"] = rows[f"{side}_origin_valid"] = valid
    return rows, table["Eye movement type"].map(KINDS).to_numpy(dtype=np.int64)


def threshold_only(rows: Rows) -> Kinds:
    """Return what sample-to-sample speed and a threshold make of it."""
    sides = []
    for side in ("left", "right"):
        gaze = rows[f"{side}_gaze_norm"].astype(float)
        gaze[rows[f"{side}_gaze_valid"] != 1] = np.nan
        sides.append(gaze)
    gaze = np.where(np.isnan(sides[0]), sides[1], np.where(np.isnan(sides[1]), sides[0], (sides[0] + sides[1]) / 2))
    angles = SCREEN.norm_to_deg(gaze)
    steps_s = np.diff(rows["t_system_us"].astype(np.int64)) / 1e6
    speed = np.concatenate([[0.0], np.hypot(*np.diff(angles, axis=0).T) / steps_s])
    kinds = np.where(speed >= THRESHOLD_DEG_S, KINDS["Saccade"], KINDS["Fixation"])
    return np.where(np.isnan(gaze[:, 0]), KINDS["EyesNotFound"], kinds).astype(np.int64)


def agreement(truth: Kinds, found: Kinds) -> tuple[float, float]:
    """Return the share of agreeing samples and Cohen's kappa, where Tobii says fixation or saccade."""
    judged = np.isin(truth, (KINDS["Fixation"], KINDS["Saccade"]))
    a, b = truth[judged], found[judged]
    same = float((a == b).mean())
    chance = sum(float((a == kind).mean() * (b == kind).mean()) for kind in np.union1d(a, b))
    return same, (same - chance) / (1.0 - chance)


def _clip(seconds: float, rate_hz: float) -> tuple[Rows, Rows]:
    """Return gaze and openness of somebody who looks about, blinks and is lost now and then."""
    rng = np.random.default_rng(0)
    n, stay = round(seconds * rate_hz), round(0.25 * rate_hz)
    gaze = np.repeat(rng.uniform(0.1, 0.9, (n // stay + 1, 2)), stay, axis=0)[:n] + rng.normal(0, 1e-3, (n, 2))
    rows, openness = GAZE.empty(n), OPENNESS.empty(n)
    rows["t_system_us"] = openness["t_system_us"] = np.round(np.arange(n) * 1e6 / rate_hz)
    shut = (np.arange(n) % round(4 * rate_hz)) < round(0.15 * rate_hz)
    for side, shift_mm in (("left", -31.0), ("right", 31.0)):
        rows[f"{side}_gaze_norm"] = gaze
        rows[f"{side}_gaze_user_mm"] = SCREEN.gaze_3d_mm(gaze)
        rows[f"{side}_origin_user_mm"] = (shift_mm, 0.0, SCREEN.distance_mm)
        rows[f"{side}_pupil_mm"] = 3.0 + rng.normal(0, 0.01, n)
        for name in ("gaze", "origin", "pupil"):
            rows[f"{side}_{name}_valid"] = ~shut & (rng.random(n) > 0.002)
        openness[f"{side}_openness_mm"] = np.where(shut, 1.0, 9.0) + rng.normal(0, 0.1, n)
        openness[f"{side}_valid"] = 1
    return rows, openness


def _seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the median processor time of some work."""
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def run(quick: bool = False) -> list[dict[str, Any]]:
    figures: list[dict[str, Any]] = []
    path = _recording()
    if path is not None:
        rows, truth = _read(path)
        naive = agreement(truth, threshold_only(rows))
        found = find_eye_movements(rows).kind.astype(np.int64)
        ours = agreement(truth, found)
        figures += [
            figure(
                "agreement with Tobii's labels, real 300 Hz recording", ours[0], "share of samples",
                baseline="threshold only", baseline_value=naive[0], target="at least 0.998", met=ours[0] >= 0.998,
            ),
            figure(
                "Cohen's kappa with Tobii's labels", ours[1], "",
                baseline="threshold only", baseline_value=naive[1], target="at least 0.99", met=ours[1] >= 0.99,
            ),
            figure("samples of all four kinds that differ", float((found != truth).sum()), f"of {len(truth)}"),
        ]  # fmt: skip
    repeats = 5 if quick else 15
    seconds, rate_hz = 60.0, 1200.0
    rows, openness = _clip(seconds, rate_hz)
    movements_s = _seconds(lambda: find_eye_movements(rows, SCREEN, IVTParameters()), repeats)
    naive_s = _seconds(lambda: threshold_only(rows), repeats)
    all_s = _seconds(lambda: prepare_eye_signals(rows, openness, SCREEN), repeats)
    return [
        *figures,
        figure(
            f"eye movements of a clip of {seconds:g} s at {rate_hz:g} Hz, processor time, median", movements_s, "s",
            baseline="threshold only", baseline_value=naive_s,
        ),
        figure("eye movements, rows a second of the processor", len(rows) / movements_s, "rows/s"),
        figure(
            "all eye signals of the same clip (movements, blinks, pupil)", all_s, "s",
            target="below 0.1 s", met=all_s < 0.1,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    import json

    for one in run():
        print(json.dumps(one))
