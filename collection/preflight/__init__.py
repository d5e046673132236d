"""What is checked before a participant sits down: machine, stimuli, devices, screen, a test recording."""

from __future__ import annotations

from collection.preflight.checks import Check, PreflightReport, said_bytes
from collection.preflight.codes import new_participant, new_session_path, used_sessions
from collection.preflight.run import Preflight
from collection.preflight.stimuli import clip_duration_s, stimulus_durations

__all__ = [
    "Check",
    "Preflight",
    "PreflightReport",
    "clip_duration_s",
    "new_participant",
    "new_session_path",
    "said_bytes",
    "stimulus_durations",
    "used_sessions",
]
