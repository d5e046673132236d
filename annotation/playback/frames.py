"""What every video in the tool is: a row of frames, each with its number, its pts and its time."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
import numpy.typing as npt

RgbImage = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class FrameIdentity:
    """What is stored where a frame is meant.

    Parameters
    ----------
    frame_index : int
        Number of the frame in its file's video, in the order of presentation, from 0.
    frame_pts : int
        Its presentation time stamp, in the time base of that stream.
    """

    frame_index: int
    frame_pts: int


class FrameSource(Protocol):
    """Frames of one clip in the order of presentation, numbered from 0.

    A source belongs to one thread at a time. All of its methods raise
    `data_schema.errors.MediaError`, naming file and frame, where something
    does not decode; the other frames stay usable.
    """

    width_px: int
    height_px: int
    time_base: Fraction
    pts: npt.NDArray[np.int64]
    """Shape (n_frames,), strictly increasing, in `time_base`; as stored in the file, never rebased."""
    times_us: npt.NDArray[np.int64]
    """Shape (n_frames,): when each frame stands on the clip's time line, microseconds from the clip's onset.
    The camera's frames carry their capture times, those of a stimulus their time in its file."""
    group_starts: npt.NDArray[np.int64]
    """Frames at which decoding can begin, ascending; the first is 0 or below the clip's first frame."""

    def __len__(self) -> int:
        """Return the number of frames."""
        ...

    def identity(self, index: int) -> FrameIdentity:
        """Return number and pts of a frame in its file (a clip may begin in the middle of a session's video)."""
        ...

    def frame(self, index: int) -> RgbImage:
        """Return one frame, shape (height, width, 3), RGB. Decoded frames of the same group are kept for a while."""
        ...

    def index_at(self, time_us: int) -> int:
        """Return the frame that shows at a time of the clip: the last whose time is not later; 0 before the first."""
        ...

    def close(self) -> None:
        """Close the file; may be called again."""
        ...
