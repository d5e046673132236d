"""Products of features: what two features tell together and neither tells alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from emer_model.data.targets import Target
from emer_model.fitted.discriminant import DiscriminantLearner
from emer_model.fitted.learner import ROWS
from emer_model.fitted.predictors import Linear, Predictor

#: Products are cut here: ours, so that one wild clip cannot make a product that outweighs all others.
LIMIT = 6.0

#: Products are many and mostly noise: only strong shrinkage is tried.
SHRINKAGES = (0.6, 0.8, 0.95)


class Products(Predictor):
    """A linear model on the squares and products of all pairs of columns.

    Parameters
    ----------
    columns, outputs : int
        Of the row and of the answer.
    classes : bool
        Answer log-probabilities, not values.
    """

    kind = "products"

    def __init__(self, columns: int, outputs: int, classes: bool) -> None:
        super().__init__(columns=columns, outputs=outputs, classes=classes)
        self.linear = Linear(columns * (columns + 1) // 2, outputs, classes)

    def forward(self, matrix: Tensor) -> Tensor:
        """Map rows (B, columns) to log-probabilities (B, K) or values (B, 1)."""
        return self.linear(multiply(matrix))

    def cool(self, temperature: float) -> None:
        """Divide the logits by a temperature."""
        self.linear.cool(temperature)


def multiply(matrix: Tensor) -> Tensor:
    """Multiply each pair of columns of (B, S): (B, S (S + 1) / 2), cut to ``[-LIMIT, LIMIT]``."""
    first, second = torch.triu_indices(matrix.shape[1], matrix.shape[1], device=matrix.device)
    return (matrix[:, first] * matrix[:, second]).clamp(-LIMIT, LIMIT)


class ProductLearner(DiscriminantLearner):
    """Fit shrunk discriminants to products of columns, each brought to one spread."""

    def __init__(self, shrinkages: Sequence[float] = SHRINKAGES) -> None:
        super().__init__(shrinkages)

    def fit_path(
        self, matrix: np.ndarray, labels: np.ndarray, target: Target, settings: Sequence[float], seed: int
    ) -> list[Predictor]:
        """Fit each shrinkage to classes; see `Learner.fit_path`."""
        rows = torch.from_numpy(matrix)
        products = torch.cat([multiply(rows[i : i + ROWS]) for i in range(0, len(rows), ROWS)]).numpy()
        mean, spread = products.mean(axis=0, dtype=np.float64), products.std(axis=0, dtype=np.float64)
        spread[spread < 1e-6] = 1.0
        parts: list[Predictor] = []
        for fitted in super().fit_path((products - mean) / spread, labels, target, settings, seed):
            part = Products(matrix.shape[1], target.n_outputs, classes=True)
            weights = fitted.get_parameter("weights").numpy().astype(np.float64) / spread
            part.linear.weights.copy_(torch.from_numpy(weights))
            part.linear.bias.copy_(torch.from_numpy(fitted.get_parameter("bias").numpy() - weights @ mean))
            parts.append(part)
        return parts
