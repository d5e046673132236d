"""Record in real time for a minute: 1200 Hz gaze and 1280x720 at 30 frames/s. What is lost, and what does it cost?

The simulated devices run inside the recorder's process, as real ones' drivers
do, so their cost is part of the figures: drawing the face takes about 1.4 ms of
CPU time a frame, generating gaze less.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figure import figure
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


def run(seconds: float = 60.0, *, quick: bool = False) -> list[dict[str, Any]]:
    """Return loss, memory and CPU of a recording in real time (10 s if `quick`)."""
    seconds = 10.0 if quick else seconds
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
    what = f"{RATE_HZ:.0f} Hz gaze and {WIDTH_PX}x{HEIGHT_PX} at {FPS:.0f} fps for {seconds:.0f} s"
    rows_due, frames_due = RATE_HZ * duration_s, FPS * duration_s
    rows_enough, frames_enough = len(gaze_us) >= 0.995 * rows_due, len(frames) >= 0.98 * frames_due
    peak_mb, waited = status.memory_peak_bytes / 1e6, status.stream("frames").peak
    cores = status.cpu_s / status.uptime_s
    median_ms, high_ms = status.encode_ms
    frame_ms = 1000 / FPS
    return [
        figure(f"gaze samples lost, {what}", samples_lost, "samples", target="0", met=samples_lost == 0),
        figure(f"frames lost, {what}", frames_lost, "frames", target="0", met=frames_lost == 0),
        figure("gaze rows on file", len(gaze_us), "rows", baseline="produced", baseline_value=rows_due,
               target="all", met=rows_enough),
        figure("frames on file", len(frames), "frames", baseline="produced (intervals vary)", baseline_value=frames_due,
               target="all", met=frames_enough),
        figure("recorder's peak memory", peak_mb, "MB", target=f"at most {MEMORY_LIMIT_MB:.0f}",
               met=peak_mb <= MEMORY_LIMIT_MB),
        figure("recorder's CPU time per second, devices included", cores, "cores", target="below 1", met=cores < 1),
        figure("encoding, median per frame", median_ms, "ms", baseline="time between frames", baseline_value=frame_ms,
               target="below the baseline", met=median_ms < frame_ms),
        figure("encoding, 95th percentile per frame", high_ms, "ms", baseline="time between frames",
               baseline_value=frame_ms, target="below the baseline", met=high_ms < frame_ms),
        figure("most frames that waited", waited, "frames", target="at most 30", met=waited <= 30),
        figure("file size per minute", n_bytes / duration_s * 60 / 1e6, "MB"),
    ]  # fmt: skip


if __name__ == "__main__":
    for item in run(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0):
        print(json.dumps(item))
