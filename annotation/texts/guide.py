"""The annotator's help page: Markdown with the keys that this annotator has set; no Qt."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

_FOLDER = Path(__file__).parent
_KEY = re.compile(r"\{key\.([a-z0-9._]+)\}")


def help_markdown(language: str, key_of: Callable[[str], str]) -> str:
    """Return the help page in a language, each ``{key.ACTION}`` replaced by the key of that action.

    Parameters
    ----------
    language : str
        One of `annotation.texts.LANGUAGES`; English is taken where a page lacks.
    key_of : callable
        Returns the key of an action, as it is written on a keyboard.
    """
    path = _FOLDER / f"help_{language}.md"
    page = (path if path.is_file() else _FOLDER / "help_en.md").read_text(encoding="utf-8")
    return _KEY.sub(lambda found: f"**{_escaped(key_of(found[1]))}**", page)


def actions_of_help(language: str) -> frozenset[str]:
    """Return the actions whose keys the page names."""
    return frozenset(_KEY.findall((_FOLDER / f"help_{language}.md").read_text(encoding="utf-8")))


def _escaped(key: str) -> str:
    """Keep a key such as ``[`` or ``|`` from being read as Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|])", r"\\\1", key)
