"""Videos by frame number: exact, quick to seek, without a window."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from annotation.playback.frames import FrameIdentity, FrameSource, RgbImage

if TYPE_CHECKING:
    from annotation.playback.feeder import FrameFeeder
    from annotation.playback.player import SPEEDS, Player
    from annotation.playback.prefetch import Prefetcher
    from annotation.playback.session_clip import SessionClipFrames
    from annotation.playback.video_file import VideoFileFrames, open_video

#: Module of each public name that costs a decoder or HDF5 to import; imported when asked for.
_HOME = {
    "FrameFeeder": "feeder",
    "Player": "player",
    "SPEEDS": "player",
    "Prefetcher": "prefetch",
    "SessionClipFrames": "session_clip",
    "VideoFileFrames": "video_file",
    "open_video": "video_file",
}

__all__ = [
    "SPEEDS",
    "FrameFeeder",
    "FrameIdentity",
    "FrameSource",
    "Player",
    "Prefetcher",
    "RgbImage",
    "SessionClipFrames",
    "VideoFileFrames",
    "open_video",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
