"""A calibration on one look: a ring of the allowed offset around each target, each eye's mean gaze and spread in it.

Offsets and spread are magnified, or nothing could be seen: one degree is some 2 % of a
screen. Inside the ring is good enough; green, amber and red say it again.
"""

from __future__ import annotations

from typing import Any

from PyQt5.QtCore import QPointF, QRectF, Qt
from PyQt5.QtGui import QPainter, QPaintEvent, QPen, QPolygonF
from PyQt5.QtWidgets import QSizePolicy, QWidget

from collection.console.calibration_table import BAD, FAIR, GOOD, degrees_as_share, level_of
from collection.console.model import ConsoleModel
from collection.console.views import theme

LEVEL_COLOURS = {GOOD: theme.GOOD, FAIR: theme.WARN, BAD: theme.BAD}
#: The ring of the allowed offset fills about this share of the plot's width, as radius.
_RING_SHARE = 0.052
_LARGEST_MAGNIFICATION = 6.0


class CalibrationPlot(QWidget):
    """Paint one attempt."""

    def __init__(self, model: ConsoleModel) -> None:
        super().__init__()
        self._model = model
        self._attempt: dict[str, Any] = {}
        self._limits: dict[str, Any] = {}
        self._numbered: list[Any] = []
        self.setMinimumSize(280, 170)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)

    def show_attempt(self, attempt: dict[str, Any], limits: dict[str, Any], numbered: list[Any]) -> None:
        """Show an attempt; `numbered` are targets that a question asks for by number."""
        self._attempt, self._limits, self._numbered = attempt, limits, numbered
        self.update()

    @property
    def _screen(self) -> dict[str, Any]:
        return dict(self._model.setup.get("screen") or {})

    def screen_rect(self) -> QRectF:
        """Return where the screen is drawn: its proportions, a margin for what lies outside."""
        screen = self._screen
        aspect = float(screen.get("width_px") or 16) / float(screen.get("height_px") or 9)
        room = QRectF(self.rect()).adjusted(6, 6, -6, -26)
        width = min(room.width(), room.height() * aspect)
        box = QRectF(0, 0, width, width / aspect)
        box.moveCenter(room.center())
        return box

    def paintEvent(self, _: QPaintEvent) -> None:
        """Draw targets, rings, means and spreads."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.Antialiasing)
        box = self.screen_rect()
        painter.fillRect(box, theme.colour("#202328"))
        painter.setPen(QPen(theme.colour(theme.LINE), 1))
        painter.drawRect(box)
        limit = float(self._limits.get("accuracy_deg") or 1.0)
        share, _ = degrees_as_share(limit, self._screen)
        magnified = max(1.0, min(_LARGEST_MAGNIFICATION, _RING_SHARE / share)) if share > 0 else 1.0
        ring = share * magnified * box.width()
        points = self._attempt.get("points") or []
        targets = [target["target_norm"] for target in self._attempt.get("targets") or []]
        targets += [point["target_norm"] for point in points if point["target_norm"] not in targets]
        for target in targets:
            self._draw_target(painter, _at(box, target), ring)
        for point in points:
            self._draw_point(painter, box, point, limit, magnified, ring)
        for number, target in enumerate(self._numbered, start=1):
            painter.setFont(theme.scaled_font(self, 1.5, bold=True))
            centre = _at(box, target)
            spot = QRectF(centre.x() + ring * 0.4, centre.y() - ring * 1.6, ring * 3, ring * 1.6)
            theme.draw_text(painter, spot, str(number), theme.TEXT)
        painter.setFont(theme.scaled_font(self, 0.85))
        legend = QRectF(6.0, self.height() - 24.0, self.width() - 12.0, 22.0)
        words = f"ring: {limit:g}° allowed   |   offsets and spread drawn {magnified:.1f} times as large"
        theme.draw_text(painter, legend, words, theme.DIM, Qt.AlignHCenter)
        painter.end()

    def _draw_target(self, painter: QPainter, centre: QPointF, ring: float) -> None:
        painter.setBrush(Qt.NoBrush)
        painter.setPen(QPen(theme.colour(theme.DIM), 1.5, Qt.DashLine))
        painter.drawEllipse(centre, ring, ring)
        painter.setPen(QPen(theme.colour(theme.TEXT), 2))
        arm = max(4.0, ring * 0.18)
        painter.drawLine(centre - QPointF(arm, 0), centre + QPointF(arm, 0))
        painter.drawLine(centre - QPointF(0, arm), centre + QPointF(0, arm))

    def _draw_point(
        self, painter: QPainter, box: QRectF, point: dict[str, Any], limit: float, magnified: float, ring: float
    ) -> None:
        target, gaze = point["target_norm"], point.get("gaze_norm")
        centre, eye = _at(box, target), theme.EYE_COLOURS.get(str(point.get("eye")), theme.TEXT)
        if not gaze:
            painter.setPen(QPen(theme.colour(theme.BAD), 3))
            painter.setFont(theme.scaled_font(self, 0.9, bold=True))
            below = 1.35 if point.get("eye") == "left" else 2.0
            spot = QRectF(centre.x() - 90, centre.y() + ring * below - 12, 180, 24)
            theme.draw_text(painter, spot, f"no {point.get('eye')} eye", theme.BAD, Qt.AlignHCenter)
            return
        level = level_of(point.get("accuracy_deg"), limit)
        name = LEVEL_COLOURS.get(level, theme.DIM)
        mean = _magnified(box, target, gaze, magnified)
        self._draw_spread(painter, box, point, mean, magnified, name)
        painter.setPen(QPen(theme.colour(name), 2.5))
        painter.drawLine(centre, mean)
        radius = max(5.0, box.width() / 130)
        # The rim says which eye, the filling how good.
        painter.setPen(QPen(theme.colour(eye), 2.5))
        painter.setBrush(theme.colour(name))
        if point.get("eye") == "left":
            painter.drawEllipse(mean, radius, radius)
        else:
            painter.drawRect(QRectF(mean.x() - radius, mean.y() - radius, 2 * radius, 2 * radius))
        painter.setBrush(Qt.NoBrush)

    def _draw_spread(
        self, painter: QPainter, box: QRectF, point: dict[str, Any], mean: QPointF, magnified: float, name: str
    ) -> None:
        painter.setPen(Qt.NoPen)
        painter.setBrush(theme.colour(name, 55))
        outline = point.get("outline_norm") or []
        if len(outline) >= 3:
            painter.drawPolygon(QPolygonF([_magnified(box, point["target_norm"], at, magnified) for at in outline]))
        elif point.get("precision_sd_deg"):
            x, y = degrees_as_share(float(point["precision_sd_deg"]), self._screen)
            painter.drawEllipse(mean, x * magnified * box.width(), y * magnified * box.height())


def _at(box: QRectF, place: Any) -> QPointF:
    return QPointF(box.left() + float(place[0]) * box.width(), box.top() + float(place[1]) * box.height())


def _magnified(box: QRectF, target: Any, place: Any, magnified: float) -> QPointF:
    x = float(target[0]) + (float(place[0]) - float(target[0])) * magnified
    y = float(target[1]) + (float(place[1]) - float(target[1])) * magnified
    return QPointF(
        box.left() + min(1.02, max(-0.02, x)) * box.width(), box.top() + min(1.04, max(-0.04, y)) * box.height()
    )
