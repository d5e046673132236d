"""What the ER pass shows besides the face: how long a clip's eyes take, and whether the views keep up with playback.

The eyes of one minute at 600 Hz are computed from a session file; the baseline is reading
the same rows alone. For the views, a process of its own plays a face of 1280x720 at 30
frames a second, beside a stimulus of the same size with gaze, traces and fixation map, on
Qt's offscreen screen; the baseline is the same face played alone. The interpreter needs
PyQt5; without one the views are not measured.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.console import ROOT, find_python
from benchmarks.figure import figure
from benchmarks.numbered_video import FPS, write_file

CLIP_S = 60.0
RATE_HZ = 600.0
#: The part's own limits: a clip's eyes, and what a frame may cost at 30 frames a second with a face to draw, too.
EVIDENCE_LIMIT_MS = 300.0
PAINT_LIMIT_MS = 16.0
PLAYED_SHARE = 0.98


def _cpu() -> float:
    """Seconds of the processor that this thread has had: what else runs on the machine does not count."""
    return time.thread_time()


def run(quick: bool = False) -> Iterator[dict[str, Any]]:
    """Measure evidence and views."""
    with tempfile.TemporaryDirectory() as folder:
        yield from evidence(Path(folder), 3 if quick else 9)
        python = find_python()
        if python is None:
            print("er_views: no interpreter with PyQt5, the views are not measured", file=sys.stderr)
            return
        yield from views(python, Path(folder), 4.0 if quick else 20.0)


def evidence(folder: Path, n: int) -> Iterator[dict[str, Any]]:
    """Compute the eyes of a clip of one minute, from the file."""
    from annotation.evidence import eye_evidence, load_evidence, save_evidence
    from data_schema.session.layout import GAZE, OPENNESS
    from data_schema.session.reader import open_session
    from data_schema.session.synthetic import make_synthetic_session

    path = make_synthetic_session(folder / "clip.h5", n_trials=1, trial_s=CLIP_S, rate_hz=RATE_HZ, with_video=False)
    computed, read = [], []
    for _ in range(n):
        with open_session(path) as session:
            trial = session.trials()[0]
            span = (trial.t_onset_us, trial.t_offset_us)
            began = _cpu()
            for table in (GAZE, OPENNESS):
                session.table(table).between(*span)
            read.append(_cpu() - began)
            began = _cpu()
            eyes = eye_evidence(session, *span, stimulus_size_px=(640, 480))
            computed.append(_cpu() - began)
    yield figure(
        "er_evidence_ms", statistics.median(computed) * 1000, "ms of the processor for a clip of 60 s at 600 Hz",
        baseline="reading its rows alone", baseline_value=statistics.median(read) * 1000,
        target=f"below {EVIDENCE_LIMIT_MS:.0f}", met=statistics.median(computed) * 1000 < EVIDENCE_LIMIT_MS,
    )  # fmt: skip
    kept = folder / "eyes.npz"
    save_evidence(kept, eyes)
    began = _cpu()
    load_evidence(kept)
    loaded_ms = (_cpu() - began) * 1000
    yield figure(
        "er_evidence_load_ms", loaded_ms, f"ms from a bundle's file of {kept.stat().st_size / 1e6:.1f} MB",
        baseline="computing it", baseline_value=statistics.median(computed) * 1000,
    )  # fmt: skip


def views(python: str, folder: Path, play_s: float) -> Iterator[dict[str, Any]]:
    """Play with and without the views, in a process of their own."""
    video = write_file(folder / "clip.mp4", round(play_s * FPS))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [python, "-m", "benchmarks.er_views", str(video), str(folder / "clip.h5")],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=60 + 6 * play_s,
    )  # fmt: skip
    told = json.loads(done.stdout.splitlines()[-1])
    yield figure(
        "er_views_face_frames_shown", told["with_views"], "share of the face's frames that were shown while playing",
        baseline="the face alone", baseline_value=told["alone"],
        target=f"at least {PLAYED_SHARE:g} of the baseline", met=told["with_views"] >= PLAYED_SHARE * told["alone"],
    )  # fmt: skip
    yield figure(
        "er_views_stimulus_on_time", told["on_time"],
        "share of those moments at which the stimulus' frame stood there at once",
        target="at least 0.95", met=told["on_time"] >= 0.95,
    )  # fmt: skip
    yield figure(
        "er_views_paint_p95_ms", told["paint_p95_ms"], "ms of the processor for a new frame: stimulus with gaze, traces, map",
        baseline="drawing the face", baseline_value=told["face_paint_p95_ms"],
        target=f"below {PAINT_LIMIT_MS:.0f}", met=told["paint_p95_ms"] < PAINT_LIMIT_MS,
    )  # fmt: skip


# ---------------------------------------------------------------- in the process with the views


class _Desk:
    """A player with topics: what the views follow, without a queue and a label file."""

    task = "er"
    item = object()
    media_error = None

    def __init__(self, video: Path, track: Any, eyes: Any) -> None:
        from annotation.desk.topics import Topics
        from annotation.playback import Player, open_video

        self._topics = Topics()
        self.subscribe = self._topics.subscribe
        self.stimulus, self.eyes = track, eyes
        self.player = Player()
        self.player.load(open_video(video))
        self.shown: list[int] = []

    def set_panels(self, names: tuple[str, ...]) -> None:
        """Nobody stores it."""

    def tick(self) -> None:
        """As the desk does."""
        if self.player.tick():
            self.shown.append(self.player.index)
            with self._topics.change():
                self._topics.note("frame")


def _play(application: Any, desk: _Desk) -> float:
    """Play the clip once; returns the share of its frames that were shown."""
    from qtpy.QtCore import QTimer

    desk.player.to_start()
    desk.player.settle()
    desk.shown.clear()
    timer = QTimer()
    timer.timeout.connect(desk.tick)
    timer.start(15)
    desk.player.play()
    while desk.player.playing:
        application.processEvents()
        time.sleep(0.001)
    timer.stop()
    return len(set(desk.shown)) / (len(desk.player.frames) - 1)


def _paint_ms(application: Any, desk: _Desk, scene: Any, change: Callable[[], None]) -> float:
    """Return the 95th percentile of what the window's thread does for a new frame, once `change` has told it."""
    took = []
    for index in range(0, len(desk.player.frames) - 1, max(1, len(desk.player.frames) // 60)):
        desk.player.seek(index)
        desk.player.settle()
        scene.refresh()
        while not scene.picture_is_due:
            application.processEvents()
        application.processEvents()
        began = _cpu()
        change()
        application.processEvents()
        took.append((_cpu() - began) * 1000)
    return float(np.percentile(took, 95))


def measure(video: Path, session_path: Path) -> dict[str, float]:
    """Play the face alone, then with the views beside it."""
    from annotation.app import make_application
    from annotation.evidence import StimulusTrack, eye_evidence
    from annotation.evidence.guarded import GuardedFrames
    from annotation.playback import open_video
    from annotation.texts import Texts
    from annotation.views.er import build_er_panel
    from annotation.views.theme import Theme
    from annotation.views.video_view import VideoView
    from data_schema.session.reader import open_session

    application = make_application()
    with open_session(session_path) as session:
        trial = session.trials()[0]
        eyes = eye_evidence(session, trial.t_onset_us, trial.t_offset_us)
    frames = open_video(video)
    flips = (np.arange(2 * len(frames)) * 1_000_000 // (2 * FPS)).astype(np.int64)
    track = StimulusTrack(GuardedFrames(frames), flips, np.arange(len(flips)) // 2)
    desk, texts, theme = _Desk(video, track, eyes), Texts("en"), Theme("light")
    face = VideoView(desk, texts, theme, lambda action: action)
    face.resize(860, 484)
    face.show()
    alone = _play(application, desk)
    panel = build_er_panel(desk, texts, theme)
    panel.resize(560, 800)
    panel.show()
    on_time: list[bool] = []
    panel.scene.subscribe(lambda: on_time.append(panel.scene.picture_is_due))
    with_views = _play(application, desk)
    told = {
        "alone": alone,
        "with_views": with_views,
        "on_time": float(np.mean(on_time)),
        "paint_p95_ms": _paint_ms(application, desk, panel.scene, panel.scene.refresh),
        "face_paint_p95_ms": _paint_ms(application, desk, panel.scene, face.update),
    }
    panel.end()
    desk.player.unload()
    track.frames.close()
    return told


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), Path(sys.argv[2]))))
