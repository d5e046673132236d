"""What one person likes: keys, theme, language, text size, playing by itself. No setting changes what a label stores."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from data_schema.errors import EmerError, MissingExtraError

_log = logging.getLogger(__name__)
THEMES = ("system", "light", "dark")
LANGUAGES = ("en", "zh")
#: Per cent of the system's text size. 200 is what WCAG 2.2, criterion 1.4.4, asks for; smaller than 80 nobody reads.
TEXT_SIZES = (80, 200)


class SettingsError(EmerError):
    """Settings cannot be saved."""


@dataclass(frozen=True)
class Settings:
    """One person's settings.

    Parameters
    ----------
    theme : {'system', 'light', 'dark'}
    language : str
        One of `LANGUAGES`; empty: the system's.
    text_size : int
        Per cent, within `TEXT_SIZES`.
    tour_seen : bool
        True once the first-run tour was seen or put away.
    keys : mapping
        Changed keys by action, as `annotation.keymap.Keymap` takes them.
    play_on_open : bool
        Whether a clip begins to play when it comes onto the desk.
    """

    theme: str = "system"
    language: str = ""
    text_size: int = 100
    tour_seen: bool = False
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    play_on_open: bool = False


def default_settings_path() -> Path:
    """Return where the settings of this user lie."""
    try:
        import platformdirs
    except ImportError:
        raise MissingExtraError("annotate", "platformdirs", "Keeping your settings") from None
    return Path(platformdirs.user_config_path("emer-toolkit", appauthor=False)) / "annotate.json"


class SettingsFile:
    """The settings on the disk.

    A file that cannot be read is kept beside as ``NAME.broken``; `problem` says
    so, and everything starts as it is for a new user.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path if path is not None else default_settings_path()
        self.problem = ""
        self._unknown: dict[str, Any] = {}
        self.settings = self._load()

    def change(self, **values: Any) -> Settings:
        """Change settings and save them.

        Raises
        ------
        SettingsError
            If they cannot be saved; they hold until the tool is closed all the same.
        """
        self.settings = _checked(replace(self.settings, **values))[0]
        self._save()
        return self.settings

    def _load(self) -> Settings:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return Settings()
        except UnicodeDecodeError:
            return self._kept_aside("is not UTF-8 text")
        except OSError as error:
            self.problem = f"{self.path}: cannot be read ({error.strerror or error}). The usual settings are used."
            return Settings()
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            return self._kept_aside(f"is no JSON ({error.msg}, line {error.lineno})")
        if not isinstance(found, dict):
            return self._kept_aside(f"holds {type(found).__name__}, expected an object")
        names = {one.name for one in fields(Settings)}
        # What a newer version of the tool keeps here is not ours to drop.
        self._unknown = {name: value for name, value in found.items() if name not in names}
        if isinstance(found.get("keys"), dict):
            found["keys"] = {
                str(action): tuple(keys) if isinstance(keys, list) else keys for action, keys in found["keys"].items()
            }
        settings, wrong = _checked(Settings(**{name: found[name] for name in names if name in found}))
        if wrong:
            self.problem = f"{self.path}: {'; '.join(wrong)}. The usual values are used instead."
        return settings

    def _kept_aside(self, what: str) -> Settings:
        aside = self.path.with_name(f"{self.path.name}.broken")
        try:
            os.replace(self.path, aside)  # noqa: PTH105 - replaces an older one on Windows too
            where = f"It is kept as {aside.name}"
        except OSError as error:
            where = f"It could not be put aside ({error.strerror or error})"
        self.problem = f"{self.path}: {what}. {where}; the usual settings are used."
        _log.warning("%s", self.problem)
        return Settings()

    def _save(self) -> None:
        held = {one.name: getattr(self.settings, one.name) for one in fields(Settings)}
        held["keys"] = {action: list(keys) for action, keys in self.settings.keys.items()}
        text = json.dumps({**self._unknown, **held}, indent=2, ensure_ascii=False) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _replace_whole(self.path, text)
        except OSError as error:
            raise SettingsError(
                f"{self.path}: settings cannot be saved ({error.strerror or error}). They hold until you close the "
                "tool; name another place with --settings."
            ) from error


def _replace_whole(path: Path, text: str) -> None:
    """Write a file so that a kill leaves the old one or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)  # noqa: PTH105
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _checked(settings: Settings) -> tuple[Settings, list[str]]:
    """Return settings in which every value is one that the tool knows, and what was wrong."""
    usual, wrong = Settings(), []
    good: dict[str, Any] = {}
    low, high = TEXT_SIZES
    is_number = isinstance(settings.text_size, int) and not isinstance(settings.text_size, bool)
    tests = {
        "theme": (settings.theme in THEMES, f"one of {', '.join(THEMES)}"),
        "language": (settings.language in ("", *LANGUAGES), f"one of {', '.join(LANGUAGES)}"),
        "text_size": (is_number and low <= settings.text_size <= high, f"a whole number from {low} to {high}"),
        "tour_seen": (isinstance(settings.tour_seen, bool), "true or false"),
        "play_on_open": (isinstance(settings.play_on_open, bool), "true or false"),
        "keys": (isinstance(settings.keys, Mapping), "an object of keys by action"),
    }
    for name, (is_good, expected) in tests.items():
        if not is_good:
            wrong.append(f"{name} is {getattr(settings, name)!r}, expected {expected}")
            good[name] = getattr(usual, name)
    return replace(settings, **good), wrong
