"""Head and eyes: position in the track box, distance, loss of each eye over the last 10 s as bars, pupils."""

from __future__ import annotations

from typing import Any

from PyQt5.QtCore import QPointF, QRectF, Qt
from PyQt5.QtGui import QPainter, QPaintEvent, QPen
from PyQt5.QtWidgets import QSizePolicy, QWidget

from collection.console import messages
from collection.console.alarms import DISTANCE_TOLERANCE, MAX_LOSS
from collection.console.gaze_trail import EYES
from collection.console.model import ConsoleModel
from collection.console.views import theme

#: Eyes within this distance of the track box's centre are well placed (the box is 1 wide).
_WELL_PLACED = 0.25
_LARGEST_BAR = 1.0


class EyesView(QWidget):
    """Paint the track box on the left, the loss of each eye on the right."""

    def __init__(self, model: ConsoleModel) -> None:
        super().__init__()
        self._model = model
        self.setMinimumHeight(90)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)
        for topic in (messages.HEAD, messages.STATUS, messages.GAZE):
            model.subscribe(topic, self.update)

    def paintEvent(self, _: QPaintEvent) -> None:
        """Draw both halves."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.Antialiasing)
        room = QRectF(self.rect())
        half = min(room.width() * 0.42, room.height() * 1.5)
        self._draw_head(painter, QRectF(room.left(), room.top(), half, room.height()))
        self._draw_loss(painter, room.adjusted(half + 12, 0, 0, 0))
        painter.end()

    def _draw_head(self, painter: QPainter, room: QRectF) -> None:
        painter.setFont(theme.scaled_font(self, 0.9))
        line = painter.fontMetrics().height() * 1.25
        box = room.adjusted(2, 2, -2, -line - 2)
        painter.setPen(QPen(theme.colour(theme.LINE), 1))
        painter.setBrush(theme.colour(theme.BACKGROUND))
        painter.drawRect(box)
        painter.drawLine(QPointF(box.center().x(), box.top()), QPointF(box.center().x(), box.bottom()))
        painter.drawLine(QPointF(box.left(), box.center().y()), QPointF(box.right(), box.center().y()))
        head = self._model.head
        n_seen = 0
        for eye in EYES:
            place = head.get(eye)
            if not place:
                continue
            n_seen += 1
            # The tracker looks at the participant; the operator sees a mirror, as the participant does.
            x, y, z = (min(1.0, max(0.0, float(value))) for value in place)
            centre = QPointF(box.right() - x * box.width(), box.top() + y * box.height())
            good = abs(x - 0.5) < _WELL_PLACED + 0.1 and abs(y - 0.5) < _WELL_PLACED and abs(z - 0.5) < _WELL_PLACED
            radius = max(5.0, box.height() * (0.16 - 0.10 * z))
            painter.setPen(QPen(theme.colour(theme.EYE_COLOURS[eye]), 2))
            painter.setBrush(theme.colour(theme.GOOD if good else theme.WARN, 150))
            painter.drawEllipse(centre, radius, radius)
        if n_seen == 0:
            theme.draw_text(painter, box, "no eyes" if head else "", theme.BAD, Qt.AlignHCenter)
        words, name = self._distance(head)
        theme.draw_text(
            painter, QRectF(room.left(), box.bottom() + 2, room.width(), line), words, name, Qt.AlignHCenter
        )

    def _distance(self, head: dict[str, Any]) -> tuple[str, str]:
        distance = head.get("distance_mm")
        usual = (self._model.setup.get("screen") or {}).get("distance_mm")
        if not distance:
            return "distance unknown", theme.DIM
        good = not usual or abs(distance - usual) <= DISTANCE_TOLERANCE * usual
        planned = f" of {usual / 10:.0f}" if usual else ""
        return f"{distance / 10:.0f}{planned} cm", theme.TEXT if good else theme.WARN

    def _draw_loss(self, painter: QPainter, room: QRectF) -> None:
        limit = float(self._model.setup.get("max_gaze_loss") or MAX_LOSS)
        painter.setFont(theme.scaled_font(self, 0.9))
        line = painter.fontMetrics().height() * 1.25
        theme.draw_text(painter, QRectF(room.left(), room.top(), room.width(), line), "lost, last 10 s", theme.DIM)
        height = min((room.height() - line) / len(EYES), 2.6 * line)
        for row, eye in enumerate(EYES):
            share = self._model.loss.get(eye)
            top = room.top() + line + row * height
            pupil = None if self._model.gaze_silent else self._model.gaze.pupil_mm.get(eye)
            words = f"{eye}   {pupil:.1f} mm" if pupil is not None else eye
            name = theme.DIM if share is None else _loss_colour(share, limit)
            theme.draw_text(painter, QRectF(room.left(), top, room.width() * 0.7, line), words, theme.EYE_COLOURS[eye])
            nothing = "no data" if self._model.gaze_silent else "unknown"
            value = nothing if share is None else f"{share:.0%}"
            theme.draw_text(painter, QRectF(room.left(), top, room.width(), line), value, name, Qt.AlignRight)
            bar = QRectF(room.left(), top + line, room.width(), max(6.0, height - line - 6))
            painter.fillRect(bar, theme.colour(theme.RAISED))
            if share is not None:
                filled = QRectF(bar)
                filled.setWidth(bar.width() * min(_LARGEST_BAR, share))
                painter.fillRect(filled, theme.colour(name))
            at = bar.left() + bar.width() * limit
            painter.setPen(QPen(theme.colour(theme.DIM), 1, Qt.DashLine))
            painter.drawLine(QPointF(at, bar.top()), QPointF(at, bar.bottom()))


def _loss_colour(share: float, limit: float) -> str:
    if share > limit:
        return theme.BAD
    return theme.WARN if share > limit / 2 else theme.GOOD
