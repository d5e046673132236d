"""Record in real time for a minute: 1200 Hz gaze and 1280x720 at 30 frames/s. What is lost, and what does it cost?

The simulated devices run inside the recorder's process, as real ones' drivers
do, so their cost is part of the figures: drawing the face takes about 1.4 ms of
CPU time a frame, generating gaze less.
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from collection.recorder import Recorder, RecorderSettings, RecordingSummary
from data_schema.clocks import SystemClock
from data_schema.session.layout import FRAMES, GAZE
from data_schema.session.reader import open_session
from data_schema.study.config import parse_config

RATE_HZ, WIDTH_PX, HEIGHT_PX, FPS = 1200.0, 1280, 720, 30.0
#: Memory that the recorder may take, whatever the length of the session: libraries
#: (numpy, h5py, OpenCV, FFmpeg) about 130 MB, 30 raw frames 83 MB, queues 10 MB.
MEMORY_LIMIT_MB = 400.0


def record(path: Path, seconds: float) -> tuple[RecordingSummary, int]:
    """Record for `seconds`; returns the summary and the bytes of the file."""
    config = parse_config(
        {
            "study": {"title": "real time"},
            "eye_tracker": {"kind": "simulated", "rate_hz": RATE_HZ},
            "camera": {"source": "simulated", "width_px": WIDTH_PX, "height_px": HEIGHT_PX, "fps": FPS},
            "recording": {"min_free_gb": 0.0},
        },
        "real time",
    )
    clock = SystemClock()
    settings = RecorderSettings(
        path, "B1", "01", config, clock=clock, planned_s=seconds, simulated=True, device_seed=1, participant_seed=1
    )
    with Recorder(settings) as recorder:
        started = recorder.start()
        end_us = started.t_started_us + round(seconds * 1e6)
        while clock.now_us() < end_us:
            recorder.status()
            clock.sleep_until(min(end_us, clock.now_us() + 500_000))
        summary = recorder.stop()
    return summary, path.stat().st_size


def run(seconds: float = 60.0) -> list[dict[str, Any]]:
    """Return loss, memory and CPU of a recording in real time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "realtime.h5"
        summary, n_bytes = record(path, seconds)
        with open_session(path) as session:
            gaze_us = session.table(GAZE)[:]["t_device_us"]
            frames = session.table(FRAMES)[:]
    status = summary.status
    # Produced by the device and not on file: holes in the device's own regular clock count, too.
    spacing = np.diff(gaze_us.astype(np.int64))
    holes = int(np.sum(np.rint(spacing / np.median(spacing)) - 1))
    samples_lost = status.stream(GAZE.path).dropped + holes
    frames_lost = status.stream("frames").dropped + int(frames["missed_before"].sum())
    duration_s = summary.duration_s
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}
    common = {"baseline": "none", "baseline_value": None, "ratio": None, "machine": machine}
    what = f"{RATE_HZ:.0f} Hz gaze and {WIDTH_PX}x{HEIGHT_PX} at {FPS:.0f} fps for {seconds:.0f} s"
    rows_due, frames_due = RATE_HZ * duration_s, FPS * duration_s
    enough = len(gaze_us) >= 0.995 * rows_due and len(frames) >= 0.98 * frames_due
    peak = status.stream("frames").peak
    peak_mb = status.memory_peak_bytes / 1e6
    p50, p95 = (value if math.isfinite(value) else None for value in status.encode_ms)

    def figure(name: str, value: float | None, unit: str, target: float | None, met: bool) -> dict[str, Any]:
        rounded = None if value is None else round(value, 2)
        return {"figure": f"{name}, {what}", "value": rounded, "unit": unit, "target": target, "met": met, **common}

    return [
        figure("gaze samples lost", samples_lost, "samples", 0, samples_lost == 0 and enough),
        figure("frames lost", frames_lost, "frames", 0, frames_lost == 0 and enough),
        figure("gaze rows on file", len(gaze_us), "rows", round(rows_due), enough),
        figure("frames on file", len(frames), "frames", round(frames_due), enough),
        figure("recorder's peak memory", peak_mb, "MB", MEMORY_LIMIT_MB, peak_mb <= MEMORY_LIMIT_MB),
        figure("recorder's CPU time per second", status.cpu_s / status.uptime_s, "cores", 1.0,
               status.cpu_s < status.uptime_s),
        figure("encoding, median per frame", p50, "ms", 1000 / FPS, p50 is not None and p50 < 1000 / FPS),
        figure("encoding, 95th percentile per frame", p95, "ms", 1000 / FPS, p95 is not None and p95 < 1000 / FPS),
        figure("most frames that waited", peak, "frames", 30, peak <= 30),
        figure("file size per minute", n_bytes / duration_s * 60 / 1e6, "MB", None, True),
    ]  # fmt: skip


if __name__ == "__main__":
    for item in run(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0):
        print(json.dumps(item))
