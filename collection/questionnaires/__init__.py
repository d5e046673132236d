"""Questionnaires as plug-ins: TOML files with their source and terms of use, and their scores."""

from __future__ import annotations

from collection.questionnaires.loading import find_questionnaire, known_questionnaires, parse_questionnaire
from collection.questionnaires.model import Questionnaire, QuestionnaireItem, Score
from collection.questionnaires.scoring import ScoredOccasion, score, score_session

__all__ = [
    "Questionnaire",
    "QuestionnaireItem",
    "Score",
    "ScoredOccasion",
    "find_questionnaire",
    "known_questionnaires",
    "parse_questionnaire",
    "score",
    "score_session",
]
