"""Where the eyes rested during the whole clip, over the stimulus."""

from __future__ import annotations

from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent

from annotation.evidence.drawing import map_image
from annotation.evidence.scene import EyeScene
from annotation.texts import Texts
from annotation.views.er.screen_canvas import ScreenCanvas, as_image
from annotation.views.theme import Theme


class FixationMapView(ScreenCanvas):
    """Draws the fixation map onto the stimulus' frame of the moment, which is grey so that colours are the map's."""

    def __init__(self, scene: EyeScene, texts: Texts, theme: Theme) -> None:
        super().__init__(scene, texts, theme)
        self.setObjectName("fixation_map")
        self.setAccessibleName(texts("er.map"))
        self._drawn: QImage | None = None
        self._generation = -1

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw picture, map and its key."""
        painter = QPainter(self)
        self.draw_screen(painter, dim=True)
        eyes = self.scene.eyes
        if eyes is None or not eyes.fixation_map.any():
            self._note(painter, self.texts("er.no_eyes" if eyes is None else "er.no_fixation"))
            return
        if self._generation != self.scene.generation or self._drawn is None:
            self._drawn = as_image(map_image(eyes.fixation_map))
            self._generation = self.scene.generation
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
        painter.drawImage(self.screen_box(), self._drawn)
        self._note(painter, self.texts("er.map_note", n=len(eyes.fixations)))

    def _note(self, painter: QPainter, text: str) -> None:
        painter.setFont(self.theme.font(self, 0.86))
        metrics = painter.fontMetrics()
        screen = self.screen_box()
        width = min(metrics.horizontalAdvance(text) + 12, screen.width())
        box = QRectF(screen.x(), screen.bottom() - metrics.height() - 4, width, metrics.height() + 4)
        painter.fillRect(box, QColor(0, 0, 0, 170))
        painter.setPen(QColor(255, 255, 255))
        shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, int(width - 8))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), shown)
