"""Beside the video after a training label: what was said, what experts agreed on, and why."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QFrame, QGridLayout, QScrollArea, QVBoxLayout, QWidget

from annotation.desk import state
from annotation.desk.desk import Desk
from annotation.texts import Texts
from annotation.views.label_panel import plain_button
from annotation.views.theme import label

_FIELDS = ("emotion", "polarity", "valence", "arousal", "intensity")


class FeedbackPanel(QWidget):
    """Compare a training label with the gold answer.

    Parameters
    ----------
    desk : Desk
    texts : Texts
    key_of : callable
        Returns the key of an action, as it is written on a keyboard.
    """

    def __init__(self, desk: Desk, texts: Texts, key_of: Callable[[str], str]) -> None:
        super().__init__()
        self._desk, self._texts, self._key_of = desk, texts, key_of
        self.verdict = label("", "big", wrap=True)
        self.table = QGridLayout()
        self.table.setHorizontalSpacing(14)
        self.table.setVerticalSpacing(8)
        self.why_title = label("", "strong")
        self.why = label("", "", wrap=True)
        self.go = plain_button(name="go")
        self.go.clicked.connect(desk.acknowledge)
        inner = QFrame()
        inner.setObjectName("panel")
        column = QVBoxLayout(inner)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(12)
        column.addWidget(self.verdict)
        column.addLayout(self.table)
        column.addWidget(self.why_title)
        column.addWidget(self.why)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(inner)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(area, 1)
        outer.addWidget(self.go)
        desk.subscribe(state.PAGE, self.refresh)
        texts.subscribe(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Read the desk."""
        feedback, texts = self._desk.feedback, self._texts
        if feedback is None:
            return
        right = bool(feedback.agrees.get("emotion", False))
        sign = "✓" if right else "≠"
        self.verdict.setText(f"{sign}  {texts('pages.feedback_right' if right else 'pages.feedback_wrong')}")
        while self.table.count():
            widget = self.table.takeAt(0).widget()
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        for column, key in enumerate(("feedback_you", "feedback_experts"), start=1):
            self.table.addWidget(label(texts(f"pages.{key}"), "dim"), 0, column)
        for place, field in enumerate((f for f in _FIELDS if f in self._desk.fields), start=1):
            mine, theirs = getattr(feedback.label, field), getattr(feedback.gold, field)
            self.table.addWidget(label(texts(f"fields.{field}"), "dim"), place, 0)
            self.table.addWidget(label(self._word(field, mine), "strong"), place, 1)
            self.table.addWidget(label(self._word(field, theirs), "strong"), place, 2)
            if field in feedback.agrees:
                agrees = feedback.agrees[field]
                self.table.addWidget(label("✓" if agrees else "≠", "good" if agrees else "warn"), place, 3)
        self.table.setColumnStretch(3, 1)
        self.why_title.setText(texts("pages.feedback_why"))
        self.why.setText(feedback.gold.explanation)
        for part in (self.why_title, self.why):
            part.setVisible(bool(feedback.gold.explanation))
        self.go.setText(f"{texts('pages.go_on')}  {self._key_of('commit')}")

    def _word(self, field: str, value: object) -> str:
        if value is None:
            return self._texts("pages.feedback_nothing")
        if field == "emotion":
            return self._texts(f"emotions.{value}")
        if field == "polarity":
            return self._texts(f"polarities.{value}")
        return f"{value:+.2f}" if field in ("valence", "arousal") else f"{value:g}"
