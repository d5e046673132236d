"""One field of the label: its name, its question, its answers, and a frame that shows where the focus is."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QRectF, Qt
from qtpy.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QButtonGroup, QFrame, QGridLayout, QHBoxLayout, QVBoxLayout

from annotation.desk.desk import Desk
from annotation.texts import Texts
from annotation.views.affect_pad import AffectPad
from annotation.views.option_button import OptionButton
from annotation.views.theme import Theme, label


class FieldFrame(QFrame):
    """A field, or two that share one answer; the one in focus has a thick frame and a bar at its left.

    Parameters
    ----------
    desk : Desk
    texts : Texts
    theme : Theme
    fields : tuple of str
        Which of the desk's fields it answers.
    """

    def __init__(self, desk: Desk, texts: Texts, theme: Theme, fields: tuple[str, ...]) -> None:
        super().__init__()
        self.desk, self.texts, self.theme, self.fields = desk, texts, theme, fields
        self.name = label("", "strong")
        self.question = label("", "small", elide=True)
        self.state = label("", "small")
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.name)
        head.addWidget(self.question, 1)
        head.addWidget(self.state)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(11, 3, 6, 5)
        self.column.setSpacing(3)
        self.column.addLayout(head)

    @property
    def is_focused(self) -> bool:
        """Whether digits go here."""
        return self.desk.focus in self.fields

    def refresh(self) -> None:
        """Read the desk."""
        required = self.desk.source.rules.required
        lacks = any(name in required and getattr(self.desk.draft, name) is None for name in self.fields)
        skipped = self.desk.draft.skip_reason is not None
        self.state.setText(self.texts("panel.required") if lacks and not skipped else "")
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take the focus."""
        self.desk.focus_on(self.fields[0])

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the frame of the field in focus."""
        super().paintEvent(event)
        if not self.is_focused:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self.theme.colour("focus"), 2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 5, 5)
        painter.fillRect(QRectF(1, 4, 5, self.height() - 8), self.theme.colour("focus"))
        painter.end()


class ChoiceRow(FieldFrame):
    """A field that is answered by one of a few words.

    Parameters
    ----------
    section : str
        Section of the texts that names the answers, by word or by digit.
    columns : int
        Answers beside each other.
    stacked : bool
        Digits above the words.
    """

    def __init__(
        self, desk: Desk, texts: Texts, theme: Theme, field: str, section: str, columns: int, *, stacked: bool = False
    ) -> None:
        super().__init__(desk, texts, theme, (field,))
        self.field, self._section = field, section
        self.buttons: list[OptionButton] = []
        grid = QGridLayout()
        grid.setSpacing(4)
        group = QButtonGroup(self)
        group.setExclusive(False)
        options = desk.options(field)
        n_rows = -(-len(options) // columns)
        for place, option in enumerate(options):
            button = OptionButton(theme, str(option.digit), option.value, stacked=stacked, parent=self)
            button.clicked.connect(lambda _=False, value=option.value: desk.set(field, value))
            # Down first, as digits are read in a list.
            grid.addWidget(button, place % n_rows, place // n_rows)
            self.buttons.append(button)
            group.addButton(button)
        self.column.addLayout(grid)

    def word(self, button: OptionButton) -> str:
        """Return an answer in the language of the window."""
        word = button.value if isinstance(button.value, str) else button.digit
        return self.texts(f"{self._section}.{word}")

    def refresh(self) -> None:
        """Read the desk."""
        super().refresh()
        self.name.setText(self.texts(f"fields.{self.field}"))
        key = f"emotion_{self.desk.task}" if self.field == "emotion" else self.field
        self.question.setText(self.texts(f"questions.{key}"))
        draft = self.desk.draft
        held = getattr(draft, self.field)
        suggested = self.field == "polarity" and draft.polarity_suggested
        for button in self.buttons:
            button.show_as(self.word(button), chosen=held is not None and held == button.value, suggested=suggested)
        if suggested and held is not None:
            self.state.setText(self.texts("panel.suggested"))
        elif isinstance(held, float) and not any(button.isChecked() for button in self.buttons):
            self.state.setText(f"{held:g}")


class AffectRow(FieldFrame):
    """Valence and arousal: the pad and what it says."""

    def __init__(self, desk: Desk, texts: Texts, theme: Theme) -> None:
        super().__init__(desk, texts, theme, ("valence", "arousal"))
        self.pad = AffectPad(desk, texts, theme)
        self.column.addWidget(self.pad, 1)

    def refresh(self) -> None:
        """Read the desk."""
        super().refresh()
        draft, texts = self.desk.draft, self.texts
        if self.desk.focus in self.fields:
            self.name.setText(texts(f"fields.{self.desk.focus}"))
            self.question.setText(texts(f"questions.{self.desk.focus}"))
        else:
            self.name.setText(f"{texts('fields.valence')} · {texts('fields.arousal')}")
            self.question.setText("")
        if draft.valence is not None or draft.arousal is not None:
            missing = texts("pad.value_missing")
            shown = [missing if value is None else f"{value:+.2f}" for value in (draft.valence, draft.arousal)]
            self.state.setText("  ".join(shown))
        self.pad.update()

    def changeEvent(self, event: QEvent) -> None:
        """Ask for more room when letters grow."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self.pad.updateGeometry()
