from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from data_schema.errors import TrainingError
from data_schema.exports import protocols
from data_schema.vocabularies import EMOTIONS
from emer_model.evaluation import (
    agreement_matrix,
    classification_metrics,
    confusion,
    continuous_metrics,
    masked_clips,
    metrics,
    subject_bootstrap,
    summarise,
)

labels = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=60)


@given(labels)
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true:UserWarning")
def test_whole_fold_figures_are_those_of_sklearn_on_all_clips(pairs: list[tuple[int, int]]) -> None:
    true, predicted = (np.array(x) for x in zip(*pairs, strict=True))
    figures = classification_metrics(true, predicted, 7)
    assert figures["war"] == pytest.approx(accuracy_score(true, predicted))
    if len(np.unique(true)) > 1:  # sklearn itself warns of a single class
        assert figures["uar"] == pytest.approx(balanced_accuracy_score(true, predicted))
    assert figures["weighted_f1"] == pytest.approx(f1_score(true, predicted, average="weighted", zero_division=0))
    assert confusion(true, predicted, 7).sum() == len(true)


def test_batch_averages_would_be_wrong() -> None:
    true, predicted = np.array([0, 0, 1, 1, 1, 1]), np.array([0, 0, 1, 1, 0, 0])
    batches = [classification_metrics(true[a : a + 2], predicted[a : a + 2], 2)["uar"] for a in (0, 2, 4)]
    assert classification_metrics(true, predicted, 2)["uar"] == pytest.approx(0.75)
    assert np.mean(batches) == pytest.approx(2 / 3)


def test_figures_are_those_that_the_protocols_declare() -> None:
    assert metrics.CLASS_METRICS is protocols.CLASS_METRICS
    assert metrics.CONTINUOUS_METRICS is protocols.CONTINUOUS_METRICS
    true = np.array([0, 1, 1])
    for declared in protocols.PROTOCOLS.values():
        figures = classification_metrics(true, true, 2) if declared.classes else continuous_metrics(true, true)
        assert tuple(name for name in figures if not name.startswith("n_")) == declared.metrics


def test_single_class_no_clips_and_damaged_labels_are_explicit() -> None:
    one = classification_metrics(np.zeros(4, int), np.array([0, 0, 1, 1]), 7)
    assert (one["uar"], one["n_classes_present"]) == (0.5, 1)
    assert math.isnan(classification_metrics(np.array([], int), np.array([], int), 7)["war"])
    with pytest.raises(TrainingError, match="outside 0 to 6"):
        classification_metrics(np.array([7]), np.array([0]), 7)
    with pytest.raises(TrainingError, match="not a finite number"):
        continuous_metrics(np.array([0.0, 1.0]), np.array([0.0, np.nan]))


def test_continuous_figures() -> None:
    true = np.array([0.0, 1.0, 2.0, 3.0])
    figures = continuous_metrics(true, true + 1.0)
    assert (figures["mae"], figures["mse"], figures["rmse"]) == (1.0, 1.0, 1.0)
    assert figures["pearson"] == pytest.approx(1.0)
    assert figures["ccc"] == pytest.approx(2 * 1.25 / (1.25 + 1.25 + 1.0))  # Lin (1989), by hand
    constant = continuous_metrics(true, np.ones(4))
    assert math.isnan(constant["pearson"]) and constant["ccc"] == 0.0
    assert math.isnan(continuous_metrics(true[:1], true[:1])["ccc"])


def test_bootstrap_draws_participants_not_clips() -> None:
    # Two participants, one always right, one always wrong: by clips the interval would be narrow.
    true, participants = np.zeros(200, int), np.repeat(["A", "B"], 100)
    predicted = np.repeat([0, 1], 100)
    interval = subject_bootstrap(true, predicted, participants, 2, resamples=500)["war"]
    assert (interval.low, interval.high) == (0.0, 1.0)
    again = subject_bootstrap(true, predicted, participants, 2, resamples=500)["war"]
    assert again == interval
    alone = subject_bootstrap(true, predicted, np.repeat("A", 200), 2)["war"]
    assert math.isnan(alone.low)


def test_bootstrap_matches_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    participants = np.repeat([f"P{i}" for i in range(8)], 12)
    true = rng.integers(0, 3, 96)
    predicted = np.where(rng.random(96) < 0.6, true, rng.integers(0, 3, 96))
    fast = subject_bootstrap(true, predicted, participants, 3, resamples=3000)["uar"]
    codes = np.unique(participants)
    values = []
    for _ in range(500):
        clips = np.concatenate([np.flatnonzero(participants == c) for c in rng.choice(codes, len(codes))])
        values.append(classification_metrics(true[clips], predicted[clips], 3)["uar"])
    low, high = np.percentile(values, [2.5, 97.5])
    assert fast.low == pytest.approx(low, abs=0.04) and fast.high == pytest.approx(high, abs=0.04)


@pytest.fixture
def targets() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "clip_id": ["a", "b", "c", "d"],
            "er_emotion": ["sadness", "fear", None, "anger"],
            "fer_emotion": ["happiness", "fear", "fear", None],
        }
    )


def test_masked_clips_are_those_where_felt_and_shown_differ(targets: pd.DataFrame) -> None:
    masked = masked_clips(targets)
    assert masked["a"] and not masked["b"]
    assert masked[["c", "d"]].isna().all()
    matrix = agreement_matrix(targets, EMOTIONS)
    assert matrix.sum() == 2 and matrix[EMOTIONS.index("sadness"), EMOTIONS.index("happiness")] == 1


def test_summary_parts_clips_by_the_gap(targets: pd.DataFrame) -> None:
    from emer_model.data import target

    predictions = pd.DataFrame(
        {
            "clip_id": ["a", "b", "c"],
            "fold": [0, 0, 1],
            "participant": ["P1", "P2", "P3"],
            "target_name": "er_emotion",
            "target": ["sadness", "fear", "fear"],
            "prediction": ["happiness", "fear", "fear"],
        }
    )
    summary = summarise(predictions, (target("er_emotion"),), masked_clips(targets))["er_emotion"]
    assert summary["pooled"]["war"] == pytest.approx(2 / 3)
    assert summary["folds"]["0"]["war"] == 0.5 and summary["mean_of_folds"]["war"] == 0.75
    assert (summary["masked"]["war"], summary["agreeing"]["war"]) == (0.0, 1.0)
    assert summary["masked"]["n_clips"] == summary["agreeing"]["n_clips"] == 1
