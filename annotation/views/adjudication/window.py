"""The adjudicator's window."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QCloseEvent, QKeySequence
from qtpy.QtWidgets import QHBoxLayout, QMainWindow, QPushButton, QShortcut, QSplitter, QVBoxLayout, QWidget

from annotation.adjudication.desk import AdjudicationDesk
from annotation.desk.state import ITEM, PLAYBACK, PROGRESS
from annotation.keymap import Keymap
from annotation.texts import Texts
from annotation.views.adjudication.raters_table import RatersTable
from annotation.views.adjudication.verdict_panel import VerdictPanel
from annotation.views.er import ErPanel, build_er_panel
from annotation.views.icon_button import IconButton
from annotation.views.shortcuts import Shortcuts
from annotation.views.theme import Theme, label
from annotation.views.timeline import Timeline
from annotation.views.video_view import VideoView

_TICK_MS = 16
_PLAY_ACTIONS = (("replay", "again"), ("step.back", "back"), ("play", "play"), ("step.forward", "on"), ("slower", "slower"),
                 ("faster", "faster"), ("loop", "loop"))  # fmt: skip
#: Raters that a key takes over from; more have a button alone.
_MAX_ADOPT_KEYS = 9


class AdjudicationWindow(QMainWindow):
    """The clip, in the ER pass the evidence beside it, the labels below, the decision on the right.

    Parameters
    ----------
    desk : AdjudicationDesk
        Closed with the window.
    texts : Texts
    theme : Theme
    keymap : Keymap
    """

    def __init__(self, desk: AdjudicationDesk, texts: Texts, theme: Theme, keymap: Keymap) -> None:
        super().__init__()
        self.desk, self._texts, self._theme = desk, texts, theme
        self.setWindowTitle(texts("adjudicate.title", study=desk.source.title, task=texts(f"window.{desk.task}")))
        self.setStyleSheet(theme.stylesheet())
        self._shortcuts = Shortcuts(self, keymap, self._do)
        key_of = self._shortcuts.key_of
        self.video = VideoView(desk, texts, theme, key_of)  # type: ignore[arg-type]
        self.timeline = Timeline(desk, texts, theme)  # type: ignore[arg-type]
        self.raters = RatersTable(desk, texts, theme)
        self.verdict = VerdictPanel(desk, texts, theme, key_of, self._type)
        self.er_panel: ErPanel | None = build_er_panel(desk, texts, theme) if desk.task == "er" else None  # type: ignore[arg-type]
        self.place, self.progress = label("", "big"), label("", "dim")
        self.play_buttons: dict[str, IconButton] = {}
        self._lay_out(key_of)
        for number in range(1, _MAX_ADOPT_KEYS + 1):
            shortcut = QShortcut(QKeySequence(f"Alt+{number}"), self)
            shortcut.activated.connect(self._adopting(number - 1))
        for topic in (ITEM, PROGRESS):
            desk.subscribe(topic, self._refresh_head)
        desk.subscribe(PLAYBACK, self._refresh_play)
        desk.subscribe(ITEM, self._refresh_play)
        self._refresh_head()
        self._refresh_play()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(desk.tick)
        self._timer.start(_TICK_MS)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Close the clip and the log with the window."""
        self._timer.stop()
        if self.er_panel is not None:
            self.er_panel.end()
        self.desk.close()
        super().closeEvent(event)

    def _do(self, action: str) -> None:
        group, _, rest = action.partition(".")
        emotions = self.desk.source.labels.emotions
        if group == "digit":
            if 1 <= int(rest) <= len(emotions):
                self.desk.set("emotion", emotions[int(rest) - 1])
        elif action == "commit":
            self.desk.decide()
        elif action == "comment":
            self.verdict.focus_reason()
        elif action == "field.clear":
            self.desk.clear()
        elif group == "er":
            if self.er_panel is not None:
                self.er_panel.toggle(rest)
        elif action == "quit":
            self.close()
        elif action == "fullscreen":
            self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)
        else:
            self.desk.perform(action)

    def _type(self, typing: bool) -> None:
        self._shortcuts.wake("window" if typing else "all")

    def _adopting(self, place: int) -> Callable[[], None]:
        return lambda: self.desk.adopt(place)

    def _refresh_head(self) -> None:
        desk, texts = self.desk, self._texts
        case = desk.case
        self.place.setText(texts("adjudicate.case", position=desk.position + 1, all=len(desk.cases)))
        parts = [
            texts("adjudicate.decided", n=desk.n_decided, all=len(desk.cases)),
            texts("adjudicate.disagreement", value=f"{case.disagreement:.2f}"),
        ]
        if case.flagged:
            parts.append(texts("adjudicate.flagged"))
        if desk.is_own:
            parts.append(texts("adjudicate.own_label"))
        self.progress.setText(" · ".join(parts))

    def _refresh_play(self) -> None:
        player = self.desk.player
        for action, sign in _PLAY_ACTIONS:
            shown = "pause" if action == "play" and player.playing else sign
            is_on = (action == "loop" and player.loop is not None) or (action == "play" and player.playing)
            self.play_buttons[action].show_as(
                shown, self._texts(f"keys.{action}"), self._shortcuts.key_of(action), is_on=is_on
            )

    def _lay_out(self, key_of: Callable[[str], str]) -> None:
        head = QHBoxLayout()
        head.addWidget(self.place)
        head.addWidget(self.progress)
        head.addStretch(1)
        for action, name in (("previous", "previous"), ("next", "next"), ("next.open", "next_open")):
            button = QPushButton(f"{self._texts(f'adjudicate.{name}')}  ({key_of(action)})")
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.clicked.connect(lambda _=False, action=action: self._do(action))
            head.addWidget(button)
        play = QHBoxLayout()
        for action, sign in _PLAY_ACTIONS:
            button_of = IconButton(self._theme, sign)
            button_of.clicked.connect(lambda _=False, action=action: self._do(action))
            self.play_buttons[action] = button_of
            play.addWidget(button_of)
        play.addWidget(self.timeline, 1)
        shown = QWidget()
        clip = QVBoxLayout(shown)
        clip.setContentsMargins(0, 0, 0, 0)
        clip.addWidget(self.video, 1)
        clip.addLayout(play)
        evidence = _splitter(Qt.Orientation.Horizontal, (shown, 3), (self.er_panel, 2))
        left = _splitter(Qt.Orientation.Vertical, (evidence, 1), (self.raters, 0))
        columns = _splitter(Qt.Orientation.Horizontal, (left, 1), (self.verdict, 0))
        self.verdict.setMinimumWidth(29 * self._theme.px)
        central = QWidget()
        layout = QVBoxLayout(central)
        layout.addLayout(head)
        layout.addWidget(columns, 1)
        self.setCentralWidget(central)


def _splitter(orientation: Qt.Orientation, *parts: tuple[QWidget | None, int]) -> QSplitter:
    """Put widgets side by side or one below the other, each with its share of further room."""
    splitter = QSplitter(orientation)
    splitter.setChildrenCollapsible(False)
    for widget, share in parts:
        if widget is not None:
            splitter.addWidget(widget)
            splitter.setStretchFactor(splitter.count() - 1, share)
    return splitter
