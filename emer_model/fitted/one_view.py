"""Logistic and ridge regression, extra-trees and gradient boosting on the eyes, the face, or both."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from data_schema.errors import UsageError
from emer_model.data.arrays import Arrays
from emer_model.data.targets import Target, is_present
from emer_model.fitted.combining import Only
from emer_model.fitted.deep import NetworkFit
from emer_model.fitted.folds import inner_folds, member_seed
from emer_model.fitted.forests import ExtraTreesLearner, GradientBoostingLearner
from emer_model.fitted.learner import Learner, cross_fit, fit_rows, marginal
from emer_model.fitted.linear import LinearLearner
from emer_model.fitted.model import FittedModel
from emer_model.fitted.recipe import FittedRecipe, ModelParts, Tell
from emer_model.fitted.views import look_at_arrays, view_inputs

_WHERE = {"eye": "summaries of the eyes", "face": "summaries of the face", "both": "summaries of the eyes and the face"}


class OneView(FittedRecipe):
    """One part a target, looking at one view.

    Parameters
    ----------
    class_balance : float
        0 counts each clip the same (the best accuracy), 1 each class the same (the best unweighted recall).
    inner_folds : int
        Over participants of the training part, on which strengths and rounds are chosen.

    Attributes
    ----------
    view : str
        Of `emer_model.fitted.views.VIEWS`.
    """

    view: ClassVar[str]

    def __init__(self, class_balance: float = 0.0, inner_folds: int = 5) -> None:
        check_arguments(class_balance, inner_folds)
        self.class_balance, self.inner_folds = class_balance, inner_folds

    @abstractmethod
    def learner(self) -> Learner:
        """Make what is fitted."""

    def _fit(
        self, train: Arrays, targets: tuple[Target, ...], *, seed: int, tell: Tell, fit_network: NetworkFit | None
    ) -> FittedModel:
        parts = ModelParts()
        matrix, present = look_at_arrays(self.view, train.inputs)
        learner = self.learner()
        alone = len(np.unique(train.participants)) < 2
        if alone and len(learner.settings) > 1:
            tell(
                f"{self.name}: one training participant, so nothing can be chosen on others; the middle setting is taken"
            )
        for target in targets:
            tell(f"{self.name}: {target.name}")
            labels = train.labels[target.name]
            part_seed = member_seed(seed, target.name)
            if alone or len(learner.settings) == 1:
                rows = present & is_present(target, labels)
                middle = learner.settings[len(learner.settings) // 2 :][:1]
                (predictor,) = fit_rows(learner, matrix[rows], labels[rows], target, middle, part_seed)
            else:
                folds = inner_folds(train.participants, self.inner_folds, seed)
                fit = cross_fit(learner, matrix, labels, present, target, folds, part_seed)
                parts.add_out_of_fold(target, labels, fit.out_of_fold)
                predictor = fit.predictor
            parts.add_member(target.name, self.view, predictor, marginal(labels, target))
            parts.add_answer(target.name, (target.name,), Only())
        return parts.model(self.name)


def check_arguments(class_balance: float, inner_folds: int) -> None:
    """Refuse what `OneView` cannot be made with.

    Raises
    ------
    UsageError
        If a number lies outside its bounds.
    """
    if not 0.0 <= class_balance <= 1.0:
        raise UsageError(f"class_balance must lie in [0, 1], got {class_balance}.")
    if inner_folds < 2:
        raise UsageError(f"inner_folds must be at least 2, got {inner_folds}.")


class _Logistic(OneView):
    def learner(self) -> Learner:
        """Make a logistic or ridge regression."""
        return LinearLearner(balance=self.class_balance)


class _ExtraTrees(OneView):
    """As `OneView`, with the forest's own arguments.

    Parameters
    ----------
    class_balance, inner_folds
        See `OneView`.
    trees, min_leaf, feature_share
        See `emer_model.fitted.forests.ExtraTreesLearner`.
    """

    def __init__(
        self,
        class_balance: float = 0.0,
        inner_folds: int = 5,
        trees: int = 300,
        min_leaf: int = 3,
        feature_share: float = 0.1,
    ) -> None:
        super().__init__(class_balance, inner_folds)
        if trees < 1 or min_leaf < 1 or not 0.0 < feature_share <= 1.0:
            raise UsageError(
                "trees and min_leaf must be at least 1 and feature_share lie in (0, 1], "
                f"got {trees}, {min_leaf}, {feature_share}."
            )
        self.trees, self.min_leaf, self.feature_share = trees, min_leaf, feature_share

    def learner(self) -> Learner:
        """Make a forest."""
        return ExtraTreesLearner(self.trees, self.min_leaf, self.feature_share, balance=self.class_balance)


class _GradientBoosting(OneView):
    """As `OneView`; rounds are chosen on three inner folds, since boosting is the slowest to fit.

    Parameters
    ----------
    class_balance, inner_folds
        See `OneView`.
    """

    def __init__(self, class_balance: float = 0.0, inner_folds: int = 3) -> None:
        super().__init__(class_balance, inner_folds)

    def learner(self) -> Learner:
        """Make boosted trees."""
        return GradientBoostingLearner(balance=self.class_balance)


def _recipe(base: type[OneView], word: str, sentence: str, view: str) -> type[OneView]:
    """Declare a recipe of one kind for one view."""
    return type(
        f"{base.__name__[1:]}{view.capitalize()}",
        (base,),
        {
            "__doc__": f"{sentence} on {_WHERE[view]}.",
            "__module__": __name__,
            "name": f"{word}-{view}",
            "view": view,
            "inputs": view_inputs(view),
            "summary_line": f"{sentence} on {_WHERE[view]}.",
        },
    )


_KINDS: tuple[tuple[type[OneView], str, str], ...] = (
    (_Logistic, "logistic", "Multinomial logistic regression (classes) and ridge regression (values)"),
    (_ExtraTrees, "extra-trees", "Extremely randomised trees"),
    (_GradientBoosting, "gradient-boosting", "Gradient-boosted trees on binned columns"),
)

#: All recipes of one view.
ONE_VIEW: tuple[type[OneView], ...] = tuple(
    _recipe(base, word, sentence, view) for base, word, sentence in _KINDS for view in ("eye", "face", "both")
)
