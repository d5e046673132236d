"""Record in real time: 1200 Hz gaze and 1280x720 at 30 frames/s. What is lost, and what does it cost?

    python -m benchmarks.recorder_realtime                  60 s, then 60 s on a disk that stalls
    python -m benchmarks.recorder_realtime 3600             an hour, on a good disk
    python -m benchmarks.recorder_realtime 3600 --stall     an hour, 50 ms of standstill every second

The simulated devices run inside the recorder's process, as real ones' drivers do, so their cost is part of the
figures: drawing the face takes about 1.4 ms of CPU time a frame, generating gaze less. The gaze is handed to the
sink sample by sample (see `benchmarks/observed_recorder.py`).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figure import figure
from benchmarks.observed_recorder import observations_path, percentile_us
from collection.recorder import Recorder, RecorderSettings, RecordingSummary
from data_schema.clocks import SystemClock
from data_schema.session.layout import FRAMES, GAZE
from data_schema.session.reader import open_session
from data_schema.study.config import parse_config

RATE_HZ, WIDTH_PX, HEIGHT_PX, FPS = 1200.0, 1280, 720, 30.0
#: Memory that the recorder may take, whatever the length of the session: libraries
#: (numpy, h5py, OpenCV, FFmpeg) about 130 MB, 30 raw frames 83 MB, queues 10 MB.
MEMORY_LIMIT_MB = 400.0
#: Memory that may come between a quarter of the recording and its end; chosen by us: the allocator's own wavering.
GROWTH_LIMIT_MB = 12.0
CALLBACK_P99_MS, UNFLUSHED_S = 1.0, 0.5


@dataclass
class Run:
    """What one recording cost and left."""

    summary: RecordingSummary
    n_bytes: int
    memory_mb: list[float]
    """At 1/4, 2/4, 3/4 and the end."""
    unflushed_s: float
    samples_lost: int
    frames_lost: int
    n_rows: int
    n_frames: int
    callback_p99_ms: float
    callback_longest_ms: float
    n_stalls: int


def record(
    path: Path,
    seconds: float,
    *,
    stall: bool = False,
    width_px: int = WIDTH_PX,
    height_px: int = HEIGHT_PX,
    preset: str = "ultrafast",
) -> Run:
    """Record for `seconds` and look at what came of it."""
    config = parse_config(
        {
            "study": {"title": "real time"},
            "eye_tracker": {"kind": "simulated", "rate_hz": RATE_HZ},
            "camera": {
                "source": "simulated",
                "width_px": width_px,
                "height_px": height_px,
                "fps": FPS,
                "preset": preset,
            },
            "recording": {"min_free_gb": 0.0},
        },
        "real time",
    )
    clock = SystemClock()
    factory = "devices_on_a_stalling_disk" if stall else "devices"
    settings = RecorderSettings(
        path, "B1", "01", config, clock=clock, planned_s=seconds, simulated=True, device_seed=1, participant_seed=1,
        device_factory=f"benchmarks.observed_recorder:{factory}",
    )  # fmt: skip
    memory_mb: list[float] = []
    unflushed = 0
    with Recorder(settings) as recorder:
        started_us = recorder.start().t_started_us
        for quarter in range(1, 5):
            end_us = started_us + round(quarter / 4 * seconds * 1e6)
            while clock.now_us() < end_us:
                gaze = recorder.status().stream(GAZE.path)
                unflushed = max(unflushed, gaze.received - gaze.written)
                clock.sleep_until(min(end_us, clock.now_us() + 50_000))
            memory_mb.append(recorder.status().memory_bytes / 1e6)
        summary = recorder.stop()
    observed = json.loads(observations_path(path).read_text(encoding="utf-8"))
    with open_session(path) as session:
        gaze_us = session.table(GAZE).column("t_device_us").astype(np.int64)
        frames = session.table(FRAMES)[:]
    # Produced by the device and not on file: holes in the device's own regular clock count, too.
    spacing = np.diff(gaze_us)
    holes = int(np.sum(np.rint(spacing / np.median(spacing)) - 1))
    status = summary.status
    return Run(
        summary,
        path.stat().st_size,
        memory_mb,
        unflushed / RATE_HZ,
        status.stream(GAZE.path).dropped + holes,
        status.stream("frames").dropped + int(frames["missed_before"].sum()),
        len(gaze_us),
        len(frames),
        percentile_us(observed["counts"], 99) / 1e3,
        observed["longest_us"] / 1e3,
        observed["stalls"],
    )


def run(seconds: float = 60.0, *, quick: bool = False) -> list[dict[str, Any]]:
    """Return loss, memory and CPU of a recording in real time (10 s if `quick`), on a good and on a stalling disk."""
    seconds = 10.0 if quick else seconds
    return measure(seconds, stall=False) + measure(seconds, stall=True)


def measure(seconds: float, *, stall: bool) -> list[dict[str, Any]]:
    """Return the figures of one recording."""
    with tempfile.TemporaryDirectory() as folder:
        result = record(Path(folder) / "realtime.h5", seconds, stall=stall)
    status, duration_s = result.summary.status, result.summary.duration_s
    what = f"{RATE_HZ:.0f} Hz gaze and {WIDTH_PX}x{HEIGHT_PX} at {FPS:.0f} fps for {seconds:.0f} s"
    if stall:
        what += f", disk stalled {result.n_stalls} times for 50 ms"
    rows_due, frames_due = RATE_HZ * duration_s, FPS * duration_s
    peak_mb, waited = status.memory_peak_bytes / 1e6, status.stream("frames").peak
    growth_mb = result.memory_mb[-1] - result.memory_mb[0]
    moments = ", ".join(f"{mb:.0f}" for mb in result.memory_mb)
    cores = status.cpu_s / status.uptime_s
    median_ms, high_ms = status.encode_ms
    frame_ms = 1000 / FPS
    stalled_enough = not stall or result.n_stalls >= 0.8 * duration_s
    figures = [
        figure(f"gaze samples lost, {what}", result.samples_lost, "samples", target="0",
               met=result.samples_lost == 0 and stalled_enough),
        figure(f"frames lost, {what}", result.frames_lost, "frames", target="0",
               met=result.frames_lost == 0 and stalled_enough),
        figure("gaze rows on file", result.n_rows, "rows", baseline="produced", baseline_value=rows_due,
               target="all", met=result.n_rows >= 0.995 * rows_due),
        figure("frames on file", result.n_frames, "frames", baseline="produced (intervals vary)",
               baseline_value=frames_due, target="all", met=result.n_frames >= 0.98 * frames_due),
        figure("99th percentile of the sink's time in the tracker's thread, one sample a call",
               result.callback_p99_ms, "ms", target=f"below {CALLBACK_P99_MS:g}",
               met=result.callback_p99_ms < CALLBACK_P99_MS),
        figure("longest time of the sink in the tracker's thread", result.callback_longest_ms, "ms"),
        figure("most gaze that was not flushed, at ten looks a second", result.unflushed_s, "s",
               target=f"at most {UNFLUSHED_S:g}", met=result.unflushed_s <= UNFLUSHED_S),
        figure("recorder's peak memory", peak_mb, "MB", target=f"at most {MEMORY_LIMIT_MB:.0f}",
               met=peak_mb <= MEMORY_LIMIT_MB),
        figure(f"recorder's memory at the end over that at a quarter (at the four quarters: {moments} MB)", growth_mb,
               "MB", target=f"at most {GROWTH_LIMIT_MB:g}", met=growth_mb <= GROWTH_LIMIT_MB),
        figure("recorder's CPU time per second, devices included", cores, "cores", target="below 1", met=cores < 1),
        figure("encoding, median per frame", median_ms, "ms", baseline="time between frames", baseline_value=frame_ms,
               target="below the baseline", met=median_ms < frame_ms),
        figure("encoding, 95th percentile per frame", high_ms, "ms", baseline="time between frames",
               baseline_value=frame_ms, target="below the baseline", met=high_ms < frame_ms),
        figure("most frames that waited", waited, "frames", target="at most 30", met=waited <= 30),
        figure("file size per minute", result.n_bytes / duration_s * 60 / 1e6, "MB"),
    ]  # fmt: skip
    if stall:
        # So that no name is there twice: the first two say it already.
        for item in figures[2:]:
            item["figure"] += " (stalling disk)"
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recorder_realtime")
    parser.add_argument(
        "seconds", nargs="?", type=float, default=0.0, help="length; 60 s with and without stall if not given"
    )
    parser.add_argument("--stall", action="store_true", help="hold one write up for 50 ms every second")
    arguments = parser.parse_args()
    figures = measure(arguments.seconds, stall=arguments.stall) if arguments.seconds else run()
    for item in figures:
        print(json.dumps(item), flush=True)


if __name__ == "__main__":
    main()
