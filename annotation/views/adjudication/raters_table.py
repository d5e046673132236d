"""What the raters said, side by side under neutral names."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QPushButton, QScrollArea, QVBoxLayout, QWidget

from annotation.adjudication.cases import Said
from annotation.adjudication.desk import AdjudicationDesk
from annotation.desk.state import ITEM
from annotation.texts import Texts
from annotation.views.theme import Theme, label
from data_schema.vocabularies import AnnotatorKind


class RatersTable(QFrame):
    """One row a rater, below what they say together. What differs from it is bold and has a dot.

    Parameters
    ----------
    desk : AdjudicationDesk
    texts : Texts
    theme : Theme
    """

    def __init__(self, desk: AdjudicationDesk, texts: Texts, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("panel")
        self._desk, self._texts, self._theme = desk, texts, theme
        self.fields = ("emotion", "polarity", "valence", "arousal") + (("intensity",) if desk.task == "fer" else ())
        self.buttons: list[QPushButton] = []
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        layout = QVBoxLayout(self)
        head = QHBoxLayout()
        self._head, self._note = label("", "big"), label("", "small")
        head.addWidget(self._head)
        head.addWidget(self._note)
        head.addStretch(1)
        layout.addLayout(head)
        layout.addWidget(self._area, 1)
        desk.subscribe(ITEM, self.refresh)
        self.refresh()

    def sizeHint(self) -> QSize:
        """Ask for room for all raters."""
        inner = self._area.widget()
        return QSize(600, (inner.sizeHint().height() if inner is not None else 0) + 5 * self._theme.px)

    def refresh(self) -> None:
        """Show the case on the desk."""
        self._head.setText(self._texts("adjudicate.raters"))
        self._note.setText(self._texts("adjudicate.neutral"))
        # Five raters without scrolling.
        self.setMinimumHeight(round(13 * self._theme.px))
        inner = QWidget()
        inner.setObjectName("panel")
        grid = QGridLayout(inner)
        grid.setHorizontalSpacing(round(1.6 * self._theme.px))
        grid.setVerticalSpacing(self._theme.px // 3)
        grid.setAlignment(Qt.AlignmentFlag.AlignTop)
        for column, name in enumerate((*self.fields, "confidence"), start=1):
            grid.addWidget(label(self._texts(f"fields.{name}"), "dim"), 0, column)
        grid.addWidget(label(self._texts("adjudicate.together"), "strong"), 1, 0)
        for column, name in enumerate(self.fields, start=1):
            grid.addWidget(label(self.together(name), "strong"), 1, column)
        self.buttons = []
        row = 2
        for place, said in enumerate(self._desk.case.said):
            row = self._add_rater(grid, row, place, said)
        grid.setColumnStretch(len(self.fields) + 3, 1)
        self._area.setWidget(inner)
        self.updateGeometry()

    def together(self, field: str) -> str:
        """Return what the raters say together, in words."""
        row = self._desk.case.together
        if field in ("emotion", "polarity"):
            tied = [word for word in str(row[f"{field}_tie"] or "").split("|") if word]
            if tied:
                return self._texts("adjudicate.tie", words=" / ".join(self._word(field, word) for word in tied))
        value = row[field]
        return "–" if value is None or value != value else self._word(field, value)

    def said(self, one: Said, field: str) -> str:
        """Return what a rater said on a field, in words."""
        value = getattr(one, field) if field in ("emotion", "polarity") else one.values.get(field)
        if field == "emotion" and one.skip_reason is not None:
            return f"{self._texts('adjudicate.skipped')}: {self._texts(f'skip_reasons.{one.skip_reason}')}"
        return "–" if value is None else self._word(field, value)

    def _add_rater(self, grid: QGridLayout, row: int, place: int, said: Said) -> int:
        """Add one rater; returns the next free row."""
        simulated = said.kind != AnnotatorKind.HUMAN.value
        name = f"{said.name} ({self._texts('adjudicate.simulated')})" if simulated else said.name
        grid.addWidget(label(name, "strong"), row, 0)
        for column, field in enumerate((*self.fields, "confidence"), start=1):
            words = self.said(said, field)
            differs = field in ("emotion", "polarity") and words not in ("–", self.together(field))
            grid.addWidget(label(f"● {words}" if differs else words, "strong" if differs else ""), row, column)
        button = QPushButton(f"{self._texts('adjudicate.take_over')}  Alt+{place + 1}")
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setEnabled(said.emotion is not None)
        button.clicked.connect(self._adopting(place))
        self.buttons.append(button)
        grid.addWidget(button, row, len(self.fields) + 2)
        if not said.comment:
            return row + 1
        note = label(f"{self._texts('adjudicate.comment')}: {said.comment}", "small", wrap=True)
        grid.addWidget(note, row + 1, 1, 1, len(self.fields) + 2)
        return row + 2

    def _adopting(self, place: int) -> Callable[[], None]:
        return lambda: self._desk.adopt(place)

    def _word(self, field: str, value: object) -> str:
        if field == "emotion":
            return self._texts(f"emotions.{value}")
        if field == "polarity":
            return self._texts(f"polarities.{value}")
        return f"{float(str(value)):.2f}".replace("-", "−")
