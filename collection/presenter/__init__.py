"""What the participant sees and answers."""

from __future__ import annotations

from collection.presenter.base import Answer, Presentation, Presenter
from collection.presenter.headless import HeadlessPresenter, ScriptedParticipant

__all__ = ["Answer", "HeadlessPresenter", "Presentation", "Presenter", "ScriptedParticipant"]
