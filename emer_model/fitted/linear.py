"""Multinomial logistic and ridge regression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from emer_model.data.targets import Target
from emer_model.fitted.learner import Learner
from emer_model.fitted.predictors import ABSENT_LOGIT, Linear, Predictor

#: Strengths of a penalty tried, weakest trust in the data first. Ours: on normalised summaries of some hundred clips the
#: best lies inside. C of the logistic regression; a ridge takes 1 / C of it.
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)

#: Steps of L-BFGS. On standardised columns it converges within a few hundred; reaching the limit is an error in tests.
MAX_ITERATIONS = 3000


class LinearLearner(Learner):
    """Fit multinomial logistic regressions to classes and ridge regressions to values.

    Parameters
    ----------
    strengths : sequence of float
        Of which one is chosen.
    balance : float
        0 counts each clip the same, 1 each class the same; between them, clips are weighted by their class's share to
        the power of ``-balance``.
    standardise : bool
        Bring columns to one spread before the penalty; the spread then goes into the weights. Not needed for normalised inputs.
    """

    def __init__(self, strengths: Sequence[float] = STRENGTHS, balance: float = 0.0, standardise: bool = False) -> None:
        self.settings = tuple(sorted(strengths))
        self.balance, self.standardise = balance, standardise

    def fit_path(
        self, matrix: np.ndarray, labels: np.ndarray, target: Target, settings: Sequence[float], seed: int
    ) -> list[Predictor]:
        """Fit each strength; see `Learner.fit_path`. A fit starts where the one before it ended."""
        exact = matrix.astype(np.float64)
        spread = np.ones(exact.shape[1])
        if self.standardise:
            spread = exact.std(axis=0)
            spread[spread < 1e-6] = 1.0
        exact = exact / spread
        fit = self._logistic if target.classes else self._ridge
        return [linear_part(weights / spread, bias, target) for weights, bias in fit(exact, labels, target, settings)]

    def _logistic(
        self, exact: np.ndarray, labels: np.ndarray, target: Target, settings: Sequence[float]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        from sklearn.linear_model import LogisticRegression  # 80 MB and a second: only where something is fitted

        classes = np.unique(labels)
        weight = clip_weights(labels, self.balance)
        model = LogisticRegression(solver="lbfgs", max_iter=MAX_ITERATIONS, warm_start=True)
        fits = []
        for strength in settings:
            model.set_params(C=strength).fit(exact, labels, sample_weight=weight)
            weights = np.zeros((len(target.classes), exact.shape[1]))
            bias = np.full(len(target.classes), ABSENT_LOGIT)
            if len(classes) == 2:  # scikit-learn scores the second of two classes only
                weights[classes[1]], bias[classes] = model.coef_[0], (0.0, model.intercept_[0])
            else:
                weights[classes], bias[classes] = model.coef_, model.intercept_ - model.intercept_.mean()
            fits.append((weights, bias))
        return fits

    def _ridge(
        self, exact: np.ndarray, labels: np.ndarray, target: Target, settings: Sequence[float]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        from sklearn.linear_model import Ridge

        values = labels.astype(np.float64)
        fits = []
        for strength in settings:
            model = Ridge(alpha=1.0 / strength).fit(exact, values)
            fits.append((model.coef_[None], np.array([model.intercept_])))
        return fits


def clip_weights(labels: np.ndarray, balance: float) -> np.ndarray | None:
    """Weigh clips by their class.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    balance : float
        See `LinearLearner`.

    Returns
    -------
    ndarray of float64, shape (n,), or None
        Of mean 1; None if all weigh the same.
    """
    if balance == 0.0:
        return None
    classes, place, count = np.unique(labels, return_inverse=True, return_counts=True)
    weight = (count.astype(np.float64) ** -balance)[place]
    return weight / weight.mean()


def linear_part(weights: np.ndarray, bias: np.ndarray, target: Target) -> Linear:
    """Keep weights (K, columns) and bias (K,) as a part."""
    part = Linear(weights.shape[1], len(bias), classes=bool(target.classes))
    part.weights.copy_(torch.from_numpy(weights))
    part.bias.copy_(torch.from_numpy(bias))
    return part
