"""The strongest simple stack of the project's first trial, to measure the default model against.

Logistic regression and extra-trees on the eyes' summaries, logistic regression from the face to the felt and to the shown
emotion, and a multinomial logistic regression on their out-of-fold log-probabilities. No product of it is shipped.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch

from emer_model.data.arrays import Arrays
from emer_model.data.targets import Target, target
from emer_model.fitted.combining import Weighed, join
from emer_model.fitted.deep import NetworkFit
from emer_model.fitted.folds import inner_folds, member_seed
from emer_model.fitted.forests import ExtraTreesLearner
from emer_model.fitted.learner import cross_fit
from emer_model.fitted.linear import LinearLearner
from emer_model.fitted.model import FittedModel
from emer_model.fitted.recipe import FittedRecipe, ModelParts, Tell
from emer_model.fitted.views import look_at_arrays, view_inputs

#: Penalties of the weights that are tried.
STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


class PlainStack(FittedRecipe):
    """Fit the four members and their weights; for the felt emotion."""

    name = "plain-stack"
    inputs = view_inputs("eye", "face")
    summary_line = "Logistic regressions and extra-trees on summaries, weighed by logistic regression."
    defaults: ClassVar[dict[str, Any]] = {"auxiliary_targets": ("all",)}

    def _fit(
        self, train: Arrays, targets: tuple[Target, ...], *, seed: int, tell: Tell, fit_network: NetworkFit | None
    ) -> FittedModel:
        folds = inner_folds(train.participants, 5, seed)
        parts = ModelParts()
        for declared in targets:
            answers = {}
            for kind, view, name in (
                ("linear", "eye", declared.name),
                ("trees", "eye", declared.name),
                ("linear", "face", declared.name),
                ("linear", "face", "fer_emotion"),
            ):
                key = f"{kind}/{view}/{name}"
                learner = ExtraTreesLearner(300, 2, 0.1) if kind == "trees" else LinearLearner()
                matrix, present = look_at_arrays(view, train.inputs)
                labels, answered = train.labels[name], target(name)
                fit = cross_fit(learner, matrix, labels, present, answered, folds, member_seed(seed, key))
                parts.add_member(key, view, fit.predictor, fit.absent)
                answers[key] = fit.out_of_fold
            rows = join([torch.from_numpy(answer) for answer in answers.values()]).numpy()
            everyone = np.ones(len(rows), dtype=bool)
            learner = LinearLearner(STRENGTHS)
            fit = cross_fit(learner, rows, train.labels[declared.name], everyone, declared, folds, seed)
            combination = Weighed(rows.shape[1], declared.n_outputs, classes=bool(declared.classes))
            combination.linear = fit.predictor
            parts.add_answer(declared.name, tuple(answers), combination)
        return parts.model(self.name)
