"""What the camera's picture says about light, sharpness of exposure and the face's place.

All limits are ours: from a face lit by a screen in a dim room upwards, a face is
found and its expression can be seen. They advise the operator; they decide nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

GreyImage = npt.NDArray[np.uint8]
#: x, y, width, height as shares of the picture.
Box = tuple[float, float, float, float]

TOO_DARK, TOO_BRIGHT = 45.0, 215.0
#: Pixels at or above this level hold no detail any more, at or below the other none yet.
CLIPPED_FROM, BLACK_UNTIL = 250, 8
MAX_CLIPPED_SHARE = 0.10
#: The face should fill at least this share of the picture's height, and keep this far from its edges.
MIN_FACE_HEIGHT = 0.22
EDGE_SHARE = 0.02
#: Mean difference of two pictures (0 to 255) below which nothing has moved; a sensor's noise alone makes more.
SAME_PICTURE = 0.02


@dataclass(frozen=True)
class PictureState:
    """What was found in one picture.

    Parameters
    ----------
    brightness : float
        Mean level of the face, or of the picture if there is none; 0 to 255.
    clipped_share, black_share : float
        Of the same pixels.
    face : tuple of float or None
        The face's box; None if there is none.
    face_known : bool
        False as long as no detector looks.
    frozen_s : float
        For how long the picture has not changed.
    no_face_s : float
        For how long there has been no face.
    """

    brightness: float = 128.0
    clipped_share: float = 0.0
    black_share: float = 0.0
    face: Box | None = None
    face_known: bool = False
    frozen_s: float = 0.0
    no_face_s: float = 0.0


def measure_light(grey: GreyImage, face: Box | None) -> tuple[float, float, float]:
    """Return mean level, share of clipped and share of black pixels of the face, or of the picture without one."""
    region = grey
    if face is not None:
        height, width = grey.shape
        left, top = int(max(0.0, face[0]) * width), int(max(0.0, face[1]) * height)
        right, bottom = int(min(1.0, face[0] + face[2]) * width), int(min(1.0, face[1] + face[3]) * height)
        if right - left > 1 and bottom - top > 1:
            region = grey[top:bottom, left:right]
    return float(region.mean()), float((region >= CLIPPED_FROM).mean()), float((region <= BLACK_UNTIL).mean())


def light_warning(state: PictureState) -> str:
    """Return one sentence on the light with what to do; empty if it is good."""
    what = "The face is" if state.face is not None else "The picture is"
    if state.brightness < TOO_DARK:
        return f"{what} too dark. Turn up the lamp in front of the participant, or open the camera's exposure."
    if state.brightness > TOO_BRIGHT:
        return f"{what} too bright. Dim the lamp, or shorten the camera's exposure."
    if state.clipped_share > MAX_CLIPPED_SHARE:
        return f"{state.clipped_share:.0%} of {what.split()[1]} has no detail left. Shorten the exposure or soften the light."
    return ""


def face_warning(state: PictureState) -> str:
    """Return one sentence on the face's place with what to do; empty if it is good or nobody looks."""
    if not state.face_known:
        return ""
    if state.face is None:
        return "No face in the picture. Turn the camera, or ask the participant to sit upright."
    x, y, width, height = state.face
    sides = [
        name
        for name, outside in (
            ("left", x < EDGE_SHARE),
            ("right", x + width > 1 - EDGE_SHARE),
            ("top", y < EDGE_SHARE),
            ("bottom", y + height > 1 - EDGE_SHARE),
        )
        if outside
    ]
    if sides:
        return f"The face leaves the picture at the {' and '.join(sides)}. Turn the camera."
    if height < MIN_FACE_HEIGHT:
        return f"The face fills only {height:.0%} of the picture's height. Bring the camera closer."
    return ""


class PictureWatch:
    """Follow one camera from picture to picture; times are seconds of the console's clock."""

    def __init__(self) -> None:
        self._last: GreyImage | None = None
        self._changed_s = 0.0
        self._face_s: float | None = None

    def look(self, grey: GreyImage, face: Box | None, face_known: bool, now_s: float) -> PictureState:
        """Judge a picture that arrived at `now_s`."""
        if self._last is None or self._last.shape != grey.shape or _difference(self._last, grey) > SAME_PICTURE:
            self._changed_s = now_s
        self._last = grey
        if face is not None or self._face_s is None or not face_known:
            self._face_s = now_s
        brightness, clipped, black = measure_light(grey, face)
        return PictureState(
            brightness, clipped, black, face, face_known, now_s - self._changed_s, now_s - self._face_s,
        )  # fmt: skip


def _difference(first: GreyImage, second: GreyImage) -> float:
    return float(np.abs(first.astype(np.int16) - second.astype(np.int16)).mean())
