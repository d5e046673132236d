"""Eye movements and pupil over the time of the clip; a click goes there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import (
    QBrush,
    QFontMetricsF,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
)
from qtpy.QtWidgets import QSizePolicy, QWidget

from annotation.desk.eye_scene import EyeScene
from annotation.evidence.drawing import Span, bridged, column_ranges, value_range
from annotation.evidence.eyes import EyeEvidence
from annotation.texts import Texts
from annotation.views.theme import Theme

#: What is shown where the clip is seen page by page: long enough for a look around, short enough for single saccades.
PAGE_US = 10_000_000
#: Losses up to this long are no gap in the curve: two samples of a slow tracker.
BRIDGE_US = 50_000
#: Distances of the lines of seconds.
STEPS_S = (0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
#: Size of the text against plain text.
SMALL = 0.86
#: Narrower axes would make noise look like behaviour: 0.3 mm is a clear pupil response, 30 deg/s the I-VT threshold.
LEAST_PUPIL_MM, LEAST_VELOCITY = 0.3, 60.0


@dataclass(frozen=True)
class Curve:
    """One curve: its values, its colour and how its line looks, so that colour is not all that tells it."""

    values: np.ndarray
    role: str
    text_id: str
    dashed: bool = False


class TracesView(QWidget):
    """Two lanes of curves over a lane of events, with the cursor of the player.

    Curves are drawn once a clip, size and theme; a frame moves the cursor alone.
    """

    def __init__(self, scene: EyeScene, texts: Texts, theme: Theme) -> None:
        super().__init__()
        self.scene, self.texts, self.theme = scene, texts, theme
        self.setObjectName("traces")
        self.setAccessibleName(texts("er.traces"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._set_least_size()
        self.shows_velocity = False
        self.span = Span(scene.duration_us)
        self._picture: QPixmap | None = None
        self._names_px, self._numbers_px = 80.0, 30.0
        self._generation = -1
        self._cursor_x: float | None = None
        scene.subscribe(self._follow)

    def sizeHint(self) -> QSize:
        """Return the size that it likes best."""
        return QSize(480, 190)

    def use_theme(self, theme: Theme) -> None:
        """Change the colours."""
        self.theme = theme
        self._set_least_size()
        self.redraw()

    def _set_least_size(self) -> None:
        # Two names in the upper lane, one in the lower, two rows of events and the seconds.
        self.setMinimumSize(200, self.theme.px * 8)

    def redraw(self) -> None:
        """Draw everything anew, also what does not move."""
        metrics = QFontMetricsF(self.theme.font(self, SMALL))
        names = [self.texts(f"er.{name}") for name in ("x", "y", "velocity", "pupil", "fixations", "blinks")]
        self._names_px = max(metrics.horizontalAdvance(name) for name in names) + 10
        self._numbers_px = metrics.horizontalAdvance("0000") + 4
        self._picture = None
        self.update()

    def show_velocity(self, shown: bool) -> None:
        """Show how fast the eyes move instead of where they look."""
        self.shows_velocity = shown
        self.redraw()

    def show_page(self, paged: bool) -> None:
        """Show ten seconds at a time instead of the whole clip."""
        self.span = Span(self.scene.duration_us, PAGE_US if paged else 0)
        self.span.follow(self.scene.time_us)
        self.redraw()

    # ------------------------------------------------------------ geometry

    def plot_box(self) -> QRectF:
        """Return where curves lie: right of their names, above the seconds."""
        left = self._names_px + self._numbers_px
        return QRectF(left, 4.0, max(10.0, self.width() - left - 8), max(10.0, self.height() - self.theme.px * 1.4 - 6))

    def x_of(self, time_us: float) -> float:
        """Return the place of a time, pixels."""
        box = self.plot_box()
        return box.x() + self.span.share(time_us) * box.width()

    def time_at(self, x: float) -> int:
        """Return the time at a place."""
        box = self.plot_box()
        return self.span.time_at((x - box.x()) / box.width())

    def _lanes(self) -> tuple[QRectF, QRectF, QRectF]:
        box = self.plot_box()
        events = max(22.0, self.theme.px * 2.0)
        rest = box.height() - events - 8
        first = QRectF(box.x(), box.y(), box.width(), rest * 0.55)
        second = QRectF(box.x(), first.bottom() + 4, box.width(), rest * 0.45)
        return first, second, QRectF(box.x(), second.bottom() + 4, box.width(), events)

    # ------------------------------------------------------------ following the player

    def _follow(self) -> None:
        if self._generation != self.scene.generation or self.span.duration_us != self.scene.duration_us:
            self._generation = self.scene.generation
            self.span = Span(self.scene.duration_us, self.span.length_us)
            self.redraw()
        if self.span.follow(self.scene.time_us):
            self.redraw()
        x = self.x_of(self.scene.time_us)
        if self._cursor_x is not None and abs(x - self._cursor_x) < 0.5:
            return
        for place in (self._cursor_x, x):
            if place is not None:
                self.update(math.floor(place) - 4, 0, 9, self.height())
        self._cursor_x = x

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Draw for the new size."""
        self.redraw()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to the time that was clicked."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._seek(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go along while the button is held."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._seek(event)

    def _seek(self, event: QMouseEvent) -> None:
        # Qt 6 has positions with fractions only, Qt 5 whole ones too.
        place = event.position() if hasattr(event, "position") else event.localPos()
        self.scene.seek(self.time_at(place.x()))

    # ------------------------------------------------------------ drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the curves as they were drawn before, and the cursor."""
        if self._picture is None:
            self._picture = self._draw_all()
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._picture)
        if self.scene.eyes is not None:
            box = self.plot_box()
            x = self.x_of(self.scene.time_us)
            painter.setPen(QPen(self.theme.colour("cursor"), 2))
            painter.drawLine(QPointF(x, box.top()), QPointF(x, box.bottom()))

    def _draw_all(self) -> QPixmap:
        ratio = self.devicePixelRatioF()
        picture = QPixmap(self.size() * ratio)
        picture.setDevicePixelRatio(ratio)
        picture.fill(self.theme.colour("panel"))
        painter = QPainter(picture)
        painter.setFont(self.theme.font(self, SMALL))
        eyes = self.scene.eyes
        if eyes is None:
            self.theme.draw_text(
                painter, QRectF(self.rect()), self.texts("er.no_eyes"), "dim", Qt.AlignmentFlag.AlignCenter
            )
        else:
            self._draw_curves(painter, eyes)
        painter.end()
        return picture

    def _draw_curves(self, painter: QPainter, eyes: EyeEvidence) -> None:
        first, second, events = self._lanes()
        for lane in (first, second, events):
            painter.fillRect(lane, self.theme.colour("raised"))
        self._draw_events(painter, events, eyes, (first, second))
        self._draw_seconds(painter)
        if self.shows_velocity:
            _, high = value_range(eyes.velocity_deg_s, LEAST_VELOCITY)
            curves = (Curve(eyes.velocity_deg_s, "velocity", "er.velocity"),)
            self._draw_lane(painter, first, curves, (0.0, high), "{:.0f}")
        else:
            x, y = Curve(eyes.gaze_norm[:, 0], "gaze", "er.x"), Curve(eyes.gaze_norm[:, 1], "gaze_2", "er.y", True)
            self._draw_lane(painter, first, (x, y), (0.0, 1.0), "")
        pupil = Curve(eyes.pupil_mm, "pupil", "er.pupil")
        self._draw_lane(painter, second, (pupil,), value_range(eyes.pupil_mm, LEAST_PUPIL_MM), "{:.1f}")

    def _draw_lane(
        self, painter: QPainter, lane: QRectF, curves: tuple[Curve, ...], ends: tuple[float, float], numbers: str
    ) -> None:
        """Draw curves, their names at the left in their colour and line, and the ends of the axis."""
        height = self.theme.px * 1.25
        for place, curve in enumerate(curves):
            top = lane.y() + lane.height() / 2 + (place - len(curves) / 2) * height
            self.theme.draw_text(
                painter, QRectF(4, top, self._names_px - 6, height), self.texts(curve.text_id), curve.role
            )
            self._draw_curve(painter, lane, curve, ends)
        ticks = [(numbers.format(ends[1]), lane.y()), (numbers.format(ends[0]), lane.bottom() - height)]
        for text, top in ticks if lane.height() >= 2 * height else ticks[:1]:
            box = QRectF(self._names_px, top, self._numbers_px - 4, height)
            self.theme.draw_text(painter, box, text, "dim", Qt.AlignmentFlag.AlignRight)

    def _draw_curve(self, painter: QPainter, lane: QRectF, curve: Curve, ends: tuple[float, float]) -> None:
        n = max(1, int(lane.width()))
        low, high = column_ranges(self.scene.eyes.gaze_t_us, curve.values, self.span, n)
        low, high = bridged(low, high, max(1, round(BRIDGE_US / max(1, self.span.shown_us) * n)))
        scale = lane.height() / max(1e-9, ends[1] - ends[0])
        # A gaze of 0 is the top or the left of the screen; y grows downwards there as here.
        downwards = curve.text_id == "er.y"
        painter.save()
        painter.setClipRect(lane)
        pen = QPen(self.theme.colour(curve.role), 1.6)
        if curve.dashed:
            pen.setDashPattern([3.0, 2.0])
        painter.setPen(pen)
        known = np.isfinite(low)
        starts = np.flatnonzero(known & ~np.concatenate([[False], known[:-1]]))
        stops = np.flatnonzero(known & ~np.concatenate([known[1:], [False]]))
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            line = QPolygonF()
            for column in range(start, stop + 1):
                # From the end that lies nearer to the last point, so that the line does not go back and forth.
                for value in (low[column], high[column]) if low[column] != high[column] else (low[column],):
                    share = (value - ends[0]) * scale
                    y = lane.y() + share if downwards else lane.bottom() - share
                    line.append(QPointF(lane.x() + column + 0.5, y))
            painter.drawPolyline(line) if line.count() > 1 else painter.drawPoint(line.first())
        painter.restore()

    def _draw_events(self, painter: QPainter, lane: QRectF, eyes: EyeEvidence, above: tuple[QRectF, ...]) -> None:
        """Draw fixations as bars, blinks as hatched bars through all lanes."""
        painter.save()
        painter.setClipRect(self.plot_box())
        painter.setPen(Qt.PenStyle.NoPen)
        half = lane.height() / 2
        painter.setBrush(self.theme.colour("fixation"))
        for start, end, _, _ in eyes.fixations.tolist():
            left, right = self.x_of(start), self.x_of(end)
            # A hair of air between two fixations: each one can be told from the next.
            painter.drawRect(QRectF(left, lane.y() + 1, max(1.0, right - left - 1), half - 2))
        for start, end in eyes.blinks_us.tolist():
            left, width = self.x_of(start), max(2.0, self.x_of(end) - self.x_of(start))
            painter.setBrush(self.theme.colour("blink", 110))
            for other in above:
                painter.drawRect(QRectF(left, other.y(), width, other.height()))
            painter.setBrush(self.theme.colour("blink"))
            bar = QRectF(left, lane.y() + half + 1, width, half - 2)
            painter.drawRect(bar)
            painter.setBrush(QBrush(self.theme.colour("text"), Qt.BrushStyle.BDiagPattern))
            painter.drawRect(bar)
        painter.restore()
        for top, text in ((lane.y(), "er.fixations"), (lane.y() + half, "er.blinks")):
            self.theme.draw_text(painter, QRectF(4, top, lane.x() - 8, half), self.texts(text), "dim")

    def _draw_seconds(self, painter: QPainter) -> None:
        box = self.plot_box()
        seconds = self.span.shown_us / 1e6
        most = max(2.0, min(8.0, box.width() / (self.theme.px * 4.5)))
        step = next((step for step in STEPS_S if seconds / step <= most), STEPS_S[-1])
        first = math.ceil(self.span.start_us / 1e6 / step)
        for number in range(first, math.floor((self.span.start_us + self.span.shown_us) / 1e6 / step) + 1):
            x = self.x_of(number * step * 1e6)
            painter.setPen(QPen(self.theme.colour("line"), 1))
            painter.drawLine(QPointF(x, box.top()), QPointF(x, box.bottom()))
            text = self.texts("er.seconds", s=f"{number * step:g}")
            width = self.theme.px * 4.0
            place = QRectF(min(x - width / 2, self.width() - width), box.bottom() + 1, width, self.theme.px * 1.3)
            self.theme.draw_text(painter, place, text, "dim", Qt.AlignmentFlag.AlignHCenter)
