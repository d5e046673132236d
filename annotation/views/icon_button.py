"""A button with a drawn sign and the key that does the same: signs in a font would look different everywhere."""

from __future__ import annotations

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QAbstractButton, QSizePolicy

from annotation.views.theme import BASE_PX, Theme

#: Size of letters up to which buttons grow in width.
_WIDE_PX = round(1.5 * BASE_PX)


class IconButton(QAbstractButton):
    """Paint a sign over its key.

    Parameters
    ----------
    theme : Theme
    sign : str
        ``play``, ``pause``, ``again``, ``back``, ``on``, ``loop``, ``apex``, ``slower``, ``faster`` or ``trace``.
    """

    def __init__(self, theme: Theme, sign: str) -> None:
        super().__init__()
        self._theme = theme
        self.sign, self.key = sign, ""
        self.is_on = False
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_as(self, sign: str, words: str, key: str, *, is_on: bool = False) -> None:
        """Say what it does now."""
        self.sign, self.key, self.is_on = sign, key, is_on
        self.setToolTip(f"{words}  ({key})")
        self.setAccessibleName(words)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Return room for the sign and the key."""
        px = self._theme.px
        metrics = self.fontMetrics()
        # Above 150 % only the letters grow: four buttons side by side fit a column of the ER pass on a laptop.
        wide = round(2.9 * min(px, _WIDE_PX))
        return QSize(max(wide, round(0.86 * metrics.horizontalAdvance(self.key)) + px), round(2.9 * px))

    def minimumSizeHint(self) -> QSize:
        """Never less than the key."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it."""
        theme, px = self._theme, self._theme.px
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(theme.colour("accent" if self.is_on else "edge"), 2 if self.is_on else 1))
        painter.setBrush(theme.colour("accent_soft" if self.is_on or self.underMouse() else "raised"))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), px / 3, px / 3)
        painter.setPen(theme.colour("dim"))
        painter.setFont(theme.font(self, 0.8))
        below = QRectF(0, self.height() - 1.25 * px, self.width(), 1.1 * px)
        painter.drawText(below, Qt.AlignmentFlag.AlignCenter, self.key)
        painter.setPen(QPen(theme.colour("text"), max(1.6, px / 9)))
        painter.setBrush(theme.colour("text"))
        self._paint_sign(painter, QPointF(self.width() / 2, 0.95 * px), 0.5 * px)
        painter.end()

    def _paint_sign(self, painter: QPainter, at: QPointF, r: float) -> None:
        """Draw the sign around a point, `r` pixels in each direction."""
        x, y = at.x(), at.y()
        if self.sign == "play":
            _triangle(painter, x - 0.7 * r, x + r, y, r)
        elif self.sign == "pause":
            painter.drawRect(QRectF(x - 0.75 * r, y - 0.8 * r, 0.4 * r, 1.6 * r))
            painter.drawRect(QRectF(x + 0.35 * r, y - 0.8 * r, 0.4 * r, 1.6 * r))
        elif self.sign == "again":
            painter.drawLine(QPointF(x - r, y - r), QPointF(x - r, y + r))
            _triangle(painter, x + r, x - 0.7 * r, y, r)
        elif self.sign in ("back", "on"):
            way = -1 if self.sign == "back" else 1
            _triangle(painter, x - 0.4 * r * way, x + 0.7 * r * way, y, 0.8 * r)
            painter.drawLine(QPointF(x - 0.9 * r * way, y - 0.8 * r), QPointF(x - 0.9 * r * way, y + 0.8 * r))
        elif self.sign in ("slower", "faster"):
            painter.drawLine(QPointF(x - 0.8 * r, y), QPointF(x + 0.8 * r, y))
            if self.sign == "faster":
                painter.drawLine(QPointF(x, y - 0.8 * r), QPointF(x, y + 0.8 * r))
        elif self.sign == "loop":
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawArc(QRectF(x - r, y - 0.8 * r, 2 * r, 1.6 * r), 40 * 16, 280 * 16)
            painter.setBrush(self._theme.colour("text"))
            _triangle(painter, x + 1.15 * r, x + 0.35 * r, y - 0.55 * r, 0.45 * r)
        elif self.sign == "apex":
            painter.drawPolyline(QPolygonF([QPointF(x - 1.1 * r, y + 0.8 * r), QPointF(x, y - 0.9 * r),
                                            QPointF(x + 1.1 * r, y + 0.8 * r)]))  # fmt: skip
        else:
            painter.drawPolyline(QPolygonF([QPointF(x - 1.1 * r, y + 0.3 * r), QPointF(x - 0.4 * r, y - 0.6 * r),
                                            QPointF(x + 0.3 * r, y + 0.6 * r), QPointF(x + 1.1 * r, y - 0.4 * r)]))  # fmt: skip


def _triangle(painter: QPainter, base_x: float, tip_x: float, y: float, r: float) -> None:
    painter.drawPolygon(QPolygonF([QPointF(base_x, y - 0.9 * r), QPointF(base_x, y + 0.9 * r), QPointF(tip_x, y)]))
