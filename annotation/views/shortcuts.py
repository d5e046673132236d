"""The keys of the window: made from the annotator's keymap, resting while something else needs the keyboard."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import QShortcut, QWidget

from annotation.keymap import Keymap
from annotation.keys import KEYS, WINDOW

#: Held down, these go on; any other key would label twenty clips.
_REPEATING = ("step.back", "step.forward", "scrub.back", "scrub.forward", "scale.up", "scale.down")
_SHOWN = {
    "Return": "Enter", "Left": "←", "Right": "→", "Up": "↑", "Down": "↓", "Delete": "Del", "PgDown": "PgDn",
}  # fmt: skip


def shown_key(sequence: str) -> str:
    """Return a key as it is written on a keyboard."""
    head, plus, last = sequence.rpartition("+")
    if not last:  # the key is "+" itself
        return sequence
    return f"{head}{plus}{_SHOWN.get(last, last)}"


def pressed_sequence(event: QKeyEvent) -> str:
    """Return what was pressed as the keymap writes it; empty for a modifier alone."""
    key = event.key()
    if key in (Qt.Key.Key_Control, Qt.Key.Key_Shift, Qt.Key.Key_Alt, Qt.Key.Key_Meta, Qt.Key.Key_AltGr, 0):
        return ""
    modifiers = event.modifiers()
    words = [
        name
        for name, flag in (
            ("Meta", Qt.KeyboardModifier.MetaModifier), ("Ctrl", Qt.KeyboardModifier.ControlModifier),
            ("Alt", Qt.KeyboardModifier.AltModifier), ("Shift", Qt.KeyboardModifier.ShiftModifier),
        )
        if modifiers & flag
    ]  # fmt: skip
    name = "Tab" if key == Qt.Key.Key_Backtab else QKeySequence(key).toString(QKeySequence.SequenceFormat.PortableText)
    # A sign that needs Shift on this keyboard is written without it, as "?" is.
    if len(name) == 1 and not name.isalnum() and "Shift" in words:
        words.remove("Shift")
    return "+".join([*words, name])


class Shortcuts:
    """Turn keys into actions.

    Parameters
    ----------
    window : QWidget
        In which the keys work.
    keymap : Keymap
    do : callable
        Carries out an action of `annotation.keys`.
    """

    def __init__(self, window: QWidget, keymap: Keymap, do: Callable[[str], object]) -> None:
        self._window, self._keymap, self._do = window, keymap, do
        self._made: list[tuple[str, QShortcut]] = []
        self._groups = {key.action: key.group for key in KEYS}
        self._awake: str = "all"
        self.rebuild()

    def rebuild(self) -> None:
        """Make them anew from the keymap."""
        for _, shortcut in self._made:
            shortcut.setEnabled(False)
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._made = []
        for key in KEYS:
            for sequence in self._keymap.sequences(key.action):
                shortcut = QShortcut(QKeySequence(sequence), self._window)
                shortcut.setAutoRepeat(key.action in _REPEATING)
                shortcut.activated.connect(lambda action=key.action: self._do(action))
                self._made.append((key.action, shortcut))
        self.wake(self._awake)

    def wake(self, which: str) -> None:
        """Say which keys work: ``all``, those of the ``window`` alone (while text is typed), or ``none``."""
        self._awake = which
        for action, shortcut in self._made:
            in_window = self._groups[action] == WINDOW
            shortcut.setEnabled(which == "all" or (which == "window" and in_window))

    def key_of(self, action: str) -> str:
        """Return the first key of an action, as it is written on a keyboard."""
        return shown_key(self._keymap.sequences(action)[0])

    def keys_of(self, action: str) -> tuple[str, ...]:
        """Return all keys of an action, each once."""
        return tuple(dict.fromkeys(shown_key(one) for one in self._keymap.sequences(action)))
