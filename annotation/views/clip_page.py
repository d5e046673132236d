"""The page on which clips are judged: video and time line, the ER pass' evidence, and the form."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from annotation.desk import state
from annotation.desk.desk import Desk
from annotation.texts import Texts
from annotation.views.feedback_panel import FeedbackPanel
from annotation.views.label_panel import LabelPanel
from annotation.views.play_bar import PlayBar
from annotation.views.theme import Theme
from annotation.views.timeline import Timeline
from annotation.views.video_view import VideoView


class ClipPage(QWidget):
    """Put the views of a clip together.

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
        self._desk = desk
        self.video = VideoView(desk, texts, theme, key_of)
        self.timeline = Timeline(desk, texts, theme)
        self.bar = PlayBar(desk, texts, theme, do, key_of)
        self.form = LabelPanel(desk, texts, theme, do, key_of)
        self.feedback = FeedbackPanel(desk, texts, key_of)
        self.er_panel: QWidget | None = None
        left = QWidget()
        left.setObjectName("plain")
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.video, 1)
        column.addWidget(self.timeline)
        column.addWidget(self.bar)
        self.right = QStackedWidget()
        self.right.addWidget(self.form)
        self.right.addWidget(self.feedback)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        self.splitter: QSplitter | None = None
        if desk.task == "er":
            from annotation.views.er import build_er_panel

            self.er_panel = build_er_panel(desk, texts, theme)
            self.splitter = QSplitter(Qt.Orientation.Horizontal)
            self.splitter.setChildrenCollapsible(False)
            self.splitter.addWidget(left)
            self.splitter.addWidget(self.er_panel)
            self.splitter.setStretchFactor(0, 1)
            self.splitter.setStretchFactor(1, 1)
            row.addWidget(self.splitter, 1)
        else:
            row.addWidget(left, 1)
            desk.set_panels(("face",))
        row.addWidget(self.right)
        desk.subscribe(state.PAGE, self.follow)
        self.follow()
        self.fit()

    def follow(self) -> None:
        """Show the form, or after a training label what experts said."""
        self.right.setCurrentWidget(self.feedback if self._desk.page is state.Page.FEEDBACK else self.form)

    def fit(self) -> None:
        """Give the form the width that its letters need."""
        self.form.fit()
        self.right.setFixedWidth(self.form.width())

    def use_theme(self, theme: Theme) -> None:
        """Tell the parts that draw by themselves."""
        if self.er_panel is not None:
            self.er_panel.use_theme(theme)

    def end(self) -> None:
        """Stop what runs beside the window; may be called again."""
        if self.er_panel is not None:
            self.er_panel.end()
