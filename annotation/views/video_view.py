"""The face: exactly the frame that the player says, as large as there is room."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from qtpy.QtCore import QRect, QRectF, QSize, Qt
from qtpy.QtGui import QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from annotation.desk import state
from annotation.desk.desk import Desk
from annotation.playback.frames import RgbImage
from annotation.texts import Texts
from annotation.views.theme import Theme


def as_image(pixels: RgbImage) -> QImage:
    """Return a QImage over the array's own memory; keep the array as long as the image."""
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    image = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
    image.pixels = pixels  # keeps the memory alive
    return image


def fitted(width: int, height: int, room: QRect) -> QRect:
    """Return the largest rectangle of these proportions in the middle of a room."""
    if width <= 0 or height <= 0 or room.width() <= 0 or room.height() <= 0:
        return QRect(room)
    share = min(room.width() / width, room.height() / height)
    across, down = max(1, round(width * share)), max(1, round(height * share))
    return QRect(room.x() + (room.width() - across) // 2, room.y() + (room.height() - down) // 2, across, down)


class VideoView(QWidget):
    """Paint the desk's player.

    Parameters
    ----------
    desk : Desk
    texts : Texts
    theme : Theme
    key_of : callable
        Returns the key of an action, as it is written on a keyboard.
    """

    def __init__(self, desk: Desk, texts: Texts, theme: Theme, key_of: Callable[[str], str]) -> None:
        super().__init__()
        self._desk, self._texts, self._theme, self._key_of = desk, texts, theme, key_of
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(240, 160)
        # All of it is painted: Qt need not clear it first.
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        for topic in (state.ITEM, state.FRAME, state.PLAYBACK):
            desk.subscribe(topic, self.update)

    def sizeHint(self) -> QSize:
        """Ask for what a laptop has room for."""
        return QSize(860, 484)

    def picture_rect(self) -> QRect:
        """Return where the picture is, in pixels of this widget."""
        image = self._desk.player.image
        return self.rect() if image is None else fitted(image.shape[1], image.shape[0], self.rect())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the frame, or say why there is none."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.colour("screen"))
        player = self._desk.player
        image = player.image
        error = self._desk.media_error
        if image is not None and error is not None:
            # One frame does not decode: the picture is that of the frame before, and says so.
            self._paint_image(painter, image)
            self._say_in_strip(painter, str(error))
        elif error is not None:
            self._say_broken(painter, str(error))
        elif image is None:
            self._say(painter, self._texts("video.none" if self._desk.item is None else "video.loading"))
        else:
            self._paint_image(painter, image)
        painter.end()

    def _paint_image(self, painter: QPainter, image: RgbImage) -> None:
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(self.picture_rect(), as_image(image))

    def _say_in_strip(self, painter: QPainter, why: str) -> None:
        painter.setFont(self._theme.font(self))
        strip = QRectF(0, self.height() - 3.2 * self._theme.px, self.width(), 3.2 * self._theme.px)
        painter.fillRect(strip, self._theme.colour("bad_soft"))
        painter.setPen(self._theme.colour("text"))
        painter.drawText(strip.adjusted(10, 0, -10, 0), Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextWordWrap, why)

    def _say(self, painter: QPainter, text: str) -> None:
        painter.setFont(self._theme.font(self, 1.25))
        painter.setPen(self._theme.colour("screen_text"))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, text)

    def _say_broken(self, painter: QPainter, why: str) -> None:
        room = QRectF(self.rect()).adjusted(24, 24, -24, -24)
        line = self.fontMetrics().height()
        wrap = Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWordWrap
        painter.setFont(self._theme.font(self, 1.4, bold=True))
        painter.setPen(self._theme.colour("screen_text"))
        top = room.adjusted(0, max(0.0, room.height() / 2 - 4 * line), 0, 0)
        painter.drawText(top, wrap, self._texts("video.broken"))
        painter.setFont(self._theme.font(self, 1.0))
        hint = self._texts("video.broken_hint", skip=self._key_of("skip"), next=self._key_of("next"))
        painter.drawText(top.adjusted(0, 2.2 * line, 0, 0), wrap, f"{why}\n\n{hint}")
