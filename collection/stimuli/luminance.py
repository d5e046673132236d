"""The luminance of a clip over time. Pupils follow light far more than feeling, so analyses need it.

Each frame is made linear (the transfer function of sRGB), weighted (BT.709) and
averaged: relative luminance, 0 for black and 1 for the screen's white. What the eye
gets in candela per square metre depends on the screen; a lab that has measured its
white and black levels scales these numbers.

References
----------
IEC 61966-2-1:1999 (sRGB). ITU-R BT.709-6, section 3.
Watson and Yellott (2012), "A unified formula for light-adapted pupil size", Journal of Vision 12(10).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError

from data_schema.errors import MediaError
from data_schema.session.declaration import encode_text
from data_schema.session.layout import LUMINANCE
from data_schema.session.reader import file_sha256
from data_schema.study.folder import StudyFolder

logger = logging.getLogger(__name__)

#: Luminance of red, green and blue light in BT.709.
_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])
#: Frames are averaged down to this width before they are made linear, which changes a frame's mean by less than
#: 0.01 in the worst case (fine black and white stripes aside) and makes it fast.
_WIDTH_PX = 320
#: Raised when the numbers for the same file would change.
_CACHE_VERSION = 1


def _linear_table() -> npt.NDArray[np.float32]:
    encoded = np.arange(256) / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


_LINEAR = _linear_table()


def frame_luminance(image: npt.NDArray[np.uint8]) -> float:
    """Return the mean relative luminance of a picture.

    Parameters
    ----------
    image : ndarray of uint8, shape (height, width, 3)
        RGB, sRGB-encoded.

    Returns
    -------
    float
        0 to 1.
    """
    # The mean of each channel's linear light is a histogram away: 256 products instead of a million.
    means = [np.bincount(image[..., channel].ravel(), minlength=256) @ _LINEAR for channel in range(3)]
    return float(np.asarray(means) @ _WEIGHTS / (image.shape[0] * image.shape[1]))


def luminance_of_file(path: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the luminance of every frame of a video.

    Returns
    -------
    clip_time_us : ndarray of int64, shape (n_frames,)
        Time inside the clip, from the first frame's stamp on.
    luminance : ndarray of float32, shape (n_frames,)

    Raises
    ------
    MediaError
        If the file cannot be decoded.
    """
    times: list[int] = []
    values: list[float] = []
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                width = min(_WIDTH_PX, frame.width)
                height = max(1, round(frame.height * width / frame.width))
                small = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
                values.append(frame_luminance(small.to_ndarray()))
                stamp = frame.pts if frame.pts is not None else frame.dts or 0
                times.append(round(float(stamp * frame.time_base) * 1e6))
    except (FFmpegError, OSError, IndexError) as error:
        raise MediaError(f"{path}: this is no video that can be decoded: {error}. Put the clip there again.") from error
    clip_time_us = np.array(times, dtype=np.int64)
    if len(clip_time_us):
        clip_time_us -= clip_time_us[0]
    return clip_time_us, np.array(values, dtype=np.float32)


def luminance_rows(study: StudyFolder, progress: Callable[[int, int, str], None] | None = None) -> npt.NDArray[np.void]:
    """Return the rows of ``/stimulus/luminance`` for all stimuli of a study.

    Computed once for each file and kept in ``stimuli/.cache`` under the file's hash.

    Parameters
    ----------
    study : StudyFolder
    progress : callable, optional
        Called with stimuli done, stimuli in all, and the next one's identifier.

    Raises
    ------
    StudyError, MediaError
        If a stimulus is missing or cannot be decoded.
    """
    stimuli = study.config.stimuli
    parts: list[npt.NDArray[np.void]] = []
    for done, stimulus in enumerate(stimuli):
        if progress is not None:
            progress(done, len(stimuli), stimulus.id)
        clip_time_us, luminance = _cached(study.stimulus_path(stimulus), study.stimuli_dir / ".cache")
        rows = LUMINANCE.empty(len(luminance))
        rows["stimulus_id"] = encode_text(stimulus.id, LUMINANCE.dtype["stimulus_id"].itemsize)
        rows["clip_time_us"], rows["luminance"] = clip_time_us, luminance
        parts.append(rows)
    return np.concatenate(parts) if parts else LUMINANCE.empty()


def _cached(path: Path, folder: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    kept = folder / f"luminance-v{_CACHE_VERSION}-{file_sha256(path)[:24]}.npz"
    try:
        with np.load(kept, allow_pickle=False) as stored:
            return stored["clip_time_us"], stored["luminance"]
    except (OSError, ValueError, KeyError):
        clip_time_us, luminance = luminance_of_file(path)
    try:
        folder.mkdir(exist_ok=True)
        partial = kept.with_name(f"{kept.stem}.{os.getpid()}.partial.npz")
        np.savez(partial, clip_time_us=clip_time_us, luminance=luminance)
        partial.replace(kept)
    except OSError as error:
        # A read-only stimulus folder costs the time again, nothing else.
        logger.warning("the luminance of %s is not kept: %s", path.name, error)
    return clip_time_us, luminance
