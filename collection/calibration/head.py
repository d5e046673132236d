"""Where the head is, and how the participant should move it."""

from __future__ import annotations

import math
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from collection.presenter.base import HeadPosition

#: Distance from the middle of the track box, as a share of the box, from which advice is given. Chosen by us: well
#: inside the box, so that breathing and small shifts of the head do not lead out of it. The head's height matters
#: less than its place from left to right and its distance.
_TOLERANCE = (0.2, 0.25, 0.25)
#: A track box of Tobii's screen-based trackers has its origin at the top right corner that is nearest to the tracker,
#: as the participant sees it (Tobii Pro SDK, "Track box coordinate system"): x grows to the left, y down, z away.
#: Advice where the head's share is too low, and too high, on each axis.
_WHERE_LOW = ("left", "down", "farther")
_WHERE_HIGH = ("right", "up", "closer")


class Advice(str, Enum):
    """What the participant should do; the values are the names of the texts, ``positioning.<value>``."""

    GOOD = "good"
    CLOSER = "closer"
    FARTHER = "farther"
    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"
    ONE_EYE = "one_eye"
    NOT_SEEN = "not_seen"


def head_position(position: npt.NDArray[Any], gaze: npt.NDArray[Any]) -> HeadPosition:
    """Return where the head is now, from the newest rows.

    Parameters
    ----------
    position : structured ndarray, shape (n,)
        Recent rows of ``/eye/user_position``, in order; may be empty.
    gaze : structured ndarray, shape (n,)
        Recent rows of ``/eye/gaze``, in order; may be empty.
    """
    eyes: dict[str, tuple[float, float, float] | None] = {"left": None, "right": None}
    for eye in eyes:
        if len(position) and position[f"{eye}_valid"][-1] == 1:
            x, y, z = (float(v) for v in position[f"{eye}_position_norm"][-1])
            if all(math.isfinite(v) for v in (x, y, z)):
                eyes[eye] = (x, y, z)
    return HeadPosition(eyes["left"], eyes["right"], _distance_mm(gaze))


def _distance_mm(gaze: npt.NDArray[Any]) -> float:
    """Return the distance of the eyes from the tracker: the median over the rows of both eyes' gaze origins."""
    found = []
    for eye in ("left", "right"):
        origin = gaze[f"{eye}_origin_user_mm"][gaze[f"{eye}_origin_valid"] == 1].astype(np.float64)
        found.append(np.linalg.norm(origin, axis=1))
    distances = np.concatenate(found)
    distances = distances[np.isfinite(distances)]
    return float(np.median(distances)) if len(distances) else math.nan


def advise(head: HeadPosition) -> Advice:
    """Return the one thing that would help most.

    The axis that is farthest out of its tolerance comes first. With one eye alone the head's place is only
    guessed, so that the missing eye is said before a small correction.
    """
    seen = [eye for eye in (head.left_norm, head.right_norm) if eye is not None]
    if not seen:
        return Advice.NOT_SEEN
    middle = np.mean(np.asarray(seen, dtype=np.float64), axis=0)
    excess = np.abs(middle - 0.5) / _TOLERANCE
    axis = int(np.argmax(excess))
    if excess[axis] > 1.0:
        return Advice(_WHERE_HIGH[axis] if middle[axis] > 0.5 else _WHERE_LOW[axis])
    return Advice.GOOD if len(seen) == 2 else Advice.ONE_EYE
