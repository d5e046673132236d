"""The camera's preview with the face's box, and what is wrong with light and place."""

from __future__ import annotations

from PyQt5.QtCore import QRectF, Qt
from PyQt5.QtGui import QImage, QPainter, QPaintEvent, QPen
from PyQt5.QtWidgets import QSizePolicy, QWidget

from collection.console import messages
from collection.console.light import PictureState, face_warning, light_warning
from collection.console.model import PICTURES, ConsoleModel
from collection.console.views import theme

_OLD_S = 1.5


class CameraView(QWidget):
    """Paint the newest picture of a camera; the second camera's in a corner."""

    def __init__(self, model: ConsoleModel) -> None:
        super().__init__()
        self._model = model
        self._images: dict[int, tuple[int, QImage]] = {}
        self.setMinimumSize(160, 90)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)
        model.subscribe(messages.FRAME, self.update)
        model.subscribe(PICTURES, self.update)
        # Without a new picture its age still has to be said.
        model.subscribe(messages.STATUS, self._age)

    def _age(self) -> None:
        frame = self._model.frames.get(1)
        if frame is None or self._model.now_s() - frame.arrived_s > _OLD_S:
            self.update()

    def _image(self, camera: int) -> QImage | None:
        frame = self._model.frames.get(camera)
        if frame is None:
            return None
        known = self._images.get(camera)
        if known is None or known[0] != frame.t_us:
            known = (frame.t_us, QImage.fromData(frame.jpeg, "JPEG"))
            self._images[camera] = known
        return None if known[1].isNull() else known[1]

    def paintEvent(self, _: QPaintEvent) -> None:
        """Draw the picture, the face's box and one line of advice."""
        painter = QPainter(self)
        painter.setFont(theme.scaled_font(self, 0.9))
        line = painter.fontMetrics().height() * 1.3
        room = QRectF(self.rect())
        image = self._image(1)
        if image is None:
            painter.fillRect(room, theme.colour(theme.BACKGROUND))
            theme.draw_text(painter, room, "no camera picture yet", theme.DIM, Qt.AlignHCenter)
            painter.end()
            return
        target = _fit(image, room)
        painter.setRenderHint(QPainter.SmoothPixmapTransform)
        painter.drawImage(target, image)
        state = self._model.pictures.get(1)
        warnings = self._draw_face(painter, target, state) if state is not None else []
        second = self._image(2)
        if second is not None:
            corner = _fit(
                second,
                QRectF(target.right() - target.width() / 3, target.top(), target.width() / 3, target.height() / 3),
            )
            painter.drawImage(corner, second)
            painter.setPen(QPen(theme.colour(theme.LINE), 1))
            painter.drawRect(corner)
        frame = self._model.frames[1]
        age_s = self._model.now_s() - frame.arrived_s
        if age_s > _OLD_S:
            painter.fillRect(target, theme.colour(theme.BACKGROUND, 150))
            warnings = [f"no new picture for {age_s:.0f} s"]
        for row, words in enumerate(warnings[:2]):
            strip = QRectF(target.left(), target.bottom() - line * (len(warnings[:2]) - row), target.width(), line)
            painter.fillRect(strip, theme.colour(theme.WARN_BACK, 225))
            theme.draw_text(painter, strip.adjusted(6, 0, -6, 0), words, theme.WARN)
        painter.end()

    def _draw_face(self, painter: QPainter, target: QRectF, state: PictureState) -> list[str]:
        warnings = [text.partition(". ")[0] for text in (light_warning(state), face_warning(state)) if text]
        if state.face is not None:
            x, y, width, height = state.face
            box = QRectF(
                target.left() + x * target.width(), target.top() + y * target.height(),
                width * target.width(), height * target.height(),
            )  # fmt: skip
            painter.setBrush(Qt.NoBrush)
            painter.setPen(QPen(theme.colour(theme.WARN if warnings else theme.GOOD), 2))
            painter.drawRect(box.intersected(target))
        return warnings


def _fit(image: QImage, room: QRectF) -> QRectF:
    size = image.size()
    size.scale(room.size().toSize(), Qt.KeepAspectRatio)
    target = QRectF(0, 0, size.width(), size.height())
    target.moveCenter(room.center())
    return target
