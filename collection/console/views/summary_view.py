"""The end of a session: how it ended, what the quality page says first, and the way to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt5.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from collection.console import messages
from collection.console.keys import label_with_key
from collection.console.model import ConsoleModel
from collection.console.views import theme


class SummaryView(QWidget):
    """Show the summary that the session sent last; it stays when the session is gone.

    Parameters
    ----------
    model : ConsoleModel
    open_file : callable
        Opens a file with the system's own program; False if it cannot.
    """

    def __init__(self, model: ConsoleModel, open_file: Callable[[str], bool]) -> None:
        super().__init__()
        self._model = model
        self._open_file = open_file
        self.title = theme.label("", "title", wrap=True)
        self.lines: list[QLabel] = []
        self._list = QGridLayout()
        self._list.setColumnStretch(1, 1)
        self._list.setHorizontalSpacing(18)
        self.path = theme.label("", "dim", wrap=True)
        self.next = theme.label("", "", wrap=True)
        self.problem = theme.label("", "bad", wrap=True)
        self.open_button = QPushButton(f"Open the quality page ({label_with_key('open_page').split('(')[-1]}")
        self.open_button.setObjectName("go")
        self.open_button.clicked.connect(self.open_page)
        row = QHBoxLayout()
        row.addWidget(self.open_button)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.addWidget(self.title)
        column.addLayout(self._list)
        for item in (self.path, self.next):
            column.addWidget(item)
        column.addLayout(row)
        column.addWidget(self.problem)
        column.addWidget(theme.label("You may close this window: everything is on file.", "dim", wrap=True))
        column.addStretch(1)
        model.subscribe(messages.ENDED, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Read the model."""
        ended = self._model.ended or {}
        reason = str(ended.get("reason") or "")
        complete = reason.startswith("complete")
        self.title.setText(_headline(reason) if ended else "The session has not ended yet")
        self.title.setStyleSheet(f"color: {(theme.GOOD if complete else theme.WARN) if ended else theme.DIM};")
        for line in self.lines:
            self._list.removeWidget(line)
            line.hide()
            line.deleteLater()
        self.lines = []
        for row, item in enumerate(ended.get("quality") or ()):
            level, text = _level_and_text(item)
            for place, words in enumerate((theme.LEVEL_WORDS.get(level, level), text)):
                line = theme.label(words, wrap=place == 1)
                line.setStyleSheet(f"color: {theme.LEVEL_COLOURS.get(level, theme.TEXT)};")
                self.lines.append(line)
                self._list.addWidget(line, row, place)
        self.path.setText(str(ended.get("path") or ""))
        self.next.setText(str(ended.get("next") or ""))
        page = str(ended.get("quality_page") or "")
        self.open_button.setVisible(bool(page))
        self.problem.setText("")

    def open_page(self) -> None:
        """Open the quality page."""
        page = str((self._model.ended or {}).get("quality_page") or "")
        if not page:
            self.problem.setText("There is no quality page yet. Make it with: emer quality")
            return
        if not Path(page).is_file():
            self.problem.setText(f"{page} is not there. Make it again with: emer quality")
        elif not self._open_file(page):
            self.problem.setText(f"No program opens {page}. Open it with a web browser.")
        else:
            # The system says that it was opened even where no browser is installed.
            self.problem.setText(f"Opening {page}. If no browser comes up, open this file with one.")


def _headline(reason: str) -> str:
    word, _, rest = reason.partition(":")
    if word.strip() == "complete":
        return "Session complete"
    return f"Session stopped: {rest.strip() or reason}"


def _level_and_text(item: object) -> tuple[str, str]:
    if isinstance(item, dict):
        return str(item.get("level") or "note"), str(item.get("text") or "")
    if isinstance(item, (list, tuple)) and len(item) == 2:
        return str(item[0]), str(item[1])
    return "note", str(item)
