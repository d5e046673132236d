"""What the ER pass shows besides the face: stimulus with gaze, eye traces, fixation map."""

from __future__ import annotations

from annotation.views.er.panel import ErPanel, build_er_panel

__all__ = ["ErPanel", "build_er_panel"]
