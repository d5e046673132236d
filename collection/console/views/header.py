"""The top line: who, where in the session, how long still, and whether both processes answer."""

from __future__ import annotations

from PyQt5.QtCore import QEvent, QRectF, QSize, Qt
from PyQt5.QtGui import QPainter, QPaintEvent
from PyQt5.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from collection.console import messages
from collection.console.messages import RECORDER, SESSION
from collection.console.model import LINKS, ConsoleModel
from collection.console.views import theme

STATE_WORDS = {
    "setup": "PREPARING", "preflight": "PRE-FLIGHT", "consent": "CONSENT", "ready": "READY", "running": "RECORDING",
    "paused": "PAUSED", "aborting": "STOPPING", "complete": "COMPLETE", "aborted": "STOPPED",
}  # fmt: skip
#: Steps whose names say too little.
STEP_WORDS = {
    "recheck_text": "text before the re-check", "recheck": "re-check", "calibration_text": "text before the calibration",
}  # fmt: skip


class LinkLight(QWidget):
    """A dot and a word: is the other process there?"""

    def __init__(self, model: ConsoleModel, feed: str) -> None:
        super().__init__()
        self._model = model
        self._feed = feed
        self.setSizePolicy(QSizePolicy.Minimum, QSizePolicy.Preferred)
        model.subscribe(LINKS, self.update)
        model.subscribe(messages.RECORDER_ADDRESS, self.update)

    @property
    def words(self) -> tuple[str, str]:
        """What is said, and in which colour."""
        link = self._model.links[self._feed]
        if link.connected:
            return self._feed, theme.GOOD
        if self._model.ended is not None or (link.was_connected and self._model.recorder_address is None):
            return f"{self._feed} ended", theme.DIM
        if link.was_connected:
            return f"{self._feed} LOST", theme.BAD
        return f"no {self._feed} yet", theme.FAINT

    def sizeHint(self) -> QSize:
        """Return room for the longest words, so that nothing moves when they change."""
        height = self.fontMetrics().height()
        return QSize(round(height * 0.6) + 12 + self.fontMetrics().horizontalAdvance(f"no {self._feed} yet"), height)

    def minimumSizeHint(self) -> QSize:
        """Never less than the words."""
        return self.sizeHint()

    def changeEvent(self, event: QEvent) -> None:
        """Ask for more room when the letters grow."""
        super().changeEvent(event)
        if event.type() in (QEvent.FontChange, QEvent.StyleChange):
            self.updateGeometry()

    def paintEvent(self, _: QPaintEvent) -> None:
        """Draw it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.Antialiasing)
        text, name = self.words
        size = self.fontMetrics().height() * 0.6
        painter.setPen(Qt.NoPen)
        painter.setBrush(theme.colour(name))
        painter.drawEllipse(QRectF(0, (self.height() - size) / 2, size, size))
        theme.draw_text(painter, QRectF(size + 6, 0, self.width() - size - 6, self.height()), text, name)
        painter.end()


class ProgressBar(QWidget):
    """Paint how much of the session, and of the step, is over."""

    def __init__(self, model: ConsoleModel) -> None:
        super().__init__()
        self._model = model
        self.setFixedHeight(6)
        model.subscribe(messages.PROGRESS, self.update)

    def paintEvent(self, _: QPaintEvent) -> None:
        """Draw two thin bars."""
        painter = QPainter(self)
        width, half = float(self.width()), self.height() / 2
        painter.fillRect(QRectF(0, 0, width, self.height()), theme.colour(theme.RAISED))
        progress = self._model.progress
        trial, n_trials = float(progress.get("trial") or 0), float(progress.get("n_trials") or 0)
        if n_trials:
            painter.fillRect(QRectF(0, 0, width * min(1.0, trial / n_trials), half), theme.colour(theme.ACCENT))
        planned = float(progress.get("step_planned_s") or 0)
        if planned:
            elapsed = float(progress.get("step_elapsed_s") or 0)
            painter.fillRect(QRectF(0, half, width * min(1.0, elapsed / planned), half), theme.colour(theme.DIM))
        painter.end()


class Header(QWidget):
    """Show the session's state in one line."""

    def __init__(self, model: ConsoleModel) -> None:
        super().__init__()
        self._model = model
        self.who = theme.label("", "big")
        self.state = theme.label("", "big")
        self.where = theme.label()
        self.left = theme.label("", "big")
        self.rehearsal = theme.label("REHEARSAL", "big")
        self.rehearsal.setStyleSheet(f"color: {theme.WARN};")
        row = QHBoxLayout()
        for widget in (self.who, self.rehearsal, self.state, self.where):
            row.addWidget(widget)
        row.addStretch(1)
        row.addWidget(self.left)
        row.addWidget(LinkLight(model, SESSION))
        row.addWidget(LinkLight(model, RECORDER))
        row.setSpacing(16)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(ProgressBar(model))
        for topic in (messages.PROGRESS, messages.SETUP, messages.ENDED, LINKS):
            model.subscribe(topic, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Read the model."""
        progress = self._model.progress
        self.rehearsal.setVisible(bool(self._model.setup.get("rehearsal")))
        if not progress:
            self.who.setText(str(self._model.setup.get("title") or "Operator console"))
            for label in (self.state, self.where, self.left):
                label.setText("")
            return
        run = int(progress.get("run") or 1)
        self.who.setText(
            f"{progress['participant'] or '?'} / {progress['session']}" + (f" run {run}" if run > 1 else "")
        )
        state = "running" if progress["state"] == "paused" else progress["state"]
        state = "paused" if self._model.is_paused else state
        name = {"running": theme.GOOD, "paused": theme.WARN, "aborting": theme.BAD, "aborted": theme.BAD}.get(state)
        _say(self.state, STATE_WORDS.get(state, str(state).upper()), name or theme.ACCENT)
        self.where.setText(_where(progress))
        remaining = progress.get("remaining_s")
        self.left.setText(
            "" if remaining is None or self._model.ended is not None else f"{_clock(float(remaining))} left"
        )


def _say(label: QLabel, text: str, name: str) -> None:
    label.setText(text)
    style = f"color: {name};"
    # Setting a style sheet is dear; most of the time nothing has changed.
    if label.styleSheet() != style:
        label.setStyleSheet(style)


def _where(progress: dict[str, object]) -> str:
    trial, n_trials = int(float(str(progress["trial"]))), int(float(str(progress["n_trials"])))
    if trial < 0:
        words = "practice"
    elif trial > 0:
        words = f"trial {trial} of {n_trials}"
    else:
        words = f"{n_trials} trials" if n_trials else ""
    return "  ·  ".join(part for part in (words, step_words(str(progress["step"]))) if part)


def step_words(step: str) -> str:
    """Return a step's name as the operator reads it."""
    return STEP_WORDS.get(step, step.replace("_", " "))


def _clock(seconds: float) -> str:
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d}"
