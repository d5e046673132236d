"""The answer that looks at nothing."""

from __future__ import annotations

from emer_model.data.arrays import Arrays
from emer_model.data.targets import Target
from emer_model.fitted.combining import Only
from emer_model.fitted.deep import NetworkFit
from emer_model.fitted.learner import constant, marginal
from emer_model.fitted.model import FittedModel
from emer_model.fitted.recipe import FittedRecipe, ModelParts, Tell
from emer_model.fitted.views import view_inputs


class Majority(FittedRecipe):
    """Answer the most frequent class, with the classes' shares as probabilities, and the mean value."""

    name = "majority"
    inputs = view_inputs("none")
    summary_line = "The most frequent class and the mean value, whatever the clip."

    def _fit(
        self, train: Arrays, targets: tuple[Target, ...], *, seed: int, tell: Tell, fit_network: NetworkFit | None
    ) -> FittedModel:
        parts = ModelParts()
        for target in targets:
            labels = train.labels[target.name]
            parts.add_member(target.name, "none", constant(labels, target), marginal(labels, target))
            parts.add_answer(target.name, (target.name,), Only())
        return parts.model(self.name)
