"""Draw maps and gaze onto pictures of a stimulus."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from data_schema.overlays.looks import Looks
from data_schema.signals.maps import fixation_map, map_image

Image = npt.NDArray[np.uint8]

#: Rows and columns of a drawn map: cells of about a third of a degree on a usual screen, finer than a Gaussian of one degree.
MAP_SHAPE = (90, 160)
#: How much of the past the trail of the gaze shows: about one fixation.
TRAIL_US = 300_000
#: A ring's area grows with the time spent: this radius, a share of the picture's height, after one second.
_RING_SHARE = 0.05
_RING, _TRAIL, _DOT = (90, 200, 255), (255, 255, 255), (255, 70, 70)


def clip_map(looks: list[Looks]) -> npt.NDArray[np.float64]:
    """Return the fixation map of one or several people on a stimulus, shape `MAP_SHAPE`; sums to 1 or is all 0.

    Every person weighs the same, however long they were seen to look.
    """
    drawn = [
        fixation_map(one.fixation_norm, np.diff(one.fixation_us, axis=1)[:, 0] / 1e6, one.sigma_norm, MAP_SHAPE)
        for one in looks
    ]
    total: npt.NDArray[np.float64] = np.sum(drawn, axis=0) if drawn else np.zeros(MAP_SHAPE)
    return total / total.sum() if total.sum() > 0 else total


def blend_map(picture: Image, seconds: npt.NDArray[np.floating[Any]], highest: float) -> Image:
    """Lay a map over a picture.

    Parameters
    ----------
    picture : ndarray of uint8, shape (height, width, 3)
        RGB.
    seconds : ndarray of float, shape (rows, columns)
        0 or more.
    highest : float
        The value that gets the brightest shade, so that the maps of one video can be compared.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
    """
    size = (picture.shape[1], picture.shape[0])
    value = np.clip(seconds / highest, 0.0, 1.0) if highest > 0 else np.zeros(seconds.shape)
    drawn = cv2.resize(map_image(value), size, interpolation=cv2.INTER_LINEAR)
    opacity = drawn[..., 3:].astype(np.uint16)
    mixed = (picture * (255 - opacity) + drawn[..., :3] * opacity + 127) // 255
    return np.asarray(mixed, dtype=np.uint8)


def draw_gaze(picture: Image, looks: Looks, t_us: int) -> Image:
    """Draw the gaze of the last moments and the fixation that is going on; nothing that comes later.

    Parameters
    ----------
    picture : ndarray of uint8, shape (height, width, 3)
        RGB; is not changed.
    looks : Looks
    t_us : int
        Time inside the stimulus.
    """
    drawn = np.ascontiguousarray(picture).copy()
    height, width = drawn.shape[:2]
    size = np.array([width, height])
    thick = max(1, round(height / 360))
    for (start, end), place in zip(looks.fixation_us, looks.fixation_norm, strict=True):
        if start <= t_us < end:
            radius = round(_RING_SHARE * height * float(np.sqrt((t_us - start) / 1e6 + 0.1)))
            cv2.circle(drawn, _pixel(place * size), max(3, radius), _RING, thick + 1, cv2.LINE_AA)
    first, last = np.searchsorted(looks.t_us, [t_us - TRAIL_US, t_us], side="right")
    trail = looks.gaze_norm[first:last] * size
    seen = np.isfinite(trail).all(axis=1)
    for i in range(1, len(trail)):
        if seen[i - 1] and seen[i]:
            cv2.line(drawn, _pixel(trail[i - 1]), _pixel(trail[i]), _TRAIL, thick, cv2.LINE_AA)
    if len(trail) and seen[-1]:
        cv2.circle(drawn, _pixel(trail[-1]), max(3, height // 90), _DOT, -1, cv2.LINE_AA)
    return np.asarray(drawn, dtype=np.uint8)


def _pixel(place: npt.NDArray[np.floating[Any]]) -> tuple[int, int]:
    # OpenCV cuts far coordinates off wrongly: nothing is drawn that far outside anyway.
    x, y = np.clip(place, -10_000, 10_000)
    return round(float(x)), round(float(y))
