"""Frames of the stimulus, decoded beside the window so that it never waits for one.

A thread decodes the frame that is wanted, and then those that follow, which are
what playback asks for next: while a clip plays, a frame is there when it is due.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from annotation.playback.frames import FrameSource, RgbImage
from data_schema.errors import EmerError

#: Frames that are decoded ahead, and what they may weigh together.
MOST_AHEAD = 8
MOST_BYTES = 32_000_000


class StimulusFeed:
    """Hands out frames that are decoded already.

    Parameters
    ----------
    frames : FrameSource
        Belongs to the feed's thread until `close`; closing it is the caller's.
    on_ready : callable
        Called in the feed's thread when a wanted frame that was not there has been decoded, or cannot be.
    """

    def __init__(self, frames: FrameSource, on_ready: Callable[[], None]) -> None:
        self._frames = frames
        self._on_ready = on_ready
        self._images: dict[int, RgbImage] = {}
        self._broken: dict[int, str] = {}
        self._wanted: int | None = None
        self._awaited = False
        self._closing = False
        size = max(1, frames.width_px * frames.height_px * 3)
        self._ahead = max(1, min(MOST_AHEAD, MOST_BYTES // size))
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="stimulus-feed", daemon=True)
        self._thread.start()

    def request(self, index: int) -> RgbImage | None:
        """Return a frame if it is decoded; otherwise None, and `on_ready` is called once it is."""
        with self._changed:
            self._wanted = index
            image = self._images.get(index)
            self._awaited = image is None and index not in self._broken
            self._changed.notify()
            return image

    def problem(self, index: int) -> str:
        """Return why a frame cannot be decoded; empty if nothing is known against it."""
        with self._changed:
            return self._broken.get(index, "")

    def close(self) -> None:
        """Stop the thread, after the frame that it decodes just now; may be called again."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _next(self) -> int | None:
        """Return what to decode now, None if all is there. The lock is held."""
        if self._wanted is None:
            return None
        for index in range(self._wanted, min(self._wanted + self._ahead + 1, len(self._frames))):
            if index not in self._images and index not in self._broken:
                return index
        return None

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closing and self._next() is None:
                    self._changed.wait()
                index = self._next()
                if self._closing or index is None:
                    return
            image, problem = self._decode(index)
            with self._changed:
                self._keep(index, image, problem)
                tell = self._awaited and index == self._wanted
                self._awaited = self._awaited and not tell
            if tell:
                self._on_ready()

    def _decode(self, index: int) -> tuple[RgbImage | None, str]:
        try:
            return self._frames.frame(index), ""
        except EmerError as error:
            return None, str(error)

    def _keep(self, index: int, image: RgbImage | None, problem: str) -> None:
        if image is None:
            self._broken[index] = problem
            return
        self._images[index] = image
        wanted = index if self._wanted is None else self._wanted
        # One frame back stays, for a step to and fro.
        for known in [known for known in self._images if not wanted - 1 <= known <= wanted + self._ahead]:
            del self._images[known]
