"""Playing, stepping, speed, loop and marks, each with its key; and which frame it is."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from annotation.desk import state
from annotation.desk.desk import Desk
from annotation.texts import Texts
from annotation.views.icon_button import IconButton
from annotation.views.theme import Theme, label
from annotation.views.wrap_layout import WrapLayout

#: Action of the button, sign, text.
_BUTTONS = (
    ("replay", "again", "bar.replay"), ("step.back", "back", "bar.step_back"), ("play", "play", "bar.play"),
    ("step.forward", "on", "bar.step_forward"), ("slower", "slower", "keys.slower"), ("faster", "faster", "keys.faster"),
    ("loop", "loop", "bar.loop"), ("mark.apex", "apex", "keys.mark.apex"), ("trace", "trace", "bar.trace"),
)  # fmt: skip


class PlayBar(QWidget):
    """Which frame it is, and the buttons under the video.

    Parameters
    ----------
    desk : Desk
    texts : Texts
    theme : Theme
    do : callable
        Carries out an action of `annotation.keys`.
    key_of : callable
        Returns the key of an action, as it is written on a keyboard.
    """

    def __init__(
        self,
        desk: Desk,
        texts: Texts,
        theme: Theme,
        do: Callable[[str], object],
        key_of: Callable[[str], str],
    ) -> None:
        super().__init__()
        self._desk, self._texts, self._key_of = desk, texts, key_of
        self.buttons: dict[str, IconButton] = {}
        self.speed = label("", "strong")
        self.speed.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.frame = label("", "strong")
        # Where there is no room for all, the words on marks give way first, then the time, and the frame never.
        self.time = label("", "small", elide=True)
        self.marks = label("", "small", elide=True)
        self.marks.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        words = QHBoxLayout()
        words.setSpacing(14)
        words.addWidget(self.frame)
        words.addWidget(self.time)
        words.addWidget(self.marks, 1)
        # In a narrow column at large letters the groups stand below each other, each of them whole.
        lines = WrapLayout(across=12, down=4)
        for action, sign, _ in _BUTTONS:
            button = IconButton(theme, sign)
            button.clicked.connect(lambda _=False, action=action: do(action))
            self.buttons[action] = button
            if action in ("replay", "slower", "loop"):
                group = _group()
                lines.addWidget(group)
            group.layout().addWidget(button)
            if action == "slower":
                group.layout().addWidget(self.speed)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(words)
        column.addLayout(lines)
        for topic in (state.ITEM, state.PLAYBACK, state.MARKS, state.TRACE):
            desk.subscribe(topic, self.refresh)
        desk.subscribe(state.FRAME, self.refresh_frame)
        texts.subscribe(self.refresh)
        self._is_tracing: bool | None = None
        self.refresh()

    def refresh(self) -> None:
        """Read the desk."""
        desk, texts = self._desk, self._texts
        player = desk.player
        for action, sign, words in _BUTTONS:
            is_on = {"loop": player.loop is not None, "trace": desk.tracing, "play": player.playing}.get(action, False)
            if action == "play" and player.playing:
                sign, words = "pause", "bar.pause"
            if action == "trace" and desk.tracing:
                words = "bar.trace_stop"
            self.buttons[action].show_as(sign, texts(words), self._key_of(action), is_on=is_on)
        self.buttons["trace"].setVisible(desk.source.rules.trace != "off")
        self.speed.setText(f"{player.speed:g}×")
        # The widest speed, so that nothing moves when it changes.
        self.speed.ensurePolished()
        self.speed.setFixedWidth(self.speed.fontMetrics().horizontalAdvance("0.75×") + 4)
        self.speed.setFixedHeight(self.buttons["slower"].sizeHint().height())
        self.refresh_frame()
        self._refresh_marks()

    def _refresh_marks(self) -> None:
        texts = self._texts
        if self._desk.tracing:
            self.marks.setText(texts("bar.tracing", key=self._key_of("trace")))
            return
        shown = [
            texts("marks.shown", kind=texts(f"marks.{mark.kind}"), frame=mark.index + 1)
            for mark in self._desk.marks
            if mark.index is not None
        ]
        self.marks.setText(" · ".join(shown) or texts("marks.none", key=self._key_of("mark.apex")))

    def refresh_frame(self) -> None:
        """Say which frame it is."""
        player, texts = self._desk.player, self._texts
        frames = player.frames
        if frames is None or not len(frames):
            self.frame.setText("")
            self.time.setText("")
            return
        first = int(frames.times_us[0])
        now, last = (player.time_us - first) / 1e6, (int(frames.times_us[-1]) - first) / 1e6
        self.frame.setText(texts("video.frame", frame=player.index + 1, all=len(frames)))
        self.time.setText(texts("video.time", now=f"{max(0.0, now):.2f}", all=f"{last:.2f}"))


def _group() -> QWidget:
    """Return what holds buttons that stay together."""
    made = QWidget()
    made.setObjectName("plain")
    row = QHBoxLayout(made)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(4)
    return made
