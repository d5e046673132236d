"""Models by the name used on the command line."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from data_schema.errors import TrainingError, UsageError
from emer_model.models.emert import Emert
from emer_model.models.face_only import FaceOnly

MODELS: dict[str, type[nn.Module]] = {Emert.name: Emert, FaceOnly.name: FaceOnly}


def suggest(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that `name` is not known, with the nearest known one."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"There is no {kind} '{name}'.{hint} Known: {', '.join(known)}."


def model_class(name: str) -> type[nn.Module]:
    """Look up a model.

    Raises
    ------
    UsageError
        If there is no such model.
    """
    if name not in MODELS:
        raise UsageError(suggest("model", name, MODELS))
    return MODELS[name]


def accepted_arguments(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Keep those of `arguments` that the model's constructor takes."""
    taken = inspect.signature(model_class(name)).parameters
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
    try:
        return model_class(name)(**arguments)
    except TypeError as error:
        raise TrainingError(f"Model '{name}' cannot be built from {dict(arguments)}: {error}.") from error
