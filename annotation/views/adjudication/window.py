"""The adjudicator's window."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QCloseEvent, QKeySequence, QShowEvent
from qtpy.QtWidgets import QHBoxLayout, QMainWindow, QPushButton, QShortcut, QSplitter, QVBoxLayout, QWidget

from annotation.adjudication.desk import AdjudicationDesk
from annotation.desk.state import ITEM, PLAYBACK, PROGRESS
from annotation.keymap import Keymap
from annotation.keys import EYES, KEYS, PLAY
from annotation.settings import SettingsFile
from annotation.texts import Texts
from annotation.views.adjudication.raters_table import RatersTable
from annotation.views.adjudication.verdict_panel import VerdictPanel
from annotation.views.er import ErPanel, build_er_panel
from annotation.views.icon_button import IconButton
from annotation.views.key_sheet import KeySheet
from annotation.views.label_panel import plain_button
from annotation.views.look import Look
from annotation.views.menus import ADJUDICATING, Menus
from annotation.views.opening import Opening
from annotation.views.overlay import Overlay
from annotation.views.settings_view import SettingsView
from annotation.views.shortcuts import Shortcuts
from annotation.views.theme import label
from annotation.views.timeline import Timeline
from annotation.views.video_view import VideoView

_TICK_MS = 16
_PLAY_ACTIONS = (("replay", "again"), ("step.back", "back"), ("play", "play"), ("step.forward", "on"), ("slower", "slower"),
                 ("faster", "faster"), ("loop", "loop"))  # fmt: skip
#: Raters that a key takes over from; more have a button alone.
_MAX_ADOPT_KEYS = 9
#: What keys do here that do something else in the annotator's window.
_WORDS = {
    "commit": "adjudicate.decide", "comment": "adjudicate.reason", "field.clear": "adjudicate.clear",
    "next": "adjudicate.next", "previous": "adjudicate.previous", "next.open": "adjudicate.next_open",
}  # fmt: skip


class AdjudicationWindow(QMainWindow):
    """The clip, in the ER pass the evidence beside it, the labels below, the decision on the right.

    Parameters
    ----------
    desk : AdjudicationDesk
        Closed with the window.
    texts : Texts
    settings : SettingsFile
        Theme, language, size of the text and keys: those of the annotation window, changed and saved from here too.
    """

    def __init__(self, desk: AdjudicationDesk, texts: Texts, settings: SettingsFile) -> None:
        super().__init__()
        self.desk, self._texts, self._settings = desk, texts, settings
        self._look = Look(texts, settings, lambda why: self.verdict.say(why))
        theme = self._theme = self._look.theme
        keymap = self._keymap = Keymap(settings.settings.keys)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self._shortcuts = Shortcuts(self, keymap, self._do)
        key_of = self._shortcuts.key_of
        self.video = VideoView(desk, texts, theme, key_of)  # type: ignore[arg-type]
        self.timeline = Timeline(desk, texts, theme)  # type: ignore[arg-type]
        self.raters = RatersTable(desk, texts, theme)
        self.verdict = VerdictPanel(desk, texts, theme, key_of, self._type)
        self.er_panel: ErPanel | None = build_er_panel(desk, texts, theme) if desk.task == "er" else None  # type: ignore[arg-type]
        self.place, self.progress = label("", "big"), label("", "dim")
        self.play_buttons: dict[str, IconButton] = {}
        self.move_buttons: dict[str, QPushButton] = {}
        self._lay_out()
        self.sheet = KeySheet(
            self, texts, theme, self._shortcuts.keys_of, self._known_keys(),
            {f"Alt+1-{_MAX_ADOPT_KEYS}": "adjudicate.take_over"},
        )  # fmt: skip
        self.settings_view = SettingsView(self, texts, theme, keymap)
        self.settings_view.buttons["tour"].hide()
        self.settings_view.changed.connect(self._change_settings)
        self.settings_view.keys_changed.connect(self._keys_changed)
        for overlay in self.overlays:
            overlay.closed.connect(lambda: self._shortcuts.wake("all"))
        self.menus = Menus(self.menuBar(), texts, self._do, key_of, ADJUDICATING, words=_WORDS)
        for number in range(1, _MAX_ADOPT_KEYS + 1):
            shortcut = QShortcut(QKeySequence(f"Alt+{number}"), self)
            shortcut.activated.connect(self._adopting(number - 1))
        for topic in (ITEM, PROGRESS):
            desk.subscribe(topic, self._refresh_head)
        desk.subscribe(PLAYBACK, self._refresh_play)
        desk.subscribe(ITEM, self._refresh_play)
        self._say_all_again()
        self._opening = Opening(desk, settings)
        desk.subscribe(ITEM, self._play_what_opened)
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(desk.tick)
        self._timer.start(_TICK_MS)

    def showEvent(self, event: QShowEvent) -> None:
        """Play the first clip, for those who want it so."""
        super().showEvent(event)
        self._play_what_opened()

    def _play_what_opened(self) -> None:
        if self.isVisible():
            self._opening.look(covered=any(overlay.isVisible() for overlay in self.overlays))

    def closeEvent(self, event: QCloseEvent) -> None:
        """Close the clip and the log with the window."""
        self._timer.stop()
        if self.er_panel is not None:
            self.er_panel.end()
        self.desk.close()
        super().closeEvent(event)

    # -------------------------------------------------------------------- keys

    @property
    def overlays(self) -> tuple[Overlay, ...]:
        """Everything that may lie over the window."""
        return (self.sheet, self.settings_view)

    def _known_keys(self) -> dict[str, str]:
        """Return the actions that work here, each with the text that says what it does."""
        known = {f"digit.{number}": "fields.emotion" for number in range(1, len(self.desk.source.labels.emotions) + 1)}
        actions = {entry for entries in ADJUDICATING.values() for entry in entries if entry is not None}
        for key in KEYS:
            is_play = key.group == PLAY and self.desk.knows(key.action)
            if key.action in actions or is_play or (key.group == EYES and self.er_panel is not None):
                known[key.action] = _WORDS.get(key.action, f"keys.{key.action}")
        return known

    def _put_over(self, opened: Callable[[], object]) -> None:
        """Open something over the window: the clip stands still and the window's keys rest."""
        if self.desk.player.playing:
            self.desk.perform("play")
        self._shortcuts.wake("none")
        opened()

    def _do(self, action: str) -> None:
        if any(overlay.isVisible() for overlay in self.overlays):
            return
        own: dict[str, Callable[[], object]] = {
            "keys": lambda: self._put_over(self.sheet.open),
            "settings": lambda: self._put_over(lambda: self.settings_view.show_settings(self._settings.settings)),
            "theme": lambda: self._change_settings(self._look.other_theme()),
            "language": lambda: self._change_settings(self._look.other_language()),
        }
        if action in own:
            own[action]()
            return
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
        def adopt() -> None:
            if not any(overlay.isVisible() for overlay in self.overlays):
                self.desk.adopt(place)

        return adopt

    # ---------------------------------------------------------------- settings

    def _change_settings(self, values: dict[str, object]) -> None:
        if self._look.change(**values) and self.er_panel is not None:
            self.er_panel.use_theme(self._theme)
        self._say_all_again()
        if self.settings_view.isVisible():
            self.settings_view.fill(self._settings.settings)
            self.settings_view.fit()

    def _keys_changed(self) -> None:
        self._shortcuts.rebuild()
        self._change_settings({"keys": self._keymap.changes()})

    def _say_all_again(self) -> None:
        """Write everything in the language, the colours and the keys that hold now."""
        texts, key_of = self._texts, self._shortcuts.key_of
        self.setWindowTitle(
            texts("adjudicate.title", study=self.desk.source.title, task=texts(f"window.{self.desk.task}"))
        )
        self.setStyleSheet(self._theme.stylesheet())
        for action, button in self.move_buttons.items():
            button.setText(f"{texts(_WORDS[action])}  {key_of(action)}")
        self.menus.fill()
        self.verdict.setMinimumWidth(29 * self._theme.px)
        self.verdict.refresh()
        self.raters.refresh()
        self._refresh_head()
        self._refresh_play()
        for view in (self.video, self.timeline):
            view.update()

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

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self.place)
        head.addWidget(self.progress)
        head.addStretch(1)
        for action in ("previous", "next", "next.open"):
            button = self.move_buttons[action] = plain_button()
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
