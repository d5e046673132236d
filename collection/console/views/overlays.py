"""What lies over the whole window: a question back, and the sheet of keys. No dialog ever stops the window."""

from __future__ import annotations

from collections.abc import Callable

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from collection.console.keys import KEYS
from collection.console.views import theme
from collection.console.views.controls import NoteField


class _Overlay(QWidget):
    """A dark sheet over its parent with a box in the middle."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WA_StyledBackground)
        self.setObjectName("overlay")
        self.setStyleSheet("QWidget#overlay { background: rgba(5, 6, 8, 215); }")
        self.box = QFrame()
        self.box.setObjectName("panel")
        self.column = QVBoxLayout(self.box)
        self.column.setContentsMargins(28, 20, 28, 20)
        self.column.setSpacing(10)
        middle = QVBoxLayout(self)
        middle.addStretch(1)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.box, 8)
        row.addStretch(1)
        middle.addLayout(row)
        middle.addStretch(1)
        self.hide()

    def cover(self) -> None:
        """Lie over the whole parent, on top."""
        parent = self.parentWidget()
        if parent is not None:
            self.setGeometry(parent.rect())
        self.show()
        self.raise_()


class Confirm(_Overlay):
    """Ask back, once or several times; only then do it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._then: Callable[[str], object] | None = None
        self._texts: list[str] = []
        self._needs_reason = False
        self.text = theme.label("", "title", wrap=True)
        self.hint = theme.label("", "dim", wrap=True)
        self.reason = NoteField()
        self.reason.setPlaceholderText("Reason (optional), then Enter")
        self.reason.setMaxLength(240)
        self.reason.returnPressed.connect(self.yes)
        self.yes_button, self.no_button = QPushButton("Yes (Y)"), QPushButton("No (Escape)")
        self.yes_button.setObjectName("stop")
        self.yes_button.clicked.connect(self.yes)
        self.no_button.clicked.connect(self.no)
        row = QHBoxLayout()
        row.addWidget(self.yes_button)
        row.addWidget(self.no_button)
        row.addStretch(1)
        for widget in (self.text, self.reason, self.hint):
            self.column.addWidget(widget)
        self.column.addLayout(row)

    def ask(self, texts: list[str], then: Callable[[str], object], *, reason: bool = False) -> None:
        """Ask each text in turn; `then` gets the reason once all were answered with yes.

        `reason` asks for a reason at the last text, which Enter sends.
        """
        self._texts, self._then, self._needs_reason = list(texts), then, reason
        self.reason.clear()
        self._next()

    @property
    def asking(self) -> bool:
        """True while a question is open."""
        return self._then is not None

    def yes(self) -> None:
        """Go on with the next text, or do it."""
        if self._texts:
            self._next()
            return
        then, reason = self._then, self.reason.text().strip()
        self.no()
        if then is not None:
            then(reason)

    def no(self) -> None:
        """Let it be."""
        self._then, self._texts = None, []
        self.reason.clearFocus()
        self.hide()

    def _next(self) -> None:
        self.text.setText(self._texts.pop(0))
        with_reason = self._needs_reason and not self._texts
        self.reason.setVisible(with_reason)
        self.yes_button.setText("Yes (Enter)" if with_reason else "Yes (Y)")
        self.hint.setText(f"{len(self._texts)} more question after this one." if self._texts else "")
        self.cover()
        if with_reason:
            self.reason.setFocus(Qt.OtherFocusReason)


class KeySheet(_Overlay):
    """All keys, from their declaration."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.column.addWidget(theme.label("Keys", "title"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(20)
        grid.setVerticalSpacing(3)
        first = KEYS[0].group
        lines, heading = [0, 0], ["", ""]
        for key in KEYS:
            side = 0 if key.group == first else 1
            if heading[side] != key.group:
                heading[side] = key.group
                grid.addWidget(theme.label(key.group, "big"), lines[side], side * 2, 1, 2)
                lines[side] += 1
            shown = "1 to 9" if key.action == "choice" else " or ".join(key.sequences[:2])
            name = theme.label(shown.replace("Ctrl+Return or ", ""))
            name.setStyleSheet(f"color: {theme.WARN};")
            grid.addWidget(name, lines[side], side * 2, Qt.AlignTop)
            grid.addWidget(theme.label(key.help, "dim", wrap=True), lines[side], side * 2 + 1, Qt.AlignTop)
            grid.setColumnStretch(side * 2 + 1, 1)
            lines[side] += 1
        self.column.addLayout(grid)
        self.column.addWidget(theme.label("F1 or Escape closes this sheet.", "dim"))

    def toggle(self) -> None:
        """Show or hide it."""
        self.hide() if self.isVisible() else self.cover()
