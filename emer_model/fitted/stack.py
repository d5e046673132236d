"""The nested stack: plain models on eyes and face, weighed by a linear model on their out-of-fold answers.

One member answers a target by each kind of feature. What is felt is judged knowing what the face shows, and what is shown
knowing what the eyes tell of what is felt: from an answer to one emotion the other follows as their labels go together. To
polarity, valence, arousal and intensity both emotions speak in the same way. Members are fitted on inner folds over
participants, so that the weights are learnt from answers about people whom the members had not seen, and then again on
all training clips.

References
----------
Wolpert (1992), Stacked generalization.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from data_schema.errors import TrainingError
from emer_model.data.arrays import Arrays
from emer_model.data.targets import Target, is_present, target
from emer_model.fitted.combining import Only, Weighed, join
from emer_model.fitted.deep import DeepFit, NetworkFit
from emer_model.fitted.discriminant import DiscriminantLearner
from emer_model.fitted.experts import ExpertLearner
from emer_model.fitted.folds import inner_folds, member_seed
from emer_model.fitted.forests import ExtraTreesLearner
from emer_model.fitted.learner import CrossFit, Learner, cross_fit
from emer_model.fitted.linear import LinearLearner
from emer_model.fitted.model import FittedModel
from emer_model.fitted.one_view import check_arguments
from emer_model.fitted.predictors import Linear
from emer_model.fitted.products import ProductLearner
from emer_model.fitted.recipe import FittedRecipe, ModelParts, Tell
from emer_model.fitted.via import fit_via
from emer_model.fitted.views import look_at_arrays, view_inputs

#: Who answers a target: one member a kind of feature, since one over all columns is worse.
EYES = (
    ("linear", "averages"),
    ("linear", "eye"),
    ("linear", "extremes"),
    ("linear", "course"),
    ("linear", "rhythm"),
    ("linear", "fixations"),
    ("trees", "eye"),
)
PAIRS = (("products", "few"),)
FACE = (("linear", "face"),)


#: Of these much follows for other targets; combined first.
EMOTION_TARGETS = ("er_emotion", "fer_emotion")


def emotion_key(name: str) -> str:
    """Name the member that combines all that answers an emotion."""
    return f"combined/{name}"


@dataclass(frozen=True)
class MemberPlan:
    """A member to be fitted.

    Parameters
    ----------
    kind : str
        'linear', 'products' or 'trees'.
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


def direct_members(name: str) -> tuple[MemberPlan, ...]:
    """Choose the members that answer a target itself; products of features answer what is felt, in classes."""
    pairs = PAIRS if name == "er_emotion" else ()
    return tuple(MemberPlan(kind, view, name) for kind, view in (*EYES, *pairs, *FACE))


def members_of_other_task(name: str, known: frozenset[str]) -> tuple[MemberPlan, ...]:
    """Choose the members that answer the other task's emotion, from which an emotion follows.

    Eyes tell what is felt and the face what is shown: what the face tells of the felt emotion, and the eyes of the shown
    one, they tell through the other.

    Parameters
    ----------
    name : str
        An emotion.
    known : frozenset of str
        Targets with labels in the training part.
    """
    other = "fer_emotion" if name == "er_emotion" else "er_emotion"
    parts = FACE if name == "er_emotion" else (*EYES, *PAIRS)
    return tuple(MemberPlan(kind, view, other) for kind, view in parts if other in known)


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
    inputs = view_inputs(*dict.fromkeys(view for _, view in (*EYES, *PAIRS, *FACE)))
    summary_line = (
        "Discriminants and extra-trees on each kind of summary, answering both tasks, weighed by a nested stack."
    )
    defaults: ClassVar[dict[str, Any]] = {"auxiliary_targets": ("all",)}

    def __init__(
        self,
        class_balance: float = 0.0,
        inner_folds: int = 5,
        trees: int = 200,
        min_leaf: int = 3,
        feature_share: float = 0.1,
    ) -> None:
        check_arguments(class_balance, inner_folds)
        self.class_balance, self.inner_folds = class_balance, inner_folds
        self.trees, self.min_leaf, self.feature_share = trees, min_leaf, feature_share

    def _fit(
        self, train: Arrays, targets: tuple[Target, ...], *, seed: int, tell: Tell, fit_network: NetworkFit | None
    ) -> FittedModel:
        folds = inner_folds(train.participants, self.inner_folds, seed)
        deep = self.network_member(train, targets, folds, seed, fit_network)
        work = _Work(train, folds, seed, self, ModelParts(), {}, {}, deep)
        known = labelled_targets(train)
        asked = {declared.name for declared in targets}
        others = asked - set(EMOTION_TARGETS)  # to these both emotions speak
        emotions = [name for name in EMOTION_TARGETS if name in known and (others or name in asked)]
        for name in emotions:
            tell(f"{self.name}: {name}")
            work.combine_emotion(name, known)
        for declared in targets:
            if declared.name in emotions:
                work.parts.add_answer(declared.name, (emotion_key(declared.name),), Only())
                answers = work.combined[emotion_key(declared.name)]
            else:
                tell(f"{self.name}: {declared.name}")
                answers = work.answer(declared, emotions)
            work.parts.add_out_of_fold(declared, train.labels[declared.name], answers)
        return work.parts.model(self.name)

    def network_member(
        self,
        train: Arrays,
        targets: tuple[Target, ...],
        folds: list[tuple[np.ndarray, np.ndarray]],
        seed: int,
        fit_network: NetworkFit | None,
    ) -> DeepFit | None:
        """Train the network among the members; none here, see `emer_model.fitted.eyeface_stack`."""
        return None


@dataclass(frozen=True)
class _Work:
    """One fitting of a stack; members are fitted once for all targets that listen to them.

    Parameters
    ----------
    train : Arrays
    folds : list of (ndarray of int, ndarray of int)
        Inner folds.
    seed : int
    recipe : Stack
    parts : ModelParts
        What is fitted already.
    fits : dict of str to CrossFit
        Members by key.
    combined : dict of str to ndarray, shape (n, K)
        Out-of-fold answers of combined members by key.
    deep : DeepFit or None
        The network among the members.
    """

    train: Arrays
    folds: list[tuple[np.ndarray, np.ndarray]]
    seed: int
    recipe: Stack
    parts: ModelParts
    fits: dict[str, CrossFit]
    combined: dict[str, np.ndarray]
    deep: DeepFit | None

    def direct(self, declared: Target) -> dict[str, np.ndarray]:
        """Fit what answers a target itself; returns out-of-fold answers (n, K) by key."""
        experts = {plan.key: self.member(plan).out_of_fold for plan in direct_members(declared.name)}
        if self.deep is not None and declared.name in self.deep.out_of_fold:
            key = f"network/{declared.name}"
            self.parts.add_spoken(key, declared, self.deep.network, self.deep.arguments)
            experts[key] = self.deep.out_of_fold[declared.name]
        return experts

    def combine_emotion(self, name: str, known: frozenset[str]) -> None:
        """Weigh all that answers an emotion, as a member for others to listen to."""
        declared = target(name)
        experts = self.direct(declared)
        for plan in members_of_other_task(name, known):
            answers = self.member(plan).out_of_fold
            key, followed = self.through(plan.key, answers, target(plan.answers), declared)
            experts[key] = followed
        combination, out_of_fold = self.weigh(list(experts.values()), declared)
        self.parts.add_combined(emotion_key(name), tuple(experts), combination)
        self.combined[emotion_key(name)] = out_of_fold

    def answer(self, declared: Target, emotions: Sequence[str]) -> np.ndarray:
        """Weigh all that answers another target, and what follows from the emotions; returns out-of-fold answers (n, K)."""
        experts = self.direct(declared)
        for name in emotions:
            source = emotion_key(name)
            key, followed = self.through(source, self.combined[source], target(name), declared)
            experts[key] = followed
        combination, out_of_fold = self.weigh(list(experts.values()), declared)
        self.parts.add_answer(declared.name, tuple(experts), combination)
        return out_of_fold

    def member(self, plan: MemberPlan) -> CrossFit:
        """Fit a member on inner folds and on all clips."""
        if plan.key not in self.fits:
            matrix, present = look_at_arrays(plan.view, self.train.inputs)
            declared = target(plan.answers)
            labels = self.train.labels[plan.answers]
            learner = self._learner(plan.kind, declared)
            fit = cross_fit(learner, matrix, labels, present, declared, self.folds, member_seed(self.seed, plan.key))
            self.fits[plan.key] = fit
            self.parts.add_member(plan.key, plan.view, fit.predictor, fit.absent)
        return self.fits[plan.key]

    def _learner(self, kind: str, declared: Target) -> Learner:
        if kind == "trees":
            recipe = self.recipe
            return ExtraTreesLearner(recipe.trees, recipe.min_leaf, recipe.feature_share)
        if kind == "products":
            return ProductLearner()
        return DiscriminantLearner() if declared.classes else LinearLearner()

    def through(self, source: str, answers: np.ndarray, other: Target, declared: Target) -> tuple[str, np.ndarray]:
        """Let a target follow from a member that answers another; returns the key and out-of-fold answers (n, K)."""
        key = f"{source}/to/{declared.name}"
        labels = self.train.labels
        fit = fit_via(answers, labels[other.name], labels[declared.name], other, declared, self.folds)
        self.parts.add_through(key, source, fit.predictor)
        return key, fit.out_of_fold

    def weigh(self, answers: list[np.ndarray], declared: Target) -> tuple[Weighed, np.ndarray]:
        """Fit the weights of members to their out-of-fold answers, each (n, K); returns what they answer out of fold, too."""
        matrix = join([torch.from_numpy(answer) for answer in answers]).numpy()
        balance = self.recipe.class_balance
        learner = ExpertLearner(balance=balance) if declared.classes else LinearLearner(standardise=True)
        everyone = np.ones(len(matrix), dtype=bool)
        labels = self.train.labels[declared.name]
        fit = cross_fit(learner, matrix, labels, everyone, declared, self.folds, self.seed)
        combination = Weighed(matrix.shape[1], declared.n_outputs, classes=bool(declared.classes))
        if isinstance(fit.predictor, Linear):
            combination.linear = fit.predictor
        else:  # labels with nothing to tell apart: the bias alone
            combination.linear.bias.copy_(fit.predictor.answer)
        return combination, fit.out_of_fold


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
