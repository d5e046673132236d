"""Published datasets: the de-identified view of a study, and what is written from it.

Publishers read a :class:`Publication` and write inside :func:`publishing`; they never open the study's own files.
"""

from __future__ import annotations

from data_schema.publishing.folder import CHECKSUMS_NAME, MARKER_NAME, publishing
from data_schema.publishing.publication import (
    Identifier,
    Publication,
    PublishedRecording,
    PublishedSession,
    PublishedStimulus,
    Withheld,
    open_publication,
)

__all__ = [
    "CHECKSUMS_NAME",
    "MARKER_NAME",
    "Identifier",
    "Publication",
    "PublishedRecording",
    "PublishedSession",
    "PublishedStimulus",
    "Withheld",
    "open_publication",
    "publishing",
]
