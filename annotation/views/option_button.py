"""One answer: its digit, its word, and whether it is chosen, told by shape as well as by colour."""

from __future__ import annotations

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QFontMetrics, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from annotation.views.theme import Theme


class OptionButton(QAbstractButton):
    """Paint an answer that a digit or a click chooses.

    Parameters
    ----------
    theme : Theme
    digit : str
        The key; may be empty.
    value : object
        What is said by it.
    stacked : bool
        The digit stands above the word, for narrow buttons.
    """

    def __init__(
        self, theme: Theme, digit: str, value: object, *, stacked: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme, self.digit, self.value, self._stacked = theme, digit, value, stacked
        self.suggested = False
        self.setCheckable(True)
        # The desk's focus is the one that counts: the keyboard never rests on a button.
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_as(self, word: str, *, chosen: bool, suggested: bool = False) -> None:
        """Write the word and say how it stands."""
        self.setText(word)
        self.setAccessibleName(word)
        self.suggested = suggested
        self.setChecked(chosen)
        self.update()

    def nextCheckState(self) -> None:
        """Leave it as it is: the desk says what is chosen, once that is saved."""

    def sizeHint(self) -> QSize:
        """Return room for digit and word."""
        px = self._theme.px
        # As it is once it is chosen: nothing moves then.
        words = QFontMetrics(self._theme.font(self, bold=True)).horizontalAdvance(self.text())
        if self._stacked:
            return QSize(words + round(0.8 * px), round(2.75 * px))
        return QSize(words + round(3.4 * px), round(1.95 * px))

    def minimumSizeHint(self) -> QSize:
        """Never less than the words."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it."""
        theme, px = self._theme, self._theme.px
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        filled = self.isChecked() and not self.suggested
        back = "accent" if filled else "accent_soft" if self.isChecked() or self.underMouse() else "raised"
        pen = QPen(theme.colour("accent" if self.isChecked() else "edge"), 2 if self.isChecked() else 1)
        if self.isChecked() and self.suggested:
            pen.setStyle(Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.setBrush(theme.colour(back))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), px / 3, px / 3)
        text = "accent_text" if filled else "text"
        painter.setFont(theme.font(self, bold=self.isChecked()))
        if self._stacked:
            self._paint_stacked(painter, text)
        else:
            self._paint_row(painter, text)
        painter.end()

    def _paint_row(self, painter: QPainter, text: str) -> None:
        px = self._theme.px
        badge = QRectF(0.45 * px, (self.height() - 1.35 * px) / 2, 1.25 * px, 1.35 * px)
        if self.digit:
            painter.setPen(self._theme.colour(text))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(badge, 3, 3)
            painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, self.digit)
        room = QRectF(2.15 * px, 0, self.width() - 2.15 * px - 0.3 * px, self.height())
        self._theme.draw_text(painter, room, self.text(), text)
        if self.isChecked() and not self.suggested:
            painter.setPen(QPen(self._theme.colour(text), max(2.0, px / 8)))
            x, y = self.width() - 1.35 * px, self.height() / 2
            if painter.fontMetrics().horizontalAdvance(self.text()) < x - 2.5 * px:
                painter.drawLine(round(x), round(y), round(x + 0.3 * px), round(y + 0.3 * px))
                painter.drawLine(round(x + 0.3 * px), round(y + 0.3 * px), round(x + 0.85 * px), round(y - 0.35 * px))

    def _paint_stacked(self, painter: QPainter, text: str) -> None:
        half = self.height() / 2
        painter.setPen(self._theme.colour(text))
        painter.drawText(QRectF(0, 2, self.width(), half), Qt.AlignmentFlag.AlignCenter, self.digit)
        painter.drawText(QRectF(0, half - 3, self.width(), half), Qt.AlignmentFlag.AlignCenter, self.text())
