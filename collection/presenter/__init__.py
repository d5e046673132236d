"""What the participant sees and answers."""

from __future__ import annotations

from collection.presenter.base import Answer, CalibrationScreen, HeadPosition, Presentation, Presenter
from collection.presenter.headless import HeadlessPresenter
from collection.presenter.scripted import ScriptedParticipant

__all__ = [
    "Answer",
    "CalibrationScreen",
    "HeadPosition",
    "HeadlessPresenter",
    "Presentation",
    "Presenter",
    "ScriptedParticipant",
]
