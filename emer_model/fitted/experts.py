"""Weights of experts: a pool of what members say about the classes, and what the pool leaves.

The score of class k is ``sum over members m of w_m log p_m(k) + b_k``: one weight a member and one bias a class, so that a
few hundred clips can tell them. Beside, each member's answer about any class may speak for class k by a matrix A whose
penalty is chosen; an endless penalty leaves the pool alone. Both together are one linear map of the members' answers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emer_model.data.targets import Target
from emer_model.fitted.learner import Learner
from emer_model.fitted.linear import clip_weights, linear_part
from emer_model.fitted.predictors import ABSENT_LOGIT, Predictor

#: Penalties of the matrix that are tried; the first leaves the pool alone. Ours.
RESIDUAL_PENALTIES = (np.inf, 1.0, 0.3, 0.1)

#: Penalty of the weights' distance from equal shares, and of the biases. Ours: they decide only where data say nothing.
POOL_PENALTY = 1e-3

#: Steps of L-BFGS; a pool takes some tens.
MAX_ITERATIONS = 500


class ExpertLearner(Learner):
    """Fit the weights of members that answer one classified target.

    Rows are the members' log-probabilities side by side, `K` columns a member.

    Parameters
    ----------
    penalties : sequence of float
        Of the matrix, of which one is chosen.
    balance : float
        See `emer_model.fitted.linear.LinearLearner`.

    References
    ----------
    Genest and Zidek (1986), Combining probability distributions: logarithmic opinion pools.
    """

    def __init__(self, penalties: Sequence[float] = RESIDUAL_PENALTIES, balance: float = 0.0) -> None:
        self.settings = tuple(sorted(penalties, reverse=True))
        self.balance = balance

    def fit_path(
        self, matrix: np.ndarray, labels: np.ndarray, target: Target, settings: Sequence[float], seed: int
    ) -> list[Predictor]:
        """Fit each penalty, strongest first, each from where the one before ended; see `Learner.fit_path`."""
        n, n_classes = len(matrix), len(target.classes)
        classes = np.unique(labels)
        members = matrix.shape[1] // n_classes
        answers = matrix.astype(np.float64).reshape(n, members, n_classes)[
            :, :, classes
        ]  # (n, M, K) of classes that occur
        weight = clip_weights(labels, self.balance)
        problem = _Problem(answers, np.searchsorted(classes, labels), np.ones(n) if weight is None else weight)
        start = np.concatenate([np.full(members, 1.0 / members), np.zeros(len(classes))])
        fits = []
        for penalty in settings:
            start = problem.solve(start, penalty)
            pool, bias, residual = problem.unpack(start)
            weights = np.zeros((n_classes, members, n_classes))
            # Rows are (class scored, member, class spoken about).
            block = np.eye(len(classes))[:, None, :] * pool[None, :, None]
            centre = np.zeros(len(classes))
            if residual is not None:
                block = block + residual.reshape(members, len(classes), len(classes)).transpose(2, 0, 1)
                centre = problem.mean @ residual
            weights[np.ix_(classes, np.arange(members), classes)] = block
            biases = np.full(n_classes, ABSENT_LOGIT)
            biases[classes] = bias - centre
            fits.append(linear_part(weights.reshape(n_classes, -1), biases, target))
        return fits


class _Problem:
    """The penalised likelihood of one set of clips.

    Parameters
    ----------
    answers : ndarray of float64, shape (n, M, K)
        Log-probabilities of the classes that occur.
    labels : ndarray of int, shape (n,)
    weight : ndarray of float64, shape (n,)
        Of the clips, of mean 1.
    """

    def __init__(self, answers: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> None:
        self.answers, self.weight = answers, weight
        n, self.members, self.classes = answers.shape
        flat = answers.reshape(n, -1)
        self.mean = flat.mean(axis=0)
        self.flat = flat - self.mean
        self.true = np.eye(self.classes)[labels]

    def unpack(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Take the weights (M,), the biases (K,) and the matrix (M * K, K) or None out of one vector."""
        head = self.members + self.classes
        rest = values[head:]
        return (
            values[: self.members],
            values[self.members : head],
            rest.reshape(-1, self.classes) if len(rest) else None,
        )

    def solve(self, start: np.ndarray, penalty: float) -> np.ndarray:
        """Minimise from a start, by L-BFGS; the start may lack the matrix."""
        from scipy.optimize import minimize  # 37 MB that no other model needs

        head = self.members + self.classes
        if np.isfinite(penalty) and len(start) == head:
            start = np.concatenate([start, np.zeros(self.flat.shape[1] * self.classes)])
        found = minimize(
            self._loss, start, (penalty,), method="L-BFGS-B", jac=True, options={"maxiter": MAX_ITERATIONS}
        )
        return np.asarray(found.x)

    def _loss(self, values: np.ndarray, penalty: float) -> tuple[float, np.ndarray]:
        """Compute the loss and its gradient."""
        pool, bias, residual = self.unpack(values)
        scores = np.einsum("nmk,m->nk", self.answers, pool) + bias
        if residual is not None:
            scores += self.flat @ residual
        scores -= scores.max(axis=1, keepdims=True)
        shares = np.exp(scores)
        total = shares.sum(axis=1, keepdims=True)
        log_p = scores - np.log(total)
        away = pool - 1.0 / self.members
        n = len(scores)
        loss = -((log_p * self.true).sum(axis=1) @ self.weight) / n
        loss += POOL_PENALTY * (away @ away + bias @ bias)
        error = (shares / total - self.true) * self.weight[:, None] / n
        slopes = [
            np.einsum("nk,nmk->m", error, self.answers) + 2 * POOL_PENALTY * away,
            error.sum(axis=0) + 2 * POOL_PENALTY * bias,
        ]
        if residual is not None:
            loss += penalty * float((residual**2).sum())
            slopes.append((self.flat.T @ error + 2 * penalty * residual).ravel())
        return float(loss), np.concatenate(slopes)
