"""Read the texts of a language, and the study's own on top of them.

A file holds tables of keys; a key is named with its table, as in
``buttons.go_on``. A value is a text or a list of texts (the words under a
scale). Words in braces are filled in: ``{emotion}``.

The English file says which keys there are. A study's ``texts/LANGUAGE.toml``
replaces what it names. For a language that is shipped it may name a few keys,
for any other language it has to name all.
"""

from __future__ import annotations

import difflib
import string
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from data_schema.errors import StudyError
from data_schema.study.folder import StudyFolder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Value = str | tuple[str, ...]

#: The language whose file says which keys there are, and with which words to fill in.
REFERENCE_LANGUAGE = "en"
#: Folder of a study with its own texts.
STUDY_FOLDER = "texts"


@dataclass(frozen=True)
class Texts:
    """The texts of one language.

    Parameters
    ----------
    language : str
        Such as 'en'.
    values : mapping of str to str or tuple of str
        By key.
    source : str
        Where they come from, for messages.
    """

    language: str
    values: Mapping[str, Value]
    source: str = ""

    def __getitem__(self, key: str) -> str:
        """Return a text as it stands.

        Raises
        ------
        StudyError
            If there is none of this name, or it is a list.
        """
        value = self._value(key)
        if not isinstance(value, str):
            raise StudyError(f"{self.source}: '{key}' is a list of texts where one text is needed")
        return value

    def say(self, key: str, **words: object) -> str:
        """Return a text with its words filled in.

        Raises
        ------
        StudyError
            If the text wants a word that is not given.
        """
        text = self[key]
        try:
            return text.format(**words)
        except (KeyError, IndexError, ValueError) as error:
            raise StudyError(
                f"{self.source}: '{key}' cannot be filled in ({error}). Known words: "
                f"{', '.join(f'{{{word}}}' for word in sorted(words)) or 'none'}; a brace itself is written twice."
            ) from None

    def labels(self, key: str) -> tuple[str, ...]:
        """Return a list of texts.

        Raises
        ------
        StudyError
            If there is none of this name, or it is a single text.
        """
        value = self._value(key)
        if isinstance(value, str):
            raise StudyError(f"{self.source}: '{key}' is one text where a list of texts is needed")
        return value

    def _value(self, key: str) -> Value:
        if key not in self.values:
            raise StudyError(
                f"{self.source}: the text '{key}' is missing. Add it to {STUDY_FOLDER}/{self.language}.toml of the "
                f"study; the English words stand in the toolkit's collection/texts/{REFERENCE_LANGUAGE}.toml."
            )
        return self.values[key]


def shipped_languages() -> tuple[str, ...]:
    """Return the languages that the toolkit brings, sorted."""
    files = resources.files("collection.texts").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def load_texts(language: str, study: StudyFolder | Path | None = None) -> Texts:
    """Read all texts of a language.

    Parameters
    ----------
    language : str
        A shipped language, or one for which the study has a file.
    study : StudyFolder or Path, optional
        Study (or its folder) whose ``texts/LANGUAGE.toml`` is laid over the shipped file.

    Raises
    ------
    StudyError
        If the language is not known, a file is no TOML, a key is unknown, missing
        or of the wrong kind, or a text wants a word that nobody fills in.
    """
    reference = _read(_shipped_text(REFERENCE_LANGUAGE), f"{REFERENCE_LANGUAGE}.toml")
    root = study.root if isinstance(study, StudyFolder) else study
    own = root / STUDY_FOLDER / f"{language}.toml" if root is not None else None
    values: dict[str, Value] = {}
    source = f"the toolkit's texts/{language}.toml"
    if language in shipped_languages():
        values = _read(_shipped_text(language), source)
    elif own is None or not own.is_file():
        known = ", ".join(shipped_languages())
        raise StudyError(
            f"there are no texts in the language '{language}'. Shipped: {known}. For another language, put the file "
            f"{STUDY_FOLDER}/{language}.toml into the study: a translation of the toolkit's collection/texts/en.toml."
        )
    if own is not None and own.is_file():
        source = f"{STUDY_FOLDER}/{language}.toml"
        values.update(_check(_read(_study_text(own), source), reference, source))
    missing = sorted(reference.keys() - values.keys())
    if missing:
        raise StudyError(f"{source}: {len(missing)} texts are missing: {', '.join(missing)}. Add them.")
    return Texts(language, values, source)


def words_of(value: Value) -> set[str]:
    """Return the words in braces that a text wants filled in."""
    texts = (value,) if isinstance(value, str) else value
    return {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def _shipped_text(language: str) -> str:
    return (resources.files("collection.texts") / f"{language}.toml").read_text(encoding="utf-8")


def _study_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise StudyError(
            f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8."
        ) from None
    except OSError as error:
        raise StudyError(f"{path}: cannot be read: {error.strerror or error}. Give yourself the right to.") from error


def _read(text: str, source: str) -> dict[str, Value]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{source}: not valid TOML: {error}. Mend that line; texts stand in quotes.") from None
    return _flat(data, source)


def _flat(data: dict[str, Any], source: str, prefix: str = "") -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name, value in data.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict):
            found |= _flat(value, source, f"{key}.")
        elif isinstance(value, str):
            found[key] = value
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            found[key] = tuple(value)
        else:
            raise StudyError(f"{source}: '{key}' must be a text or a list of texts, got {value!r}")
    return found


def _check(own: dict[str, Value], reference: dict[str, Value], source: str) -> dict[str, Value]:
    """Compare a study's texts with the keys that there are."""
    for key, value in own.items():
        if key not in reference:
            near = difflib.get_close_matches(key, reference, n=1, cutoff=0.5)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise StudyError(f"{source}: there is no text '{key}'.{hint}")
        expected = reference[key]
        if isinstance(value, str) != isinstance(expected, str):
            raise StudyError(
                f"{source}: '{key}' must be {'one text' if isinstance(expected, str) else 'a list of texts'}"
            )
        if not isinstance(value, str) and len(value) != len(expected):
            raise StudyError(f"{source}: '{key}' needs {len(expected)} texts, got {len(value)}")
        try:
            unknown = words_of(value) - words_of(expected)
        except ValueError as error:
            raise StudyError(f"{source}: '{key}': {error}; a brace itself is written twice.") from None
        if unknown:
            known = ", ".join(f"{{{word}}}" for word in sorted(words_of(expected))) or "none"
            raise StudyError(
                f"{source}: '{key}' holds {{{sorted(unknown)[0]}}}, which nobody fills in. Known: {known}."
            )
    return own
