"""Linear discriminant analysis with a shrunk covariance: the quick linear classifier of many columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emer_model.data.targets import Target
from emer_model.fitted.learner import Learner
from emer_model.fitted.linear import linear_part
from emer_model.fitted.predictors import ABSENT_LOGIT, Predictor

#: Shares of the mean variance in the covariance that are tried. Ours: with as many columns as clips, the covariance
#: alone is hardly known.
SHRINKAGES = (0.1, 0.3, 0.6, 0.8, 0.95)


#: By which logits may be divided: with a covariance from few clips, discriminants are surer than they should be.
TEMPERATURES = (1.0, 1.4, 2.0, 2.8, 4.0)


class DiscriminantLearner(Learner):
    """Fit linear discriminants of all shrinkages from one decomposition.

    The answers are those of `sklearn.discriminant_analysis.LinearDiscriminantAnalysis` with the solver 'lsqr' and
    the same shrinkage, which would decompose anew for each.

    Parameters
    ----------
    shrinkages : sequence of float
        Of which one is chosen, in (0, 1].

    References
    ----------
    Friedman (1989), Regularized discriminant analysis.
    """

    temperatures = TEMPERATURES

    def __init__(self, shrinkages: Sequence[float] = SHRINKAGES) -> None:
        self.settings = tuple(sorted(shrinkages))

    def fit_path(
        self, matrix: np.ndarray, labels: np.ndarray, target: Target, settings: Sequence[float], seed: int
    ) -> list[Predictor]:
        """Fit each shrinkage to classes; see `Learner.fit_path`."""
        exact = matrix.astype(np.float64)
        classes, place, count = np.unique(labels, return_inverse=True, return_counts=True)
        means = np.zeros((len(classes), exact.shape[1]))
        np.add.at(means, place, exact)
        means /= count[:, None]
        variance, axes = _spread(exact - means[place])  # along the axes (r, columns); nothing elsewhere
        level = max(float(variance.sum()) / exact.shape[1], 1e-12)
        along = means @ axes.T  # (classes, r)
        across = means - along @ axes
        parts = []
        for shrinkage in settings:
            rest = shrinkage * level
            scaled = (along / ((1.0 - shrinkage) * variance + rest)) @ axes + across / rest
            weights = np.zeros((len(target.classes), exact.shape[1]))
            bias = np.full(len(target.classes), ABSENT_LOGIT)
            weights[classes] = scaled
            own = -0.5 * (means * scaled).sum(axis=1) + np.log(count / count.sum())
            bias[classes] = own - own.mean()
            parts.append(linear_part(weights, bias, target))
        return parts


def _spread(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decompose the covariance of centred rows (n, columns) by its smaller Gram matrix.

    Returns
    -------
    variance : ndarray, shape (r,)
        Along each axis.
    axes : ndarray, shape (r, columns)
        Of length 1 and at right angles; what they leave out has no variance.
    """
    n, columns = rows.shape
    power, vectors = np.linalg.eigh(rows.T @ rows if columns <= n else rows @ rows.T)
    kept = power > 1e-10 * max(float(power[-1]), 1e-30)
    power, vectors = power[kept], vectors[:, kept]
    axes = vectors.T if columns <= n else vectors.T @ rows / np.sqrt(power)[:, None]
    return power / n, axes
