"""The window: header, alarms, one page at a time, keys. It pumps the link and keeps nothing itself."""

from __future__ import annotations

from collections.abc import Callable

from PyQt5.QtCore import Qt, QTimer
from PyQt5.QtGui import QCloseEvent, QKeySequence, QPaintEvent, QResizeEvent
from PyQt5.QtWidgets import QApplication, QLayout, QShortcut, QStackedWidget, QVBoxLayout, QWidget

from collection.console import messages, pages
from collection.console.clip_player import ClipPlayer
from collection.console.face_watch import FaceWatch
from collection.console.keys import KEY_BY_ACTION, KEYS
from collection.console.model import LINKS, ConsoleModel
from collection.console.views import theme
from collection.console.views.alarm_banner import AlarmBanner
from collection.console.views.calibration_view import CalibrationView
from collection.console.views.form_view import FormView
from collection.console.views.header import Header
from collection.console.views.live_view import LiveView
from collection.console.views.overlays import Confirm, KeySheet
from collection.console.views.preflight_view import PreflightView
from collection.console.views.question_panel import QuestionPanel
from collection.console.views.summary_view import SummaryView
from collection.protocol.operator import CommandName

#: Milliseconds between two looks at what has come.
TICK_MS = 50
_SIMPLE = {"mark": CommandName.MARK, "pause": CommandName.PAUSE, "go_on": CommandName.GO_ON,
           "recheck": CommandName.RECHECK, "recalibrate": CommandName.RECALIBRATE}  # fmt: skip
_PAGE_KEYS = {
    "page_form": pages.FORM, "page_preflight": pages.PREFLIGHT, "page_live": pages.LIVE,
    "page_calibration": pages.CALIBRATION, "page_summary": pages.SUMMARY,
}  # fmt: skip


class ConsoleWindow(QWidget):
    """Put the views together and turn keys into intent.

    Parameters
    ----------
    model : ConsoleModel
    pump : callable
        Brings the model up to date.
    player, faces : ClipPlayer, FaceWatch
        Started and closed by whoever made them.
    open_file : callable
        Opens a file with the system's own program.
    beep : callable
        Makes the system's sound.
    """

    def __init__(
        self,
        model: ConsoleModel,
        pump: Callable[[], None],
        player: ClipPlayer,
        faces: FaceWatch,
        open_file: Callable[[str], bool],
        beep: Callable[[], None] = QApplication.beep,
    ) -> None:
        super().__init__()
        self.model = model
        self._pump = pump
        self._faces = faces
        self._offered: dict[int, int] = {}
        self._page = ""
        self._text_px = 0
        self._on_first_paint: Callable[[], None] | None = None
        self.setWindowTitle("EMER operator console")
        # A click beside the note field takes the keyboard from it.
        self.setFocusPolicy(Qt.ClickFocus)
        self.header = Header(model)
        self.banner = AlarmBanner(model, beep)
        self.live = LiveView(model, player)
        self.form = FormView(model)
        self.preflight = PreflightView(model)
        self.calibration = CalibrationView(model)
        self.question = QuestionPanel(model)
        self.summary = SummaryView(model, open_file)
        self.pages: dict[str, QWidget] = {
            pages.WAITING: _waiting(), pages.FORM: self.form, pages.PREFLIGHT: self.preflight, pages.LIVE: self.live,
            pages.CALIBRATION: self.calibration, pages.QUESTION: _on_top(self.question), pages.SUMMARY: self.summary,
        }  # fmt: skip
        self._stack = QStackedWidget()
        for page in self.pages.values():
            self._stack.addWidget(page)
        self.hints = theme.label(_hints(), "dim")
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 6, 10, 6)
        # Alarms must never make the window larger than the screen: the pages give way.
        column.setSizeConstraint(QLayout.SetNoConstraint)
        column.setSpacing(6)
        for widget in (self.header, self.banner):
            column.addWidget(widget)
        column.addWidget(self._stack, 1)
        column.addWidget(self.hints)
        self.confirm = Confirm(self)
        self.keys = KeySheet(self)
        self.live.controls.wanted.connect(self.do)
        self._make_shortcuts()
        for topic in (messages.FORM, messages.PREFLIGHT, messages.PROGRESS, messages.QUESTION, messages.ENDED,
                      messages.STATUS, LINKS):  # fmt: skip
            model.subscribe(topic, self._follow)
        model.subscribe(messages.FRAME, self._offer_pictures)
        self._wanted = ""
        self._follow()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.tick)
        self._timer.start(TICK_MS)

    # ------------------------------------------------------------------- pages

    @property
    def page(self) -> str:
        """Name of the page that is shown."""
        return self._page

    def go_to(self, page: str) -> None:
        """Show a page."""
        if page != self._page:
            self._page = page
            self._stack.setCurrentWidget(self.pages[page])

    def _follow(self) -> None:
        """Turn to the page that the session asks for, whenever that changes; the operator may leave it."""
        wanted = pages.wanted_page(self.model)
        if wanted != self._wanted:
            self._wanted = wanted
            self.go_to(wanted)

    # -------------------------------------------------------------------- time

    def tick(self) -> None:
        """Take what has come and move what moves."""
        self._pump()
        for camera, state in self._faces.results().items():
            self.model.set_picture(camera, state)
        self.banner.tick()
        if self._page == pages.LIVE:
            self.live.tick()

    def _offer_pictures(self) -> None:
        for camera, picture in self.model.frames.items():
            if self._offered.get(camera) != picture.t_us:
                self._offered[camera] = picture.t_us
                self._faces.put(camera, picture.jpeg, picture.arrived_s)

    # -------------------------------------------------------------------- keys

    def _make_shortcuts(self) -> None:
        for key in KEYS:
            for number, sequence in enumerate(key.sequences, start=1):
                shortcut = QShortcut(QKeySequence(sequence), self)
                # A key that is held down must not set twenty marks.
                shortcut.setAutoRepeat(key.action in ("previous", "next"))
                action = f"choice {number}" if key.action == "choice" else key.action
                shortcut.activated.connect(lambda action=action: self.do(action))

    def do(self, action: str) -> None:
        """Carry out an action of ``keys.KEYS``; 'choice 3' takes the third choice."""
        if self.confirm.asking:
            if action == "yes":
                self.confirm.yes()
            elif action == "no":
                self.confirm.no()
            return
        if self.keys.isVisible():
            if action in ("keys", "no"):
                self.keys.hide()
            return
        if action in _SIMPLE:
            self.model.command(_SIMPLE[action])
        elif action in _PAGE_KEYS:
            self.go_to(_PAGE_KEYS[action])
        elif action.startswith("choice "):
            self._choose(int(action.split()[1]))
        else:
            self._other(action)

    def _other(self, action: str) -> None:
        actions: dict[str, Callable[[], object]] = {
            "note": self._note, "skip": self._ask_skip, "stop": self._ask_stop, "mute": self.banner.mute,
            "previous": lambda: self.calibration.step(-1), "next": lambda: self.calibration.step(1),
            "submit": self.form.submit, "open_page": self._open_page, "keys": self.keys.toggle,
            "fullscreen": lambda: self.showNormal() if self.isFullScreen() else self.showFullScreen(),
            "close": self.close, "no": self.setFocus,
        }  # fmt: skip
        do = actions.get(action)
        if do is not None:
            do()

    def _choose(self, number: int) -> None:
        panels = {
            pages.PREFLIGHT: self.preflight.panel, pages.CALIBRATION: self.calibration.panel,
            pages.QUESTION: self.question,
        }  # fmt: skip
        # On another page the question cannot be read: nothing is decided unseen.
        panel = panels.get(self._page)
        if panel is not None:
            panel.choose_number(number)

    def _note(self) -> None:
        self.go_to(pages.LIVE)
        self.live.controls.focus_note()

    def _open_page(self) -> None:
        if self.model.question is not None:
            # A key must not lead away from what has to be decided; F6 does, on purpose.
            return
        # What is said about it can be read there.
        self.go_to(pages.SUMMARY)
        self.summary.open_page()

    def _ask_skip(self) -> None:
        if not self.model.can(CommandName.SKIP):
            self.model.command(CommandName.SKIP)
            return
        trial = self.model.progress.get("trial")
        text = f"Skip trial {trial}? It is marked as skipped and gives no clip."
        self.confirm.ask([text], lambda reason: self.model.command(CommandName.SKIP, reason))

    def _ask_stop(self) -> None:
        if not self.model.can(CommandName.STOP):
            self.model.command(CommandName.STOP)
            return
        really = (
            "Really stop? The trial that runs is cut off and the session ends now. The file stays valid, "
            "and emer record resume can go on later."
        )
        texts = ["Stop the session?", really]
        self.confirm.ask(texts, lambda reason: self.model.command(CommandName.STOP, reason), reason=True)

    # ------------------------------------------------------------------ window

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Let letters grow with the window."""
        pixels = theme.text_px(self.width(), self.height())
        if pixels != self._text_px:
            self._text_px = pixels
            self.setStyleSheet(theme.stylesheet(pixels))
        for overlay in (self.confirm, self.keys):
            overlay.setGeometry(self.rect())
        super().resizeEvent(event)

    def on_first_paint(self, tell: Callable[[], None]) -> None:
        """Call `tell` once, after the window has been painted."""
        self._on_first_paint = tell

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint, and say when that was the first time."""
        super().paintEvent(event)
        if self._on_first_paint is not None:
            tell, self._on_first_paint = self._on_first_paint, None
            # After this event, when the children are painted, too.
            QTimer.singleShot(0, tell)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Stop looking; the session goes on."""
        self._timer.stop()
        super().closeEvent(event)


def _waiting() -> QWidget:
    page = QWidget()
    column = QVBoxLayout(page)
    column.addStretch(1)
    column.addWidget(theme.label("Waiting for the session", "title"))
    column.addWidget(
        theme.label("Nothing has to be done here yet. F1 shows the keys.", "dim", wrap=True)
    )  # fmt: skip
    column.addStretch(2)
    return page


def _on_top(panel: QWidget) -> QWidget:
    page = QWidget()
    column = QVBoxLayout(page)
    column.addStretch(1)
    column.addWidget(panel)
    column.addStretch(2)
    return page


def _hints() -> str:
    shown = ("mark", "note", "pause", "go_on", "skip", "recheck", "recalibrate", "stop", "mute", "keys")
    return "   ".join(f"{KEY_BY_ACTION[name].sequences[0]} {KEY_BY_ACTION[name].label.lower()}" for name in shown)
