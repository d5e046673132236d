"""Active-learning-based annotation: a model's guesses order the queue, are offered for verification, and are watched.

People label a seed, a model guesses the rest (`emer predict`). Uncertain clips come
first; confident guesses are offered with one key after a clip was seen; a control
share of them stays blind, so that what seeing a guess does to a judgement can be
measured (`ala_report`).
"""

from __future__ import annotations

from annotation.active_learning.offers import StudyGuesses
from annotation.active_learning.report import AlaReport, ala_report

__all__ = ["AlaReport", "StudyGuesses", "ala_report"]
