"""Valence to the right, arousal upwards: click for both at once, or type 1 to 9 for each."""

from __future__ import annotations

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QFontMetrics, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from annotation.desk import state
from annotation.desk.desk import Desk
from annotation.texts import Texts
from annotation.views.theme import Theme

#: Clicks fall on the same grid as the arrow keys; agreement statistics need one, and no one points finer.
GRID = 0.05
_MIDDLE = Qt.AlignmentFlag.AlignVCenter
#: Points of the trace that are drawn behind the hand.
_TRAIL = 90


def on_grid(value: float) -> float:
    """Return the nearest value of the scale that an arrow key could reach as well."""
    return round(min(1.0, max(-1.0, round(value / GRID) * GRID)), 2)


class AffectPad(QWidget):
    """Paint and set valence and arousal; while a trace runs, the mouse's way is the trace.

    Parameters
    ----------
    desk : Desk
    texts : Texts
    theme : Theme
    """

    def __init__(self, desk: Desk, texts: Texts, theme: Theme) -> None:
        super().__init__()
        self._desk, self._texts, self._theme = desk, texts, theme
        self._hand: tuple[float, float] | None = None
        self._trail: list[tuple[float, float]] = []
        self._last: QPointF | None = None
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        for topic in (state.DRAFT, state.ITEM):
            desk.subscribe(topic, self.update)
        desk.subscribe(state.TRACE, self._follow_trace)

    def sizeHint(self) -> QSize:
        """Ask for a square that a laptop has room for."""
        return QSize(14 * self._theme.px, 14 * self._theme.px)

    def minimumSizeHint(self) -> QSize:
        """Return the smallest pad that can be pointed in."""
        return QSize(11 * self._theme.px, 11 * self._theme.px)

    def square(self) -> QRectF:
        """Return the square from -1 to 1, in pixels of this widget."""
        px = self._theme.px
        room = QRectF(self.rect()).adjusted(self._beside("unpleasant") + 1.3 * px, 1.4 * px, 0, -2.5 * px)
        room.setRight(self.width() - self._beside("pleasant"))
        side = max(20.0, min(room.width(), room.height()))
        return QRectF(room.center().x() - side / 2, room.center().y() - side / 2, side, side)

    def place_of(self, valence: float, arousal: float) -> QPointF:
        """Return where a point lies, in pixels of this widget."""
        square = self.square()
        return QPointF(
            square.left() + (valence + 1) / 2 * square.width(), square.bottom() - (arousal + 1) / 2 * square.height()
        )

    def _value_at(self, place: QPointF) -> tuple[float, float]:
        square = self.square()
        return (
            2 * (place.x() - square.left()) / square.width() - 1,
            2 * (square.bottom() - place.y()) / square.height() - 1,
        )

    # ------------------------------------------------------------------- mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin to point; nothing is said before the button is let go."""
        if event.button() == Qt.MouseButton.LeftButton and not self._desk.tracing:
            self._hand = self._pointed(event)
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Show where the point would be, or trace."""
        if self._desk.tracing:
            self._trace(event)
        elif event.buttons() & Qt.MouseButton.LeftButton:
            self._hand = self._pointed(event)
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Say it."""
        if event.button() == Qt.MouseButton.LeftButton and self._hand is not None:
            point, self._hand = self._pointed(event), None
            self._desk.set_point(*point)
            self.update()

    def _pointed(self, event: QMouseEvent) -> tuple[float, float]:
        valence, arousal = self._value_at(_place(event))
        return on_grid(valence), on_grid(arousal)

    # ------------------------------------------------------------------- trace

    def _follow_trace(self) -> None:
        if self._desk.tracing:
            self._trail.append(self._desk.trace_point)
            del self._trail[:-_TRAIL]
        else:
            self._trail.clear()
            self._last = None
        self.update()

    def _trace(self, event: QMouseEvent) -> None:
        place = _place(event)
        valence, arousal = self._value_at(place)
        if self._desk.source.rules.trace == "relative":
            # Free of ends: only the way of the hand counts, added to where the trace was.
            was = self._value_at(self._last) if self._last is not None else (valence, arousal)
            now = self._desk.trace_point
            valence, arousal = now[0] + valence - was[0], now[1] + arousal - was[1]
        else:
            valence, arousal = min(1.0, max(-1.0, valence)), min(1.0, max(-1.0, arousal))
        self._last = place
        self._desk.trace_to(valence, arousal)

    # ---------------------------------------------------------------- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the square, the scale in focus, and the point."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        square, theme = self.square(), self._theme
        painter.setPen(QPen(theme.colour("edge"), 1))
        painter.setBrush(theme.colour("raised"))
        painter.drawRect(square)
        self._paint_grid(painter, square)
        self._paint_words(painter, square)
        if self._desk.tracing:
            self._paint_trail(painter)
        else:
            self._paint_point(painter, square)
        painter.end()

    def _paint_grid(self, painter: QPainter, square: QRectF) -> None:
        """Nine points a scale; the one in focus carries its digits."""
        theme, focus = self._theme, self._desk.focus
        painter.setFont(theme.font(self, 0.8, bold=True))
        for point in range(9):
            value = point / 4 - 1
            at = self.place_of(value, value)
            painter.setPen(QPen(theme.colour("edge" if point == 4 else "line"), 1))
            painter.drawLine(QPointF(at.x(), square.top()), QPointF(at.x(), square.bottom()))
            painter.drawLine(QPointF(square.left(), at.y()), QPointF(square.right(), at.y()))
            px = theme.px
            across = QRectF(at.x() - px, square.bottom() + 1, 2 * px, 1.1 * px)
            up = QRectF(square.left() - 1.4 * px, at.y() - 0.6 * px, 1.2 * px, 1.2 * px)
            for field, box in (("valence", across), ("arousal", up)):
                painter.setPen(theme.colour("focus" if focus == field else "faint"))
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, str(point + 1))
        painter.setPen(QPen(theme.colour("focus"), 3))
        if focus == "valence":
            painter.drawLine(square.bottomLeft(), square.bottomRight())
        elif focus == "arousal":
            painter.drawLine(square.bottomLeft(), square.topLeft())

    def _beside(self, word: str) -> float:
        """Return the room that a word beside the square takes, pixels."""
        metrics = QFontMetrics(self._theme.font(self, 0.86))
        return metrics.horizontalAdvance(self._texts(f"pad.{word}")) + 0.6 * self._theme.px

    def _paint_words(self, painter: QPainter, square: QRectF) -> None:
        """Write what each side means: left and right of valence, above and below of arousal."""
        theme, texts, px = self._theme, self._texts, self._theme.px
        painter.setFont(theme.font(self, 0.86))
        painter.setPen(theme.colour("dim"))
        middle = QRectF(0, square.center().y() - px, square.left() - 1.5 * px, 2 * px)
        painter.drawText(middle, _MIDDLE | Qt.AlignmentFlag.AlignRight, texts("pad.unpleasant"))
        middle = QRectF(square.right() + 0.5 * px, middle.y(), self.width(), 2 * px)
        painter.drawText(middle, _MIDDLE | Qt.AlignmentFlag.AlignLeft, texts("pad.pleasant"))
        above = QRectF(square.left(), square.top() - 1.35 * px, square.width(), 1.3 * px)
        painter.drawText(above, Qt.AlignmentFlag.AlignHCenter, texts("pad.excited"))
        below = QRectF(square.left(), square.bottom() + 1.15 * px, square.width(), 1.3 * px)
        painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, texts("pad.calm"))

    def _paint_point(self, painter: QPainter, square: QRectF) -> None:
        theme, draft = self._theme, self._desk.draft
        valence, arousal = self._hand if self._hand is not None else (draft.valence, draft.arousal)
        painter.setPen(QPen(theme.colour("accent"), 2, Qt.PenStyle.DashLine))
        if valence is not None:
            x = self.place_of(valence, 0).x()
            painter.drawLine(QPointF(x, square.top()), QPointF(x, square.bottom()))
        if arousal is not None:
            y = self.place_of(0, arousal).y()
            painter.drawLine(QPointF(square.left(), y), QPointF(square.right(), y))
        if valence is not None and arousal is not None:
            painter.setPen(QPen(theme.colour("panel"), 2))
            painter.setBrush(theme.colour("accent"))
            painter.drawEllipse(self.place_of(valence, arousal), 0.55 * theme.px, 0.55 * theme.px)

    def _paint_trail(self, painter: QPainter) -> None:
        theme = self._theme
        of = self._desk.source.rules.trace_of
        # What is not traced stays in the middle.
        points = [(v if of != "arousal" else 0.0, a if of != "valence" else 0.0) for v, a in self._trail]
        if not points:
            return
        if self._desk.source.rules.trace == "relative":
            # What is shown is moved along, so that the hand never meets an end.
            base = points[-1]
            points = [(v - base[0], a - base[1]) for v, a in points]
        painter.setClipRect(self.square())
        painter.setPen(QPen(theme.colour("accent"), 2))
        places = [self.place_of(v, a) for v, a in points]
        for first, second in zip(places, places[1:], strict=False):
            painter.drawLine(first, second)
        painter.setPen(QPen(theme.colour("panel"), 2))
        painter.setBrush(theme.colour("focus"))
        painter.drawEllipse(places[-1], 0.5 * theme.px, 0.5 * theme.px)


def _place(event: QMouseEvent) -> QPointF:
    """Return where the mouse is; Qt 6 says it by another name than Qt 5."""
    return event.position() if hasattr(event, "position") else QPointF(event.pos())
