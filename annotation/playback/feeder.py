"""Decode ahead in a second thread, so that the one that draws never waits for a decoder."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import islice

from annotation.playback.decoding import DecodingStopped
from annotation.playback.frames import FrameSource, RgbImage
from data_schema.errors import MediaError

#: Pictures kept ready to be drawn, as RGB: 24 of 1280x720.
READY_BYTES = 64 << 20
#: At least so many, however large they are.
READY_FRAMES = 5


class FrameFeeder:
    """Own a source, decode what is wanted and what is likely next, hand out pictures.

    Parameters
    ----------
    frames : FrameSource
        From here on it belongs to the feeder's thread, which also closes it. Its arrays may be read by anyone.
    """

    def __init__(self, frames: FrameSource) -> None:
        self._frames = frames
        self._n_ready = max(READY_FRAMES, READY_BYTES // max(1, frames.width_px * frames.height_px * 3))
        self._changed = threading.Condition()
        self._images: dict[int, RgbImage] = {}
        self._errors: dict[int, MediaError] = {}
        self._wish: tuple[int, bool, tuple[int, int] | None] = (0, False, None)
        self._plan: list[int] = []
        self._closing = False
        self._decoding = -1
        # A group behind the one that is shown takes tens of milliseconds: a jump must not wait for it.
        stop_when = getattr(frames, "stop_when", None)
        if stop_when is not None:
            stop_when(self._is_urgent)
        self._thread = threading.Thread(target=self._run, name="frame-feeder", daemon=True)
        self._thread.start()

    def want(self, index: int, *, playing: bool = False, loop: tuple[int, int] | None = None) -> None:
        """Ask for a frame; what lies ahead of it (playing) or around it (paused) is decoded afterwards."""
        with self._changed:
            wish = (index, playing, loop)
            if wish == self._wish and self._plan:
                return
            self._wish = wish
            self._plan = list(islice(self._likely(index, playing, loop), self._n_ready))
            self._changed.notify_all()

    def try_again(self, index: int) -> None:
        """Forget that a frame failed: the network drive may be back."""
        with self._changed:
            if self._errors.pop(index, None) is not None:
                self._changed.notify_all()

    def image(self, index: int) -> RgbImage | None:
        """Return a picture if it is ready."""
        with self._changed:
            return self._images.get(index)

    def error(self, index: int) -> MediaError | None:
        """Return why a frame could not be decoded."""
        with self._changed:
            return self._errors.get(index)

    def newest(self, first: int, last: int) -> int | None:
        """Return the last frame from `first` to `last` whose picture is ready."""
        with self._changed:
            return max((index for index in self._images if first <= index <= last), default=None)

    def wait_for(self, index: int, timeout_s: float) -> bool:
        """Wait until a frame is ready or has failed."""
        with self._changed:
            return self._changed.wait_for(lambda: index in self._images or index in self._errors, timeout_s)

    def close(self) -> None:
        """Stop decoding and close the source; a frame that is being decoded is finished first, not waited for."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def join(self, timeout_s: float = 5.0) -> None:
        """Wait until the source is closed."""
        self._thread.join(timeout_s)

    def _likely(self, index: int, playing: bool, loop: tuple[int, int] | None) -> Iterator[int]:
        """Yield frames in the order in which they will probably be asked for."""
        n_frames = len(self._frames)
        if playing:
            first, last = loop if loop is not None else (0, n_frames - 1)
            yield from range(index, last + 1)
            if loop is not None:
                yield from range(first, min(index, last + 1))
            return
        yield index
        for distance in range(1, n_frames):
            if index + distance < n_frames:
                yield index + distance
            if index - distance >= 0:
                yield index - distance

    def _next(self) -> int | None:
        """Wait for work; None when it is time to close. Pictures outside the plan make room."""
        with self._changed:
            while not self._closing:
                wanted = set(self._plan)
                for index in self._plan:
                    if index not in self._images and index not in self._errors:
                        self._make_room(wanted)
                        return index
                self._changed.wait()
            return None

    def _make_room(self, wanted: set[int]) -> None:
        spare = [index for index in self._images if index not in wanted]
        at = self._wish[0]
        spare.sort(key=lambda index: abs(index - at), reverse=True)
        for index in spare[: max(0, len(self._images) + 1 - self._n_ready)]:
            del self._images[index]

    def _is_urgent(self) -> bool:
        """While playing nothing is: frames given up again and again would leave nothing to show."""
        target, playing, _ = self._wish
        if self._closing:
            return True
        return not playing and self._decoding != target and target not in self._images and target not in self._errors

    def _run(self) -> None:
        try:
            while (index := self._next()) is not None:
                image, error = self._decode(index)
                with self._changed:
                    if image is not None:
                        self._images[index] = image
                    elif error is not None:
                        self._errors[index] = error
                    self._changed.notify_all()
                # Whoever draws comes first: Python's lock is handed over here.
                time.sleep(0)
        finally:
            self._frames.close()
            with self._changed:
                self._images.clear()

    def _decode(self, index: int) -> tuple[RgbImage | None, MediaError | None]:
        self._decoding = index
        try:
            return self._frames.frame(index), None
        except DecodingStopped:
            return None, None
        except MediaError as error:
            return None, error
        except Exception as error:  # noqa: BLE001 - a decoder's own failure must reach the window, not end the thread
            return None, MediaError(f"frame {index} cannot be shown: {error!r}. Show the clip again.")
