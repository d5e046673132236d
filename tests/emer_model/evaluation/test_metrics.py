from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from data_schema.errors import TrainingError
from data_schema.exports import protocols
from emer_model.evaluation import classification_metrics, concordance, confusion, continuous_metrics, metrics, pearson

labels = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=60)


@settings(max_examples=25)
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


@pytest.mark.filterwarnings("ignore:The variance of predictions or target is close to zero:UserWarning")
@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-100, 100)), min_size=3, max_size=40))
def test_continuous_figures_are_those_of_torchmetrics(pairs: list[tuple[int, int]]) -> None:
    import torch
    from torchmetrics.functional import concordance_corrcoef, mean_absolute_error, mean_squared_error, pearson_corrcoef

    true, predicted = np.array(pairs, dtype=np.float64).T / np.array([[4.0], [100.0]])
    figures = continuous_metrics(true, predicted)
    sides = torch.tensor(predicted), torch.tensor(true)
    assert figures["mae"] == pytest.approx(mean_absolute_error(*sides).item())
    assert figures["rmse"] == pytest.approx(mean_squared_error(*sides, squared=False).item())
    if np.ptp(true) and np.ptp(predicted):
        assert figures["pearson"] == pytest.approx(pearson_corrcoef(*sides).item(), abs=1e-6)
        assert abs(figures["ccc"]) <= abs(figures["pearson"]) + 1e-12
        # torchmetrics divides by n - 1 in the variances, as Lin's U-statistics do; ours by n.
        n = len(true)
        unbiased = 2 * np.cov(true, predicted)[0, 1]
        unbiased /= true.var(ddof=1) + predicted.var(ddof=1) + (true.mean() - predicted.mean()) ** 2
        assert concordance_corrcoef(*sides).item() == pytest.approx(unbiased, abs=1e-6)
        assert figures["ccc"] == pytest.approx(
            2 * np.cov(true, predicted, ddof=0)[0, 1]
            / (true.var() + predicted.var() + (true.mean() - predicted.mean()) ** 2)
        )  # fmt: skip
        assert abs(figures["ccc"] - unbiased) < 1.0 / n


def test_constants_are_constants_whatever_their_rounding() -> None:
    tenth = np.full(3, 0.1)  # its variance in float64 is above 0
    assert tenth.var() > 0
    varying = np.array([0.1, 0.2, 0.4])
    assert math.isnan(concordance(tenth, varying)) and math.isnan(pearson(tenth, varying))
    assert concordance(varying, tenth) == pytest.approx(0.0, abs=1e-12) and math.isnan(pearson(varying, tenth))
    assert pearson(varying * 1e-180, varying) == pytest.approx(1.0)  # whose squares vanish
    assert concordance(varying, varying) == pytest.approx(1.0)
