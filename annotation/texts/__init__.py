"""Every word that an annotator reads, in the language that they chose.

A file ``en.toml`` (or ``PART_en.toml``) holds texts by section and name; the same
names stand in the other languages, and a test compares them. Words in braces are
put in by the program. `Texts` can change its language while views are open: those
that subscribed write themselves anew.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from data_schema.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

logger = logging.getLogger(__name__)

#: Languages, each by its own name.
LANGUAGES: dict[str, str] = {"en": "English", "zh": "中文"}
_FOLDER = Path(__file__).parent


def _flatten(table: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{key}."))
        else:
            flat[key] = str(value)
    return flat


@cache
def load_texts(language: str) -> Mapping[str, str]:
    """Return all texts of a language, by ``section.name``."""
    flat: dict[str, str] = {}
    for path in sorted(_FOLDER.glob(f"*{language}.toml")):
        if path.stem == language or path.stem.endswith(f"_{language}"):
            flat.update(_flatten(tomllib.loads(path.read_text(encoding="utf-8"))))
    return flat


class Texts:
    """The texts of one window.

    Parameters
    ----------
    language : str
        One of `LANGUAGES`.
    """

    def __init__(self, language: str = "en") -> None:
        self.language = "en"
        self._followers: list[Callable[[], None]] = []
        self.use(language)

    def __call__(self, key: str, /, **values: object) -> str:
        """Return a text with its values put in.

        A text that lacks is shown as its key: a window with one bad word is
        better than one that closes at clip 700. Tests are stricter.
        """
        text = load_texts(self.language).get(key) or load_texts("en").get(key)
        if text is None:
            logger.warning("no text '%s' in %s", key, self.language)
            return key
        try:
            return text.format(**values) if values else text
        except (KeyError, IndexError, ValueError):
            logger.warning("text '%s' in %s does not take %s", key, self.language, sorted(values))
            return text

    def __contains__(self, key: str) -> bool:
        return key in load_texts(self.language)

    def use(self, language: str) -> None:
        """Change the language and tell who follows.

        Raises
        ------
        UsageError
            If there is no such language.
        """
        if language not in LANGUAGES:
            raise UsageError(f"the language is '{language}', expected one of {', '.join(LANGUAGES)}.")
        self.language = language
        for follower in tuple(self._followers):
            follower()

    def subscribe(self, follower: Callable[[], None]) -> None:
        """Call `follower` after each change of the language."""
        self._followers.append(follower)

    def unsubscribe(self, follower: Callable[[], None]) -> None:
        """Stop calling it; nothing happens if it was not subscribed."""
        if follower in self._followers:
            self._followers.remove(follower)
