"""The clip's time: where it is, what loops, which frames are marked. A click or a drag seeks."""

from __future__ import annotations

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from annotation.desk import state
from annotation.desk.desk import Desk
from annotation.texts import Texts
from annotation.views.theme import Theme

#: Seconds between two ticks; the first that leaves them far enough apart.
_TICKS_S = (0.1, 0.5, 1, 5, 10, 30, 60, 300)
_MIN_TICK_PX = 44


class Timeline(QWidget):
    """Paint the time line of the clip and seek on it.

    Parameters
    ----------
    desk : Desk
    texts : Texts
    theme : Theme
    """

    def __init__(self, desk: Desk, texts: Texts, theme: Theme) -> None:
        super().__init__()
        self._desk, self._texts, self._theme = desk, texts, theme
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        for topic in (state.ITEM, state.FRAME, state.PLAYBACK, state.MARKS):
            desk.subscribe(topic, self.update)

    def sizeHint(self) -> QSize:
        """Ask for a track with room for marks and seconds."""
        return QSize(300, round(3.3 * self._theme.px))

    def minimumSizeHint(self) -> QSize:
        """Never lower than the seconds under it."""
        return QSize(160, self.sizeHint().height())

    def track(self) -> QRectF:
        """Return the track, in pixels of this widget."""
        px = self._theme.px
        return QRectF(0.7 * px, 1.0 * px, self.width() - 1.4 * px, 0.9 * px)

    def x_of(self, index: int) -> float:
        """Return where a frame lies, in pixels of this widget."""
        frames = self._desk.player.frames
        track = self.track()
        if frames is None or len(frames) < 2:
            return track.left()
        span = max(1, int(frames.times_us[-1]) - int(frames.times_us[0]))
        return track.left() + track.width() * (int(frames.times_us[index]) - int(frames.times_us[0])) / span

    def index_at(self, x: float) -> int | None:
        """Return the frame nearest to a place of this widget; None without a clip."""
        frames = self._desk.player.frames
        if frames is None or not len(frames):
            return None
        track = self.track()
        share = min(1.0, max(0.0, (x - track.left()) / max(1.0, track.width())))
        first, last = int(frames.times_us[0]), int(frames.times_us[-1])
        index = frames.index_at(round(first + share * (last - first)))
        if index + 1 < len(frames) and abs(self.x_of(index + 1) - x) < abs(self.x_of(index) - x):
            index += 1
        return int(index)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Seek."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._desk.play_action(lambda player: player.pause())
            self._seek(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Seek on while the button is held."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._seek(event)

    def _seek(self, event: QMouseEvent) -> None:
        place = event.position() if hasattr(event, "position") else event.pos()
        index = self.index_at(place.x())
        if index is not None:
            self._desk.play_action(lambda player: player.seek(index))

    # ---------------------------------------------------------------- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw track, loop, seconds, marks and the cursor."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme, track = self._theme, self.track()
        painter.setPen(QPen(theme.colour("edge"), 1))
        painter.setBrush(theme.colour("raised"))
        painter.drawRoundedRect(track, 3, 3)
        frames = self._desk.player.frames
        if frames is not None and len(frames):
            self._paint_seconds(painter, track)
            self._paint_loop(painter, track)
            for mark in self._desk.marks:
                if mark.index is not None and 0 <= mark.index < len(frames):
                    self._paint_mark(painter, track, mark)
            x = self.x_of(min(self._desk.player.index, len(frames) - 1))
            painter.setPen(QPen(theme.colour("panel"), 5))
            painter.drawLine(QPointF(x, track.top() - 3), QPointF(x, track.bottom() + 3))
            painter.setPen(QPen(theme.colour("cursor"), 3))
            painter.drawLine(QPointF(x, track.top() - 3), QPointF(x, track.bottom() + 3))
        painter.end()

    def _paint_seconds(self, painter: QPainter, track: QRectF) -> None:
        frames, theme = self._desk.player.frames, self._theme
        seconds = (int(frames.times_us[-1]) - int(frames.times_us[0])) / 1e6
        if seconds <= 0:
            return
        step = next((s for s in _TICKS_S if track.width() * s / seconds >= _MIN_TICK_PX), _TICKS_S[-1])
        painter.setFont(theme.font(self, 0.8))
        for tick in range(int(seconds / step) + 1):
            x = track.left() + track.width() * tick * step / seconds
            painter.setPen(QPen(theme.colour("line"), 1))
            painter.drawLine(QPointF(x, track.top()), QPointF(x, track.bottom()))
            painter.setPen(theme.colour("dim"))
            box = QRectF(x - 30, track.bottom() + 2, 60, 1.2 * theme.px)
            painter.drawText(
                box, Qt.AlignmentFlag.AlignCenter, f"{tick * step:g} s" if tick == 0 else f"{tick * step:g}"
            )

    def _paint_loop(self, painter: QPainter, track: QRectF) -> None:
        bounds = self._desk.player.loop
        if bounds is None:
            return
        left, right = (self.x_of(index) for index in bounds)
        painter.setPen(QPen(self._theme.colour("accent"), 2))
        painter.setBrush(self._theme.colour("loop"))
        painter.drawRect(QRectF(left, track.top(), max(3.0, right - left), track.height()))

    def _paint_mark(self, painter: QPainter, track: QRectF, mark: state.MarkedFrame) -> None:
        """Draw a mark: the apex a triangle above the track, onset and offset brackets."""
        theme, px, x = self._theme, self._theme.px, self.x_of(mark.index)
        role = mark.kind if mark.kind in ("apex", "onset", "offset") else "flag"
        painter.setPen(QPen(theme.colour(role), 2))
        painter.drawLine(QPointF(x, track.top()), QPointF(x, track.bottom()))
        if mark.kind == "apex":
            painter.setBrush(theme.colour(role))
            top = track.top() - 2
            painter.drawPolygon(
                QPolygonF(
                    [QPointF(x, top), QPointF(x - 0.4 * px, top - 0.65 * px), QPointF(x + 0.4 * px, top - 0.65 * px)]
                )
            )
        else:
            arm = 0.35 * px if mark.kind == "onset" else -0.35 * px
            for y in (track.top() - 0.45 * px, track.bottom()):
                painter.drawLine(QPointF(x, y), QPointF(x + arm, y))
            painter.drawLine(QPointF(x, track.top() - 0.45 * px), QPointF(x, track.bottom()))
