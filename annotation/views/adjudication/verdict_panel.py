"""The decision: what it says, why, and whether it is saved."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QDoubleSpinBox, QFrame, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout

from annotation.adjudication.desk import AdjudicationDesk
from annotation.agreement.ratings import SCALES_OF
from annotation.desk.state import DRAFT, ITEM, NOTICE, PROGRESS, SAVING, Saving
from annotation.texts import Texts
from annotation.views.label_panel import plain_button
from annotation.views.option_button import OptionButton
from annotation.views.theme import Theme, label
from data_schema.labels.decisions import DECIDED_FIELDS

_STEP = 0.05
_REASONS = ("majority", "minority", "evidence", "best")


class ReasonLine(QLineEdit):
    """The reason; Esc gives the keyboard back to the clip."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave on Esc."""
        if event.key() == Qt.Key.Key_Escape:
            self.clearFocus()
            return
        super().keyPressEvent(event)


class VerdictPanel(QFrame):
    """Form of a decision.

    Parameters
    ----------
    desk : AdjudicationDesk
    texts : Texts
    theme : Theme
    key_of : callable
        Returns the key of an action, as it is written on a keyboard.
    typing : callable
        Told True when text is typed and False when it is not, so that letters are no commands.
    """

    def __init__(
        self,
        desk: AdjudicationDesk,
        texts: Texts,
        theme: Theme,
        key_of: Callable[[str], str],
        typing: Callable[[bool], None],
    ) -> None:
        super().__init__()
        self.setObjectName("panel")
        self._desk, self._texts, self._theme, self._key_of, self._typing = desk, texts, theme, key_of, typing
        self.options: dict[tuple[str, str], OptionButton] = {}
        self.scales: dict[str, QDoubleSpinBox] = {}
        self.reason = ReasonLine()
        self.reason.textEdited.connect(desk.set_reason)
        self.reason.returnPressed.connect(desk.decide)
        self.reason.installEventFilter(self)
        self.standing = label("", "dim", wrap=True)
        self.message = label("", "warn", wrap=True)
        self._written: list[tuple[QLabel | QPushButton, Callable[[], str]]] = []
        self._own = ""
        self.decide = self._button("decide", desk.decide, "commit", "go")
        self.withdraw = self._button("withdraw", desk.withdraw)
        self.clear = self._button("clear", desk.clear)
        self.retry = self._button("retry", desk.retry)
        self._lay_out()
        for topic in (DRAFT, ITEM, NOTICE, SAVING, PROGRESS):
            desk.subscribe(topic, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Read the desk."""
        desk, texts, verdict = self._desk, self._texts, self._desk.verdict
        for widget, words_of in self._written:
            widget.setText(words_of())
        self.reason.setPlaceholderText(texts("adjudicate.reason_hint"))
        for (field, word), button in self.options.items():
            chosen = getattr(verdict, field) == word
            is_suggested = field == "polarity" and chosen and verdict.polarity_suggested
            button.show_as(texts(f"{_SECTION[field]}.{word}"), chosen=chosen, suggested=is_suggested)
        for name, box in self.scales.items():
            value = getattr(verdict, name)
            box.blockSignals(True)
            box.setSpecialValueText(texts("adjudicate.open"))
            box.setValue(box.minimum() if value is None else value)
            box.blockSignals(False)
        if self.reason.text() != verdict.reason:
            self.reason.setText(verdict.reason)
        decision = desk.decision
        words = (
            []
            if decision is None
            else [str(getattr(decision, n)) for n in DECIDED_FIELDS if getattr(decision, n) is not None]
        )
        self.standing.setText(
            texts("adjudicate.undecided") if decision is None else texts("adjudicate.yours", words=", ".join(words))
        )
        self.standing.setObjectName("dim" if decision is None else "good")
        self.standing.style().polish(self.standing)
        self.withdraw.setEnabled(decision is not None)
        self.retry.setVisible(desk.saving is Saving.FAILED)
        notice = desk.notice
        said = "" if notice is None else f"{texts(f'adjudicate.{notice.text_id}')} {notice.detail}".strip()
        written = "  ".join(one for one in (self._own, said) if one)
        self.message.setText(written)
        self.message.setVisible(bool(written))

    def say(self, words: str) -> None:
        """Say something that the desk does not know of."""
        self._own = words
        self.refresh()

    def _label(self, words: Callable[[], str], name: str, *, wrap: bool = False) -> QLabel:
        """Return a label that follows the language and the keys."""
        made = label("", name, wrap=wrap)
        self._written.append((made, words))
        return made

    def focus_reason(self) -> None:
        """Give the keyboard to the reason."""
        self.reason.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Tell whether text is typed."""
        if event.type() == QEvent.Type.FocusIn:
            self._typing(True)
        elif event.type() == QEvent.Type.FocusOut:
            self._typing(False)
        return super().eventFilter(watched, event)

    def _lay_out(self) -> None:
        texts, px = self._texts, self._theme.px
        layout = QVBoxLayout(self)
        layout.addWidget(self._label(lambda: texts("adjudicate.verdict"), "big"))
        layout.addWidget(self._label(lambda: texts("adjudicate.verdict_note"), "small", wrap=True))
        grid = QGridLayout()
        grid.setSpacing(px // 3)
        for place, word in enumerate(self._desk.source.labels.emotions):
            grid.addWidget(self._option("emotion", word, str(place + 1)), place // 2, place % 2)
        layout.addLayout(grid)
        row = QHBoxLayout()
        for word in self._desk.source.labels.polarities:
            row.addWidget(self._option("polarity", word, ""))
        layout.addLayout(row)
        numbers = QGridLayout()
        for place, scale in enumerate(SCALES_OF[self._desk.task]):
            numbers.addWidget(self._label(lambda name=scale.name: texts(f"fields.{name}"), "dim"), place, 0)
            numbers.addWidget(self._scale(scale.name, scale.low, scale.high), place, 1)
        layout.addLayout(numbers)
        layout.addWidget(self._label(lambda: f"{texts('adjudicate.reason')}  {self._key_of('comment')}", "strong"))
        layout.addWidget(self.reason)
        chips = QGridLayout()
        for place, name in enumerate(_REASONS):
            chip = plain_button()
            self._written.append((chip, lambda name=name: texts(f"adjudicate.reason_{name}")))
            chip.clicked.connect(lambda _=False, chip=chip: self._desk.set_reason(chip.text()))
            chips.addWidget(chip, place // 2, place % 2)
        layout.addLayout(chips)
        layout.addWidget(self.standing)
        layout.addWidget(self.message)
        layout.addWidget(self.retry)
        layout.addStretch(1)
        layout.addWidget(self.decide)
        last = QHBoxLayout()
        last.addWidget(self.withdraw)
        last.addWidget(self.clear)
        layout.addLayout(last)

    def _option(self, field: str, word: str, digit: str) -> OptionButton:
        button = OptionButton(self._theme, digit, word)
        button.clicked.connect(lambda: self._desk.set(field, word))
        self.options[field, word] = button
        return button

    def _scale(self, name: str, low: float, high: float) -> QDoubleSpinBox:
        box = QDoubleSpinBox()
        # One step below the scale stands for nothing said.
        box.setRange(low - _STEP, high)
        box.setSingleStep(_STEP)
        box.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        box.installEventFilter(self)
        box.valueChanged.connect(lambda value: self._desk.set(name, None if value < low else round(value, 2)))
        self.scales[name] = box
        return box

    def _button(self, name: str, act: Callable[[], object], action: str = "", look: str = "") -> QPushButton:
        button = plain_button(name=look)
        key: Callable[[], str] = (lambda: f"  {self._key_of(action)}") if action else str
        self._written.append((button, lambda: self._texts(f"adjudicate.{name}") + key()))
        button.clicked.connect(lambda: act())
        return button


_SECTION = {"emotion": "emotions", "polarity": "polarities"}
