"""Choose what this machine can encode, before the first frame, instead of dropping frames later.

What the study asks for is measured on pictures like a camera's. If it is too
slow, faster presets are tried (larger files, the same picture), then smaller
pictures. Nothing is ever chosen that is finer than what was asked.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from collection.recorder.encoder import VideoEncoder
from data_schema.study.sections import CameraSection

#: x264's presets from the slowest to the fastest.
PRESETS = (
    "placebo", "veryslow", "slower", "slow", "medium", "fast", "faster", "veryfast", "superfast", "ultrafast",
)  # fmt: skip
#: Times the camera's rate that must be encoded when nothing else runs. Chosen by us: beside the encoder run
#: the camera's driver, the tracker, the writer, the presenter and the console, and a busy scene costs more.
MARGIN = 1.5
#: The same on a machine with fewer processors than `MANY_PROCESSORS`, where the presenter and the console take their
#: time from the encoder. With 1.5, a 1080p recording on 2 busy processors dropped 226 of 358 frames.
MARGIN_FEW = 2.5
MANY_PROCESSORS = 4
#: Shares of the asked size that are tried: of 1920x1080 they give 1440x810, 1280x720, 960x540, 640x360, 480x270.
SIZES = (3 / 4, 2 / 3, 1 / 2, 1 / 3, 1 / 4)
#: Smaller pictures show no face that could be coded; chosen by us.
MIN_WIDTH_PX = 320
#: A measurement ends after so many real seconds or frames, whichever comes first.
MEASURE_S = 0.35
_MEASURE_FRAMES = 60
#: Frames before the measurement begins: caches, the encoder's first key frame.
_WARM_UP_FRAMES = 3
#: Different pictures; they are repeated.
_N_PICTURES = 4

#: Takes preset, size of the camera's picture, size to encode, rate; returns frames a second.
Measure = Callable[[CameraSection, str, tuple[int, int], tuple[int, int], float], float]


@dataclass(frozen=True)
class EncodingChoice:
    """What is encoded.

    Parameters
    ----------
    preset : str
        Speed preset of the encoder.
    width, height : int
        Size of the stored picture, even.
    measured_fps : float
        Frames a second that this machine encoded so, with nothing else to do.
    reason : str
        One sentence for the operator and the file.
    as_asked : bool
        False if preset or size are not what the study asks for.
    sufficient : bool
        False if even this is too slow; frames will be dropped, and counted.
    """

    preset: str
    width: int
    height: int
    measured_fps: float
    reason: str
    as_asked: bool = True
    sufficient: bool = True

    def as_json(self) -> dict[str, Any]:
        """Return the choice in JSON types."""
        return asdict(self)


def choose_encoding(
    camera: CameraSection, width: int, height: int, fps: float, *, measure: Measure | None = None, n_cameras: int = 1
) -> EncodingChoice:
    """Choose preset and size that this machine encodes at a camera's rate.

    Parameters
    ----------
    camera : CameraSection
        ``[camera]`` of the study: codec, preset and quality that are asked for.
    width, height : int
        Size of the pictures that the camera delivers.
    fps : float
        Its rate.
    measure : callable, optional
        Replaces the measurement.
    n_cameras : int
        Cameras that are encoded at the same time. One processor is left to the presenter;
        cameras beyond the others share them.

    Returns
    -------
    EncodingChoice
        The first that is fast enough; the fastest there is, marked as insufficient, if none is.

    Raises
    ------
    MediaError
        If the encoder does not open with what is asked.
    """
    measure = measure or EncoderMeter()
    n_processors = os.cpu_count() or 1
    needed = fps * margin(n_processors) * max(1.0, n_cameras / max(1, n_processors - 1))
    source = (width, height)
    full = _even(width, height)
    asked = measure(camera, camera.preset, source, full, fps)
    if asked < needed:
        # Twice more: something else may have had the processor for a moment, but not for two of three.
        asked = statistics.median([asked, *(measure(camera, camera.preset, source, full, fps) for _ in range(2))])
    if asked >= needed:
        text = f"{_words(camera.preset, full)} as asked: {asked:.0f} frames/s can be encoded, {needed:.0f} are needed"
        return EncodingChoice(camera.preset, *full, asked, text)
    too_slow = f"{_words(camera.preset, full)} encodes only {asked:.0f} frames/s where {needed:.0f} are needed"
    best = EncodingChoice(camera.preset, *full, asked, "")
    for preset, size in _steps(camera.preset, full):
        rate = measure(camera, preset, source, size, fps)
        if rate >= needed:
            text = f"{too_slow}; {_words(preset, size)} encodes {rate:.0f}"
            return EncodingChoice(preset, *size, rate, text, as_asked=False)
        if rate > best.measured_fps:
            best = EncodingChoice(preset, *size, rate, "", as_asked=False)
    text = (
        f"{too_slow}, and nothing is fast enough: {_words(best.preset, (best.width, best.height))} encodes "
        f"{best.measured_fps:.0f}. Frames may be dropped (they are counted). Close other programs, or ask for fewer "
        "frames a second in [camera]."
    )
    return EncodingChoice(
        best.preset, best.width, best.height, best.measured_fps, text, as_asked=best.as_asked, sufficient=False
    )


def margin(n_processors: int) -> float:
    """Return how many times the camera's rate must be encoded before the recording begins."""
    return MARGIN if n_processors >= MANY_PROCESSORS else MARGIN_FEW


def _steps(preset: str, full: tuple[int, int]) -> list[tuple[str, tuple[int, int]]]:
    """Return what is tried after what was asked: faster presets at full size, then smaller pictures."""
    faster = PRESETS[PRESETS.index(preset) + 1 :] if preset in PRESETS else PRESETS[-1:]
    fastest = faster[-1] if faster else preset
    sizes = [_even(full[0] * share, full[1] * share) for share in SIZES]
    return [(name, full) for name in faster] + [(fastest, size) for size in sizes if size[0] >= MIN_WIDTH_PX]


def _even(width: float, height: float) -> tuple[int, int]:
    """Return the even size below; H.264 with 4:2:0 colour has no other."""
    return int(width + 1e-6) // 2 * 2, int(height + 1e-6) // 2 * 2


def _words(preset: str, size: tuple[int, int]) -> str:
    return f"preset {preset} at {size[0]}x{size[1]}"


class EncoderMeter:
    """Measure the recorder's encoder here and now; a :data:`Measure`."""

    def __init__(self) -> None:
        self._pictures: list[npt.NDArray[np.uint8]] = []

    def __call__(
        self, camera: CameraSection, preset: str, source: tuple[int, int], encoded: tuple[int, int], fps: float
    ) -> float:
        """Return the frames a second that are scaled and encoded.

        Parameters
        ----------
        camera : CameraSection
            Codec, quality and key frames.
        preset : str
            Speed preset.
        source, encoded : tuple of int
            Width and height of the camera's picture and of the stored one.
        fps : float
            Nominal rate.
        """
        encoder = VideoEncoder(
            *source, fps,
            codec=camera.codec, preset=preset, crf=camera.crf, keyframe_every=camera.keyframe_every,
            encoded_px=encoded,
        )  # fmt: skip
        pictures = self._pictures_of(*source)
        interval_us = round(1e6 / fps)
        try:
            for number in range(_WARM_UP_FRAMES):
                encoder.encode(pictures[number % len(pictures)], number * interval_us)
            started = time.perf_counter()
            n_frames, elapsed_s = 0, 0.0
            while n_frames < _MEASURE_FRAMES and elapsed_s < MEASURE_S:
                number = _WARM_UP_FRAMES + n_frames
                encoder.encode(pictures[number % len(pictures)], number * interval_us)
                n_frames, elapsed_s = n_frames + 1, time.perf_counter() - started
            return n_frames / elapsed_s
        finally:
            encoder.close()

    def _pictures_of(self, width: int, height: int) -> list[npt.NDArray[np.uint8]]:
        if not self._pictures or self._pictures[0].shape[:2] != (height, width):
            self._pictures = camera_like(width, height)
        return self._pictures


def camera_like(width: int, height: int, n: int = _N_PICTURES) -> list[npt.NDArray[np.uint8]]:
    """Return pictures that cost an encoder about what a webcam's do.

    A bright face-sized ellipse moves a few pixels a frame before a shaded wall,
    and every pixel has a sensor's noise (standard deviation 3 of 255 levels),
    which is what an encoder spends most of its time on.

    Returns
    -------
    list of ndarray of uint8, shape (height, width, 3)
        BGR.
    """
    rng = np.random.default_rng(0)
    # More noise than fits the picture, from which each frame takes another part: making it costs more than encoding.
    noise = rng.normal(0, 3, (height + 2 * n, width + 2 * n)).astype(np.int16)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    wall = 60 + 60 * columns / width + 30 * rows / height
    pictures = []
    for number in range(n):
        x, y = width * 0.5 + 3 * number * math.copysign(1, n / 2 - number), height * 0.45 + number
        face = ((columns - x) / (0.14 * width)) ** 2 + ((rows - y) / (0.3 * height)) ** 2 < 1
        shaded = np.where(face, 150 + 40 * np.sin(rows / 9) * np.cos(columns / 7), wall).astype(np.int16)
        grain = noise[2 * number : 2 * number + height, number : number + width]
        grey = np.clip(shaded + grain, 0, 255)
        pictures.append(
            np.stack([np.clip(grey * share, 0, 255) for share in (0.8, 0.9, 1.0)], axis=-1).astype(np.uint8)
        )
    return pictures
