"""Linear parts answer what scikit-learn answers, and their strength is chosen on other people."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, Ridge

from data_schema.errors import TrainingError
from emer_model.data.targets import Target, target
from emer_model.fitted.discriminant import DiscriminantLearner
from emer_model.fitted.folds import inner_folds, member_seed
from emer_model.fitted.learner import cross_fit
from emer_model.fitted.linear import LinearLearner


@pytest.mark.parametrize("classes", [7, 3, 2])
@pytest.mark.parametrize("balanced", [False, True])
def test_classes_are_answered_as_by_scikit_learn(classes, balanced):
    rng = np.random.default_rng(0)
    matrix, labels = rng.normal(size=(90, 5)).astype(np.float32), rng.integers(0, classes, 90)
    learner = LinearLearner((0.01, 0.1), balance=float(balanced))
    parts = learner.fit_path(matrix, labels, target("er_emotion"), (0.01, 0.1), seed=0)
    for strength, part in zip((0.01, 0.1), parts, strict=True):
        model = LogisticRegression(C=strength, tol=1e-8, max_iter=1000, class_weight="balanced" if balanced else None)
        theirs = model.fit(matrix.astype(np.float64), labels).predict_proba(matrix)
        ours = torch.exp(part(torch.from_numpy(matrix))).numpy()
        np.testing.assert_allclose(ours[:, :classes], theirs, atol=2e-3)  # L-BFGS stops within its tolerance
        assert (ours[:, classes:] < 1e-20).all()


@pytest.mark.parametrize("columns", [5, 120])
@pytest.mark.parametrize("classes", [7, 2])
def test_discriminants_are_those_of_scikit_learn(classes, columns):
    """With fewer columns than clips, and with more."""
    rng = np.random.default_rng(0)
    matrix, labels = (rng.normal(size=(90, columns)) + 2).astype(np.float32), rng.integers(0, classes, 90)
    parts = DiscriminantLearner().fit_path(matrix, labels, target("er_emotion"), (0.1, 0.6), seed=0)
    for shrinkage, part in zip((0.1, 0.6), parts, strict=True):
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(matrix.astype(np.float64), labels)
        ours = torch.exp(part(torch.from_numpy(matrix))).numpy()
        np.testing.assert_allclose(ours[:, :classes], model.predict_proba(matrix), atol=1e-4)
        assert (ours[:, classes:] < 1e-9).all()


@pytest.mark.parametrize("standardise", [False, True])
def test_values_are_answered_as_by_scikit_learn(standardise):
    rng = np.random.default_rng(0)
    matrix = (rng.normal(size=(90, 5)) * [1, 10, 0.1, 1, 1]).astype(np.float32)
    values = rng.uniform(-1, 1, 90).astype(np.float32)
    (part,) = LinearLearner(standardise=standardise).fit_path(matrix, values, target("er_valence"), (0.1,), seed=0)
    scale = matrix.astype(np.float64).std(axis=0) if standardise else 1.0
    theirs = Ridge(alpha=10.0).fit(matrix / scale, values.astype(np.float64)).predict(matrix / scale)
    np.testing.assert_allclose(part(torch.from_numpy(matrix)).numpy()[:, 0], theirs, atol=1e-6)


def test_strong_noise_chooses_a_strong_penalty(world):
    """The strength comes from people that were left out: on noise the weakest trust wins, on signal more."""
    everyone = np.ones(len(world), dtype=bool)
    folds = inner_folds(world.participants, 4, seed=0)
    noise = np.random.default_rng(0).normal(size=(len(world), 60)).astype(np.float32)
    declared = target("fer_emotion")
    labels = world.labels["fer_emotion"]
    on_noise = cross_fit(LinearLearner(), noise, labels, everyone, declared, folds, seed=0)
    on_face = cross_fit(LinearLearner(), world.inputs["face_summary"], labels, everyone, declared, folds, seed=0)
    assert on_noise.setting < on_face.setting
    assert on_face.loss < 1.2 < on_noise.loss


def test_nobody_is_answered_by_a_part_that_saw_them(world):
    """A column that names the participant, and labels that are the participant's: inside everything, outside nothing."""
    people, owner = np.unique(world.participants, return_inverse=True)
    matrix = np.eye(len(people), dtype=np.float32)[owner] * 5
    labels = (owner % 2).astype(np.int64)
    folds = inner_folds(world.participants, 4, seed=0)
    declared = Target("er_polarity", ("a", "b"))
    fit = cross_fit(LinearLearner((1.0,)), matrix, labels, np.ones(len(labels), bool), declared, folds, seed=0)
    inside = fit.predictor(torch.from_numpy(matrix)).numpy().argmax(axis=1)
    assert (inside == labels).all()
    for fitted, held in folds:
        assert not set(world.participants[fitted]) & set(world.participants[held])
        assert np.ptp(fit.out_of_fold[held], axis=0).max() < 1e-6  # of strangers the column says nothing
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(len(labels)))


def test_inner_folds_are_of_like_size_and_need_two_people():
    participants = np.repeat([f"P{i}" for i in range(9)], [1, 2, 3, 4, 5, 6, 7, 8, 9])
    sizes = [len(held) for _, held in inner_folds(participants, 3, seed=0)]
    assert max(sizes) - min(sizes) <= 3
    assert len(inner_folds(participants, 50, seed=0)) == 9
    with pytest.raises(TrainingError, match="1 participant.*at least 2.*extra-trees-eye"):
        inner_folds(np.array(["P1", "P1"]), 3, seed=0)
    assert member_seed(0, "a") != member_seed(0, "b") != member_seed(1, "b")
    assert member_seed(0, "a") == member_seed(0, "a")
