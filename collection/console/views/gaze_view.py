"""What the participant sees and where the eyes are: the screen in small, the clip, both eyes and a short trail."""

from __future__ import annotations

from PyQt5.QtCore import QPointF, QRectF, QSize, Qt
from PyQt5.QtGui import QImage, QPainter, QPaintEvent, QPen
from PyQt5.QtWidgets import QSizePolicy, QWidget

from collection.console import messages
from collection.console.clip_player import SHOWN_HZ, ClipPlayer
from collection.console.gaze_trail import EYES, EyeSample
from collection.console.model import ALARMS, ConsoleModel
from collection.console.views import theme
from collection.console.views.header import step_words

TRAIL_S = 0.6
#: Gaze beside the screen is drawn at this margin, hollow.
_MARGIN = 0.03


class GazeView(QWidget):
    """Paint gaze over the stimulus, with the proportions of the participant's screen."""

    def __init__(self, model: ConsoleModel, player: ClipPlayer) -> None:
        super().__init__()
        self._model = model
        self._player = player
        self._image: QImage | None = None
        self._image_of: object = None
        self._asked_s = 0.0
        self._last_seen: dict[str, int] = {}
        self.setMinimumSize(240, 150)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)
        for topic in (messages.GAZE, messages.STATUS, ALARMS, messages.PROGRESS, messages.SETUP, messages.ENDED):
            model.subscribe(topic, self.update)

    def sizeHint(self) -> QSize:
        """Return a size with the screen's proportions."""
        return QSize(960, round(960 / self.aspect))

    @property
    def aspect(self) -> float:
        """Width over height of the participant's screen."""
        screen = self._model.setup.get("screen") or {}
        width, height = float(screen.get("width_px") or 16), float(screen.get("height_px") or 9)
        return width / height if width > 0 and height > 0 else 16 / 9

    def tick(self) -> None:
        """Follow the clip on the participant's screen; call it many times a second."""
        clip = self._model.clip_now()
        file = (self._model.setup.get("stimuli") or {}).get(clip[0]) if clip else None
        if clip is None or not file:
            self._player.stop()
        elif self._model.now_s() - self._asked_s >= 1 / SHOWN_HZ:
            self._asked_s = self._model.now_s()
            self._player.show(str(file), clip[1])
        if self._player.picture is not self._image_of:
            self._take_picture()
            self.update()

    def _take_picture(self) -> None:
        picture = self._player.picture
        self._image_of = picture
        self._image = None
        if picture is not None:
            height, width = picture.image.shape[:2]
            # A copy: the array must not die before the picture.
            self._image = QImage(picture.image.data, width, height, 3 * width, QImage.Format_RGB888).copy()

    def screen_rect(self) -> QRectF:
        """Return where the participant's screen is drawn."""
        room = QRectF(self.rect()).adjusted(2, 2, -2, -2)
        width = min(room.width() * (1 - 2 * _MARGIN), room.height() * (1 - 2 * _MARGIN) * self.aspect)
        height = width / self.aspect
        return QRectF(room.center().x() - width / 2, room.center().y() - height / 2, width, height)

    def paintEvent(self, _: QPaintEvent) -> None:
        """Draw the screen, the clip, the gaze."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.Antialiasing)
        screen = self.screen_rect()
        painter.fillRect(screen, theme.colour("#2a2d31"))
        self._draw_clip(painter, screen)
        painter.setPen(QPen(theme.colour(theme.LINE), 1))
        painter.drawRect(screen)
        # A dot that stands still looks like a participant who does.
        for eye in () if self._model.gaze_silent else EYES:
            self._draw_eye(painter, screen, self._model.gaze.recent(eye, TRAIL_S), theme.EYE_COLOURS[eye])
        self._draw_words(painter, screen)
        painter.end()

    def _draw_clip(self, painter: QPainter, screen: QRectF) -> None:
        if self._image is None:
            step = str(self._model.progress.get("step") or "")
            text = self._player.problem or (f"on the screen: {step_words(step)}" if step else "nothing is shown yet")
            painter.setFont(theme.scaled_font(self, 1.1))
            theme.draw_text(painter, screen.adjusted(20, 0, -20, 0), text, theme.DIM, Qt.AlignHCenter)
            return
        size = self._image.size()
        size.scale(screen.size().toSize(), Qt.KeepAspectRatio)
        target = QRectF(0, 0, size.width(), size.height())
        target.moveCenter(screen.center())
        painter.setRenderHint(QPainter.SmoothPixmapTransform)
        painter.drawImage(target, self._image)

    def _draw_eye(self, painter: QPainter, screen: QRectF, samples: list[EyeSample], name: str) -> None:
        width = max(2.0, screen.width() / 320)
        before: QPointF | None = None
        newest_us = self._model.gaze.newest_us
        for sample in samples:
            here = None if sample.point is None else self._place(screen, sample.point)
            if before is not None and here is not None:
                age = (newest_us - sample.t_us) / (TRAIL_S * 1e6)
                painter.setPen(QPen(theme.colour(name, round(30 + 150 * max(0.0, 1 - age))), width))
                painter.drawLine(before, here)
            before = here
        if before is None or not samples or samples[-1].point is None:
            return
        radius = max(6.0, screen.width() / 75)
        x, y = samples[-1].point
        outside = not (0 <= x <= 1 and 0 <= y <= 1)
        painter.setPen(QPen(theme.colour(name), width))
        painter.setBrush(Qt.NoBrush if outside else theme.colour(name, 110))
        painter.drawEllipse(before, radius, radius)
        painter.setBrush(Qt.NoBrush)

    @staticmethod
    def _place(screen: QRectF, point: tuple[float, float]) -> QPointF:
        x = min(1 + _MARGIN, max(-_MARGIN, point[0]))
        y = min(1 + _MARGIN, max(-_MARGIN, point[1]))
        return QPointF(screen.left() + x * screen.width(), screen.top() + y * screen.height())

    def _draw_words(self, painter: QPainter, screen: QRectF) -> None:
        painter.setFont(theme.scaled_font(self, 0.9))
        line = painter.fontMetrics().height() * 1.3
        box = QRectF(screen.left() + 8, screen.bottom() - line - 4, screen.width() - 16, line)
        clip = self._model.clip_now()
        if clip is not None and self._image is not None:
            text = f"{clip[0]}  {clip[1]:.1f} s"
            shade = painter.fontMetrics().horizontalAdvance(text) + 16
            painter.fillRect(QRectF(box.left() - 4, box.top(), shade, line), theme.colour("#000000", 150))
            theme.draw_text(painter, box, text)
        left = screen.right() - 8
        for eye in reversed(EYES):
            seen = [] if self._model.gaze_silent else self._model.gaze.recent(eye, 0.25)
            is_seen = any(sample.point is not None for sample in seen)
            text = f"{eye} eye" if is_seen else f"{eye} eye not seen"
            if self._model.gaze_silent:
                text = f"{eye} eye: no data"
            width = painter.fontMetrics().horizontalAdvance(text) + 14
            left -= width
            spot = QRectF(left, screen.top() + 4, width, line)
            painter.fillRect(spot, theme.colour("#000000", 150))
            name = theme.EYE_COLOURS[eye] if is_seen else theme.BAD
            theme.draw_text(painter, spot, text, name, Qt.AlignHCenter)
