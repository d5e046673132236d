"""From a flip of the participant's screen to its stored marker, and the flips that recording costs: under Xvfb.

The presenter is the real one: PsychoPy's window, a clip, our loop. The recorder is the real one, with 1200 Hz gaze
and 1280x720 at 30 frames/s from simulated devices. Xvfb has no vertical sync, so flips are paced by the clock at
60 Hz, and a flip counts as missed when a period of the clock passed without one: the bound is that of a loop which is
not woken or not rendered in time. Its pictures are rendered by the same two cores as everything else (llvmpipe),
which a graphics card would spare them. So recording on and off are compared in pairs, in the same window, on the same
clip, and the difference is what recording costs. A third time each clip plays beside a recording without the
presenter going before other programs (collection/process_priority.py), which says what that brings.

Needs psychopy (make test-lab makes its environment): .venv-lab/bin/python -m benchmarks flips
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figure import figure
from collection.presenter.psychopy import PsychopyPresenter
from collection.process_priority import raised
from collection.protocol.steps import PlayClip
from collection.recorder import Recorder, RecorderSettings
from data_schema.clocks import SystemClock
from data_schema.session import markers
from data_schema.session.layout import FLIPS, MARKERS
from data_schema.study.config import parse_config
from data_schema.study.placeholders import write_placeholder
from data_schema.study.sections import ScreenSection

WIDTH, HEIGHT, REFRESH_HZ = 640, 360, 60.0
CLIP_S = 6.0
STORED_MS = 50.0
_DEADLINE_S = 5.0
#: Ways of playing: recording off, recording on, recording on without the presenter going first.
_OFF, _ON, _PLAIN = range(3)


def run(n_pairs: int = 10, n_markers: int = 200, *, quick: bool = False) -> list[dict[str, Any]]:
    """Return latencies of `n_markers` flips and missed flips of `n_pairs` pairs (3 and 50 if `quick`)."""
    if importlib.util.find_spec("psychopy") is None:
        print("flips: skipped: psychopy is not installed here", file=sys.stderr)
        return []
    n_pairs, n_markers = (3, 50) if quick else (n_pairs, n_markers)
    with tempfile.TemporaryDirectory() as name, _screen():
        folder = Path(name)
        clip = folder / "clip.mp4"
        write_placeholder(clip, emotion="neutral", number=1, duration_s=CLIP_S)
        screen = ScreenSection(width_px=WIDTH, height_px=HEIGHT, refresh_hz=REFRESH_HZ)
        presenter = PsychopyPresenter(screen, language="en", clock=SystemClock(), fullscreen=False)
        presenter.open()
        try:
            returned_us = _stamp_differences(presenter)
            stored_ms = _flip_to_stored(presenter, folder, n_markers)
            off, on, plain = _missed(presenter, folder, clip, n_pairs)
        finally:
            presenter.close()
    beside = "beside 1200 Hz gaze and 1280x720 at 30 fps"
    high = float(np.percentile(stored_ms, 95))
    due = off[:, 0].sum()
    missed_off, missed_on = 100 * off[:, 1].sum() / due, 100 * on[:, 1].sum() / on[:, 0].sum()
    more = on[:, 1] - off[:, 1]
    missed_plain = 100 * plain[:, 1].sum() / plain[:, 0].sum()
    return [
        figure(f"flip to stored marker, median of {n_markers} {beside}", float(np.median(stored_ms)), "ms",
               target=f"below {STORED_MS:g}", met=float(np.median(stored_ms)) < STORED_MS),
        figure(f"flip to stored marker, 95th percentile of {n_markers} {beside}", high, "ms",
               target=f"below {STORED_MS:g}", met=high < STORED_MS),
        figure("from PsychoPy's stamp of a flip to the flip's return, median", float(np.median(returned_us)), "us"),
        figure("from PsychoPy's stamp of a flip to the flip's return, 99th percentile",
               float(np.percentile(returned_us, 99)), "us"),
        figure(f"refreshes without a flip, recording on ({n_pairs} clips of {CLIP_S:g} s; paced by the clock)",
               missed_on, "%", baseline="recording off, same clips in turn", baseline_value=missed_off),
        figure(f"more refreshes missed with recording on, median of {n_pairs} pairs", float(np.median(more)),
               f"flips of {round(due / n_pairs)}", target="0", met=float(np.median(more)) <= 0),
        figure(f"refreshes without a flip, recording on, without raised priority ({n_pairs} clips)", missed_plain, "%",
               baseline="recording on, priority raised", baseline_value=missed_on),
        figure(f"more refreshes missed without raised priority, median of {n_pairs} pairs",
               float(np.median(plain[:, 1] - on[:, 1])), f"flips of {round(due / n_pairs)}"),
        figure("the priority of the presenter can be raised here", float(_may_go_first()), "1 for yes"),
        figure("most refreshes missed in a pair with recording on", float(on[:, 1].max()), "flips",
               baseline="recording off", baseline_value=float(off[:, 1].max())),
    ]  # fmt: skip


@contextmanager
def _screen() -> Iterator[None]:
    """Start a virtual screen of our own, whatever desktop there is."""
    from tools.make_screenshots import start_screen

    server, environment = start_screen()
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        if server is not None:
            server.terminate()
            server.wait(10)


def _recorder(path: Path) -> Recorder:
    config = parse_config(
        {
            "study": {"title": "flips"},
            "eye_tracker": {"kind": "simulated", "rate_hz": 1200.0},
            "camera": {"source": "simulated", "width_px": 1280, "height_px": 720, "fps": 30.0},
            "recording": {"min_free_gb": 0.0},
        },
        "flips",
    )
    return Recorder(
        RecorderSettings(
            path, "B1", "01", config, clock=SystemClock(), planned_s=60.0, simulated=True,
            device_seed=1, participant_seed=1,
        )
    )  # fmt: skip


def _stamp_differences(presenter: PsychopyPresenter) -> np.ndarray:
    clock = SystemClock()
    differences = []
    for _ in range(500):
        flip_us = presenter.window.flip()
        differences.append(clock.now_us() - flip_us)
    return np.array(differences)


def _flip_to_stored(presenter: PsychopyPresenter, folder: Path, n_markers: int) -> list[float]:
    """Set a marker with each flip's time and look when a reader finds it in the growing file; milliseconds."""
    import h5py

    path = folder / "markers.h5"
    clock = SystemClock()
    rng = np.random.default_rng(3)
    stored: list[float] = []
    with _recorder(path) as recorder:
        recorder.start()
        with h5py.File(path, "r", swmr=True) as file:
            rows = file[MARKERS.path]
            for number in range(n_markers):
                clock.sleep_until(clock.now_us() + round(rng.uniform(20_000, 80_000)))
                n_before = _settled(recorder, rows)
                flip_us = presenter.window.flip()
                recorder.marker(markers.STIMULUS_ONSET, f"{number}", t_system_us=flip_us)
                deadline_s = time.monotonic() + _DEADLINE_S
                while True:
                    rows.refresh()
                    if rows.shape[0] > n_before:
                        break
                    if time.monotonic() > deadline_s:
                        raise RuntimeError(f"the marker of flip {number} was not stored within {_DEADLINE_S:g} s")
                    time.sleep(0.0005)
                stored.append((clock.now_us() - flip_us) / 1e3)
                if int(rows[n_before]["t_system_us"]) != flip_us:
                    raise RuntimeError(f"row {n_before} is not the marker of flip {number}")
        recorder.stop()
    return stored


def _settled(recorder: Recorder, rows: Any) -> int:
    deadline_s = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline_s:
        rows.refresh()
        n = int(rows.shape[0])
        # The recorder's own first markers may still be on their way.
        if n and recorder.acknowledged.get(MARKERS.path, 0) == n:
            return n
        time.sleep(0.001)
    raise RuntimeError("the reader and the recorder do not agree on what is on file")


def _may_go_first() -> bool:
    with raised() as permitted:
        return permitted


def _missed(
    presenter: PsychopyPresenter, folder: Path, clip: Path, n_pairs: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Play each clip in three ways, the order turned each time; returns (refreshes, missed) a clip for each way.

    The ways: recording off; recording on; recording on without the presenter going first.
    """
    found: list[list[tuple[int, int]]] = [[], [], []]
    clock = SystemClock()
    for pair in range(n_pairs):
        for turn in range(3):
            way = (turn + pair) % 3 if pair % 2 == 0 else (2 - turn + pair) % 3
            presenter.goes_first = way != _PLAIN
            context: Any = nullcontext() if way == _OFF else _recorder(folder / f"flips-{pair}-{way}.h5")
            with context as recorder:
                if recorder is not None:
                    recorder.start()
                step = PlayClip("clip", CLIP_S, pair + 1, "clip", "neutral", clip)
                presenter.prepare(step)

                def take(rows: np.ndarray, recorder: Any = recorder) -> None:
                    if recorder is not None:
                        recorder.rows(FLIPS.path, rows)

                shown = presenter.play(step, clock.now_us() + 500_000, take, lambda: False)
                if recorder is not None:
                    summary = recorder.stop()
                    stored = summary.status.stream(FLIPS.path)
                    if stored.dropped:
                        raise RuntimeError(f"{stored.dropped} rows of flips were lost")
            found[way].append((shown.n_flips + shown.n_flips_dropped, shown.n_flips_dropped))
    presenter.goes_first = True
    off, on, plain = (np.array(way) for way in found)
    return off, on, plain


if __name__ == "__main__":
    for item in run():
        print(json.dumps(item))
