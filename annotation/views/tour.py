"""The first-run tour: seven short steps, each beside the part of the window that it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from qtpy.QtCore import QPoint, QRect, QRectF, Qt
from qtpy.QtGui import QKeyEvent, QPainter, QPainterPath, QPaintEvent, QPen
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from annotation.texts import Texts
from annotation.views.overlay import Overlay
from annotation.views.theme import Theme, label

_GAP_PX = 14
_DIM = 165


@dataclass(frozen=True)
class TourStep:
    """One step.

    Parameters
    ----------
    name : str
        Of its texts, and of the part that it is about.
    keys : mapping
        Actions whose keys stand in the text, by the word in braces.
    """

    name: str
    keys: Mapping[str, str]


STEPS: tuple[TourStep, ...] = (
    TourStep("welcome", {}),
    TourStep("video", {"play": "play", "replay": "replay", "back": "step.back", "forward": "step.forward"}),
    TourStep("er_panel", {}),
    TourStep("timeline", {"loop": "loop", "slower": "slower", "faster": "faster", "apex": "mark.apex"}),
    TourStep("form", {"commit": "commit", "skip": "skip"}),
    TourStep("header", {"undo": "undo"}),
    TourStep("keys", {"keys": "keys", "help": "help", "settings": "settings"}),
)
#: Steps that belong to no part of the window.
_EVERYWHERE = ("welcome", "keys")


class Tour(Overlay):
    """Lead through the window; `closed` tells that it was seen or put away.

    Parameters
    ----------
    parent : QWidget
        The window.
    texts : Texts
    theme : Theme
    key_of : callable
        Returns the key of an action, as it is written on a keyboard.
    parts : mapping
        Widgets of the window by the names of `STEPS`; a step whose part is not there is left out.
    task : {'er', 'fer'}
    """

    def __init__(
        self,
        parent: QWidget,
        texts: Texts,
        theme: Theme,
        key_of: Callable[[str], str],
        parts: Mapping[str, QWidget | None],
        task: str,
    ) -> None:
        super().__init__(parent, texts, theme, (0.5, 0.7))
        self._key_of, self._parts, self._task = key_of, parts, task
        self.steps = tuple(step for step in STEPS if step.name in _EVERYWHERE or parts.get(step.name) is not None)
        self.place = 0
        self.words = label("", "", wrap=True)
        self.counter = label("", "dim")
        self.end_button, self.back_button, self.next_button = QPushButton(), QPushButton(), QPushButton()
        self.next_button.setObjectName("go")
        self.end_button.clicked.connect(self.shut)
        self.back_button.clicked.connect(self.back)
        self.next_button.clicked.connect(self.next)
        row = QHBoxLayout()
        row.addWidget(self.counter)
        row.addStretch(1)
        for button in self._buttons():
            row.addWidget(button)
        self.column.addWidget(self.words)
        self.column.addLayout(row)

    def first_focus(self) -> QWidget:
        """Take the keys itself: a button would take the arrows for moving between buttons."""
        return self

    def _buttons(self) -> tuple[QPushButton, ...]:
        return self.end_button, self.back_button, self.next_button

    def open(self) -> None:
        """Begin at the first step."""
        self.place = 0
        self._say()
        super().open()

    def next(self) -> None:
        """Go on; after the last step the tour is over."""
        if self.place + 1 >= len(self.steps):
            self.shut()
            return
        self._go(1)

    def back(self) -> None:
        """Go to the step before."""
        if self.place > 0:
            self._go(-1)

    def _go(self, by: int) -> None:
        self.place += by
        self._say()
        self.fit()
        self.update()

    def _say(self) -> None:
        step = self.steps[self.place]
        last = self.place + 1 == len(self.steps)
        keys = {word: self._key_of(action) for word, action in step.keys.items()}
        which = self._task if step.name == "welcome" else "text"
        self.title.setText(self.texts(f"tour.{step.name}.title"))
        self.words.setText(self.texts(f"tour.{step.name}.{which}", **keys))
        self.counter.setText(self.texts("tour.step", n=self.place + 1, all=len(self.steps)))
        self.end_button.setText(f"{self.texts('tour.end')}  Esc")
        self.back_button.setText(self.texts("tour.back"))
        self.next_button.setText(self.texts("tour.done" if last else "tour.next"))
        self.back_button.setEnabled(self.place > 0)
        self.end_button.setVisible(not last)

    def lit(self) -> QRect | None:
        """Return the part of the window that the step is about; None if it is about all of it."""
        part = self._parts.get(self.steps[self.place].name)
        window = self.parentWidget()
        if part is None or window is None or not part.isVisible():
            return None
        return QRect(part.mapTo(window, QPoint(0, 0)), part.size()).intersected(self.rect())

    def fit(self) -> None:
        """Put the panel beside the part that it is about, where there is most room."""
        window = self.parentWidget()
        if window is None:
            return
        self.setGeometry(window.rect())
        self.panel.ensurePolished()
        width = min(30 * self.theme.px, self.width() - 2 * _GAP_PX)
        height = min(self.panel.layout().totalHeightForWidth(width), self.height() - 2 * _GAP_PX)
        lit = self.lit()
        if lit is None:
            left, top = (self.width() - width) // 2, (self.height() - height) // 2
        else:
            left, top = beside(lit, self.rect(), width, height)
        self.panel.setGeometry(QRect(left, top, width, height))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter goes on, or presses the button that Tab has reached; arrows move to and fro."""
        reached = next((button for button in self._buttons() if button.hasFocus()), None)
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and reached is not None:
            reached.click()
        elif event.key() in (Qt.Key.Key_Right, Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.next()
        elif event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Backspace):
            self.back()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Darken everything but the part that the step is about."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        shade = QPainterPath()
        shade.addRect(QRectF(self.rect()))
        lit = self.lit()
        if lit is not None:
            hole = QPainterPath()
            hole.addRoundedRect(QRectF(lit).adjusted(-3, -3, 3, 3), 6, 6)
            shade = shade.subtracted(hole)
        painter.fillPath(shade, self.theme.colour("screen", _DIM))
        if lit is not None:
            painter.setPen(QPen(self.theme.colour("focus"), 3))
            painter.drawPath(hole)


def beside(lit: QRect, room: QRect, width: int, height: int) -> tuple[int, int]:
    """Return where a panel of this size stands beside `lit`, inside `room`, covering as little of it as possible."""

    def inside(value: int, low: int, high: int) -> int:
        return max(low, min(value, high))

    right, bottom = room.width() - width - _GAP_PX, room.height() - height - _GAP_PX
    middle_x = inside(lit.center().x() - width // 2, _GAP_PX, right)
    middle_y = inside(lit.center().y() - height // 2, _GAP_PX, bottom)
    places = (
        (lit.left() - _GAP_PX - width, middle_y),
        (lit.right() + _GAP_PX, middle_y),
        (middle_x, lit.top() - _GAP_PX - height),
        (middle_x, lit.bottom() + _GAP_PX),
    )

    def covered(place: tuple[int, int]) -> int:
        panel = QRect(inside(place[0], _GAP_PX, right), inside(place[1], _GAP_PX, bottom), width, height)
        common = panel.intersected(lit)
        return common.width() * common.height()

    best = min(places, key=covered)
    return inside(best[0], _GAP_PX, right), inside(best[1], _GAP_PX, bottom)
