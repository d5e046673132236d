"""Open the next clips while this one is labelled."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable

from annotation.items import Item
from annotation.playback.decoding import KEPT_FRAMES
from annotation.playback.frames import FrameSource
from data_schema.errors import MediaError

#: Clips held ready at most; each keeps its first groups decoded (up to 48 MB).
MAX_READY = 3


class Prefetcher:
    """Hold the clips that come next open, with their first group decoded.

    Parameters
    ----------
    open_frames : callable
        Opens the video of an item; called in a thread of the prefetcher, or by `take` in the caller's.
    max_ready : int
        Clips held at most.
    """

    def __init__(self, open_frames: Callable[[Item], FrameSource], max_ready: int = MAX_READY) -> None:
        self._open_frames = open_frames
        self._max_ready = max_ready
        self._changed = threading.Condition()
        self._wanted: dict[str, Item] = {}
        self._ready: dict[str, FrameSource] = {}
        self._failed: set[str] = set()
        self._opening: str | None = None
        self._closing = False
        self._thread: threading.Thread | None = None

    def prepare(self, items: Iterable[Item]) -> None:
        """Get the first of these items ready, in this order; others that were ready are closed."""
        with self._changed:
            if self._closing:
                return
            self._wanted = {item.item_id: item for item in list(items)[: self._max_ready]}
            dropped = [self._ready.pop(name) for name in list(self._ready) if name not in self._wanted]
            # A clip that failed is tried again by `take`, and here only after it left the list.
            self._failed &= self._wanted.keys()
            if self._thread is None and self._wanted:
                self._thread = threading.Thread(target=self._run, name="clip-prefetch", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        for frames in dropped:
            frames.close()

    def take(self, item: Item) -> FrameSource:
        """Return the source of an item; it belongs to the caller now.

        Raises
        ------
        MediaError
            If the clip cannot be opened.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._opening != item.item_id)
            frames = self._ready.pop(item.item_id, None)
            self._wanted.pop(item.item_id, None)
        return frames if frames is not None else self._open_frames(item)

    def is_ready(self, item: Item) -> bool:
        """Say whether `take` will not have to open the clip."""
        with self._changed:
            return item.item_id in self._ready

    def wait(self, timeout_s: float = 10.0) -> bool:
        """Wait until all that was asked for is ready or has failed. For tests and tools."""
        with self._changed:
            return self._changed.wait_for(lambda: self._next_name() is None and self._opening is None, timeout_s)

    def close(self) -> None:
        """Close all clips held; may be called again."""
        with self._changed:
            self._closing = True
            self._wanted.clear()
            held, self._ready = list(self._ready.values()), {}
            self._changed.notify_all()
        for frames in held:
            frames.close()
        if self._thread is not None:
            self._thread.join(10.0)

    def _next_name(self) -> str | None:
        return next((name for name in self._wanted if name not in self._ready and name not in self._failed), None)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._next_name() is not None)
                if self._closing:
                    return
                name = self._next_name() or ""
                item = self._wanted[name]
                self._opening = name
            frames = self._open(item)
            with self._changed:
                self._opening = None
                kept = frames is not None and name in self._wanted and not self._closing
                if kept and frames is not None:
                    self._ready[name] = frames
                elif frames is None:
                    self._failed.add(name)
                self._changed.notify_all()
            if frames is not None and not kept:
                frames.close()

    def _open(self, item: Item) -> FrameSource | None:
        """A failure is not told here: the annotator may never come to that clip, and `take` meets it again."""
        try:
            frames = self._open_frames(item)
        except Exception:  # noqa: BLE001 - whatever it is, `take` meets it in the thread that can say so
            return None
        # The clip's other frames may be good; the player says which are not when it comes to them.
        with contextlib.suppress(MediaError):
            later = frames.group_starts[frames.group_starts > 0]
            n_group = int(later[0]) if len(later) else len(frames)
            frames.frame(min(n_group, KEPT_FRAMES, len(frames)) - 1)
            frames.frame(0)
        return frames
