"""The look of the HTML pages that the rooms write: one style sheet, one script for light and dark."""

from __future__ import annotations

from importlib import resources


def page_style() -> str:
    """Return the style sheet, to be put into a self-contained page."""
    return resources.files(__name__).joinpath("style.css").read_text(encoding="utf-8")


def page_script() -> str:
    """Return the script that lets plots follow the reader's light or dark theme."""
    return resources.files(__name__).joinpath("theme.js").read_text(encoding="utf-8")
