"""The participant's screen, drawn small: what the stimulus view and the fixation map have in common."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QImage, QPainter
from qtpy.QtWidgets import QSizePolicy, QWidget

from annotation.desk.eye_scene import EyeScene
from annotation.texts import Texts
from annotation.views.theme import Theme

#: Where the stimulus did not reach, the presenter's screen is grey.
_GREY = 128
_USUAL_ASPECT = 16 / 9


class ScreenCanvas(QWidget):
    """A widget that keeps the shape of the participant's screen.

    Parameters
    ----------
    scene : EyeScene
    texts : Texts
    theme : Theme
    """

    def __init__(self, scene: EyeScene, texts: Texts, theme: Theme) -> None:
        super().__init__()
        self.scene, self.texts, self.theme = scene, texts, theme
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(160, 90)
        scene.subscribe(self.follow)

    def sizeHint(self) -> QSize:
        """Return the size that it likes best."""
        return QSize(480, 270)

    def follow(self) -> None:
        """Draw what the scene shows now."""
        self.update()

    def use_theme(self, theme: Theme) -> None:
        """Change the colours."""
        self.theme = theme
        self.update()

    @property
    def aspect(self) -> float:
        """Width of the participant's screen over its height, from the stimulus and its place on it."""
        eyes, track = self.scene.eyes, self.scene.track
        if eyes is None or track is None:
            return _USUAL_ASPECT
        _, _, width, height = eyes.stimulus_box_norm
        return (track.frames.width_px / max(1e-6, width)) / max(1e-6, track.frames.height_px / max(1e-6, height))

    def screen_box(self) -> QRectF:
        """Return where the participant's screen lies in the widget."""
        width = min(float(self.width()), self.height() * self.aspect)
        height = width / self.aspect
        return QRectF((self.width() - width) / 2, (self.height() - height) / 2, width, height)

    def stimulus_box(self) -> QRectF:
        """Return where the stimulus lies in the widget."""
        screen = self.screen_box()
        left, top, width, height = self.scene.eyes.stimulus_box_norm if self.scene.eyes else (0.0, 0.0, 1.0, 1.0)
        return QRectF(
            screen.x() + left * screen.width(),
            screen.y() + top * screen.height(),
            width * screen.width(),
            height * screen.height(),
        )

    def place(self, x_norm: float, y_norm: float) -> QPointF:
        """Return where a point of the screen lies in the widget."""
        screen = self.screen_box()
        return QPointF(screen.x() + x_norm * screen.width(), screen.y() + y_norm * screen.height())

    def draw_screen(self, painter: QPainter, *, dim: bool = False) -> None:
        """Draw the screen with the stimulus' frame, grey and darker if `dim`."""
        painter.fillRect(self.rect(), self.theme.colour("screen"))
        shade = _GREY // 3 if dim else _GREY
        painter.fillRect(self.screen_box(), self.theme.colour("screen").fromRgb(shade, shade, shade))
        picture = self.scene.image
        if picture is None:
            self._say_why_empty(painter)
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
        if not dim:
            painter.drawImage(self.stimulus_box(), as_image(picture))
            return
        # Green carries most of the light; every second pixel is enough behind the map.
        grey = np.ascontiguousarray(picture[::2, ::2, 1] // 2)
        painter.drawImage(self.stimulus_box(), as_image(grey))

    def _say_why_empty(self, painter: QPainter) -> None:
        problem = self.scene.problem
        key = "er.no_stimulus" if self.scene.track is None else "er.broken" if problem else "er.loading"
        painter.setFont(self.theme.font(self))
        painter.setPen(self.theme.colour("screen_text"))
        box = self.screen_box().adjusted(8, 8, -8, -8)
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(box, int(flags), self.texts(key, problem=problem) if problem else self.texts(key))


def as_image(pixels: np.ndarray) -> QImage:
    """Return pixels of shape (h, w), (h, w, 3) or (h, w, 4) as an image; it looks at the array, so keep that alive."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    formats = {1: QImage.Format.Format_Grayscale8, 3: QImage.Format.Format_RGB888, 4: QImage.Format.Format_RGBA8888}
    pixels = np.ascontiguousarray(pixels)
    image = QImage(pixels.data, width, height, width * channels, formats[channels])
    image._pixels = pixels
    return image
