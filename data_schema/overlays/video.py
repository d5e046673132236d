"""Read a stimulus frame by frame and write it again with something drawn on each frame, at the same times."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError

from data_schema.atomic import partial_path, replace_durably
from data_schema.errors import MediaError
from data_schema.files import disk_problem

Image = npt.NDArray[np.uint8]
#: Time inside the stimulus in microseconds and its picture, to what is to be shown.
Draw = Callable[[int, Image], Image]

_MICROSECONDS = Fraction(1, 1_000_000)


def stimulus_size(path: Path) -> tuple[int, int]:
    """Return width and height of a video as it is seen, its pixels made square.

    Raises
    ------
    MediaError
        If it cannot be read.
    """
    with _opened(path) as container:
        context = container.streams.video[0].codec_context
        aspect = float(context.sample_aspect_ratio or 1) or 1.0
        return max(1, round(context.width * aspect)), int(context.height)


def stimulus_picture(path: Path, share: float = 0.5) -> Image:
    """Return a frame from within a video, shape (height, width, 3), RGB, its pixels made square.

    Parameters
    ----------
    path : Path
    share : float
        Where, 0 for the beginning and 1 for the end.
    """
    width, height = stimulus_size(path)
    with _opened(path) as container:
        stream = container.streams.video[0]
        wanted_s = share * float((container.duration or 0) / 1e6)
        picture = None
        try:
            for frame in container.decode(stream):
                picture = frame
                if frame.pts is not None and float(frame.pts * stream.time_base) >= wanted_s:
                    break
        except FFmpegError as error:
            raise _undecodable(path, error) from error
        if picture is None:
            raise MediaError(f"{path.name}: has no picture that can be decoded. Put the right file into stimuli/.")
        return np.asarray(picture.to_ndarray(format="rgb24", width=width, height=height), dtype=np.uint8)


def draw_over(source: Path, target: Path, draw: Draw) -> int:
    """Write a video anew with something drawn on each frame; without sound.

    The frames keep their times, also where these are uneven. The file is there when it is whole.

    Parameters
    ----------
    source, target : Path
        `target` is replaced if it exists.
    draw : callable

    Returns
    -------
    int
        Frames written.

    Raises
    ------
    MediaError
        If the source cannot be decoded.
    ExportError
        If the target cannot be written.
    """
    width, height = stimulus_size(source)
    width, height = width - width % 2, height - height % 2
    partial = partial_path(target)
    n = 0
    try:
        with _opened(source) as container, av.open(str(partial), "w", format="mp4") as out:
            stream = container.streams.video[0]
            rate = stream.average_rate or Fraction(25)
            encoder: Any = out.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "20"})
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
            encoder.codec_context.time_base = _MICROSECONDS
            last = -1
            for frame in _frames(source, container, stream):
                t_us = round(float(frame.pts * stream.time_base) * 1e6)
                if t_us <= last:
                    continue
                last = t_us
                picture = np.asarray(frame.to_ndarray(format="rgb24", width=width, height=height), dtype=np.uint8)
                shown = av.VideoFrame.from_ndarray(draw(t_us, picture), format="rgb24")
                shown.pts, shown.time_base = t_us, _MICROSECONDS
                out.mux(encoder.encode(shown))
                n += 1
            out.mux(encoder.encode(None))
        if not n:
            raise MediaError(f"{source.name}: has no picture that can be decoded. Put the right file into stimuli/.")
        replace_durably(partial, target)
    except OSError as error:
        # PyAV's errors are OSErrors, too: those of the source were told apart above.
        raise disk_problem(error, target) from error
    finally:
        partial.unlink(missing_ok=True)
    return n


def _frames(path: Path, container: Any, stream: Any) -> Any:
    try:
        for frame in container.decode(stream):
            if frame.pts is not None:
                yield frame
    except FFmpegError as error:
        raise _undecodable(path, error) from error


def _opened(path: Path) -> Any:
    try:
        container: Any = av.open(str(path))
    except FFmpegError as error:
        raise MediaError(f"{path}: cannot be opened: {error.strerror}. Put the right file into stimuli/.") from error
    if not container.streams.video:
        container.close()
        raise MediaError(f"{path.name}: has no video. Put the right file into stimuli/.")
    return container


def _undecodable(path: Path, error: FFmpegError) -> MediaError:
    return MediaError(f"{path.name}: cannot be decoded: {error.strerror}. Put the right file into stimuli/.")
