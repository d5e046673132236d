"""Pages that take the whole window: a break, the end of the admission test, the end of the queue."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from annotation.desk import state
from annotation.desk.desk import Desk
from annotation.texts import Texts
from annotation.views.label_panel import plain_button
from annotation.views.theme import label

#: Seconds for which the last page takes no Enter: a double Enter on the last clip would close the window before
#: anybody read where the labels lie.
HOLD_S = 1.0


class MessagePage(QWidget):
    """A title, a few sentences, and the button that Enter presses.

    Parameters
    ----------
    desk : Desk
    texts : Texts
    """

    def __init__(self, desk: Desk, texts: Texts) -> None:
        super().__init__()
        self.desk, self.texts = desk, texts
        self.title = label("", "title")
        self.words = label("", "", wrap=True)
        self.words.setMinimumWidth(420)
        self.file = label("", "dim", wrap=True)
        self.file.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.main = plain_button(name="go")
        self.main.clicked.connect(self.go_on)
        self.panel = QFrame()
        self.panel.setObjectName("panel")
        self.column = QVBoxLayout(self.panel)
        self.column.setContentsMargins(36, 28, 36, 28)
        self.column.setSpacing(14)
        self.column.addWidget(self.title)
        self.column.addWidget(self.words)
        self.column.addWidget(self.file)
        self.row = QHBoxLayout()
        self.row.addStretch(1)
        self.row.addWidget(self.main)
        across = QHBoxLayout()
        across.addStretch(1)
        across.addWidget(self.panel, 3)
        across.addStretch(1)
        column = QVBoxLayout(self)
        column.addStretch(1)
        column.addLayout(across)
        column.addStretch(2)

    def finish_layout(self) -> None:
        """Put the buttons last."""
        self.column.addLayout(self.row)

    def refresh(self) -> None:
        """Read the desk."""

    def go_on(self) -> None:
        """Do what the button says."""

    def enter(self) -> None:
        """Do what Enter does here: what the button says."""
        self.go_on()

    def say_file(self, key: str) -> None:
        """Name the label file where the annotator has to hand it over: in a bundle."""
        path = getattr(self.desk.source, "label_path", None)
        # In full: a path below the folder in which somebody typed a command says nothing to who looks for the file.
        self.file.setText(self.texts(key, path=Path(path).absolute()) if path is not None else "")
        self.file.setVisible(path is not None)


class BreakPage(MessagePage):
    """A break; its time does not count."""

    def __init__(self, desk: Desk, texts: Texts) -> None:
        super().__init__(desk, texts)
        self.finish_layout()

    def refresh(self) -> None:
        """Read the desk."""
        minutes = round(self.desk.progress.minutes_since_break)
        self.title.setText(self.texts("pages.break_title"))
        words = self.texts("pages.break_text", minutes=minutes) if minutes >= 1 else self.texts("pages.break_plain")
        self.words.setText(words)
        self.file.hide()
        self.main.setText(f"{self.texts('pages.break_end')}  Enter")

    def go_on(self) -> None:
        """End the break."""
        self.desk.end_break()


class AdmissionPage(MessagePage):
    """How the admission test ended, and where a bundle waits for the lab's code."""

    def __init__(self, desk: Desk, texts: Texts) -> None:
        super().__init__(desk, texts)
        self.code = QLineEdit()
        self.code.returnPressed.connect(self.go_on)
        self.problem = label("", "bad", wrap=True)
        self.column.addWidget(self.code)
        self.column.addWidget(self.problem)
        self.finish_layout()

    @property
    def waits_for_code(self) -> bool:
        """Whether text is typed here."""
        return self.desk.admitted is None

    def refresh(self) -> None:
        """Read the desk."""
        texts, admitted = self.texts, self.desk.admitted
        self.title.setText(texts("pages.admission_title"))
        key = {True: "passed", False: "failed", None: "waiting"}[admitted]
        self.words.setText(texts(f"pages.admission_{key}"))
        self.say_file("pages.admission_file")
        self.code.setVisible(self.waits_for_code)
        self.code.setPlaceholderText(texts("pages.admission_code"))
        self.problem.setVisible(bool(self.problem.text()) and self.waits_for_code)
        self.main.setVisible(admitted is not False)
        self.main.setText(f"{texts('pages.admission_enter' if self.waits_for_code else 'pages.go_on')}  Enter")

    def go_on(self) -> None:
        """Enter the code, or go on once passed."""
        if self.desk.admitted:
            self.desk.acknowledge()
        elif self.waits_for_code and self.code.text().strip():
            if self.desk.enter_code(self.code.text().strip()):
                self.problem.setText("")
                if self.desk.page is state.Page.ADMISSION:
                    self.desk.acknowledge()
            else:
                self.problem.setText(self.texts("pages.admission_wrong"))
                self.code.selectAll()
            self.refresh()


class FinishedPage(MessagePage):
    """The queue is done: what to do with the labels."""

    def __init__(self, desk: Desk, texts: Texts, close: Callable[[], object]) -> None:
        super().__init__(desk, texts)
        self._close = close
        self._clock = time.monotonic
        self._since = -HOLD_S
        self.look = plain_button()
        self.look.clicked.connect(self.look_again)
        self.row.insertWidget(1, self.look)
        self.finish_layout()

    def refresh(self) -> None:
        """Read the desk."""
        self.title.setText(self.texts("pages.finished_title"))
        self.words.setText(self.texts("pages.finished_text", n=len(self.desk.items)))
        self.say_file("pages.finished_file")
        self.look.setText(self.texts("pages.finished_look"))
        self.main.setText(f"{self.texts('pages.finished_close')}  Enter")

    def look_again(self) -> None:
        """Go back to the last clip."""
        self.desk.goto(max(0, len(self.desk.items) - 1))

    def go_on(self) -> None:
        """Close the window."""
        self._close()

    def showEvent(self, event: QShowEvent) -> None:
        """Note when the annotator arrived."""
        super().showEvent(event)
        self._since = self._clock()

    def enter(self) -> None:
        """Close the window, unless Enter was still meant for the last clip."""
        if self._clock() - self._since >= HOLD_S:
            self.go_on()
