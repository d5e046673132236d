"""Refuse arguments that no network can be built from, before one is half built."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from data_schema.errors import TrainingError


def check_arguments(network: type, arguments: Mapping[str, Any]) -> None:
    """Compare arguments with the constructor's: names, kinds, and that sizes are not negative.

    What an argument must be follows from its default: a switch, a whole number of at least 0, a
    number, or a word. Arguments without a default come from the data and are not looked at.

    Parameters
    ----------
    network : type
        A class of networks.
    arguments : mapping
        By name.

    Raises
    ------
    TrainingError
        Naming the first argument that cannot be, and what it must be.
    """
    taken = inspect.signature(network).parameters
    name = getattr(network, "name", network.__name__)
    for key, value in arguments.items():
        if key not in taken:
            raise TrainingError(f"Model '{name}' takes no argument '{key}'. It takes: {', '.join(taken)}.")
        default = taken[key].default
        expected = _expected(default, value)
        if default is not inspect.Parameter.empty and expected:
            raise TrainingError(f"{key}={value}: model '{name}' expects {expected}, such as {default}.")


def check_multiple(name: str, value: int, of: int, what: str) -> None:
    """Refuse a size that cannot be shared out.

    Raises
    ------
    TrainingError
        If `value` is not a positive multiple of `of`.
    """
    if value < of or value % of:
        near = max(1, round(value / of)) * of
        raise TrainingError(
            f"{name}={value}: it is shared by {of} {what}, so it must be a multiple of {of}, such as {near}."
        )


def _expected(default: Any, value: Any) -> str:
    """Say what was expected where `value` cannot stand for `default`; nothing where it can."""
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "true or false"
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(default, int):
        return "" if number and value == int(value) and value >= 0 else "a whole number from 0 on"
    if isinstance(default, float):
        return "" if number and value >= 0 else "a number from 0 on"
    if isinstance(default, str):
        return "" if isinstance(value, str) else "a word"
    if isinstance(default, tuple):
        whole = isinstance(value, (tuple, list)) and all(isinstance(x, int) and x > 0 for x in value)
        return "" if whole else "whole numbers greater than 0"
    return ""
