"""Eye behaviour of a clip, computed from its session: what an ER annotator sees besides the face."""

from __future__ import annotations

from annotation.evidence.eyes import EyeEvidence, StimulusTrack

__all__ = ["EyeEvidence", "StimulusTrack"]
