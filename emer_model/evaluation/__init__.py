"""Metrics over whole folds, intervals over participants, and the emotion gap."""

from __future__ import annotations

from emer_model.evaluation.bootstrap import Interval, subject_bootstrap
from emer_model.evaluation.gap import agreement_matrix, masked_clips
from emer_model.evaluation.metrics import classification_metrics, concordance, confusion, continuous_metrics, pearson
from emer_model.evaluation.summary import summarise

__all__ = [
    "Interval",
    "agreement_matrix",
    "classification_metrics",
    "concordance",
    "confusion",
    "continuous_metrics",
    "masked_clips",
    "pearson",
    "subject_bootstrap",
    "summarise",
]
