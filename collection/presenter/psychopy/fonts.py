"""A font that has all characters of the study's texts; PsychoPy is never left to choose one by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from data_schema.errors import ConfigError

#: Names a font file for everything, such as one that the lab's licence covers.
FONT_VARIABLE = "EMER_FONT"

#: Files that are tried first: calm fonts without serifs, those with Chinese characters before those without.
#: Windows, macOS, then Linux (Noto, Source Han, WenQuanYi, Droid, DejaVu).
PREFERRED = (
    "msyh.ttc", "msyh.ttf", "Deng.ttf", "simhei.ttf", "simsun.ttc", "segoeui.ttf", "arial.ttf",
    "PingFang.ttc", "Hiragino Sans GB.ttc", "STHeiti Light.ttc", "Arial Unicode.ttf", "Helvetica.ttc",
    "NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "NotoSansSC-Regular.otf", "SourceHanSansSC-Regular.otf",
    "wqy-microhei.ttc", "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf",
    "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "DejaVuSans.ttf",
)  # fmt: skip
#: For texts without Chinese, fonts made for Latin letters are the nicer ones.
_LATIN_FIRST = ("segoeui.ttf", "Helvetica.ttc", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "DejaVuSans.ttf")
#: A character of each script that a text may hold, for the check of a font.
_CJK_SAMPLE = "您同意录制吗情绪愉快"
_LATIN_SAMPLE = "AaEeQqß0189?"


def find_font(language: str, texts: Iterable[str] = ()) -> Path:
    """Return a font file that draws every character.

    Parameters
    ----------
    language : str
        Language of the study; ``zh`` asks for Chinese characters whatever the texts hold.
    texts : iterable of str
        What is going to be drawn.

    Raises
    ------
    ConfigError
        If no font of this machine has all of them.
    """
    needed = set(_LATIN_SAMPLE).union(*map(set, texts)) if texts else set(_LATIN_SAMPLE)
    if language.split("-")[0].split("_")[0] in {"zh", "ja", "ko"}:
        needed |= set(_CJK_SAMPLE)
    needed = {letter for letter in needed if letter.isprintable() and not letter.isspace()}
    named = os.environ.get(FONT_VARIABLE, "")
    candidates = [Path(named)] if named else _candidates(any(ord(letter) > 0x2E80 for letter in needed))
    fewest: set[str] | None = None
    for path in candidates:
        missing = missing_letters(path, needed)
        if not missing:
            return path
        fewest = missing if fewest is None or len(missing) < len(fewest) else fewest
    what = f"the font {named} ({FONT_VARIABLE})" if named else "no font of this machine"
    lacking = "".join(sorted(fewest or needed)[:8])
    raise ConfigError(
        f"The texts in '{language}' cannot be drawn: {what} has all characters; lacking for example: {lacking}. "
        "Install a font with Chinese characters (Debian: apt-get install fonts-wqy-microhei; Windows: the feature "
        f"'Chinese (Simplified) Supplemental Fonts'), or name a font file in {FONT_VARIABLE}."
    )


def missing_letters(path: Path, letters: Iterable[str]) -> set[str]:
    """Return the letters that a font lacks; all of them if the file is no font."""
    from PIL import ImageFont

    wanted = set(letters)
    try:
        font = ImageFont.truetype(str(path), 20)
        # What a font draws for a character that it lacks; U+FFFF is no character in any font.
        hollow = [bytes(font.getmask(code)) for code in ("\uffff", "\U0010fffe")]
        return {letter for letter in wanted if bytes(font.getmask(letter)) in hollow}
    except (OSError, ValueError):
        return wanted


def _candidates(with_cjk: bool) -> list[Path]:
    installed = _installed()
    names = PREFERRED if with_cjk else (*_LATIN_FIRST, *PREFERRED)
    preferred = [installed[name.lower()] for name in names if name.lower() in installed]
    regular = [path for name, path in sorted(installed.items()) if not _is_styled(name)]
    return preferred + [path for path in regular if path not in preferred]


def _is_styled(name: str) -> bool:
    return any(word in name for word in ("bold", "italic", "oblique", "mono", "light", "black", "serif", "condensed"))


@lru_cache(maxsize=1)
def _installed() -> dict[str, Path]:
    return {path.name.lower(): path for folder in _folders() for path in _fonts_in(folder)}


def _fonts_in(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.rglob("*") if path.suffix.lower() in {".ttf", ".ttc", ".otf"})


def _folders() -> list[Path]:
    if sys.platform == "win32":
        local = Path(os.environ.get("LOCALAPPDATA", "")) / "Microsoft" / "Windows" / "Fonts"
        return [local, Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts"]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), Path.home() / "Library" / "Fonts"]
    return [
        Path("/usr/share/fonts"),
        Path("/usr/local/share/fonts"),
        Path.home() / ".local" / "share" / "fonts",
        Path.home() / ".fonts",
    ]
