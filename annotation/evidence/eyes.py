"""What the ER pass shows besides the face: where the person looked, and how their eyes behaved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from annotation.playback.frames import FrameSource

Times = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class EyeEvidence:
    """Eye behaviour during one clip. All times are microseconds from the clip's onset.

    Parameters
    ----------
    gaze_t_us : ndarray of int64, shape (n,)
    gaze_norm : ndarray of float64, shape (n, 2)
        x to the right and y down as shares of the screen; NaN where gaze was lost.
    velocity_deg_s : ndarray of float64, shape (n,)
        Angular velocity; NaN where it cannot be told.
    pupil_mm : ndarray of float64, shape (n,)
        Cleaned pupil diameter; NaN in blinks and losses.
    fixations : ndarray of float64, shape (k, 4)
        Start and end (microseconds), x and y (shares of the screen) of each fixation, by I-VT.
    blinks_us : ndarray of int64, shape (b, 2)
        Start and end of each blink.
    fixation_map : ndarray of float32, shape (height, width)
        Duration-weighted fixations smoothed by a Gaussian, 0 to 1, over the screen.
    stimulus_box_norm : tuple of float
        Left, top, width and height of the stimulus on the screen, as shares of it.
    parameters : dict
        What the signals were computed with, by name.
    """

    gaze_t_us: Times
    gaze_norm: Values
    velocity_deg_s: Values
    pupil_mm: Values
    fixations: Values
    blinks_us: Times
    fixation_map: npt.NDArray[np.float32]
    stimulus_box_norm: tuple[float, float, float, float]
    parameters: dict[str, float | str]


@dataclass(frozen=True)
class StimulusTrack:
    """The stimulus as it was seen: its frames, and which of them stood on the screen when.

    Parameters
    ----------
    frames : FrameSource
        Of the stimulus' file, in full.
    flip_t_us : ndarray of int64, shape (m,)
        Times of the screen's refreshes, microseconds from the clip's onset.
    flip_frame : ndarray of int64, shape (m,)
        The frame of `frames` that each of them showed.
    """

    frames: FrameSource
    flip_t_us: Times
    flip_frame: npt.NDArray[np.int64]

    def frame_at(self, time_us: int) -> int:
        """Return the frame that stood on the screen at a time of the clip; the first one before the first refresh."""
        if not len(self.flip_t_us):
            return self.frames.index_at(time_us)
        place = int(np.searchsorted(self.flip_t_us, time_us, side="right")) - 1
        return int(self.flip_frame[max(place, 0)])
