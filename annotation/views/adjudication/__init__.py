"""The adjudicator's window: clip, everyone's labels side by side, decision with its reason."""

from __future__ import annotations

from annotation.views.adjudication.window import AdjudicationWindow

__all__ = ["AdjudicationWindow"]
