"""The open question: its text, its choices as buttons with digits, a reason where one is needed."""

from __future__ import annotations

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QGridLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from collection.console import messages
from collection.console.model import NOTICE, ConsoleModel
from collection.console.views import theme
from collection.console.views.controls import NoteField

_PER_ROW = 3
#: Reasons are stored in 256 bytes.
REASON_CHARACTERS = 240


class QuestionPanel(QWidget):
    """Show a question on whichever page it belongs to; invisible while there is none."""

    def __init__(self, model: ConsoleModel) -> None:
        super().__init__()
        self._model = model
        self._shown: str | None = None
        self._picked = ""
        self.buttons: dict[str, QPushButton] = {}
        self.text = theme.label("", "big", wrap=True)
        self.problem = theme.label("", "bad", wrap=True)
        self.reason = NoteField()
        self.reason.setMaxLength(REASON_CHARACTERS)
        self.reason.setPlaceholderText("Reason (stored with the session), then Enter")
        self.reason.returnPressed.connect(self._send_picked)
        self.send = QPushButton("Send (Enter)")
        self.send.setObjectName("go")
        self.send.setFocusPolicy(Qt.NoFocus)
        self.send.clicked.connect(self._send_picked)
        self._why = QWidget()
        row = QHBoxLayout(self._why)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.reason, 1)
        row.addWidget(self.send)
        self._grid = QGridLayout()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 0)
        for item in (self.text, self._grid, self._why, self.problem):
            column.addWidget(item) if isinstance(item, QWidget) else column.addLayout(item)
        for topic in (messages.QUESTION, messages.ENDED):
            model.subscribe(topic, self.refresh)
        model.subscribe(NOTICE, lambda: self.problem.setText(model.notice))
        self.refresh()

    def refresh(self) -> None:
        """Read the model; a question that is asked again keeps what was typed."""
        question = self._model.question
        self.setVisible(question is not None)
        if question is None:
            self._shown = None
            return
        self.text.setText(str(question["text"]))
        self.problem.setText(str(question.get("problem") or ""))
        identity = repr((question["number"], question["text"], question["choices"]))
        if identity != self._shown:
            self._shown = identity
            self._picked = ""
            self.reason.clear()
            self._why.hide()
            self._build([(str(word), str(label)) for word, label in question["choices"]])

    def _build(self, choices: list[tuple[str, str]]) -> None:
        for button in self.buttons.values():
            self._grid.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.buttons = {}
        for place, (word, label) in enumerate(choices):
            digit = f"{place + 1}   " if place < 9 else ""
            # An ampersand would become a shortcut of its own.
            button = QPushButton(f"{digit}{label}".replace("&", "&&"))
            button.setFocusPolicy(Qt.NoFocus)
            button.clicked.connect(lambda _=False, word=word: self.choose(word))
            self.buttons[word] = button
            self._grid.addWidget(button, place // _PER_ROW, place % _PER_ROW)

    def choose_number(self, number: int) -> None:
        """Take the choice with this number, from 1."""
        words = list(self.buttons)
        if self._model.question is not None and 1 <= number <= len(words):
            self.choose(words[number - 1])

    def choose(self, word: str) -> None:
        """Take a choice; ask for the reason first where one is needed."""
        question = self._model.question
        if question is None:
            return
        if word in (question.get("reason_for") or ()):
            self._picked = word
            for other, button in self.buttons.items():
                button.setStyleSheet(f"border: 2px solid {theme.WARN};" if other == word else "")
            self.problem.setText("Say why; the reason is stored with the session.")
            self._why.show()
            self.reason.setFocus(Qt.OtherFocusReason)
            return
        self._model.answer(word)

    def _send_picked(self) -> None:
        if self._picked:
            self._model.answer(self._picked, self.reason.text())
