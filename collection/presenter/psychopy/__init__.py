"""The participant's screen: pages, clips, calibration targets and answers in a PsychoPy window.

PsychoPy itself is imported when a window is opened, not before: its import needs a screen.
"""

from __future__ import annotations

from collection.presenter.psychopy.presenter import PsychopyPresenter
from collection.presenter.psychopy.window import ScreenReport

__all__ = ["PsychopyPresenter", "ScreenReport"]
