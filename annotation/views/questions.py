"""Small questions over the window: why a clip is skipped, a comment, which clip to go to."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QIntValidator, QKeyEvent
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QPlainTextEdit, QPushButton, QWidget

from annotation.texts import Texts
from annotation.views.option_button import OptionButton
from annotation.views.overlay import Overlay
from annotation.views.theme import Theme, label
from data_schema.labels.checks import MAX_COMMENT_CHARACTERS
from data_schema.vocabularies import SKIP_REASONS


class SkipQuestion(Overlay):
    """Ask why the clip cannot be judged; a digit or a click answers."""

    answered = Signal(str)

    def __init__(self, parent: QWidget, texts: Texts, theme: Theme) -> None:
        super().__init__(parent, texts, theme)
        self.words = label("", "dim")
        self.column.addWidget(self.words)
        self.buttons: list[OptionButton] = []
        for number, reason in enumerate(SKIP_REASONS, start=1):
            button = OptionButton(theme, str(number), reason)
            button.clicked.connect(lambda _=False, reason=reason: self._answer(reason))
            self.column.addWidget(button)
            self.buttons.append(button)
        self.cancel = QPushButton()
        self.cancel.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.cancel.clicked.connect(self.shut)
        self.column.addWidget(self.cancel)

    def ask(self, now: str | None) -> None:
        """Open it; `now` is the reason that holds already."""
        self.title.setText(self.texts("skip.title"))
        self.words.setText(self.texts("skip.text"))
        self.cancel.setText(f"{self.texts('skip.cancel')}  Esc")
        for button in self.buttons:
            button.show_as(self.texts(f"skip_reasons.{button.value}"), chosen=button.value == now)
        self.open()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Take a digit."""
        number = event.key() - Qt.Key.Key_0
        if 1 <= number <= len(self.buttons) and not event.isAutoRepeat():
            self._answer(str(self.buttons[number - 1].value))
            return
        super().keyPressEvent(event)

    def _answer(self, reason: str) -> None:
        self.shut()
        self.answered.emit(reason)


class _CommentField(QPlainTextEdit):
    """A field of several lines in which Enter saves, as everywhere else, Shift+Enter begins a line, and Tab moves on."""

    finished = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Save on Enter; an Enter that is held down saves once."""
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if is_enter and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            if event.isAutoRepeat():
                return
            self.finished.emit()
            return
        super().keyPressEvent(event)


class CommentQuestion(Overlay):
    """Let the annotator write a comment."""

    answered = Signal(str)

    def __init__(self, parent: QWidget, texts: Texts, theme: Theme) -> None:
        super().__init__(parent, texts, theme)
        self.words = label("", "dim", wrap=True)
        self.field = _CommentField()
        self.field.setTabChangesFocus(True)
        self.field.finished.connect(self._answer)
        self.field.textChanged.connect(self._check)
        self.problem = label("", "bad")
        self.hint = label("", "small")
        self.save, self.cancel = QPushButton(), QPushButton()
        self.save.setObjectName("go")
        self.save.clicked.connect(self._answer)
        self.cancel.clicked.connect(self.shut)
        row = QHBoxLayout()
        row.addWidget(self.hint)
        row.addWidget(self.problem)
        row.addStretch(1)
        row.addWidget(self.cancel)
        row.addWidget(self.save)
        self.column.addWidget(self.words)
        self.column.addWidget(self.field)
        self.column.addLayout(row)

    def first_focus(self) -> QWidget:
        """Write at once."""
        return self.field

    def ask(self, now: str) -> None:
        """Open it with the comment that holds."""
        self.title.setText(self.texts("comment.title"))
        self.words.setText(self.texts("comment.text"))
        self.hint.setText(self.texts("comment.hint"))
        self.save.setText(self.texts("comment.save"))
        self.cancel.setText(f"{self.texts('comment.cancel')}  Esc")
        px = self.theme.px
        self.field.setMinimumSize(38 * px, 8 * px)
        self.field.setPlainText(now)
        self.field.selectAll()
        self.open()

    def _check(self) -> None:
        n = len(self.field.toPlainText())
        too_long = n > MAX_COMMENT_CHARACTERS
        self.problem.setText(self.texts("comment.too_long", n=n, limit=MAX_COMMENT_CHARACTERS) if too_long else "")
        self.save.setEnabled(not too_long)

    def _answer(self) -> None:
        if self.save.isEnabled():
            self.shut()
            self.answered.emit(self.field.toPlainText().strip())


class GotoQuestion(Overlay):
    """Ask for the number of a clip."""

    answered = Signal(int)

    def __init__(self, parent: QWidget, texts: Texts, theme: Theme) -> None:
        super().__init__(parent, texts, theme)
        self.words = label("", "dim")
        self.field = QLineEdit()
        self.field.returnPressed.connect(self._answer)
        self.go, self.cancel = QPushButton(), QPushButton()
        self.go.setObjectName("go")
        self.go.clicked.connect(self._answer)
        self.cancel.clicked.connect(self.shut)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.cancel)
        row.addWidget(self.go)
        self.column.addWidget(self.words)
        self.column.addWidget(self.field)
        self.column.addLayout(row)

    def first_focus(self) -> QWidget:
        """Type at once."""
        return self.field

    def ask(self, now: int, n_all: int) -> None:
        """Open it; `now` is the clip on the desk, from 1."""
        self.title.setText(self.texts("goto.title"))
        self.words.setText(self.texts("goto.text", all=n_all))
        self.go.setText(self.texts("goto.go"))
        self.cancel.setText(f"{self.texts('goto.cancel')}  Esc")
        self.field.setValidator(QIntValidator(1, max(1, n_all), self.field))
        self.field.setText(str(now))
        self.field.selectAll()
        self.open()

    def _answer(self) -> None:
        if self.field.hasAcceptableInput():
            self.shut()
            self.answered.emit(int(self.field.text()))
