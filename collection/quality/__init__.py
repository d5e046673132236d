"""How good a recording is, on a page: for the operator at the session's end, and for the methods section."""

from __future__ import annotations

from collection.quality.page import QualityPagePaths, make_session_page, make_study_page

__all__ = ["QualityPagePaths", "make_session_page", "make_study_page"]
