"""Models by the name used on the command line: networks that are trained, and models that are fitted at once."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from data_schema.errors import TrainingError, UsageError
from emer_model.fitted import RECIPES
from emer_model.models import NETWORKS
from emer_model.models.arguments import check_arguments

#: The model that is trained where none is named; why: docs/decisions/0017-default-model.md.
DEFAULT_MODEL = "stack"

#: All models by name: classes of networks, and recipes of what is fitted.
MODELS: dict[str, Any] = {model.name: model for model in (*RECIPES, *NETWORKS)}


def suggest(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that `name` is not known, with the nearest known one."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"There is no {kind} '{name}'.{hint} Known: {', '.join(known)}."


def find_model(name: str) -> Any:
    """Look up a model: the class of a network, or a recipe.

    Raises
    ------
    UsageError
        If there is no such model.
    """
    if name not in MODELS:
        raise UsageError(suggest("model", name, MODELS))
    return MODELS[name]


def is_network(name: str) -> bool:
    """Tell whether a model is trained step by step."""
    return inspect.isclass(find_model(name)) and issubclass(MODELS[name], nn.Module)


def accepted_arguments(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Keep those of `arguments` that the network's constructor takes."""
    taken = inspect.signature(find_model(name)).parameters
    return {key: value for key, value in arguments.items() if key in taken}


def build_model(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Build a model from its architecture arguments.

    Raises
    ------
    UsageError
        If there is no such model.
    TrainingError
        If the arguments are not the model's.
    """
    model = find_model(name)
    if is_network(name):
        check_arguments(model, arguments)
    try:
        built: nn.Module = model(**arguments) if is_network(name) else model.build(**arguments)
    except (TypeError, KeyError, ValueError) as error:
        raise TrainingError(f"Model '{name}' cannot be built from {dict(arguments)}: {error}.") from error
    return built
