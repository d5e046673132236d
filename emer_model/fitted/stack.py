"""The nested stack: plain models on eyes and face, weighed by a linear model on their out-of-fold answers.

What is felt is judged knowing what the face shows: members answer the target and its counterpart (the felt
emotion's is the shown one), and the emotion of either task beside. Members are fitted on inner folds over
participants, so that the weights are learnt from answers about people whom the members had not seen, and then
again on all training clips.

References
----------
Wolpert (1992), Stacked generalization.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from data_schema.errors import TrainingError
from emer_model.data.arrays import Arrays
from emer_model.data.targets import Target, is_present, target
from emer_model.fitted.combining import Weighed, join
from emer_model.fitted.discriminant import DiscriminantLearner
from emer_model.fitted.folds import inner_folds, member_seed
from emer_model.fitted.forests import ExtraTreesLearner
from emer_model.fitted.learner import CrossFit, Learner, cross_fit
from emer_model.fitted.linear import LinearLearner
from emer_model.fitted.model import FittedModel
from emer_model.fitted.one_view import check_arguments
from emer_model.fitted.recipe import FittedRecipe, ModelParts, Tell
from emer_model.fitted.views import look_at_arrays, view_inputs

#: Strengths of the weights' penalty that are tried. Ours: members' log-probabilities are few and wide apart.
WEIGHT_STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


@dataclass(frozen=True)
class MemberPlan:
    """A member to be fitted.

    Parameters
    ----------
    kind : str
        'linear' or 'trees'.
    view : str
        Of `emer_model.fitted.views.VIEWS`.
    answers : str
        The target that it answers.
    """

    kind: str
    view: str
    answers: str

    @property
    def key(self) -> str:
        """Such as ``linear/eye/er_emotion``."""
        return f"{self.kind}/{self.view}/{self.answers}"


#: Who answers the target itself; its counterpart in the other task; and the emotions of both tasks beside.
OWN = (
    ("linear", "eye"),
    ("linear", "extremes"),
    ("linear", "course"),
    ("linear", "rhythm"),
    ("linear", "fixations"),
    ("linear", "face"),
    ("trees", "eye"),
)
COUNTER = (("linear", "face"), ("linear", "eye"))
BESIDE = (("linear", "eye"), ("linear", "extremes"), ("linear", "fixations"), ("linear", "face"), ("trees", "eye"))


def counterpart(name: str) -> str:
    """Return the other task's target of the same kind, such as ``fer_emotion`` for ``er_emotion``."""
    task, _, label = name.partition("_")
    return f"{'fer' if task == 'er' else 'er'}_{label}"


def plan_members(name: str, known: frozenset[str]) -> tuple[MemberPlan, ...]:
    """Choose the members that a target listens to.

    Parameters
    ----------
    name : str
        The target.
    known : frozenset of str
        Targets with labels in the training part.
    """
    counter, emotion = counterpart(name), f"{name.partition('_')[0]}_emotion"
    plans = [MemberPlan(kind, view, name) for kind, view in OWN]
    plans += [MemberPlan(kind, view, counter) for kind, view in COUNTER if counter in known]
    if name != emotion:
        plans += [MemberPlan(kind, view, emotion) for kind, view in BESIDE if emotion in known]
        plans += [
            MemberPlan(kind, view, counterpart(emotion)) for kind, view in COUNTER if counterpart(emotion) in known
        ]
    return tuple(dict.fromkeys(plans))


class Stack(FittedRecipe):
    """Weigh the out-of-fold answers of plain models.

    Parameters
    ----------
    class_balance : float
        Of the weights; see `emer_model.fitted.one_view.OneView`. Members count each clip the same.
    inner_folds : int
        Over participants of the training part.
    trees, min_leaf, feature_share
        See `emer_model.fitted.forests.ExtraTreesLearner`.
    """

    name = "stack"
    inputs = view_inputs(*dict.fromkeys(view for _, view in (*OWN, *COUNTER, *BESIDE)))
    summary_line = (
        "Logistic regressions and extra-trees on eyes and face, answering both tasks, weighed by a nested stack."
    )
    defaults: ClassVar[dict[str, Any]] = {"auxiliary_targets": ("all",)}

    def __init__(
        self,
        class_balance: float = 0.0,
        inner_folds: int = 5,
        trees: int = 300,
        min_leaf: int = 3,
        feature_share: float = 0.1,
    ) -> None:
        check_arguments(class_balance, inner_folds)
        self.class_balance, self.inner_folds = class_balance, inner_folds
        self.trees, self.min_leaf, self.feature_share = trees, min_leaf, feature_share

    def _fit(self, train: Arrays, targets: tuple[Target, ...], *, seed: int, config: Any, tell: Tell) -> FittedModel:
        parts = ModelParts()
        folds = inner_folds(train.participants, self.inner_folds, seed)
        known = labelled_targets(train)
        plans = {t.name: plan_members(t.name, known) for t in targets}
        fits: dict[str, CrossFit] = {}
        for plan in dict.fromkeys(plan for chosen in plans.values() for plan in chosen):
            tell(f"{self.name}: {plan.key}")
            fits[plan.key] = self.fit_member(plan, train, folds, seed)
            parts.add_member(plan.key, plan.view, fits[plan.key].predictor, fits[plan.key].absent)
        for declared in targets:
            tell(f"{self.name}: weights of {declared.name}")
            keys = tuple(plan.key for plan in plans[declared.name])
            answers = [fits[key].out_of_fold for key in keys]
            weighed = self.weigh(answers, train.labels[declared.name], declared, folds, seed)
            parts.add_answer(declared.name, keys, weighed)
        return parts.model(self.name)

    def fit_member(
        self, plan: MemberPlan, train: Arrays, folds: list[tuple[np.ndarray, np.ndarray]], seed: int
    ) -> CrossFit:
        """Fit a member on inner folds and on all clips."""
        learner: Learner
        if plan.kind == "trees":
            learner = ExtraTreesLearner(self.trees, self.min_leaf, self.feature_share)
        else:
            learner = DiscriminantLearner() if target(plan.answers).classes else LinearLearner()
        matrix, present = look_at_arrays(plan.view, train.inputs)
        labels = train.labels[plan.answers]
        return cross_fit(learner, matrix, labels, present, target(plan.answers), folds, member_seed(seed, plan.key))

    def weigh(
        self,
        answers: list[np.ndarray],
        labels: np.ndarray,
        declared: Target,
        folds: list[tuple[np.ndarray, np.ndarray]],
        seed: int,
    ) -> Weighed:
        """Fit the weights of members to their out-of-fold answers, each (n, K_i)."""
        matrix = join([torch.from_numpy(answer) for answer in answers]).numpy()
        learner = LinearLearner(WEIGHT_STRENGTHS, balance=self.class_balance, standardise=not declared.classes)
        everyone = np.ones(len(labels), dtype=bool)
        fit = cross_fit(learner, matrix, labels, everyone, declared, folds, seed)
        combination = Weighed(matrix.shape[1], declared.n_outputs, classes=bool(declared.classes))
        combination.linear = fit.predictor
        return combination


def labelled_targets(train: Arrays) -> frozenset[str]:
    """Return the targets that at least two participants have labels of.

    Raises
    ------
    TrainingError
        If there are none.
    """
    known = frozenset(
        name
        for name, labels in train.labels.items()
        if len(np.unique(train.participants[is_present(target(name), labels)])) >= 2
    )
    if not known:
        raise TrainingError("No target has labels from two training participants. Label more clips and export again.")
    return known
