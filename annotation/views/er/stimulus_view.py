"""The stimulus' frame that stood on the screen, with where the person looked."""

from __future__ import annotations

import math

import numpy as np
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen

from annotation.desk.eye_scene import EyeScene
from annotation.evidence.drawing import fixations_until, gaze_trail
from annotation.texts import Texts
from annotation.views.er.screen_canvas import ScreenCanvas
from annotation.views.theme import Theme

#: Fixations that ended longer ago are not drawn.
RECENT_US = 2_000_000
#: Radius of a fixation of one second, share of the screen's width; the area grows with the duration.
ONE_SECOND_RADIUS = 0.045


class StimulusView(ScreenCanvas):
    """Draws the stimulus, the trail of the gaze and the latest fixations, all of one moment."""

    def __init__(self, scene: EyeScene, texts: Texts, theme: Theme) -> None:
        super().__init__(scene, texts, theme)
        self.setObjectName("stimulus")
        self.with_gaze = True
        self.setAccessibleName(texts("er.stimulus"))

    def show_gaze(self, shown: bool) -> None:
        """Show or hide what is drawn onto the stimulus."""
        self.with_gaze = shown
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the picture and the gaze of its moment."""
        painter = QPainter(self)
        self.draw_screen(painter)
        if self.with_gaze and self.scene.eyes is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
            painter.setClipRect(self.screen_box())
            self._draw_fixations(painter)
            self._draw_trail(painter)
            self._say_loss(painter)
        elif self.with_gaze:
            self._say(painter, self.texts("er.no_eyes"))

    def _draw_fixations(self, painter: QPainter) -> None:
        eyes, now_us = self.scene.eyes, self.scene.picture_time_us
        screen_width = self.screen_box().width()
        previous: QPointF | None = None
        for start, end, x, y in fixations_until(eyes, now_us):
            age = (now_us - end) / RECENT_US
            if age > 1:
                continue
            strength = 1.0 - 0.75 * age
            centre = self.place(x, y)
            radius = max(5.0, screen_width * ONE_SECOND_RADIUS * math.sqrt((end - start) / 1e6))
            if previous is not None:
                self._line(painter, previous, centre, strength)
            self._ring(painter, centre, radius, strength, filled=end >= now_us)
            previous = centre

    def _ring(self, painter: QPainter, centre: QPointF, radius: float, strength: float, *, filled: bool) -> None:
        """Draw a circle that stands out from light and from dark."""
        painter.setBrush(self._gaze_colour(90) if filled else Qt.BrushStyle.NoBrush)
        for width, colour in ((4.0, QColor(0, 0, 0, round(150 * strength))), (2.0, self._ink(strength))):
            painter.setPen(QPen(colour, width))
            painter.drawEllipse(centre, radius, radius)

    def _line(self, painter: QPainter, start: QPointF, end: QPointF, strength: float) -> None:
        for width, colour in ((3.0, QColor(0, 0, 0, round(110 * strength))), (1.4, self._ink(strength))):
            painter.setPen(QPen(colour, width))
            painter.drawLine(start, end)

    def _draw_trail(self, painter: QPainter) -> None:
        points, age = gaze_trail(self.scene.eyes, self.scene.picture_time_us)
        if not len(points):
            return
        # A screen shows some twenty steps of the trail; a faster tracker gives no longer one.
        step = max(1, len(points) // 24)
        kept = np.arange(len(points) - 1, -1, -step)[::-1]
        last: QPointF | None = None
        for (x, y), old in zip(points[kept].tolist(), age[kept].tolist(), strict=True):
            place = self.place(x, y) if math.isfinite(x) else None
            if place is not None and last is not None:
                painter.setPen(QPen(QColor(0, 0, 0, round(120 * (1 - old))), 5.0))
                painter.drawLine(last, place)
                painter.setPen(QPen(self._gaze_colour(round(255 * (1 - 0.7 * old))), 3.0))
                painter.drawLine(last, place)
            last = place
        if last is not None:
            painter.setPen(QPen(QColor(0, 0, 0), 2.0))
            painter.setBrush(self._gaze_colour())
            painter.drawEllipse(last, 5.5, 5.5)

    def _say_loss(self, painter: QPainter) -> None:
        """Say that the eyes are closed or lost, which no gaze point alone would tell apart from looking away."""
        eyes, now_us = self.scene.eyes, self.scene.picture_time_us
        if any(start <= now_us < end for start, end in eyes.blinks_us.tolist()):
            self._say(painter, self.texts("er.blink_now"))
            return
        place = int(np.searchsorted(eyes.gaze_t_us, now_us, side="right")) - 1
        if place >= 0 and not np.isfinite(eyes.gaze_norm[place, 0]):
            self._say(painter, self.texts("er.gaze_lost"))

    def _say(self, painter: QPainter, text: str) -> None:
        painter.setFont(self.theme.font(self, 0.93, bold=True))
        metrics = painter.fontMetrics()
        screen = self.screen_box()
        box = QRectF(
            screen.x() + 8,
            screen.bottom() - metrics.height() - 12,
            min(metrics.horizontalAdvance(text) + 14, screen.width() - 16),
            metrics.height() + 6,
        )
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 190))
        painter.drawRoundedRect(box, 4, 4)
        painter.setPen(QColor(255, 255, 255))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), text)

    def _gaze_colour(self, alpha: int = 255) -> QColor:
        # The picture below is the same in both themes, so the overlay is, too: Okabe and Ito's orange.
        return QColor(230, 159, 0, alpha)

    def _ink(self, strength: float) -> QColor:
        return QColor(255, 255, 255, round(255 * strength))
