"""Buttons of a running session, the note field, and the marks that were set."""

from __future__ import annotations

from datetime import datetime, timedelta

from PyQt5.QtCore import Qt, pyqtSignal
from PyQt5.QtGui import QFocusEvent, QKeyEvent
from PyQt5.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from collection.console import messages
from collection.console.keys import label_with_key
from collection.console.model import LINKS, MARKS, NOTICE, ConsoleModel
from collection.console.views import theme
from collection.protocol.operator import CommandName
from data_schema.clocks import host_ns

#: Buttons from left to right.
_BUTTONS = (
    ("mark", CommandName.MARK), ("pause", CommandName.PAUSE), ("go_on", CommandName.GO_ON), ("skip", CommandName.SKIP),
    ("recheck", CommandName.RECHECK), ("recalibrate", CommandName.RECALIBRATE), ("stop", CommandName.STOP),
)  # fmt: skip
_PER_ROW = 7
_MARKS_SHOWN = 4
#: Longest note: /events/markers keeps 256 bytes.
NOTE_CHARACTERS = 240


#: How the note field may come to the keyboard: N, a click, and the end of its own menu.
_ASKED_FOR = (Qt.ShortcutFocusReason, Qt.MouseFocusReason, Qt.PopupFocusReason, Qt.MenuBarFocusReason)


class NoteField(QLineEdit):
    """A line that gives the keys back on Escape."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave on Escape."""
        if event.key() == Qt.Key_Escape:
            self.give_back()
            return
        super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Start with what is there selected."""
        super().focusInEvent(event)
        self.selectAll()

    def give_back(self) -> None:
        """Leave the keyboard to the window, whose keys are the session's commands."""
        # Cleared first: else the page remembers this line and gives it the keyboard when it is shown again.
        self.clearFocus()
        window = self.window()
        if window is not None:
            window.setFocus(Qt.OtherFocusReason)


class SessionNoteField(NoteField):
    """The note of a running session: it has the keyboard only if the operator gave it.

    Qt gives the keyboard to a line whenever a window or a page comes to the front;
    then the keys that mark, skip or stop would be letters of a note.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.ClickFocus)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Refuse a keyboard that was not asked for; what was typed stays."""
        if event.reason() not in _ASKED_FOR:
            self.give_back()
            return
        super().focusInEvent(event)


class Controls(QWidget):
    """Forward what the operator wants; the window asks back where that is needed."""

    wanted = pyqtSignal(str)

    def __init__(self, model: ConsoleModel) -> None:
        super().__init__()
        self._model = model
        self.buttons: dict[str, QPushButton] = {}
        grid = QGridLayout()
        grid.setSpacing(6)
        for place, (action, _) in enumerate(_BUTTONS):
            button = QPushButton(label_with_key(action))
            button.setFocusPolicy(Qt.NoFocus)
            button.setObjectName({"stop": "stop", "go_on": "go"}.get(action, ""))
            button.clicked.connect(lambda _=False, action=action: self.wanted.emit(action))
            self.buttons[action] = button
            grid.addWidget(button, place // _PER_ROW, place % _PER_ROW)
        self.note = SessionNoteField()
        self.note.setPlaceholderText(
            "Note (N): write, then Enter. It is stored with the time at which you press Enter."
        )
        self.note.setMaxLength(NOTE_CHARACTERS)
        self.note.returnPressed.connect(self._send_note)
        self.notice = theme.label("", "bad")
        row = QHBoxLayout()
        row.addWidget(self.note, 1)
        row.addWidget(self.notice)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(grid)
        column.addLayout(row)
        for topic in (messages.PROGRESS, messages.ENDED, LINKS):
            model.subscribe(topic, self.refresh)
        model.subscribe(NOTICE, lambda: self.notice.setText(model.notice))
        self.refresh()

    def refresh(self) -> None:
        """Offer what is possible now."""
        for action, name in _BUTTONS:
            self.buttons[action].setEnabled(self._model.can(name))
        self.note.setEnabled(self._model.can(CommandName.NOTE))

    def focus_note(self) -> None:
        """Put the cursor into the note field."""
        self.note.setFocus(Qt.ShortcutFocusReason)

    def _send_note(self) -> None:
        text = self.note.text().strip()
        if not text:
            self.note.give_back()
        elif self._model.command(CommandName.NOTE, text):
            self.note.clear()
            self.note.give_back()


def local_time(t_us: int) -> str:
    """Return a moment of the host clock as the operator's watch shows it, such as 14:03:59."""
    ago = timedelta(microseconds=host_ns() // 1000 - t_us)
    return (datetime.now() - ago).strftime("%H:%M:%S")


class MarksView(QWidget):
    """The newest marks and notes; a tick where the recorder has them."""

    def __init__(self, model: ConsoleModel) -> None:
        super().__init__()
        self._model = model
        self._lines: list[QLabel] = [theme.label("", "dim") for _ in range(_MARKS_SHOWN)]
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(1)
        for line in self._lines:
            column.addWidget(line)
        model.subscribe(MARKS, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Read the model."""
        marks = self._model.marks
        newest = list(enumerate(marks, start=1))[-_MARKS_SHOWN:]
        texts = [
            f"{'✓' if mark.stored else '…'} {number}  {local_time(mark.t_us)}  {mark.text or 'mark'}"
            for number, mark in reversed(newest)
        ] or ["no marks yet"]  # fmt: skip
        for line, text in zip(self._lines, texts + [""] * _MARKS_SHOWN, strict=False):
            line.setText(line.fontMetrics().elidedText(text, Qt.ElideRight, max(200, self.width() - 8)))
