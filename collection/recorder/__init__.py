"""Record devices into a session file, in a process of its own."""

from __future__ import annotations

from collection.recorder.handle import Recorder
from collection.recorder.settings import (
    ABORTED,
    COMPLETE,
    RecorderSettings,
    RecorderStatus,
    RecordingStarted,
    RecordingSummary,
    StreamStatus,
)

__all__ = [
    "ABORTED",
    "COMPLETE",
    "Recorder",
    "RecorderSettings",
    "RecorderStatus",
    "RecordingStarted",
    "RecordingSummary",
    "StreamStatus",
]
