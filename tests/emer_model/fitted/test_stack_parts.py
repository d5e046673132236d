"""Parts of the stack: weights of experts, what follows for one target from another, products of features."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from data_schema.errors import TrainingError
from emer_model.data.targets import MISSING_CLASS, Target, target
from emer_model.fitted.discriminant import DiscriminantLearner
from emer_model.fitted.experts import RESIDUAL_PENALTIES, ExpertLearner, _Problem
from emer_model.fitted.learner import cross_fit, mean_loss
from emer_model.fitted.predictors import build_predictor
from emer_model.fitted.products import ProductLearner
from emer_model.fitted.stack import Stack, direct_members, members_of_other_task
from emer_model.fitted.via import count, fit_via

THREE = Target("er_polarity", ("a", "b", "c"))


def opinions(seed=0, n=600):
    """Labels, and two experts' log-probabilities: the first knows, the second guesses and is as sure."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    knows = rng.normal(size=(n, 3)) + 2.0 * np.eye(3)[labels]
    guesses = 2.0 * rng.normal(size=(n, 3))
    return labels, np.concatenate(
        [x - np.log(np.exp(x).sum(1, keepdims=True)) for x in (knows, guesses)], axis=1
    ).astype(np.float32)


def test_who_knows_is_weighed_and_who_guesses_is_not():
    labels, rows = opinions()
    part = ExpertLearner().fit_path(rows, labels, THREE, (np.inf,), seed=0)[0]
    pool = part.weights.reshape(3, 2, 3)
    weight = torch.diagonal(pool, dim1=0, dim2=2)  # (member, class)
    assert (weight[0] - weight[0, 0]).abs().max() < 1e-6  # one weight a member
    assert weight[0, 0] > 0.8 and abs(float(weight[1, 0])) < 0.15
    assert (pool - torch.diag_embed(weight).permute(1, 0, 2)).abs().max() < 1e-6
    new_labels, new_rows = opinions(seed=1)
    alone = mean_loss(new_rows[:, :3], new_labels, THREE)
    assert mean_loss(part(torch.from_numpy(new_rows)).numpy(), new_labels, THREE) < alone + 0.01


def test_the_matrix_sees_what_a_pool_cannot():
    """An expert that calls every class by its neighbour's name."""
    labels, rows = opinions()
    swapped = np.concatenate([np.roll(rows[:, :3], 1, axis=1), rows[:, 3:]], axis=1)
    pool, matrix = ExpertLearner().fit_path(swapped, labels, THREE, (np.inf, 0.1), seed=0)
    accuracy = [(p(torch.from_numpy(swapped)).numpy().argmax(1) == labels).mean() for p in (pool, matrix)]
    assert accuracy[1] > accuracy[0] + 0.3
    people = np.repeat(np.arange(6), 100)
    folds = [(np.flatnonzero(people != k), np.flatnonzero(people == k)) for k in range(6)]
    everyone = np.ones(len(labels), bool)
    assert cross_fit(ExpertLearner(), swapped, labels, everyone, THREE, folds, 0).setting < np.inf
    assert cross_fit(ExpertLearner(), rows, labels, everyone, THREE, folds, 0).setting == max(RESIDUAL_PENALTIES)


def test_the_slope_of_the_experts_loss_is_its_slope():
    labels, rows = opinions(n=40)
    problem = _Problem(rows.astype(np.float64).reshape(40, 2, 3), labels, np.linspace(0.5, 1.5, 40))
    place = np.random.default_rng(0).normal(size=2 + 3 + 18) * 0.3
    loss, slope = problem._loss(place, 0.2)
    for i in range(len(place)):
        step = np.zeros(len(place))
        step[i] = 1e-6
        assert problem._loss(place + step, 0.2)[0] - loss == pytest.approx(1e-6 * slope[i], rel=1e-3, abs=1e-10)


def test_what_is_felt_follows_from_what_is_shown():
    shown = np.repeat(np.arange(7), 40)
    felt = np.where(np.arange(280) % 4 == 0, 6, shown)  # a quarter of what is felt is not shown
    missing = np.where(np.arange(280) % 7 == 0, MISSING_CLASS, felt)
    part = count(shown, missing, target("fer_emotion"), target("er_emotion"))
    sure = torch.log(torch.eye(7) * (1 - 7e-9) + 1e-9)
    answer = torch.exp(part(sure)).numpy()
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)
    assert 0.6 < answer[2, 2] < 0.8 and 0.15 < answer[2, 6] < 0.35
    value = np.where(felt == 6, -0.5, 0.5).astype(np.float32)
    values = count(shown, value, target("fer_emotion"), target("er_valence"))(sure).numpy()[:, 0]
    assert values[6] < -0.4 and (abs(values[:6] - 0.25) < 0.1).all()
    empty = count(shown, np.full(280, MISSING_CLASS), target("fer_emotion"), target("er_emotion"))
    np.testing.assert_allclose(torch.exp(empty(sure)).numpy(), 1 / 7, atol=1e-5)
    again = build_predictor(part.architecture)
    again.load_state_dict(part.state_dict())
    assert torch.equal(again(sure), part(sure))


def test_labels_of_a_fold_are_not_counted_for_it():
    shown = np.tile([0, 1], 20)
    felt = np.concatenate([np.tile([0, 1], 10), np.tile([1, 0], 10)])  # the second half contradicts the first
    folds = [(np.arange(20), np.arange(20, 40)), (np.arange(20, 40), np.arange(20))]
    sure = np.log(np.eye(3)[shown] * 0.98 + 0.01).astype(np.float32)
    fit = fit_via(sure, shown, felt, THREE, Target("fer_polarity", ("a", "b", "c")), folds)
    assert (fit.out_of_fold.argmax(axis=1) != felt).all()


def test_products_see_what_no_column_tells():
    """The class is the sign of a product."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(600, 6)).astype(np.float32)
    labels = (rows[:, 1] * rows[:, 4] > 0).astype(np.int64)
    new = rng.normal(size=(400, 6)).astype(np.float32)
    true = new[:, 1] * new[:, 4] > 0
    (plain,) = DiscriminantLearner().fit_path(rows, labels, THREE, (0.3,), seed=0)
    (part,) = ProductLearner().fit_path(rows, labels, THREE, (0.6,), seed=0)
    accuracy = [(p(torch.from_numpy(new)).numpy().argmax(axis=1) == true).mean() for p in (plain, part)]
    assert accuracy[0] < 0.6 and accuracy[1] > 0.8
    again = build_predictor(part.architecture)
    again.load_state_dict(part.state_dict())
    assert torch.equal(again(torch.from_numpy(new)), part(torch.from_numpy(new)))
    before = part(torch.from_numpy(new))
    part.cool(2.0)
    np.testing.assert_allclose(part(torch.from_numpy(new)), torch.log_softmax(before / 2, dim=1), atol=1e-4)


def test_members_answer_the_target_and_what_it_follows_from():
    known = frozenset({"er_emotion", "fer_emotion", "er_valence"})
    felt = {plan.key for plan in direct_members("er_emotion")}
    assert {"linear/face/er_emotion", "linear/extremes/er_emotion", "products/few/er_emotion"} <= felt
    assert [plan.key for plan in members_of_other_task("er_emotion", known)] == ["linear/face/fer_emotion"]
    assert "trees/eye/er_emotion" in {plan.key for plan in members_of_other_task("fer_emotion", known)}
    assert members_of_other_task("er_emotion", frozenset({"er_emotion"})) == ()
    assert "products/few/er_valence" not in {plan.key for plan in direct_members("er_valence")}


def test_members_may_not_listen_in_a_circle():
    only = {"kind": "only"}
    members = {"a": {"combines": ["b"], "combination": only}, "b": {"combines": ["a"], "combination": only}}
    with pytest.raises(TrainingError, match="in a circle"):
        Stack().build(members, {"er_emotion": {"members": ["a"], "combination": only}})
