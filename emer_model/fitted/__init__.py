"""Models that scikit-learn fits at once and that are then tensors, answered by torch."""

from __future__ import annotations

from emer_model.fitted.eyeface_stack import EyeFaceStack
from emer_model.fitted.late_fusion import LateFusion
from emer_model.fitted.majority import Majority
from emer_model.fitted.model import FittedModel
from emer_model.fitted.one_view import ONE_VIEW
from emer_model.fitted.recipe import FittedRecipe
from emer_model.fitted.stack import Stack

#: All recipes, the plainest first.
RECIPES: tuple[FittedRecipe, ...] = (
    Majority(),
    *(kind() for kind in ONE_VIEW),
    LateFusion(),
    Stack(),
    EyeFaceStack(),
)

__all__ = ["RECIPES", "FittedModel", "FittedRecipe"]
