"""Generated stimulus clips, so that a new study works before the lab has put in its own.

They are placeholders: moving shapes and a quiet tone, whose brightness and pitch
follow the emotion's name in no meaningful way. They induce nothing and are meant to
be replaced. They have sound so that a rehearsal finds a lab's loudspeakers switched off.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

_WIDTH_PX, _HEIGHT_PX, _FPS = 640, 360, 30
_SOUND_HZ = 44_100
#: Loudness of the tone: 30 dB below full scale, there but nowhere a fright.
_SOUND_PEAK = 10 ** (-30 / 20)
_SOUND_BLOCK = 4096
#: The tone swells and fades over this time at its ends; a hard edge clicks.
_SOUND_EDGE_S = 0.1

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


def write_placeholder(
    path: Path, *, emotion: str, number: int, duration_s: float, title: str = "", fps: int = _FPS
) -> None:
    """Write one placeholder clip (H.264, 640x360, with a quiet tone as AAC).

    Parameters
    ----------
    path : Path
        Must not exist.
    emotion : str
        One of the seven; it chooses the colour and stands in the picture.
    number : int
        Number of the clip among those of its emotion; it changes the movement and the tone.
    duration_s : float
        Length in seconds.
    title : str
        What stands in the picture; by default emotion and number.
    fps : int
        Frames a second; fewer are written faster.
    """
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    with av.open(str(partial), mode="w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = _WIDTH_PX, _HEIGHT_PX, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "26"}
        sound = container.add_stream("aac", rate=_SOUND_HZ)
        sound.layout, sound.bit_rate = "mono", 48_000
        n_frames = max(1, round(duration_s * fps))
        for index in range(n_frames):
            image = _picture(emotion, number, title, index / fps, index / n_frames)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
        for frame in _sound_frames(emotion, number, n_frames / fps):
            container.mux(sound.encode(frame))
        container.mux(sound.encode())
    partial.replace(path)


def _sound_frames(emotion: str, number: int, duration_s: float) -> Iterator[av.AudioFrame]:
    """Yield the tone: 220 Hz for the first emotion, a whole tone higher for each next, a fifth for each next clip."""
    t_s = np.arange(round(duration_s * _SOUND_HZ)) / _SOUND_HZ
    pitch_hz = 220.0 * 2 ** (2 * list(_COLOURS).index(emotion) / 12) * 1.5 ** ((number - 1) % 3)
    edge_s = min(_SOUND_EDGE_S, duration_s / 2)
    swell = np.clip(np.minimum(t_s, duration_s - t_s) / edge_s, 0.0, 1.0)
    samples = (_SOUND_PEAK * swell * np.sin(2 * math.pi * pitch_hz * t_s)).astype(np.float32)
    for start in range(0, len(samples), _SOUND_BLOCK):
        block = samples[None, start : start + _SOUND_BLOCK]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = _SOUND_HZ, start, Fraction(1, _SOUND_HZ)
        yield frame


def _picture(emotion: str, number: int, title: str, t_s: float, progress: float) -> npt.NDArray[np.uint8]:
    image = np.full((_HEIGHT_PX, _WIDTH_PX, 3), _COLOURS[emotion], dtype=np.uint8)
    angle = 2 * math.pi * (0.25 * t_s + 0.17 * number)
    centre = (round(_WIDTH_PX * (0.5 + 0.3 * math.cos(angle))), round(_HEIGHT_PX * (0.5 + 0.25 * math.sin(2 * angle))))
    cv2.circle(image, centre, 34, (226, 226, 226), -1, lineType=cv2.LINE_AA)
    said = f"placeholder: {title or f'{emotion} {number}'}"
    cv2.putText(image, said, (18, 34), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (30, 30, 30), 1, cv2.LINE_AA)
    cv2.rectangle(image, (0, _HEIGHT_PX - 6), (round(_WIDTH_PX * progress), _HEIGHT_PX), (60, 60, 60), -1)
    return image
