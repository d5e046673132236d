"""The sheet of all keys, as this annotator has set them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QBoxLayout, QGridLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from annotation.keys import EYES, KEYS, LABEL, MOVE, PLAY, TRACE, WINDOW
from annotation.texts import Texts
from annotation.views.overlay import Overlay
from annotation.views.shortcuts import pressed_sequence, shown_key
from annotation.views.theme import Theme, label

#: Groups in each column of the sheet.
_COLUMNS = ((LABEL, TRACE), (PLAY,), (MOVE, EYES, WINDOW))
#: The words of every action.
_ALL = {key.action: "sheet.digits" if key.action.startswith("digit.") else f"keys.{key.action}" for key in KEYS}
#: Letters of an action's keys from which they stand below each other.
_LONG_KEYS = 12
#: Widest line of words, in heights of a letter: where the window has room, and where it has not.
_WIDE, _NARROW = 20, 11


class KeySheet(Overlay):
    """Show every action with its keys.

    Parameters
    ----------
    parent : QWidget
    texts : Texts
    theme : Theme
    keys_of : callable
        Returns all keys of an action.
    own : mapping, optional
        The actions that work in this window, each with the text that says what it does here; without it all of
        `annotation.keys`, in its words.
    more : mapping, optional
        Texts of further keys, which nobody can change, by key.
    """

    def __init__(
        self,
        parent: QWidget,
        texts: Texts,
        theme: Theme,
        keys_of: Callable[[str], tuple[str, ...]],
        own: Mapping[str, str] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(parent, texts, theme, (0.98, 0.97))
        self._keys_of = keys_of
        self._words = _ALL if own is None else own
        self._more = more or {}
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setObjectName("plain")
        self.area.viewport().setObjectName("plain")
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.hint = label("", "dim", wrap=True)
        self.column.addWidget(self.area, 1)
        self.column.addWidget(self.hint)

    def open(self) -> None:
        """Write the sheet anew, since keys and language change, and show it."""
        self.title.setText(self.texts("sheet.title"))
        settings = self._keys_of("settings")[0]
        self.hint.setText(self.texts("sheet.hint", key=self._keys_of("keys")[0], settings=settings))
        sheet = self._sheet(_WIDE * self.theme.px)
        if sheet.sizeHint().width() > self._room()[0]:
            sheet.deleteLater()
            sheet = self._sheet(_NARROW * self.theme.px)
        self.area.setWidget(sheet)
        # Qt fills it otherwise, in another colour than the panel.
        sheet.setAutoFillBackground(False)
        self.area.setMinimumSize(0, 0)
        super().open()

    def fit(self) -> None:
        """Take as much of the window as the sheet needs."""
        sheet = self.area.widget()
        if sheet is not None:
            room = self._room()
            width = min(sheet.sizeHint().width() + 14, room[0])
            need = sheet.layout().totalHeightForWidth(width - 14)
            self.area.setMinimumSize(width, min(need + 4, room[1]))
        super().fit()

    def _room(self) -> tuple[int, int]:
        """Return the largest size that the sheet can have in the window."""
        window = self.parentWidget()
        return (
            (int(window.width() * 0.98) - 46, int(window.height() * 0.97) - 110) if window is not None else (900, 600)
        )

    def _sheet(self, most: int) -> QWidget:
        """Return all groups in columns; words take `most` pixels of a line."""
        # In the window from the start: the style sheet says how large its letters are.
        sheet = QWidget(self.panel)
        sheet.setObjectName("plain")
        row = QHBoxLayout(sheet)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(28)
        for groups in _COLUMNS:
            column = QVBoxLayout()
            column.setSpacing(6)
            for group in groups:
                if not self._lines(group):
                    continue
                column.addWidget(label(self.texts(f"sheet.{group}"), "strong"))
                column.addLayout(self._rows(group, most))
            column.addStretch(1)
            row.addLayout(column, 1)
        sheet.ensurePolished()
        return sheet

    def _rows(self, group: str, most: int) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(1, 1)
        for place, (keys, words) in enumerate(self._lines(group)):
            # Long ones below each other: beside each other one pair would push all words of the column away.
            is_long = sum(len(one) for one in keys) > _LONG_KEYS
            cell: QBoxLayout = QVBoxLayout() if is_long and len(keys) < 4 else QHBoxLayout()
            cell.setSpacing(3)
            for one in keys:
                cell.addWidget(label(one, "key"), 0, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
            cell.addStretch(1)
            grid.addLayout(cell, place, 0)
            said = label(words, "", wrap=True)
            said.setMinimumWidth(min(self.fontMetrics().horizontalAdvance(words) + 4, most))
            grid.addWidget(said, place, 1, Qt.AlignmentFlag.AlignTop)
        return grid

    def _lines(self, group: str) -> list[tuple[tuple[str, ...], str]]:
        """Return the keys of a group and what they do; the digits stand in one line."""
        lines = []
        digits = [key.action for key in KEYS if key.action in self._words and key.action.startswith("digit.")]
        for key in KEYS:
            if key.group != group or key.action not in self._words or key.action in digits[1:]:
                continue
            keys = self._keys_of(key.action)
            if key.action in digits:
                numbers = [one.partition(".")[2] for one in digits]
                firsts = tuple(self._keys_of(one)[0] for one in digits)
                keys = (f"{numbers[0]}-{numbers[-1]}",) if list(firsts) == numbers else firsts
            lines.append((keys, self.texts(self._words[key.action])))
        if group == LABEL:
            lines += [((one,), self.texts(words)) for one, words in self._more.items()]
        return lines

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Close with the key that opened it, too; arrows move a sheet that is larger than the window."""
        bar = self.area.verticalScrollBar()
        moves = {Qt.Key.Key_Down: 60, Qt.Key.Key_Up: -60, Qt.Key.Key_PageDown: 400, Qt.Key.Key_PageUp: -400}
        if shown_key(pressed_sequence(event)) in self._keys_of("keys"):
            self.shut()
        elif event.key() in moves:
            bar.setValue(bar.value() + moves[event.key()])
        else:
            super().keyPressEvent(event)
