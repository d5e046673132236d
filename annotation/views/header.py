"""The top line: which pass, how far, at which pace, and whether everything is on the disk."""

from __future__ import annotations

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from annotation.desk import state
from annotation.desk.desk import Desk
from annotation.texts import Texts
from annotation.views.theme import Theme, label


class ProgressBar(QWidget):
    """Paint how much of the block is done, with the exact numbers."""

    def __init__(self, desk: Desk, texts: Texts, theme: Theme) -> None:
        super().__init__()
        self._desk, self._texts, self._theme = desk, texts, theme
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        desk.subscribe(state.PROGRESS, self.update)

    def sizeHint(self) -> QSize:
        """Ask for room for the words."""
        return QSize(14 * self._theme.px, round(1.7 * self._theme.px))

    def minimumSizeHint(self) -> QSize:
        """Return the room for the longest words."""
        return QSize(self.fontMetrics().horizontalAdvance(self.words()) + 24, self.sizeHint().height())

    def words(self) -> str:
        """Return what is written on the bar."""
        progress = self._desk.progress
        block = self._texts(f"blocks.{progress.block}")
        return self._texts("header.done", block=block, done=progress.n_done, all=progress.n_all)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the bar."""
        theme, progress = self._theme, self._desk.progress
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.setPen(QPen(theme.colour("edge"), 1))
        painter.setBrush(theme.colour("raised"))
        painter.drawRoundedRect(box, 4, 4)
        if progress.n_all:
            share = min(1.0, progress.n_done / progress.n_all)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour("loop"))
            painter.drawRoundedRect(QRectF(box.x() + 1, box.y() + 1, (box.width() - 2) * share, box.height() - 2), 3, 3)
        painter.setFont(theme.font(self, 0.95, bold=True))
        theme.draw_text(painter, box, self.words(), align=Qt.AlignmentFlag.AlignHCenter)
        painter.end()


class Header(QWidget):
    """The line itself.

    Parameters
    ----------
    desk : Desk
    texts : Texts
    theme : Theme
    """

    def __init__(self, desk: Desk, texts: Texts, theme: Theme) -> None:
        super().__init__()
        self._desk, self._texts, self._theme = desk, texts, theme
        self.task = label("", "big", elide=True)
        self.who = label("", "dim", elide=True)
        self.place = label("", "strong")
        self.bar = ProgressBar(desk, texts, theme)
        self.pace = label("", "dim", elide=True)
        self.saving = label("", "good")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        row.addWidget(self.task)
        row.addWidget(self.who)
        row.addWidget(self.place)
        row.addWidget(self.bar, 1)
        row.addWidget(self.pace)
        row.addWidget(self.saving)
        for topic in (state.ITEM, state.PROGRESS, state.SAVING):
            desk.subscribe(topic, self.refresh)
        texts.subscribe(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Read the desk."""
        desk, texts = self._desk, self._texts
        self.task.setText(texts(f"window.{desk.task}"))
        self.who.setText(texts("window.annotator", annotator=desk.source.annotator_id))
        place = texts("header.position", position=desk.position + 1, all=len(desk.items)) if desk.items else ""
        self.place.setText(place)
        self.pace.setText(" · ".join(self._pace()))
        name, sign = {
            state.Saving.SAVED: ("good", "✓"), state.Saving.FAILED: ("bad", "✗"),
            state.Saving.READ_ONLY: ("warn", "!"),
        }[desk.saving]  # fmt: skip
        self.saving.setText(f"{sign} {texts(f'header.{desk.saving.value}')}")
        if self.saving.objectName() != name:
            self.saving.setObjectName(name)
            # The style sheet looks at the name only when it is told to look again.
            self.saving.style().unpolish(self.saving)
            self.saving.style().polish(self.saving)
        self.bar.update()

    def _pace(self) -> list[str]:
        progress, texts = self._desk.progress, self._texts
        words = []
        if progress.n_done_today:
            words.append(texts("header.today", n=progress.n_done_today))
        if progress.seconds_per_clip is not None:
            words.append(texts("header.pace", seconds=round(progress.seconds_per_clip)))
        if progress.minutes_left:
            hours, minutes = divmod(max(1, round(progress.minutes_left)), 60)
            key = "header.left_hours" if hours else "header.left_minutes"
            words.append(texts(key, hours=hours, minutes=minutes))
        return words
