"""The menu: everything that the keys do, for those who look for it, with the key beside it."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QMenuBar, QWidget

from annotation.desk.desk import Desk
from annotation.texts import Texts

#: Menus and what stands in them; None is a line.
_MENUS: dict[str, tuple[str | None, ...]] = {
    "clip": ("next", "previous", "next.open", "menu.goto", None, "commit", "skip", "comment", "flag", None, "undo",
             "redo", None, "break", "quit"),
    "view": ("theme", "language", "fullscreen", None, "settings"),
    "help": ("keys", "help", "menu.tour"),
}  # fmt: skip


class Menus:
    """Fill a menu bar.

    Parameters
    ----------
    bar : QMenuBar
    desk : Desk
    texts : Texts
    do : callable
        Carries out an action of `annotation.keys`, or ``menu.goto`` and ``menu.tour``.
    key_of : callable
        Returns the key of an action, as it is written on a keyboard.
    parent : QWidget
    """

    def __init__(
        self,
        bar: QMenuBar,
        desk: Desk,
        texts: Texts,
        do: Callable[[str], object],
        key_of: Callable[[str], str],
        parent: QWidget,
    ) -> None:
        self._bar, self._desk, self._texts, self._do, self._key_of = bar, desk, texts, do, key_of
        self.fill()

    def fill(self) -> None:
        """Write the menus in the language of the window."""
        self._bar.clear()
        self.actions = {}
        for name, entries in _MENUS.items():
            menu = self._bar.addMenu(self._texts(f"menu.{name}"))
            for entry in entries:
                if entry is None:
                    menu.addSeparator()
                    continue
                if entry.startswith("menu."):
                    words = self._texts(entry)
                else:
                    # The key is only shown: the window's own shortcuts do the work.
                    words = f"{self._texts(f'keys.{entry}')}\t{self._key_of(entry)}"
                action = menu.addAction(words)
                action.triggered.connect(lambda _=False, entry=entry: self._do(entry))
                self.actions[entry] = action
            menu.aboutToShow.connect(self._enable)

    def _enable(self) -> None:
        self.actions["undo"].setEnabled(self._desk.can_undo)
        self.actions["redo"].setEnabled(self._desk.can_redo)
