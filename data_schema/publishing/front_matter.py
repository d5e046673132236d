"""The YAML head of a dataset card, written without a YAML library: mappings, lists, words, numbers and long texts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

#: Words that no YAML reader takes for anything but text.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
#: Plain words that readers of YAML 1.1 take for true, false or nothing.
_NO_TEXT = frozenset({"y", "n", "yes", "no", "true", "false", "on", "off", "null", "none", "nan", "inf"})


def front_matter(fields: Mapping[str, Any]) -> str:
    """Return fields as the YAML block that opens a README, with its fences; empty fields are left out.

    Parameters
    ----------
    fields : mapping
        Text, numbers, booleans, lists and mappings.
    """
    lines = [line for key, value in fields.items() if not _empty(value) for line in _lines(key, value, 0)]
    return "\n".join(["---", *lines, "---", ""])


def _empty(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, (list, tuple, Mapping)) and not value)


def _lines(key: str, value: Any, depth: int) -> list[str]:
    pad = "  " * depth
    name = _scalar(key)
    if isinstance(value, Mapping):
        return [f"{pad}{name}:"] + [line for k, v in value.items() for line in _lines(str(k), v, depth + 1)]
    if isinstance(value, (list, tuple)):
        return [f"{pad}{name}:"] + [line for item in value for line in _item(item, depth)]
    return [f"{pad}{name}: {_scalar(value)}"]


def _item(value: Any, depth: int) -> list[str]:
    pad = "  " * depth
    if not isinstance(value, Mapping):
        return [f"{pad}- {_scalar(value)}"]
    lines = [line for k, v in value.items() for line in _lines(str(k), v, depth + 1)]
    return [f"{pad}- {lines[0].lstrip()}", *lines[1:]]


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return json.dumps(value)
    text = str(value)
    # What JSON quotes is quoted for YAML as well.
    plain = _PLAIN.fullmatch(text) and text.lower() not in _NO_TEXT
    return text if plain else json.dumps(text, ensure_ascii=False)
