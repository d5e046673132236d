"""The screen that a session was recorded on."""

from __future__ import annotations

from data_schema.errors import ConfigError
from data_schema.session.reader import Session
from data_schema.signals.gaze import ScreenGeometry
from data_schema.study.sections import ScreenSection


def screen_geometry(screen: ScreenSection) -> ScreenGeometry:
    """Return the geometry of a configured screen."""
    return ScreenGeometry(screen.width_px, screen.height_px, screen.width_mm, screen.height_mm, screen.distance_mm)


def recorded_screen(session: Session, fallback: ScreenSection | None = None) -> ScreenGeometry:
    """Return the screen that the session was recorded on.

    Raises
    ------
    ConfigError
        If the session carries no usable configuration and there is no fallback.
    """
    try:
        return screen_geometry(session.config().screen)
    except ConfigError:
        if fallback is None:
            raise
        return screen_geometry(fallback)
