"""Late fusion: one model for the eyes, one for the face, and a weight between them."""

from __future__ import annotations

import numpy as np
import torch

from emer_model.data.arrays import Arrays
from emer_model.data.targets import Target, is_present
from emer_model.fitted.combining import Pool
from emer_model.fitted.deep import NetworkFit
from emer_model.fitted.folds import inner_folds, member_seed
from emer_model.fitted.learner import CrossFit, cross_fit, mean_loss
from emer_model.fitted.linear import LinearLearner
from emer_model.fitted.model import FittedModel
from emer_model.fitted.one_view import check_arguments
from emer_model.fitted.recipe import FittedRecipe, ModelParts, Tell
from emer_model.fitted.views import look_at_arrays, view_inputs

#: Weights of the eyes that are tried. Ours: a finer grid than the noise of a thousand clips would be pretence.
EYE_WEIGHTS = tuple(round(0.05 * i, 2) for i in range(21))


class LateFusion(FittedRecipe):
    """Pool the log-probabilities (or values) of logistic (or ridge) regressions on eyes and face.

    The weight is the one whose out-of-fold answers are the likeliest.

    Parameters
    ----------
    class_balance, inner_folds
        See `emer_model.fitted.one_view.OneView`.
    """

    name = "late-fusion"
    inputs = view_inputs("both")
    summary_line = "Weighted mean of the log-probabilities of logistic regressions on eyes and face."

    def __init__(self, class_balance: float = 0.0, inner_folds: int = 5) -> None:
        check_arguments(class_balance, inner_folds)
        self.class_balance, self.inner_folds = class_balance, inner_folds

    def _fit(
        self, train: Arrays, targets: tuple[Target, ...], *, seed: int, tell: Tell, fit_network: NetworkFit | None
    ) -> FittedModel:
        parts = ModelParts()
        learner = LinearLearner(balance=self.class_balance)
        views = {view: look_at_arrays(view, train.inputs) for view in ("eye", "face")}
        folds = inner_folds(train.participants, self.inner_folds, seed)
        present = [torch.from_numpy(there) for _, there in views.values()]
        for target in targets:
            tell(f"{self.name}: {target.name}")
            labels = train.labels[target.name]
            fits: dict[str, CrossFit] = {}
            for view, (matrix, there) in views.items():
                key = f"{view}/{target.name}"
                fits[key] = cross_fit(learner, matrix, labels, there, target, folds, member_seed(seed, key))
                parts.add_member(key, view, fits[key].predictor, fits[key].absent)
            answers = [torch.from_numpy(fit.out_of_fold) for fit in fits.values()]
            pool = _choose_weight(answers, present, labels, target)
            parts.add_answer(target.name, tuple(fits), pool)
            with torch.inference_mode():
                parts.add_out_of_fold(target, labels, pool(answers, present).numpy())
        return parts.model(self.name)


def _choose_weight(
    answers: list[torch.Tensor], present: list[torch.Tensor], labels: np.ndarray, target: Target
) -> Pool:
    """Return the pool of eyes and face whose out-of-fold answers have the smallest loss."""
    rows = is_present(target, labels)
    best, smallest = Pool(2, classes=bool(target.classes)), np.inf
    for weight in EYE_WEIGHTS:
        pool = Pool(2, classes=bool(target.classes))
        pool.weights.copy_(torch.tensor([weight, 1.0 - weight]))
        with torch.inference_mode():
            loss = mean_loss(pool(answers, present).numpy()[rows], labels[rows], target)
        if loss < smallest:
            best, smallest = pool, loss
    return best
