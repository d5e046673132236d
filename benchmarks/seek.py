"""How soon the frame that was asked for is shown, at 1280x720, and whether it is the right one.

Random frames are sought through the player (decoding in its thread, picture as RGB) in a clip of a session file, and
in ordinary videos with a key frame every 15; the same frames are sought by OpenCV (`CAP_PROP_POS_FRAMES`, then read),
turn by turn. A number is burnt into every frame and read from each picture. Steps are made one frame at a time
within groups that are decoded already.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from annotation.playback import FrameSource, Player, SessionClipFrames, open_video
from benchmarks.figure import figure
from benchmarks.numbered_video import START_US, number_in, write_file, write_session
from data_schema.session.reader import open_session


@dataclass
class Timed:
    """Milliseconds of each picture, and how many showed another frame than asked for."""

    ms: list[float] = field(default_factory=list)
    n_wrong: int = 0

    def note(self, began: float, wrong: bool) -> None:
        self.ms.append((time.perf_counter() - began) * 1e3)
        self.n_wrong += wrong

    def at(self, percentile: float) -> float:
        return float(np.percentile(self.ms, percentile))


def seek_player(player: Player, index: int, number: int, timed: Timed) -> None:
    """Seek and wait for the picture, as the window's next tick would find it."""
    began = time.perf_counter()
    player.seek(index)
    shown = player.settle(10.0)
    elapsed = time.perf_counter() - began
    right = shown and player.image is not None and number_in(player.image) == number and player.index == index
    timed.ms.append(elapsed * 1e3)
    timed.n_wrong += not right


def compare(frames: FrameSource, opencv: Any, n_seeks: int, seed: int) -> tuple[Timed, Timed]:
    """Seek the same frames through the player and by OpenCV, turn by turn."""
    import cv2

    ours, theirs = Timed(), Timed()
    player = Player()
    player.load(frames)
    for index in np.random.default_rng(seed).integers(0, len(frames), n_seeks).tolist():
        number = frames.identity(index).frame_index
        seek_player(player, index, number, ours)
        # A person looks before they jump again; meanwhile the frames around are decoded, and the disk is quiet.
        time.sleep(0.05)
        if opencv is not None:
            began = time.perf_counter()
            opencv.set(cv2.CAP_PROP_POS_FRAMES, number)
            ok, image = opencv.read()
            elapsed = (time.perf_counter() - began) * 1e3
            theirs.ms.append(elapsed)
            theirs.n_wrong += not ok or number_in(image) != number
    player.close()
    return ours, theirs


def steps(frames: FrameSource, n_steps: int) -> Timed:
    """Step forwards and backwards among frames that are decoded: from the key press to the picture."""
    player, timed = Player(), Timed()
    player.load(frames)
    middle = len(frames) // 2
    player.seek(middle)
    player.settle()
    time.sleep(1.0)  # the frames around are decoded now
    for number in range(n_steps):
        index = player.index + (1 if (number // 10) % 2 == 0 else -1)
        began = time.perf_counter()
        player.step(index - player.index)
        elapsed = (time.perf_counter() - began) * 1e3
        right = player.index == index and player.image is not None
        timed.n_wrong += not (right and number_in(player.image) == frames.identity(index).frame_index)
        timed.ms.append(elapsed)
    player.close()
    return timed


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Return times and wrong frames of seeking and stepping (fewer if `quick`)."""
    import cv2

    cv2.setNumThreads(1)
    n_seeks, seconds = (30, 10.0) if quick else (300, 40.0)
    figures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        session = Path(folder) / "sub-P001_ses-01.h5"
        n_frames = write_session(session, seconds)
        spans = START_US + 2_000_000, START_US + round((seconds - 2) * 1e6)
        # The baseline gets the same video as a file of its own, its packets copied.
        remuxed = Path(folder) / "session.mp4"
        with open_session(session) as opened:
            if opened.video is not None:
                opened.video.remux(remuxed)
        capture = cv2.VideoCapture(str(remuxed))
        ours, theirs = compare(SessionClipFrames(session, *spans), capture, n_seeks, seed=3)
        capture.release()
        figures += _seek_figures("session file", ours, theirs, 30.0)
        stepped = steps(SessionClipFrames(session, *spans), n_seeks)
        figures.append(
            figure(f"one step within decoded frames, session file, 95th percentile of {len(stepped.ms)}",
                   stepped.at(95), "ms", target="< 16 ms", met=stepped.at(95) < 16 and not stepped.n_wrong)
        )  # fmt: skip
        for name, variable, ending in (
            ("ordinary video, constant rate", False, "mp4"),
            ("ordinary video, variable rate", True, "mp4"),
            ("ordinary video, MPEG-TS", False, "ts"),
        ):
            path = write_file(Path(folder) / f"video-{variable}.{ending}", n_frames, variable=variable, b_frames=2)
            capture = cv2.VideoCapture(str(path))
            ours, theirs = compare(open_video(path), capture, n_seeks, seed=4)
            capture.release()
            figures += _seek_figures(name, ours, theirs, 60.0)
            if not variable and ending == "mp4":
                opened = [_seconds_to_open(path) for _ in range(5)]
                figures.append(
                    figure(f"open {name}, {seconds:g} s, and build its index, median", float(np.median(opened)), "ms")
                )
    return figures


def _seconds_to_open(path: Path) -> float:
    began = time.perf_counter()
    frames = open_video(path)
    elapsed = (time.perf_counter() - began) * 1e3
    frames.close()
    return elapsed


def _seek_figures(name: str, ours: Timed, theirs: Timed | None, target_ms: float) -> list[dict[str, Any]]:
    named = "OpenCV CAP_PROP_POS_FRAMES and read, same frames" if theirs else None
    n = len(ours.ms)
    return [
        figure(f"random seek, {name}, median of {n}", ours.at(50), "ms", baseline=named,
               baseline_value=theirs.at(50) if theirs else None, target="not slower than OpenCV" if theirs else None,
               met=ours.at(50) <= theirs.at(50) if theirs else None),
        figure(f"random seek, {name}, 95th percentile of {n}", ours.at(95), "ms", baseline=named,
               baseline_value=theirs.at(95) if theirs else None, target=f"< {target_ms:g} ms", met=ours.at(95) < target_ms),
        figure(f"wrong frames of {n}, {name}", ours.n_wrong, "frames", baseline=named,
               baseline_value=theirs.n_wrong if theirs else None, target="0", met=ours.n_wrong == 0),
    ]  # fmt: skip


if __name__ == "__main__":
    for one in run():
        print(json.dumps(one))
