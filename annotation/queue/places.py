"""Where the table of assignments lies, and what to do if it is damaged."""

from __future__ import annotations

from pathlib import Path

from data_schema.study.folder import StudyFolder

LOST_TABLE = (
    "Restore it from a backup: it says who judges which clip. Without one, move it away and run "
    "`emer annotate assign`: no label is lost, but the queues get a new order."
)


def assignments_path(study: StudyFolder) -> Path:
    """Return ``annotation/assignments.parquet`` of a study."""
    return study.annotation_dir / "assignments.parquet"
