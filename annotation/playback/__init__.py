"""Videos by frame number: exact, quick to seek, without a window."""

from __future__ import annotations

from annotation.playback.frames import FrameIdentity, FrameSource, RgbImage

__all__ = ["FrameIdentity", "FrameSource", "RgbImage"]
