"""Gaze rows made by hand, and the real recordings as arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from data_schema.session.layout import GAZE
from data_schema.signals.gaze import ScreenGeometry

SCREEN = ScreenGeometry(1920, 1080, 528.0, 297.0, 650.0)


def stamps(n: int, rate_hz: float = 600.0, start_us: int = 1_000_000) -> np.ndarray:
    return start_us + np.round(np.arange(n) * 1e6 / rate_hz).astype(np.int64)


def gaze_rows(t_us: np.ndarray, gaze_norm: np.ndarray, pupil_mm: float | np.ndarray = 3.0) -> np.ndarray:
    """Return rows of /eye/gaze; NaN in `gaze_norm` is a loss of both eyes."""
    rows = GAZE.empty(len(t_us))
    rows["t_system_us"] = rows["t_device_us"] = rows["t_received_us"] = t_us
    seen = np.isfinite(gaze_norm).all(axis=1)
    user = SCREEN.gaze_3d_mm(gaze_norm)
    for side, shift_mm in (("left", -31.0), ("right", 31.0)):
        rows[f"{side}_gaze_norm"] = gaze_norm
        rows[f"{side}_gaze_user_mm"] = user
        rows[f"{side}_origin_user_mm"] = (shift_mm, 0.0, SCREEN.distance_mm)
        rows[f"{side}_pupil_mm"] = pupil_mm
        for name in ("gaze", "pupil", "origin"):
            rows[f"{side}_{name}_valid"] = seen
        rows[f"{side}_origin_user_mm"][~seen] = np.nan
        rows[f"{side}_pupil_mm"][~seen] = np.nan
    return rows


#: Tobii's words for what the eye does, as numbers of SampleKind.
TOBII_KINDS = {"Unclassified": 0, "Fixation": 1, "Saccade": 2, "EyesNotFound": 3}


def prolab_ivt(folder: Path) -> dict[str, np.ndarray]:
    """Return the 300 Hz Pro Lab recording: times, gaze, eye and direction per side, and Tobii's own classes.

    Everything is in the display's coordinates (mm, origin at its top left, z towards the viewer); directions have five
    decimals and are finer than the positions, which have one.
    """
    table = pd.read_csv(folder / "tobii_prolab_ivt" / "ivt_300Hz.tsv.gz", sep="\t", decimal=",", low_memory=False)
    table = table[table["Sensor"] == "Eye Tracker"]
    out = {"t_us": table["Eyetracker timestamp [μs]"].to_numpy().astype(np.int64)}
    for side in ("left", "right"):
        valid = (table[f"Validity {side}"] == "Valid").to_numpy()
        gaze = table[[f"Gaze point {side} {axis} [DACS mm]" for axis in "XY"]].to_numpy(dtype=float)
        eye = table[[f"Eye position {side} {axis} [DACS mm]" for axis in "XYZ"]].to_numpy(dtype=float)
        direction = table[[f"Gaze direction {side} {axis} [DACS norm]" for axis in "XYZ"]].to_numpy(dtype=float)
        out[f"{side}_gaze_mm"] = np.where(valid[:, None], np.column_stack([gaze, np.zeros(len(gaze))]), np.nan)
        out[f"{side}_eye_mm"] = np.where(valid[:, None], eye, np.nan)
        out[f"{side}_direction"] = np.where(valid[:, None], direction, np.nan)
    out["kind"] = table["Eye movement type"].map(TOBII_KINDS).to_numpy()
    return out


def prolab_rows(real: dict[str, np.ndarray], flat: bool = False) -> np.ndarray:
    """Return the same as rows of /eye/gaze; a gaze point is where its ray meets the display.

    With `flat` the three-dimensional fields are missing, as from a tracker that gives gaze on the display alone.
    """
    rows = GAZE.empty(len(real["t_us"]))
    rows["t_system_us"] = rows["t_device_us"] = rows["t_received_us"] = real["t_us"]
    for side in ("left", "right"):
        gaze, eye, direction = (real[f"{side}_{name}"] for name in ("gaze_mm", "eye_mm", "direction"))
        seen = np.isfinite(gaze[:, 0])
        rows[f"{side}_gaze_norm"] = gaze[:, :2] / (527.0, 296.5)
        reach = -eye[:, 2:] / direction[:, 2:]
        rows[f"{side}_gaze_user_mm"] = np.nan if flat else eye + reach * direction
        rows[f"{side}_origin_user_mm"] = np.nan if flat else eye
        rows[f"{side}_gaze_valid"] = rows[f"{side}_origin_valid"] = seen
    return rows


def spectrum_600hz(folder: Path) -> np.ndarray:
    """Return the real 600 Hz Spectrum recording as rows of /eye/gaze."""
    table = pd.read_csv(folder / "tobii_spectrum_600hz" / "gaze.csv.gz")
    rows = GAZE.empty(len(table))
    rows["t_system_us"], rows["t_device_us"] = table["system_time_stamp"], table["device_time_stamp"]
    for side in ("left", "right"):
        for name, source, axes in (
            ("gaze_norm", "gaze_point_on_display_area", "xy"),
            ("gaze_user_mm", "gaze_point_in_user_coordinate_system", "xyz"),
            ("origin_user_mm", "gaze_origin_in_user_coordinate_system", "xyz"),
        ):
            rows[f"{side}_{name}"] = table[[f"{side}_{source}_{axis}" for axis in axes]].to_numpy()
        rows[f"{side}_pupil_mm"] = table[f"{side}_pupil_diameter"]
        for name, source in (("gaze", "gaze_point"), ("pupil", "pupil"), ("origin", "gaze_origin")):
            rows[f"{side}_{name}_valid"] = table[f"{side}_{source}_validity"]
    return rows
