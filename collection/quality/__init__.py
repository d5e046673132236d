"""How good a recording is, on a page: for the operator at the session's end, and for the methods section.

Nothing heavy is imported here: the verb ``emer quality`` is loaded with every ``emer --help``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collection.quality.page import QualityPagePaths
    from data_schema.study.folder import StudyFolder

__all__ = ["make_session_page"]


def make_session_page(path: Path, study: StudyFolder) -> QualityPagePaths:
    """Measure one session and write its page beside it; see `collection.quality.page`."""
    from collection.quality import page

    return page.make_session_page(path, study)
