"""The menu: everything that the keys do, for those who look for it, with the key beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from qtpy.QtWidgets import QMenuBar

from annotation.texts import Texts

#: Menus and what stands in them; None is a line.
Plan = Mapping[str, tuple[str | None, ...]]
ANNOTATING: Plan = {
    "clip": ("next", "previous", "next.open", "menu.goto", None, "commit", "skip", "comment", "flag", None, "undo",
             "redo", None, "break", "quit"),
    "view": ("theme", "language", "fullscreen", None, "settings"),
    "help": ("keys", "help", "menu.tour"),
}  # fmt: skip
ADJUDICATING: Plan = {
    "clip": ("next", "previous", "next.open", None, "commit", "comment", "field.clear", None, "quit"),
    "view": ("theme", "language", "fullscreen", None, "settings"),
    "help": ("keys",),
}


class Undoing(Protocol):
    """What can take a step back."""

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        ...

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back."""
        ...


class Menus:
    """Fill a menu bar.

    Parameters
    ----------
    bar : QMenuBar
    texts : Texts
    do : callable
        Carries out an action of `annotation.keys`, or ``menu.goto`` and ``menu.tour``.
    key_of : callable
        Returns the key of an action, as it is written on a keyboard.
    plan : mapping
        Menus and their actions: `ANNOTATING` or `ADJUDICATING`.
    desk : Undoing, optional
        Where steps can be taken back.
    words : mapping, optional
        Texts of actions that mean something of their own in this window.
    """

    def __init__(
        self,
        bar: QMenuBar,
        texts: Texts,
        do: Callable[[str], object],
        key_of: Callable[[str], str],
        plan: Plan,
        desk: Undoing | None = None,
        words: Mapping[str, str] | None = None,
    ) -> None:
        self._bar, self._texts, self._do, self._key_of = bar, texts, do, key_of
        self._plan, self._desk, self._words = plan, desk, words or {}
        self.fill()

    def fill(self) -> None:
        """Write the menus in the language of the window."""
        self._bar.clear()
        self.actions = {}
        for name, entries in self._plan.items():
            menu = self._bar.addMenu(self._texts(f"menu.{name}"))
            for entry in entries:
                if entry is None:
                    menu.addSeparator()
                    continue
                if entry.startswith("menu."):
                    words = self._texts(entry)
                else:
                    # The key is only shown: the window's own shortcuts do the work.
                    said = self._texts(self._words.get(entry, f"keys.{entry}"))
                    words = f"{said}\t{self._key_of(entry)}"
                action = menu.addAction(words)
                action.triggered.connect(lambda _=False, entry=entry: self._do(entry))
                self.actions[entry] = action
            menu.aboutToShow.connect(self._enable)

    def _enable(self) -> None:
        if self._desk is None:
            return
        self.actions["undo"].setEnabled(self._desk.can_undo)
        self.actions["redo"].setEnabled(self._desk.can_redo)
