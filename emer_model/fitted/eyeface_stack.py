"""The stack with the network EyeFace as one more member of each target."""

from __future__ import annotations

from typing import Any, ClassVar

from data_schema.errors import TrainingError
from emer_model.data.arrays import Arrays
from emer_model.data.targets import Target, target
from emer_model.fitted.deep import DeepFit, NetworkFit, cross_fit_network
from emer_model.fitted.folds import member_seed
from emer_model.fitted.stack import Stack, labelled_targets
from emer_model.models.eyeface import EyeFace


class EyeFaceStack(Stack):
    """Weigh the answers of plain models and of EyeFace.

    The network is trained once an inner fold and once on all clips, so fitting takes as long as six trainings.

    Parameters
    ----------
    class_balance, inner_folds, trees, min_leaf, feature_share
        See `emer_model.fitted.stack.Stack`.
    """

    name = "eyeface-stack"
    inputs = tuple(dict.fromkeys((*Stack.inputs, *EyeFace.inputs)))
    summary_line = "The stack with the network eyeface among its members; fits as long as six trainings of it."
    defaults: ClassVar[dict[str, Any]] = {**EyeFace.defaults, **Stack.defaults}

    def network_member(
        self,
        train: Arrays,
        targets: tuple[Target, ...],
        folds: list[tuple[Any, Any]],
        seed: int,
        fit_network: NetworkFit | None,
    ) -> DeepFit | None:
        """Train the network on inner folds and on all clips."""
        if fit_network is None:
            raise TrainingError(f"Model '{self.name}' has a network among its members, which `emer train` trains.")
        known = labelled_targets(train)
        asked = tuple(declared for declared in targets if declared.name in known)
        beside = tuple(target(name) for name in train.labels if name in known and name not in {t.name for t in asked})
        return cross_fit_network(fit_network, train, asked, beside, folds, member_seed(seed, EyeFace.name))
