"""Settings that a model cannot use: said to the user, who may expect something of them."""

from __future__ import annotations

import inspect

from emer_model.registry import find_model, is_network
from emer_model.training.config import RunConfig
from emer_model.training.faces import takes_faces
from emer_model.training.run_state import OPTIONS

#: Of the steps by which a network is trained.
_OF_STEPS = (
    "epochs", "patience", "learning_rate", "weight_decay", "gradient_clip", "dropout", "head_widths", "ema_decay",
    "logit_adjustment", "modality_dropout", "pretrain_epochs", "distillation",
)  # fmt: skip
#: Of these, what a network that is a member of a fitted model is trained without.
_NOT_OF_MEMBERS = ("pretrain_epochs", "distillation")
#: Arguments of those networks alone that name them.
_OF_SOME_NETWORKS = ("dropout", "head_widths", "modality_dropout")
_OF_FACES = ("face_backbone", "face_training", "face_size_px")


def idle_settings(config: RunConfig) -> list[str]:
    """Return the settings that were changed and do nothing for the model; see `unused_settings`."""
    usual = RunConfig.of(config.protocol, config.model)
    return [name for name in unused_settings(config) if getattr(config, name) != getattr(usual, name)]


def unused_settings(config: RunConfig) -> list[str]:
    """Return the settings that do nothing for the model, changed or not.

    Returns
    -------
    list of str
        Fields of `RunConfig`, in the order of its declaration.
    """
    model = find_model(config.model)
    if is_network(config.model):
        taken = inspect.signature(model).parameters
        idle = {"refit", *(name for name in _OF_SOME_NETWORKS if name not in taken)}
    elif "epochs" in model.defaults:  # a network is among its members
        idle = set(_NOT_OF_MEMBERS)
    else:
        idle = set(_OF_STEPS)
    if not is_network(config.model) and "auxiliary_targets" not in model.defaults:
        idle.add("auxiliary_targets")
    if not takes_faces(model.inputs):
        idle |= set(_OF_FACES)
    return [name for name in config.as_json() if name in idle]


def say_idle(config: RunConfig) -> str:
    """Say which settings do nothing; empty if all do something."""
    names = [
        OPTIONS.get(name, "--auxiliary" if name == "auxiliary_targets" else f"--set {name}")
        for name in idle_settings(config)
    ]
    if not names:
        return ""
    return (
        f"{', '.join(names)}: model '{config.model}' makes no use of {'it' if len(names) == 1 else 'them'}; `emer models` says "
        "what each model is."
    )
