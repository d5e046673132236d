"""What the tests of the participant's screen share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from collection.presenter.psychopy.page import Page
from collection.presenter.psychopy.presenter import PsychopyPresenter

from .conftest import Hands, wait_for

WIDTH, HEIGHT = 1280, 720
#: PsychoPy's, pyglet's and their libraries' own deprecations, while they run; ours stay errors.
LIBRARY_WARNINGS = (
    "ignore::DeprecationWarning:(psychopy|pyglet|pkg_resources|numpy|moviepy|ffpyplayer|imageio|questplus|msgpack)",
    "ignore::SyntaxWarning",
    "ignore::PendingDeprecationWarning:(psychopy|pyglet)",
)


def never() -> bool:
    return False


class Desk:
    """Where a person sits: finds places on the screen from places on the page."""

    def __init__(self, presenter: PsychopyPresenter, hands: Hands) -> None:
        self._presenter = presenter
        self.hands = hands

    def page(self, kind: type[Page]) -> Any:
        """Wait for a page of a kind."""
        return wait_for(lambda: isinstance(self._presenter.page, kind) and self._presenter.page, because=kind.__name__)

    def gone(self, page: Page) -> None:
        """Wait until a page is left."""
        wait_for(lambda: self._presenter.page is not page, because="the page is still there")

    def click(self, at: tuple[float, float]) -> None:
        """Click at a place, shares of the window."""
        left, top = self._presenter.window.win.winHandle.get_location()
        self.hands.click(left + at[0] * self._presenter.window.width, top + at[1] * self._presenter.window.height)

    def click_box(self, box: Any) -> None:
        """Click into the middle of a box of the page."""
        x, y = box.center
        self.click((x / self._presenter.window.width, y / self._presenter.window.height))


def make_numbered_clip(
    path: Path, *, n_frames: int = 60, fps: int = 30, size: tuple[int, int] = (640, 360), sound: bool = False
) -> Path:
    """Write a video whose frames carry their number: ten black or white blocks along the middle, lowest bit first."""
    width, height = size
    frames = bytearray()
    for number in range(n_frames):
        picture = np.full((height, width), 90, np.uint8)
        for bit in range(10):
            left = width * (bit + 1) // 12
            picture[height // 3 : 2 * height // 3, left : left + width // 12] = 255 if number >> bit & 1 else 0
        frames += picture.tobytes()
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}"]
    command += ["-r", str(fps), "-i", "-"]
    if sound:
        command += ["-f", "lavfi", "-i", f"sine=440:duration={n_frames / fps}", "-c:a", "aac"]
    command += [
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-crf",
        "18",
        "-pix_fmt",
        "yuv420p",
        "-movflags",
        "+faststart",
    ]
    subprocess.run([*command, str(path)], input=bytes(frames), check=True, timeout=100)
    return path


def read_number(picture: Any, clip_size: tuple[int, int] = (640, 360)) -> int:
    """Read the number of a frame off a screenshot; the clip fills the window's width or height."""
    grey = np.asarray(picture.convert("L"), dtype=float)
    height, width = grey.shape
    scale = min(width / clip_size[0], height / clip_size[1])
    shown_w, shown_h = clip_size[0] * scale, clip_size[1] * scale
    left, top = (width - shown_w) / 2, (height - shown_h) / 2
    number = 0
    for bit in range(10):
        x = int(left + shown_w * (bit + 1.5) / 12)
        y = int(top + shown_h / 2)
        number |= int(grey[y - 4 : y + 4, x - 4 : x + 4].mean() > 128) << bit
    return number


def watch_flips(presenter: PsychopyPresenter, before: Callable[[], None]) -> Callable[[], None]:
    """Call something before each flip of a clip or target; returns how to end it."""
    window = presenter.window
    original = window.flip_at

    def flip_at(due_us: int) -> int:
        before()
        return original(due_us)

    window.flip_at = flip_at  # type: ignore[method-assign]

    def restore() -> None:
        window.flip_at = original  # type: ignore[method-assign]

    return restore
