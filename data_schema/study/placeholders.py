"""Generated stimulus clips, so that a new study works before the lab has put in its own.

They are placeholders: moving shapes whose brightness follows the emotion's name
in no meaningful way. They induce nothing and are meant to be replaced.
"""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

_WIDTH_PX, _HEIGHT_PX, _FPS = 640, 360, 30

#: Background colours (RGB), all of about the same luminance: pupil size follows light.
_COLOURS: dict[str, tuple[int, int, int]] = {
    "happiness": (150, 126, 60),
    "sadness": (92, 128, 176),
    "fear": (136, 116, 168),
    "surprise": (176, 112, 92),
    "disgust": (104, 140, 88),
    "anger": (188, 100, 100),
    "neutral": (126, 126, 126),
}


def write_placeholder(path: Path, *, emotion: str, number: int, duration_s: float) -> None:
    """Write one placeholder clip (H.264, 640x360, 30 frames per second, no sound).

    Parameters
    ----------
    path : Path
        Must not exist.
    emotion : str
        One of the seven; it chooses the colour and stands in the picture.
    number : int
        Number of the clip among those of its emotion; it changes the movement.
    duration_s : float
        Length in seconds.
    """
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    with av.open(str(partial), mode="w") as container:
        stream = container.add_stream("libx264", rate=Fraction(_FPS))
        stream.width, stream.height, stream.pix_fmt = _WIDTH_PX, _HEIGHT_PX, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "26"}
        n_frames = max(1, round(duration_s * _FPS))
        for index in range(n_frames):
            image = _picture(emotion, number, index / _FPS, index / n_frames)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    partial.replace(path)


def _picture(emotion: str, number: int, t_s: float, progress: float) -> npt.NDArray[np.uint8]:
    image = np.full((_HEIGHT_PX, _WIDTH_PX, 3), _COLOURS[emotion], dtype=np.uint8)
    angle = 2 * math.pi * (0.25 * t_s + 0.17 * number)
    centre = (round(_WIDTH_PX * (0.5 + 0.3 * math.cos(angle))), round(_HEIGHT_PX * (0.5 + 0.25 * math.sin(2 * angle))))
    cv2.circle(image, centre, 34, (226, 226, 226), -1, lineType=cv2.LINE_AA)
    cv2.putText(
        image, f"placeholder: {emotion} {number}", (18, 34), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (30, 30, 30), 1, cv2.LINE_AA
    )
    cv2.rectangle(image, (0, _HEIGHT_PX - 6), (round(_WIDTH_PX * progress), _HEIGHT_PX), (60, 60, 60), -1)
    return image
