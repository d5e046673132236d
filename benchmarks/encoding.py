"""What this machine encodes, by preset and size, and what it records at 1920x1080 and 30 frames/s without dropping.

The rates are those of `collection.recorder.encoding_choice` (one core, nothing else to do, pictures like a camera's);
a recording asks for 1.5 times the camera's rate. At the end the recorder really records 1920x1080 beside 1200 Hz
gaze, as asked and with a preset that no machine here holds, from which it must go down by itself.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.figure import figure
from benchmarks.recorder_realtime import FPS, record
from collection.recorder.encoding_choice import EncoderMeter, margin
from data_schema.session import markers
from data_schema.session.layout import MARKERS
from data_schema.session.reader import open_session
from data_schema.study.sections import CameraSection

SOURCE = (1920, 1080)
SIZES = (SOURCE, (1440, 810), (1280, 720), (960, 540), (640, 360))
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium")
TOO_SLOW = "veryslow"


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Return encoding rates, and losses of recordings at 1920x1080 (shorter if `quick`)."""
    rounds, seconds = (1, 8.0) if quick else (3, 30.0)
    meter, camera = EncoderMeter(), CameraSection()
    times = margin(os.cpu_count() or 1)
    needed = times * FPS
    measured: dict[tuple[str, tuple[int, int]], list[float]] = {}
    for _ in range(rounds):
        for preset in PRESETS:
            for size in SIZES if preset == "ultrafast" else SIZES[:1]:
                measured.setdefault((preset, size), []).append(meter(camera, preset, SOURCE, size, FPS))
    figures = [
        figure(f"1920x1080 pictures encoded at {width}x{height}, preset {preset}, median of {rounds}",
               statistics.median(rates), "frames/s", baseline=f"{times:g} times {FPS:g} frames/s", baseline_value=needed)
        for (preset, (width, height)), rates in measured.items()
    ]  # fmt: skip
    for preset in ("ultrafast", TOO_SLOW):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "full-hd.h5"
            result = record(path, seconds, width_px=SOURCE[0], height_px=SOURCE[1], preset=preset)
            with open_session(path) as session:
                marks = session.table(MARKERS).frame()
        chosen = marks.loc[marks["kind"] == markers.ENCODER_CHOSEN, "message"].iloc[0]
        figures.append(
            figure(f"frames lost of {result.n_frames + result.frames_lost} at 1920x1080, {FPS:g} fps, preset {preset} "
                   f"asked; {chosen}", result.frames_lost, "frames", target="0", met=result.frames_lost == 0)
        )  # fmt: skip
        median_ms, high_ms = result.summary.status.encode_ms
        figures.append(
            figure(f"encoding at 1920x1080, preset {preset} asked, 95th percentile (median {median_ms:.1f} ms)", high_ms,
                   "ms", baseline="time between frames", baseline_value=1000 / FPS)
        )  # fmt: skip
    return figures


if __name__ == "__main__":
    for item in run():
        print(json.dumps(item))
