"""The reference page of the models: what `emer train --model` takes, from the classes themselves."""

from __future__ import annotations

import inspect
import re
from typing import Any

#: What the data say and nobody sets.
_FROM_DATA = {
    "targets",
    "face_width",
    "eye_features",
    "fixation_features",
    "summary_features",
    "face_frames",
    "eye_chunks",
    "fixations",
}
#: Arguments that are settings of the run, with options of their own.
_OF_THE_RUN = {"dropout", "head_widths", "modality_dropout"}
#: A data set of EMER's size: two emotions of seven classes, 512 features a face frame.
_EMER = {"targets": {"er_emotion": 7, "fer_emotion": 7}, "face_width": 512, "eye_features": 39, "summary_features": 400}


def page(table: Any) -> str:
    """Return the page.

    Parameters
    ----------
    table : callable
        Lays out a header and rows as Markdown.
    """
    from emer_model.models import NETWORKS, QUIRKS
    from emer_model.registry import DEFAULT_MODEL, MODELS

    text = "# Models\n\nNames for `emer train --model`. What they are and which to choose: [models](../models.md).\n\n"
    rows = []
    for name, model in MODELS.items():
        kind = "network" if inspect.isclass(model) else "fitted at once"
        rows.append(
            [f"`{name}`" + (" (default)" if name == DEFAULT_MODEL else ""), kind, _looks_at(model), model.summary_line]
        )
    text += table(["Model", "Kind", "Looks at", "What it is"], rows)
    text += (
        "\nA network's arguments below are given by `--set NAME=VALUE`; the sizes of the data, `targets` and the settings of "
        "the run are filled in. Parameters: for two emotions of seven classes, 512 features a face frame, 39 eye features and "
        "400 summaries, without a face backbone.\n"
    )
    for network in NETWORKS:
        text += f"\n## `{network.name}`\n\n{inspect.getdoc(network).splitlines()[0]}\n\n"
        text += f"{_parameters(network):,} parameters.{_settings(network)}\n\n"
        text += table(["Argument", "Default", "Meaning"], _arguments(network, QUIRKS))
    return text


def _looks_at(model: Any) -> str:
    names = [name for name in model.inputs if not name.endswith("_mask") and name != "face_present"]
    return ", ".join(f"`{name}`" for name in names)


def _parameters(network: Any) -> int:
    taken = inspect.signature(network).parameters
    built = network(**{name: value for name, value in _EMER.items() if name in taken})
    return sum(p.numel() for p in built.parameters())


def _settings(network: Any) -> str:
    """Say which settings of a run are others for this network."""
    if not network.defaults:
        return ""
    shown = ", ".join(f"`{name}` {_shown(value)}" for name, value in network.defaults.items())
    return f" Settings of the run unless given: {shown}."


def _arguments(network: Any, quirks: dict[str, str]) -> list[list[str]]:
    meanings = _documented(network)
    rows = []
    for name, parameter in inspect.signature(network).parameters.items():
        if name in _FROM_DATA or name in _OF_THE_RUN:
            continue
        meaning = quirks.get(name, meanings.get(name, ""))
        if not meaning:
            raise ValueError(f"{network.name}: the docstring does not say what '{name}' is")
        rows.append([f"`{name}`", _shown(parameter.default), meaning])
    return rows


def _documented(network: Any) -> dict[str, str]:
    """Read the parameters of a numpydoc docstring."""
    section = inspect.getdoc(network).split("Parameters\n----------\n", 1)[1]
    section = re.split(r"\n\n\w+\n-+\n", section)[0]
    meanings = {}
    for block in re.split(r"\n(?=\S)", section):
        head, _, body = block.partition("\n")
        meaning = " ".join(line.strip() for line in body.splitlines())
        # A name in back quotes is a class or a table of the code.
        for name in head.split(" : ")[0].split(", "):
            meanings[name.strip()] = meaning
    return meanings


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, (list, tuple)):
        return f"`{','.join(map(str, value))}`"
    return f"`{value}`"
