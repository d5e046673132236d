"""What a stream says lies in memory that is given back when its container is closed: it is asked before."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from annotation.playback.packets import index_packets
from annotation.playback.video_file import VideoFileFrames

from .numbered_video import Kind, write_video


class Watched:
    """A stream or a container that refuses every question once its container is closed."""

    def __init__(self, real: Any, container: Watched | None = None) -> None:
        self._real, self._container, self._closed = real, container, False

    def close(self) -> None:
        self._real.close()
        self._closed = True

    def __getattr__(self, name: str) -> Any:
        if (self._container or self)._closed:
            raise AssertionError(f"{name} was asked for after the container was closed")
        return getattr(self._real, name)


@pytest.mark.parametrize("variable", [False, True])
def test_a_stream_is_asked_nothing_after_its_container_was_closed(tmp_path: Path, variable: bool) -> None:
    path = write_video(tmp_path / "clip.mp4", Kind(variable=variable))
    real = av.open(str(path))
    container = Watched(real)
    stream = Watched(real.streams.video[0], container)
    time_base = real.streams.video[0].time_base
    index = index_packets(path, real, real.streams.video[0])
    assert index.held is not None, "a short video is held in memory, and its file closed"
    frames = VideoFileFrames(path, index, container, stream, 0, None)
    assert container._closed
    assert frames.time_base == time_base != Fraction(0)
    assert frames.frame(70).shape == (144, 192, 3)
    frames.close()
