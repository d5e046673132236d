"""Frames that may be closed while another thread is decoding one."""

from __future__ import annotations

import threading

from annotation.playback.frames import FrameIdentity, FrameSource, RgbImage
from data_schema.errors import MediaError


class GuardedFrames:
    """A `FrameSource` whose `close` waits for the frame that is being decoded; later ones are refused.

    The desk closes a stimulus when the item changes, the view's thread may be in the middle of a frame then, and
    a decoder that is closed under a thread takes the process down.

    Parameters
    ----------
    frames : FrameSource
    """

    def __init__(self, frames: FrameSource) -> None:
        self._frames = frames
        self._lock = threading.Lock()
        self._closed = False
        self.width_px, self.height_px = frames.width_px, frames.height_px
        self.time_base = frames.time_base
        self.pts, self.times_us, self.group_starts = frames.pts, frames.times_us, frames.group_starts

    def __len__(self) -> int:
        return len(self.pts)

    def identity(self, index: int) -> FrameIdentity:
        """Return number and pts of a frame in its file."""
        return self._frames.identity(index)

    def frame(self, index: int) -> RgbImage:
        """Return one frame.

        Raises
        ------
        MediaError
            If it does not decode, or the file was closed.
        """
        with self._lock:
            if self._closed:
                raise MediaError("the stimulus was closed while a frame was asked for; open the clip again.")
            return self._frames.frame(index)

    def index_at(self, time_us: int) -> int:
        """Return the frame that shows at a time of the file."""
        return self._frames.index_at(time_us)

    def close(self) -> None:
        """Close the file once nothing is decoded from it; may be called again."""
        with self._lock:
            self._closed = True
            self._frames.close()
