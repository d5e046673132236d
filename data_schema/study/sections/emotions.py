"""Emotions and polarities as values of a key."""

from __future__ import annotations

import difflib
from typing import Annotated

from pydantic import AfterValidator

from data_schema.vocabularies import EMOTIONS, POLARITIES


def _known_emotion(value: str) -> str:
    if value not in EMOTIONS:
        near = difflib.get_close_matches(value, EMOTIONS, n=1)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        raise ValueError(f"no such emotion. {hint}Known: {', '.join(EMOTIONS)}.")
    return value


def _known_polarity(value: str) -> str:
    if value not in POLARITIES:
        raise ValueError(f"no such polarity. Known: {', '.join(POLARITIES)}.")
    return value


EmotionName = Annotated[str, AfterValidator(_known_emotion)]
PolarityName = Annotated[str, AfterValidator(_known_polarity)]
