"""The window: one page at a time, questions over it, keys. It keeps nothing that a kill could lose."""

from __future__ import annotations

import logging
from collections.abc import Callable

from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtGui import QCloseEvent, QPaintEvent, QShowEvent
from qtpy.QtWidgets import QLayout, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from annotation.desk import state
from annotation.desk.desk import Desk
from annotation.keymap import Keymap
from annotation.settings import SettingsFile
from annotation.texts import Texts
from annotation.views.clip_page import ClipPage
from annotation.views.header import Header
from annotation.views.help_view import HelpView
from annotation.views.key_sheet import KeySheet
from annotation.views.look import Look
from annotation.views.menus import ANNOTATING, Menus
from annotation.views.notice_bar import NoticeBar
from annotation.views.opening import Opening
from annotation.views.overlay import Overlay
from annotation.views.pages import AdmissionPage, BreakPage, FinishedPage, MessagePage
from annotation.views.questions import CommentQuestion, GotoQuestion, SkipQuestion
from annotation.views.settings_view import SettingsView
from annotation.views.shortcuts import Shortcuts
from annotation.views.tour import Tour

logger = logging.getLogger(__name__)

#: Milliseconds between two looks at what has come; a screen shows no more.
TICK_MS = 15


class AnnotateWindow(QMainWindow):
    """Put the views together and turn keys into intent.

    Parameters
    ----------
    desk : Desk
        Closed by the window.
    texts : Texts
    settings : SettingsFile
        What the annotator likes; changed and saved from here.
    """

    def __init__(self, desk: Desk, texts: Texts, settings: SettingsFile) -> None:
        super().__init__()
        self.desk, self.texts, self._settings = desk, texts, settings
        self._keymap = Keymap(settings.settings.keys)
        self._look = Look(texts, settings, lambda why: self.notice.say(why))
        self.theme = self._look.theme
        self._on_first_frame: Callable[[], None] | None = None
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.shortcuts = Shortcuts(self, self._keymap, self.do)
        key_of = self.shortcuts.key_of
        self.header = Header(desk, texts, self.theme)
        self.clip = ClipPage(desk, texts, self.theme, self.do, key_of)
        self.messages: dict[state.Page, MessagePage] = {
            state.Page.BREAK: BreakPage(desk, texts), state.Page.ADMISSION: AdmissionPage(desk, texts),
            state.Page.FINISHED: FinishedPage(desk, texts, self.close),
        }  # fmt: skip
        self._stack = QStackedWidget()
        for page in (self.clip, *self.messages.values()):
            self._stack.addWidget(page)
        self.notice = NoticeBar(desk, texts, self.theme, key_of)
        body = _Body()
        column = QVBoxLayout(body)
        column.setContentsMargins(8, 4, 8, 6)
        column.setSpacing(6)
        # A long message must never make the window larger than the screen: the video gives way.
        column.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)
        column.addWidget(self.header)
        column.addWidget(self._stack, 1)
        column.addWidget(self.notice)
        self.setCentralWidget(body)
        self.skip = SkipQuestion(self, texts, self.theme)
        self.comment = CommentQuestion(self, texts, self.theme)
        self.goto = GotoQuestion(self, texts, self.theme)
        self.sheet = KeySheet(self, texts, self.theme, self.shortcuts.keys_of)
        self.settings_view = SettingsView(self, texts, self.theme, self._keymap)
        self.help = HelpView(self, texts, self.theme, key_of)
        parts = {"video": self.clip.video, "er_panel": self.clip.er_panel, "timeline": self.clip.timeline,
                 "form": self.clip.form, "header": self.header}  # fmt: skip
        self.tour = Tour(self, texts, self.theme, key_of, parts, desk.task)
        self.menus = Menus(self.menuBar(), texts, self.do, key_of, ANNOTATING, desk)
        self._own = self._own_actions()
        self._opening = Opening(desk, settings)
        self._connect()
        self._wear_theme()
        self._follow_page()
        self._say_title()
        problems = [settings.problem, *self._keymap.problems]
        if any(problems):
            self.notice.say("  ".join(one for one in problems if one))
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(desk.tick)
        self._timer.start(TICK_MS)

    def _connect(self) -> None:
        for overlay in self.overlays:
            overlay.closed.connect(self._wake_keys)
        self.skip.answered.connect(self.desk.skip)
        self.comment.answered.connect(self.desk.set_comment)
        self.goto.answered.connect(lambda number: self.desk.goto(number - 1))
        self.settings_view.changed.connect(self._change_settings)
        self.settings_view.keys_changed.connect(self._keys_changed)
        self.settings_view.tour_wanted.connect(self.show_tour)
        self.tour.closed.connect(self._keep_tour_seen)
        self.desk.subscribe(state.PAGE, self._follow_page)
        for topic in (state.ITEM, state.PAGE):
            self.desk.subscribe(topic, self._play_what_opened)
        self.desk.subscribe(state.FRAME, self._tell_first_frame)
        self.texts.subscribe(self._say_title)

    @property
    def overlays(self) -> tuple[Overlay, ...]:
        """Everything that may lie over the window."""
        return (self.skip, self.comment, self.goto, self.sheet, self.settings_view, self.help, self.tour)

    # -------------------------------------------------------------------- keys

    def _own_actions(self) -> dict[str, Callable[[], object]]:
        return {
            "keys": lambda: self._put_over(self.sheet.open), "theme": lambda: self._change_settings(self._look.other_theme()),
            "language": lambda: self._change_settings(self._look.other_language()),
            "help": self.show_help, "fullscreen": self._fullscreen, "quit": self.close, "menu.tour": self.show_tour,
            "settings": lambda: self._put_over(lambda: self.settings_view.show_settings(self._settings.settings)),
        }  # fmt: skip

    def do(self, action: str) -> None:
        """Carry out an action of `annotation.keys`, or of the menu."""
        page = self.desk.page
        if any(overlay.isVisible() for overlay in self.overlays):
            return
        if action in self._own:
            self._own[action]()
        elif page in self.messages and action in ("commit", "play"):
            self.messages[page].enter()
        elif action.startswith("er."):
            if self.clip.er_panel is not None and self.clip.isVisible():
                self.clip.er_panel.toggle(action.removeprefix("er."))
        elif page is state.Page.CLIP:
            self._do_on_clip(action)
        else:
            self.desk.perform(action)

    def _do_on_clip(self, action: str) -> None:
        draft = self.desk.draft
        if action == "commit" and self.notice.can_retry:
            self.desk.retry()
        elif action == "skip":
            self._put_over(lambda: self.skip.ask(draft.skip_reason))
        elif action == "comment":
            self._put_over(lambda: self.comment.ask(draft.comment))
        elif action == "menu.goto":
            self._put_over(lambda: self.goto.ask(self.desk.position + 1, len(self.desk.items)))
        else:
            self.desk.perform(action)

    def _put_over(self, opened: Callable[[], object]) -> None:
        """Open something over the window: the clip stands still and the window's keys rest."""
        self.desk.player.pause()
        self.shortcuts.wake("none")
        opened()

    def _wake_keys(self) -> None:
        typing = self.desk.page is state.Page.ADMISSION and self.desk.admitted is None
        self.shortcuts.wake("window" if typing else "all")
        if typing:
            self.messages[state.Page.ADMISSION].code.setFocus(Qt.FocusReason.OtherFocusReason)

    # ------------------------------------------------------------------- pages

    def _follow_page(self) -> None:
        page = self.desk.page
        message = self.messages.get(page)
        if message is not None:
            message.refresh()
        self._stack.setCurrentWidget(message if message is not None else self.clip)
        if not any(overlay.isVisible() for overlay in self.overlays):
            self.setFocus(Qt.FocusReason.OtherFocusReason)
            self._wake_keys()

    def _play_what_opened(self) -> None:
        if self.isVisible() and self.desk.page is state.Page.CLIP:
            self._opening.look(covered=any(overlay.isVisible() for overlay in self.overlays))

    def show_help(self) -> None:
        """Show the help page."""
        self._put_over(self.help.open)

    def show_tour(self) -> None:
        """Show the tour; once it was seen or put away, it does not come by itself again."""
        self._put_over(self.tour.open)

    def _offer_tour(self) -> None:
        if self.desk.page is state.Page.CLIP and not any(overlay.isVisible() for overlay in self.overlays):
            self.show_tour()

    def _keep_tour_seen(self) -> None:
        if not self._settings.settings.tour_seen:
            self._change_settings({"tour_seen": True})

    def say_failure(self, what: str) -> None:
        """Say that the tool itself failed; it goes on with what is saved."""
        self.notice.say(self.texts("notices.internal", what=what))

    # ---------------------------------------------------------------- settings

    def _change_settings(self, values: dict[str, object]) -> None:
        looks_other = self._look.change(**values)
        if "language" in values:
            self.menus.fill()
            if self.desk.page in self.messages:
                self.messages[self.desk.page].refresh()
        if looks_other:
            self._wear_theme()
        self.clip.fit()
        if self.settings_view.isVisible():
            self.settings_view.fill(self._settings.settings)
            self.settings_view.fit()

    def _keys_changed(self) -> None:
        self.shortcuts.rebuild()
        self._change_settings({"keys": self._keymap.changes()})
        self.menus.fill()
        self._say_all_again()

    def _say_all_again(self) -> None:
        for view in (self.clip.form, self.clip.bar, self.clip.feedback, self.notice, self.header):
            view.refresh()

    def _wear_theme(self) -> None:
        self.setStyleSheet(self.theme.stylesheet())
        self.clip.use_theme(self.theme)
        self._say_all_again()
        self.clip.fit()

    def _say_title(self) -> None:
        task = self.texts(f"window.{self.desk.task}_short")
        self.setWindowTitle(self.texts("window.title", study=self.desk.source.title, task=task))

    def _fullscreen(self) -> None:
        if self.isFullScreen():
            self.showNormal()
        else:
            self.showFullScreen()

    # ------------------------------------------------------------------ window

    def on_first_frame(self, tell: Callable[[], None]) -> None:
        """Call `tell` once, when the first frame of a clip has been painted."""
        self._on_first_frame = tell

    def _tell_first_frame(self) -> None:
        if self._on_first_frame is not None and self.desk.player.image is not None and self.isVisible():
            tell, self._on_first_frame = self._on_first_frame, None
            self.clip.video.repaint()
            # After this event: what was painted is on its way to the screen.
            QTimer.singleShot(0, tell)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint; the first frame may have been there before the window."""
        super().paintEvent(event)
        if self._on_first_frame is not None:
            QTimer.singleShot(0, self._tell_first_frame)

    def showEvent(self, event: QShowEvent) -> None:
        """Measure again: only now the letters have their size."""
        super().showEvent(event)
        self._say_all_again()
        self.clip.fit()
        self._play_what_opened()
        if not self._settings.settings.tour_seen:
            QTimer.singleShot(0, self._offer_tour)

    def changeEvent(self, event: QEvent) -> None:
        """Count time only while the window is in front."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange:
            self.desk.set_active(self.isActiveWindow())

    def closeEvent(self, event: QCloseEvent) -> None:
        """Stop the clock and close the desk, which saves the place."""
        self._timer.stop()
        self.shortcuts.wake("none")
        self.clip.end()
        self.desk.close()
        super().closeEvent(event)


class _Body(QWidget):
    """What the window holds; it may be made as small as any screen."""

    def minimumSizeHint(self) -> QSize:
        """Return a size that every laptop has."""
        return QSize(640, 400)
