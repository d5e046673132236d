"""Eye behaviour of a clip, computed from its session: what an ER annotator sees besides the face.

`eye_evidence` and `stimulus_track` read a session; `save_evidence`, `load_evidence`,
`save_flips` and `load_flips` carry the same things in a bundle. Everything that is
heavy is imported when it is called.
"""

from __future__ import annotations

from annotation.evidence.eyes import EyeEvidence, StimulusTrack
from annotation.evidence.signals import EvidenceParameters, eye_evidence
from annotation.evidence.stimulus import stimulus_track
from annotation.evidence.storage import load_evidence, load_flips, save_evidence, save_flips

__all__ = [
    "EvidenceParameters",
    "EyeEvidence",
    "StimulusTrack",
    "eye_evidence",
    "load_evidence",
    "load_flips",
    "save_evidence",
    "save_flips",
    "stimulus_track",
]
