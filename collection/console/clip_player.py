"""Show the participant's clip to the operator: decode the same file at the time that the session reports.

Muted, small, and in a thread of the console: the presenter is not asked for pictures.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

logger = logging.getLogger(__name__)

#: Pictures a second that the operator sees; gaze moves on top at the window's own rate.
SHOWN_HZ = 12.5
#: A decoder further behind, or ahead at all by more than one picture, seeks.
_SEEK_BEHIND_S = 1.5
WIDTH_PX = 640


@dataclass(frozen=True)
class ClipPicture:
    """One picture: RGB bytes, shape (height, width, 3), and its clip time."""

    file: str
    clip_time_s: float
    image: npt.NDArray[np.uint8]


class _OpenClip:
    """One open file, decoded forwards."""

    def __init__(self, file: str) -> None:
        import av

        self.file = file
        self._container: Any = av.open(file)
        if not self._container.streams.video:
            self._container.close()
            raise ValueError("there is no video in it")
        self._stream: Any = self._container.streams.video[0]
        self._stream.thread_type = "SLICE"
        self._start = float(self._stream.start_time or 0) * float(self._stream.time_base)
        self._frames: Iterator[Any] = self._container.decode(self._stream)
        self._last: Any = None
        self._last_s = -1.0
        self._next: Any = None
        self._ended = False

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._container.close()

    def at(self, clip_time_s: float) -> ClipPicture | None:
        """Return the picture that is shown at a clip time; None if it is the one returned before."""
        before = self._last
        if clip_time_s < self._last_s - 1e-3 or clip_time_s > self._last_s + _SEEK_BEHIND_S:
            self._seek(clip_time_s)
        while not self._ended:
            if self._next is None:
                self._next = next(self._frames, None)
                if self._next is None:
                    self._ended = True
                    break
            if self._last is not None and self._time_of(self._next) > clip_time_s:
                break
            self._last, self._next = self._next, None
            self._last_s = self._time_of(self._last)
        if self._last is None or self._last is before:
            return None
        width = min(WIDTH_PX, self._last.width)
        height = max(2, round(width * self._last.height / self._last.width / 2) * 2)
        small = self._last.reformat(width=width, height=height, format="rgb24", interpolation="FAST_BILINEAR")
        return ClipPicture(self.file, self._last_s, np.ascontiguousarray(small.to_ndarray()))

    def _time_of(self, frame: Any) -> float:
        return float(frame.pts or 0) * float(self._stream.time_base) - self._start

    def _seek(self, clip_time_s: float) -> None:
        target = round((clip_time_s + self._start) / float(self._stream.time_base))
        self._container.seek(target, stream=self._stream, backward=True)
        self._frames = self._container.decode(self._stream)
        self._next, self._ended, self._last_s = None, False, -1.0
        # Kept until a new one is there, but it must not stop the search.
        self._last = None


class ClipPlayer:
    """Follow the clip on the participant's screen in a thread of its own."""

    def __init__(self) -> None:
        self._wish: tuple[str, float] | None = None
        self._picture: ClipPicture | None = None
        self._problem = ""
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="console-clip", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def show(self, file: str, clip_time_s: float) -> None:
        """Ask for the picture of a file at a clip time."""
        with self._changed:
            if self._wish is None or self._wish[0] != file:
                self._problem, self._picture = "", None
            self._wish = (file, clip_time_s)
            self._changed.notify()

    def stop(self) -> None:
        """Show nothing and close the file."""
        with self._changed:
            self._wish, self._picture, self._problem = None, None, ""
            self._changed.notify()

    @property
    def picture(self) -> ClipPicture | None:
        """The newest picture."""
        return self._picture

    @property
    def problem(self) -> str:
        """Why there is none; empty if all is well."""
        return self._problem

    def close(self) -> None:
        """End the thread; idempotent."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _next_wish(self, done: tuple[str, float] | None) -> tuple[tuple[str, float] | None, bool]:
        """Wait until something else than `done` is wanted, or the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._wish != done)
            return self._wish, self._closing

    def _run(self) -> None:
        clip: _OpenClip | None = None
        done: tuple[str, float] | None = None
        while True:
            wish, closing = self._next_wish(done)
            if closing or (clip is not None and (wish is None or clip.file != wish[0])):
                if clip is not None:
                    clip.close()
                clip = None
            if closing:
                return
            done = wish
            if wish is None or self._problem:
                continue
            try:
                clip = clip or _OpenClip(wish[0])
                picture = clip.at(wish[1])
            except (OSError, ValueError) as error:
                # PyAV's own errors are OSErrors or ValueErrors.
                with self._changed:
                    self._problem = f"{Path(wish[0]).name} cannot be shown here: {error}"
                logger.warning("%s", self._problem)
                continue
            with self._changed:
                if picture is not None and self._wish is not None and self._wish[0] == picture.file:
                    self._picture = picture
