"""Words that people wrote, which are held back: names stand in them.

Markers carry sentences of operators, devices and the software. Only what the software alone can have written, word for word
from a closed vocabulary, is published.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from data_schema.session import markers

#: Markers whose message is the identifier of a stimulus.
_OF_STIMULI = frozenset(
    {
        markers.TRIAL_STARTED, markers.STIMULUS_ONSET, markers.STIMULUS_OFFSET, markers.TRIAL_SKIPPED,
        markers.CLIP_HELD, markers.CLIP_ENDED_EARLY,
    }
)  # fmt: skip
#: Markers whose message is the name of a step of the protocol.
_OF_STEPS = frozenset({markers.STEP_STARTED, markers.STEP_ENDED})
_STEP = re.compile(r"[a-z][a-z_]{0,31}(:[a-z][a-z0-9_-]{0,31})?")
#: Why a clip is left out, up to where the sentence quotes somebody.
_QUOTING = ": "
#: Texts shorter than this are too short to be searched for: they are ordinary words that stand in any file.
MIN_SOUGHT = 12


def published_message(kind: str, message: str, stimuli: Collection[str]) -> str:
    """Return what is published of a marker's message; empty unless it comes from a closed vocabulary."""
    if kind in _OF_STIMULI:
        return message if message in stimuli else ""
    if kind in _OF_STEPS:
        return message if _STEP.fullmatch(message) else ""
    return ""


def published_reason(reason: str) -> str:
    """Return why a clip was left out, without what was quoted of an operator."""
    return reason.partition(_QUOTING)[0]


def worth_seeking(text: str) -> bool:
    """Tell whether a text is long enough to be searched for in an export."""
    return len(text.strip()) >= MIN_SOUGHT
