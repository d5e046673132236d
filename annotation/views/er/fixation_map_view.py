"""Where the eyes rested during the whole clip, over the stimulus."""

from __future__ import annotations

import time

from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPixmap

from annotation.desk.eye_scene import EyeScene
from annotation.desk.state import PLAYBACK
from annotation.evidence.eyes import EyeEvidence
from annotation.texts import Texts
from annotation.views.er.screen_canvas import ScreenCanvas, as_image
from annotation.views.theme import Theme
from data_schema.signals.maps import map_image

#: Seconds between two pictures behind the map while the clip plays.
WHILE_PLAYING_S = 0.2


class FixationMapView(ScreenCanvas):
    """Draws the fixation map onto the stimulus' frame of the moment, which is grey so that colours are the map's."""

    def __init__(self, scene: EyeScene, texts: Texts, theme: Theme) -> None:
        super().__init__(scene, texts, theme)
        self.setObjectName("fixation_map")
        self.setAccessibleName(texts("er.map"))
        self._drawn: QPixmap | None = None
        self._drawn_for: tuple[object, ...] = ()
        self._drawn_s = 0.0
        self._ending = scene.desk.subscribe(PLAYBACK, self.update)

    def follow(self) -> None:
        """Draw anew, while playing only a few times a second: what changes then is the picture behind the map."""
        now_s = time.monotonic()
        if self.scene.desk.player.playing and now_s - self._drawn_s < WHILE_PLAYING_S:
            return
        self._drawn_s = now_s
        self.update()

    def end(self) -> None:
        """Stop following the player; may be called again."""
        self._ending()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw picture, map and its key."""
        painter = QPainter(self)
        self.draw_screen(painter, dim=True)
        eyes = self.scene.eyes
        if eyes is None or not eyes.fixation_map.any():
            self._note(painter, self.texts("er.no_eyes" if eyes is None else "er.no_fixation"))
            return
        painter.drawPixmap(self.screen_box().topLeft(), self._overlay(eyes))
        self._note(painter, self.texts("er.map_note", n=len(eyes.fixations)))

    def _overlay(self, eyes: EyeEvidence) -> QPixmap:
        """Return the map in the size in which it is shown, drawn once a clip and size."""
        ratio = self.devicePixelRatioF()
        size = (self.screen_box().size() * ratio).toSize()
        wanted = (self.scene.generation, size.width(), size.height())
        if self._drawn is None or self._drawn_for != wanted:
            image = as_image(map_image(eyes.fixation_map))
            smooth = Qt.TransformationMode.SmoothTransformation
            self._drawn = QPixmap.fromImage(image.scaled(size, Qt.AspectRatioMode.IgnoreAspectRatio, smooth))
            self._drawn.setDevicePixelRatio(ratio)
            self._drawn_for = wanted
        return self._drawn

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
