"""The session file: one HDF5 file per recording session."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_schema.session.reader import Session, TableView, Trial, file_sha256, open_session
    from data_schema.session.video import SessionVideo, VideoStream
    from data_schema.session.writer import SessionWriter

#: Module of each public name. Imported when asked for: constants such as the markers' must not cost h5py and pandas.
_HOME = {
    "Session": "reader",
    "TableView": "reader",
    "Trial": "reader",
    "file_sha256": "reader",
    "open_session": "reader",
    "SessionVideo": "video",
    "VideoStream": "video",
    "SessionWriter": "writer",
}

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


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
