"""The checks before a session: what was found, what to do about it, and the decision to go on all the same."""

from __future__ import annotations

from typing import Any

from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QGridLayout, QScrollArea, QVBoxLayout, QWidget

from collection.console import messages
from collection.console.model import ConsoleModel
from collection.console.views import theme
from collection.console.views.question_panel import QuestionPanel


class PreflightView(QWidget):
    """List the checks, failures first on the eye by colour and with their remedy below."""

    def __init__(self, model: ConsoleModel) -> None:
        super().__init__()
        self._model = model
        self.title = theme.label("", "title", wrap=True)
        self._list = QWidget()
        self._grid = QGridLayout(self._list)
        self._grid.setColumnStretch(2, 1)
        self._grid.setHorizontalSpacing(18)
        self._grid.setVerticalSpacing(4)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(self._list)
        self.panel = QuestionPanel(model)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.title)
        column.addWidget(scroll, 1)
        column.addWidget(self.panel)
        model.subscribe(messages.PREFLIGHT, self.refresh)
        self.refresh()

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Level and text of each check, in the order shown."""
        checks = self._model.preflight.get("checks") or []
        return [(str(check.get("level")), str(check.get("message") or "")) for check in checks]

    def refresh(self) -> None:
        """Build the list anew; checks come one by one, a few a second at most."""
        while self._grid.count():
            item = self._grid.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        for row in range(self._grid.rowCount()):
            self._grid.setRowStretch(row, 0)
        checks: list[dict[str, Any]] = self._model.preflight.get("checks") or []
        for row, check in enumerate(checks):
            self._add(row, check)
        self._grid.setRowStretch(len(checks), 1)
        self.title.setText(_headline(checks, bool(self._model.preflight.get("running"))))

    def _add(self, row: int, check: dict[str, Any]) -> None:
        level = str(check.get("level"))
        name = theme.LEVEL_COLOURS.get(level, theme.DIM)
        state = theme.label(theme.LEVEL_WORDS.get(level, level))
        state.setStyleSheet(f"color: {name}; font-weight: bold;")
        what = theme.label(str(check.get("check") or "").replace("_", " "))
        bad = level in (messages.ERROR, messages.WARNING)
        found = QWidget()
        column = QVBoxLayout(found)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        message = theme.label(str(check.get("message") or ""), "" if bad else "dim", wrap=True)
        column.addWidget(message)
        remedy = str(check.get("remedy") or "")
        if bad and remedy:
            advice = theme.label(f"→ {remedy}", wrap=True)
            advice.setStyleSheet(f"color: {name};")
            column.addWidget(advice)
        for place, widget in enumerate((state, what, found)):
            self._grid.addWidget(widget, row, place, Qt.AlignTop)


def _headline(checks: list[dict[str, Any]], running: bool) -> str:
    failed = sum(check.get("level") == messages.ERROR for check in checks)
    noted = sum(check.get("level") == messages.WARNING for check in checks)
    if running:
        done = sum(check.get("level") not in ("running", "waiting") for check in checks)
        return f"Checking: {done} of {len(checks)} done"
    if not checks:
        return "No checks yet"
    if failed:
        return f"{failed} of {len(checks)} checks failed"
    return f"All {len(checks)} checks passed" + (f", {noted} to look at" if noted else "")
