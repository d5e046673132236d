"""Trees as tensors answer what scikit-learn answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)

from emer_model.data.targets import Target
from emer_model.fitted.forests import ExtraTreesLearner, boosted, forest_classifier, forest_regressor
from emer_model.fitted.linear import clip_weights
from emer_model.fitted.predictors import build_predictor
from emer_model.fitted.tree_ensemble import floor_float32

SEVEN, THREE, VALUE = (
    Target("er_emotion", tuple("abcdefg")),
    Target("er_polarity", tuple("abc")),
    Target("er_valence", (), -1, 1),
)


@pytest.fixture(scope="module")
def rows():
    """Rows to fit on, and rows to ask about: strange ones, and some that lie on the thresholds."""
    rng = np.random.default_rng(0)
    fitted = rng.normal(size=(150, 6)).astype(np.float32)
    fitted[:, 5] = rng.integers(0, 3, 150)
    asked = rng.normal(size=(120, 6)).astype(np.float32)
    asked[:4] = [[0.0] * 6, [-0.0] * 6, [8.0] * 6, [-8.0] * 6]
    asked[4] = 1e37
    asked[5] = -1e37
    asked[6] = np.finfo(np.float32).tiny
    return fitted, asked


def on_thresholds(asked, model, ensemble):
    """Replace features by thresholds and their neighbours among the float32."""
    asked = asked.copy()
    for i in range(60):
        node = i % len(ensemble.threshold)
        value = np.float32(ensemble.threshold[node])
        near = [value, np.nextafter(value, np.float32(np.inf)), np.nextafter(value, np.float32(-np.inf))][i % 3]
        asked[40 + i, int(ensemble.feature[node])] = near
    return asked


@pytest.mark.parametrize(("target", "balance"), [(SEVEN, 0.0), (SEVEN, 1.0), (THREE, 0.5)])
def test_a_forest_of_classes_answers_as_scikit_learn_does(rows, target, balance):
    fitted, asked = rows
    labels = np.random.default_rng(1).integers(0, target.n_outputs - 1, len(fitted))  # the last class never occurs
    weight = clip_weights(labels, balance)
    model = ExtraTreesClassifier(15, min_samples_leaf=2, random_state=0).fit(fitted, labels, sample_weight=weight)
    ensemble = forest_classifier(model, labels, weight, target)
    asked = on_thresholds(asked, model, ensemble)
    ours = ensemble.raw(torch.from_numpy(asked)).numpy()
    np.testing.assert_allclose(ours, model.predict_proba(asked), rtol=0, atol=1e-14)
    assert ensemble.value.dtype == torch.uint8
    answers = torch.exp(ensemble(torch.from_numpy(asked))).numpy()
    assert (answers[:, :-1] > 0).all() and (answers[:, -1] < 1e-9).all()
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)


def test_each_clip_ends_in_scikit_learns_leaf(rows):
    fitted, asked = rows
    labels = np.random.default_rng(1).integers(0, 7, len(fitted))
    model = ExtraTreesClassifier(9, random_state=3).fit(fitted, labels)
    ensemble = forest_classifier(model, labels, None, SEVEN)
    asked = on_thresholds(asked, model, ensemble)
    leaves = ensemble.leaf_of(torch.from_numpy(asked)).numpy()
    for tree, estimator in enumerate(model.estimators_):
        theirs = estimator.apply(asked)
        # Leaves are numbered in the order of scikit-learn's nodes.
        order = np.cumsum(estimator.tree_.children_left < 0) - 1
        np.testing.assert_array_equal(leaves[:, tree] - int(ensemble.first_leaf[tree]), order[theirs])


def test_a_forest_of_values_answers_as_scikit_learn_does(rows):
    fitted, asked = rows
    values = np.random.default_rng(2).uniform(-1, 1, len(fitted))
    model = ExtraTreesRegressor(15, min_samples_leaf=2, max_leaf_nodes=20, random_state=0).fit(fitted, values)
    ensemble = forest_regressor(model, VALUE)
    asked = on_thresholds(asked, model, ensemble)
    ours = ensemble(torch.from_numpy(asked)).numpy()[:, 0]
    np.testing.assert_allclose(ours, model.predict(asked), rtol=0, atol=1e-7)  # leaves are float32


@pytest.mark.parametrize(("target", "classes"), [(SEVEN, 7), (SEVEN, 2), (THREE, 3)])
def test_boosted_classes_answer_as_scikit_learn_does(rows, target, classes):
    fitted, asked = rows
    labels = np.random.default_rng(1).integers(0, classes, len(fitted))
    model = HistGradientBoostingClassifier(max_iter=6, max_leaf_nodes=6, early_stopping=False, random_state=0)
    model.fit(fitted, labels)
    ensemble = boosted(model, labels, target, rounds=6)
    asked = on_thresholds(asked, model, ensemble)
    ours = torch.exp(ensemble(torch.from_numpy(asked))).numpy()
    theirs = np.zeros_like(ours)
    share = np.bincount(labels, minlength=theirs.shape[1]) / len(labels)
    theirs[:, :classes] = model.predict_proba(asked)
    np.testing.assert_allclose(ours, 0.99 * theirs + 0.01 * share, rtol=1e-5, atol=1e-6)
    three = list(model.staged_predict_proba(asked))[2]
    cut = torch.exp(boosted(model, labels, target, rounds=3)(torch.from_numpy(asked))).numpy()
    np.testing.assert_allclose(cut[:, :classes], 0.99 * three + 0.01 * share[:classes], rtol=1e-5, atol=1e-6)


def test_boosted_values_answer_as_scikit_learn_does(rows):
    fitted, asked = rows
    values = np.random.default_rng(2).uniform(-1, 1, len(fitted))
    model = HistGradientBoostingRegressor(max_iter=8, max_leaf_nodes=6, early_stopping=False).fit(fitted, values)
    ensemble = boosted(model, values, VALUE, rounds=8)
    asked = on_thresholds(asked, model, ensemble)
    ours = ensemble(torch.from_numpy(asked)).numpy()[:, 0]
    np.testing.assert_allclose(ours, model.predict(asked), rtol=0, atol=1e-6)


def test_trees_without_a_comparison_answer(rows):
    fitted, asked = rows
    labels = np.array([0, 1] * 75)
    forest = ExtraTreesClassifier(3, min_samples_leaf=100, random_state=0).fit(fitted, labels)
    ensemble = forest_classifier(forest, labels, None, THREE)
    np.testing.assert_allclose(ensemble.raw(torch.from_numpy(asked)).numpy(), 0.5)


def test_thresholds_are_rounded_down():
    exact = np.array([0.1, -0.1, 1e300, -1e300, np.inf, 1.0, 1e-60])
    rounded = floor_float32(exact)
    assert (rounded.astype(np.float64) <= exact).all()
    assert (np.nextafter(rounded[[0, 1, 3]], np.float32(np.inf)).astype(np.float64) > exact[[0, 1, 3]]).all()
    assert rounded[5] == 1.0 and rounded[2] == np.finfo(np.float32).max and np.isposinf(rounded[4])


def test_three_hundred_trees_on_a_thousand_clips_are_a_few_megabytes():
    rng = np.random.default_rng(0)
    matrix, labels = rng.normal(size=(1000, 20)).astype(np.float32), rng.integers(0, 7, 1000)
    learner = ExtraTreesLearner(trees=30, feature_share=0.1)  # of noise, so that trees are as large as they get
    (ensemble,) = learner.fit_path(matrix, labels, SEVEN, (0.0,), seed=0)
    size = sum(t.numel() * t.element_size() for t in ensemble.state_dict().values())
    assert 10 * size < 4e6
    again = build_predictor(ensemble.architecture)
    again.load_state_dict(ensemble.state_dict())
    assert torch.equal(again(torch.from_numpy(matrix)), ensemble(torch.from_numpy(matrix)))
