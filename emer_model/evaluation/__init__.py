"""Metrics over whole folds, intervals over participants, calibration, comparison of runs, and the emotion gap."""

from __future__ import annotations

from emer_model.evaluation.bootstrap import Interval, subject_bootstrap
from emer_model.evaluation.calibration import (
    apply_temperature,
    calibration_figures,
    expected_calibration_error,
    fit_temperature,
    fold_temperatures,
    reliability,
)
from emer_model.evaluation.comparison import Comparison, Contender, compare_runs
from emer_model.evaluation.gap import agreement_matrix, masked_clips, masking_figures, predicted_gap
from emer_model.evaluation.metrics import classification_metrics, concordance, confusion, continuous_metrics, pearson
from emer_model.evaluation.summary import summarise

__all__ = [
    "Comparison",
    "Contender",
    "Interval",
    "agreement_matrix",
    "apply_temperature",
    "calibration_figures",
    "classification_metrics",
    "compare_runs",
    "concordance",
    "confusion",
    "continuous_metrics",
    "expected_calibration_error",
    "fit_temperature",
    "fold_temperatures",
    "masked_clips",
    "masking_figures",
    "pearson",
    "predicted_gap",
    "reliability",
    "subject_bootstrap",
    "summarise",
]
