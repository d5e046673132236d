"""The session file: one HDF5 file per recording session."""

from __future__ import annotations

from data_schema.session.reader import Session, TableView, Trial, file_sha256, open_session
from data_schema.session.video import SessionVideo, VideoStream
from data_schema.session.writer import SessionWriter

__all__ = [
    "Session",
    "SessionVideo",
    "SessionWriter",
    "TableView",
    "Trial",
    "VideoStream",
    "file_sha256",
    "open_session",
]
