"""Parts of fitted models: from a row of numbers to log-probabilities or a value.

Each part is a `torch.nn.Module` that holds tensors alone. Its ``architecture`` is plain JSON, from
which `build_predictor` makes an empty part of the same shape for a checkpoint's tensors.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from data_schema.errors import TrainingError

#: Logit of a class that no training clip had: a probability below 1e-25. Ours.
ABSENT_LOGIT = -60.0


class Part(nn.Module):
    """What is stored of a fitted model in a checkpoint: tensors, and how to build the module that holds them.

    Attributes
    ----------
    kind : str
        By which `build_predictor` knows it.
    architecture : dict
        The kind and the arguments of the constructor.
    """

    kind: str
    architecture: dict[str, Any]

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.architecture = {"kind": self.kind, **arguments}


class Predictor(Part):
    """A part that answers rows of numbers."""

    def forward(self, matrix: Tensor) -> Tensor:
        """Map rows (B, columns) to log-probabilities (B, K) or values (B, 1)."""
        raise NotImplementedError

    def cool(self, temperature: float) -> None:
        """Divide the logits of a linear part by a temperature; others are what a likelihood made them."""


class Constant(Predictor):
    """The same answer for every clip.

    Parameters
    ----------
    outputs : int
        Classes, or 1 for a value.
    """

    kind = "constant"

    def __init__(self, outputs: int) -> None:
        super().__init__(outputs=outputs)
        self.register_buffer("answer", torch.zeros(outputs))

    def forward(self, matrix: Tensor) -> Tensor:
        """Repeat the answer, (B, columns) to (B, K)."""
        return self.answer.expand(matrix.shape[0], -1)


class Linear(Predictor):
    """A multinomial logistic or a linear regression.

    Parameters
    ----------
    columns, outputs : int
        Of the row and of the answer.
    classes : bool
        Answer log-probabilities, not values.
    """

    kind = "linear"

    def __init__(self, columns: int, outputs: int, classes: bool) -> None:
        super().__init__(columns=columns, outputs=outputs, classes=classes)
        self.classes = classes
        self.weights = nn.Parameter(torch.zeros(outputs, columns), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(outputs), requires_grad=False)

    def forward(self, matrix: Tensor) -> Tensor:
        """Map rows (B, columns) to log-probabilities (B, K) or values (B, 1)."""
        answer = nn.functional.linear(matrix.float(), self.weights, self.bias)
        return torch.log_softmax(answer, dim=1) if self.classes else answer

    def cool(self, temperature: float) -> None:
        """Divide the logits by a temperature."""
        self.weights.div_(temperature)
        self.bias.div_(temperature)


class Via(Predictor):
    """What follows for a target from a member's answer to another: what is felt, through what is shown.

    The probability of class k is the sum over the other's classes s of ``P(s) P(k | s)``; of a value, the mean.

    Parameters
    ----------
    columns : int
        Classes of the other target.
    outputs : int
        Classes of the target, or 1 for a value.
    classes : bool
        Answer log-probabilities, not values.
    """

    kind = "via"

    def __init__(self, columns: int, outputs: int, classes: bool) -> None:
        super().__init__(columns=columns, outputs=outputs, classes=classes)
        self.classes = classes
        self.given = nn.Parameter(torch.zeros(columns, outputs), requires_grad=False)

    def forward(self, matrix: Tensor) -> Tensor:
        """Map log-probabilities of the other (B, columns) to log-probabilities (B, K) or values (B, 1)."""
        answer = matrix.float().exp() @ self.given
        return answer.clamp(min=1e-12).log() if self.classes else answer


def predictor_kinds() -> dict[str, type[Predictor]]:
    """Return the parts by kind."""
    from emer_model.fitted.products import Products
    from emer_model.fitted.tree_ensemble import TreeEnsemble

    return {part.kind: part for part in (Constant, Linear, Products, TreeEnsemble, Via)}


def build_predictor(architecture: dict[str, Any]) -> Predictor:
    """Make an empty part of a shape.

    Raises
    ------
    TrainingError
        If the kind is not known or the arguments are not its.
    """
    arguments = dict(architecture)
    kind = arguments.pop("kind", None)
    known = predictor_kinds()
    if kind not in known:
        raise TrainingError(f"A fitted model has no part of kind '{kind}'. Known: {', '.join(known)}. Train again.")
    try:
        return known[kind](**arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"A part of kind '{kind}' cannot be built from {arguments}: {error}. Train again."
        ) from error
