"""From the key that asks for the next clip to its first frame, at 1280x720, with and without clips made ready ahead.

Ten-second clips of a session file and as files of their own (as a bundle holds them). The annotator's time for a clip is
half a second here, far less than a person takes: that is what the prefetcher has for opening the next ones. The
baseline opens each clip only when it is asked for. Peak memory is that of the whole process with clips held.
"""

from __future__ import annotations

import json
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from annotation.items import Block, Item
from annotation.playback import FrameSource, Player, Prefetcher, SessionClipFrames, open_video
from benchmarks.figure import figure
from benchmarks.numbered_video import START_US, number_in, write_file, write_session

CLIP_S = 10.0
LABEL_S = 0.5


def go_through(items: list[Item], open_frames: Callable[[Item], FrameSource], ahead: int) -> tuple[list[float], int]:
    """Show the clips one after the other; returns milliseconds to each first frame, and wrong first frames."""
    player, prefetcher = Player(), Prefetcher(open_frames)
    times, n_wrong = [], 0
    for place, item in enumerate(items):
        began = time.perf_counter()
        player.load(prefetcher.take(item))
        shown = player.settle(10.0)
        times.append((time.perf_counter() - began) * 1e3)
        frames = player.frames
        n_wrong += not (
            shown and player.image is not None and frames is not None
            and number_in(player.image) == frames.identity(0).frame_index
        )  # fmt: skip
        prefetcher.prepare(items[place + 1 : place + 1 + ahead])
        player.play()
        until = time.monotonic() + LABEL_S
        while time.monotonic() < until:
            player.tick()
            time.sleep(1 / 60)
    player.close()
    prefetcher.close()
    # The first clip of all has nothing before it that could make it ready.
    return times[1:], n_wrong


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Return times to the next clip (fewer if `quick`)."""
    n_clips, rounds = (6, 1) if quick else (12, 4)
    figures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        session = Path(folder) / "sub-P001_ses-01.h5"
        write_session(session, n_clips * CLIP_S)
        files = [Path(folder) / f"clip-{number}.mp4" for number in range(n_clips)]
        write_file(files[0], round(CLIP_S * 30))
        for file in files[1:]:
            shutil.copy(files[0], file)
        items = [Item(f"i{n}", f"clip-{n}", "0" * 64, "fer", 0, Block.MAIN, n) for n in range(n_clips)]

        def of_session(item: Item) -> FrameSource:
            onset = START_US + round((item.position * CLIP_S + 0.25) * 1e6)
            return SessionClipFrames(session, onset, onset + round((CLIP_S - 0.5) * 1e6))

        def of_file(item: Item) -> FrameSource:
            return open_video(files[item.position])

        for name, open_frames in (("session file", of_session), ("file of its own", of_file)):
            ready: list[float] = []
            cold: list[float] = []
            n_wrong = 0
            for _ in range(rounds):
                times, wrong = go_through(items, open_frames, ahead=3)
                ready, n_wrong = ready + times, n_wrong + wrong
                times, wrong = go_through(items, open_frames, ahead=0)
                cold, n_wrong = cold + times, n_wrong + wrong
            for label, percentile in (("median", 50), ("95th percentile", 95)):
                value = float(np.percentile(ready, percentile))
                figures.append(
                    figure(f"next clip to its first frame, {name}, {label} of {len(ready)}", value, "ms",
                           baseline="opened when asked for", baseline_value=float(np.percentile(cold, percentile)),
                           target="< 100 ms", met=value < 100)
                )  # fmt: skip
            figures.append(
                figure(
                    f"wrong first frames of {2 * len(ready)}, {name}", n_wrong, "frames", target="0", met=n_wrong == 0
                )
            )
    # In kilobytes on Linux; this benchmark is not run elsewhere.
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures.append(figure("peak memory, one clip shown and three held ready", peak_mb, "MB"))
    return figures


if __name__ == "__main__":
    for one in run():
        print(json.dumps(one))
