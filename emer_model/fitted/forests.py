"""Extra-trees and histogram gradient boosting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from emer_model.data.targets import Target
from emer_model.fitted.learner import Learner
from emer_model.fitted.linear import clip_weights
from emer_model.fitted.predictors import Predictor
from emer_model.fitted.tree_ensemble import TreeArrays, TreeEnsemble, assemble, split_nodes

if TYPE_CHECKING:
    from sklearn.ensemble import (
        ExtraTreesClassifier,
        ExtraTreesRegressor,
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )


class ExtraTreesLearner(Learner):
    """Fit a forest of extremely randomised trees.

    Parameters
    ----------
    trees : int
    min_leaf : int
        Clips in a leaf at least.
    feature_share : float
        Share of the columns looked at for a comparison.
    max_leaves : int
        In a tree at most; bounds the size of a checkpoint.
    balance : float
        See `emer_model.fitted.linear.LinearLearner`.
    """

    def __init__(
        self,
        trees: int = 300,
        min_leaf: int = 3,
        feature_share: float = 0.1,
        max_leaves: int = 512,
        balance: float = 0.0,
    ) -> None:
        self.trees, self.min_leaf, self.feature_share = trees, min_leaf, feature_share
        self.max_leaves, self.balance = max_leaves, balance

    def fit_path(
        self, matrix: np.ndarray, labels: np.ndarray, target: Target, settings: Sequence[float], seed: int
    ) -> list[Predictor]:
        """Fit a forest; see `Learner.fit_path`. There is nothing to choose."""
        # Large and slow to import: only where something is fitted.
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

        columns = matrix.shape[1]
        arguments: dict[str, Any] = {
            "n_estimators": self.trees,
            "min_samples_leaf": self.min_leaf,
            "max_features": max(1, round(self.feature_share * columns)),
            # Limited leaves grow best first, which is slower: only where the limit can bind.
            "max_leaf_nodes": self.max_leaves if len(labels) > self.max_leaves * self.min_leaf else None,
            "random_state": seed,
            "n_jobs": 1,
        }
        if target.classes:
            weight = clip_weights(labels, self.balance)
            forest = ExtraTreesClassifier(**arguments).fit(matrix, labels, sample_weight=weight)
            part = forest_classifier(forest, labels, weight, target)
        else:
            part = forest_regressor(ExtraTreesRegressor(**arguments).fit(matrix, labels), target)
        return [part for _ in settings]


class GradientBoostingLearner(Learner):
    """Fit boosted trees on binned columns; the number of rounds is chosen.

    Parameters
    ----------
    rounds : sequence of int
        Of which one is chosen.
    learning_rate : float
    max_leaves : int
        In a tree at most.
    min_leaf : int
        Clips in a leaf at least.
    l2 : float
        Penalty of the leaves' values.
    feature_share : float
        Share of the columns looked at for a comparison.
    balance : float
        See `emer_model.fitted.linear.LinearLearner`.
    """

    def __init__(
        self,
        rounds: Sequence[int] = (10, 20, 40, 60),
        learning_rate: float = 0.15,
        max_leaves: int = 8,
        min_leaf: int = 10,
        l2: float = 1.0,
        feature_share: float = 0.2,
        balance: float = 0.0,
    ) -> None:
        self.settings = tuple(float(n) for n in sorted(rounds))
        self.learning_rate, self.max_leaves, self.min_leaf = learning_rate, max_leaves, min_leaf
        self.l2, self.feature_share, self.balance = l2, feature_share, balance

    def fit_path(
        self, matrix: np.ndarray, labels: np.ndarray, target: Target, settings: Sequence[float], seed: int
    ) -> list[Predictor]:
        """Fit as many rounds as the largest setting asks for, and cut; see `Learner.fit_path`."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        arguments: dict[str, Any] = {
            "max_iter": int(max(settings)),
            "learning_rate": self.learning_rate,
            "max_leaf_nodes": self.max_leaves,
            "min_samples_leaf": min(self.min_leaf, max(1, len(labels) // 4)),
            "l2_regularization": self.l2,
            "max_features": self.feature_share,
            "max_bins": 63,
            "early_stopping": False,
            "random_state": seed,
        }
        model: Any
        if target.classes:
            model = HistGradientBoostingClassifier(**arguments)
            model.fit(matrix, labels, sample_weight=clip_weights(labels, self.balance))
        else:
            model = HistGradientBoostingRegressor(**arguments).fit(matrix, labels.astype(np.float64))
        return [boosted(model, labels, target, int(rounds)) for rounds in settings]


def forest_classifier(
    forest: ExtraTreesClassifier, labels: np.ndarray, weight: np.ndarray | None, target: Target
) -> TreeEnsemble:
    """Keep a forest's leaves as counts of clips by class.

    Parameters
    ----------
    forest : ExtraTreesClassifier
        Fitted without drawing clips with replacement, so that counts are whole.
    labels : ndarray of int, shape (n,)
        It was fitted to.
    weight : ndarray of float64, shape (n,), or None
        Of the clips, the same within a class.
    target : Target
    """
    classes, first = np.unique(labels, return_index=True)
    class_weight = np.ones(len(classes)) if weight is None else weight[first]
    trees = []
    for estimator in forest.estimators_:
        tree = estimator.tree_
        weighted = tree.value[:, 0, :] * tree.weighted_n_node_samples[:, None]
        trees.append(_forest_tree(tree, np.rint(weighted / class_weight).astype(np.int64)))
    part = assemble(trees, forest.n_features_in_, target.n_outputs, classes=True)
    part.class_weight.copy_(torch.from_numpy(class_weight))
    _know_classes(part, labels, target, class_weight)
    return part


def forest_regressor(forest: ExtraTreesRegressor, target: Target) -> TreeEnsemble:
    """Keep a forest's leaves as values."""
    trees = [_forest_tree(e.tree_, e.tree_.value[:, 0, :].astype(np.float32)) for e in forest.estimators_]
    return assemble(trees, forest.n_features_in_, target.n_outputs, classes=False)


def boosted(
    model: HistGradientBoostingClassifier | HistGradientBoostingRegressor,
    labels: np.ndarray,
    target: Target,
    rounds: int,
) -> TreeEnsemble:
    """Keep the first rounds of boosted trees."""
    trees = []
    for predictors in model._predictors[:rounds]:
        for predictor in predictors:
            nodes = predictor.nodes
            trees.append(
                split_nodes(
                    nodes["left"].astype(np.int64),
                    nodes["right"].astype(np.int64),
                    nodes["is_leaf"].astype(bool),
                    nodes["feature_idx"],
                    nodes["num_threshold"],
                    nodes["value"].astype(np.float32)[:, None],
                )
            )
    scores = model.n_trees_per_iteration_
    part = assemble(
        trees, model.n_features_in_, target.n_outputs, classes=bool(target.classes), combine="sum", scores=scores
    )
    part.baseline.copy_(torch.from_numpy(np.ravel(model._baseline_prediction).astype(np.float64)))
    if target.classes:
        _know_classes(part, labels, target, np.ones(len(np.unique(labels))))
    return part


def _forest_tree(tree: Any, value: np.ndarray) -> TreeArrays:
    is_leaf = tree.children_left < 0
    return split_nodes(tree.children_left, tree.children_right, is_leaf, tree.feature, tree.threshold, value)


def _know_classes(part: TreeEnsemble, labels: np.ndarray, target: Target, class_weight: np.ndarray) -> None:
    """Store which classes occurred, and how often."""
    classes, count = np.unique(labels, return_counts=True)
    part.class_index.copy_(torch.from_numpy(classes))
    share = count * class_weight
    part.prior[torch.from_numpy(classes)] = torch.from_numpy((share / share.sum()).astype(np.float32))
