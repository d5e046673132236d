"""Language and colours of a window, as the person at it likes them: the same for annotators and adjudicators."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QApplication

from annotation.settings import SettingsError, SettingsFile
from annotation.texts import LANGUAGES, Texts
from annotation.views.theme import Theme


class Look:
    """Hold the theme of a window, and save what is changed.

    Parameters
    ----------
    texts : Texts
    file : SettingsFile
    tell : callable
        Told why settings could not be saved.
    """

    def __init__(self, texts: Texts, file: SettingsFile, tell: Callable[[str], object]) -> None:
        self._texts, self.file, self._tell = texts, file, tell
        held = file.settings
        self.theme = Theme(_theme_name(held.theme), held.text_size)

    def change(self, **values: object) -> bool:
        """Change settings; they hold at once. True where the window has to be drawn in other colours or sizes."""
        try:
            self.file.change(**values)
        except SettingsError as error:
            self._tell(str(error))
        held = self.file.settings
        if "language" in values:
            self._texts.use(held.language or self._texts.language)
        if not {"theme", "text_size"} & set(values):
            return False
        self.theme.name, self.theme.text_percent = _theme_name(held.theme), held.text_size
        return True

    def other_theme(self) -> dict[str, object]:
        """Return the change to the other colours."""
        return {"theme": "light" if self.theme.is_dark else "dark"}

    def other_language(self) -> dict[str, object]:
        """Return the change to the next language."""
        names = list(LANGUAGES)
        return {"language": names[(names.index(self._texts.language) + 1) % len(names)]}


def _theme_name(wanted: str) -> str:
    """Return light or dark, as the system has it where the annotator did not say."""
    if wanted != "system":
        return wanted
    dark = QApplication.palette().color(QPalette.ColorRole.Window).lightness() < 128
    return "dark" if dark else "light"
