"""The right-hand column of the ER pass: which parts are shown, and how they follow the desk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QSize, Qt, Signal
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QSplitter, QVBoxLayout, QWidget

from annotation.desk.eye_scene import EyeScene
from annotation.texts import Texts
from annotation.views.er.fixation_map_view import FixationMapView
from annotation.views.er.stimulus_view import StimulusView
from annotation.views.er.traces_view import TracesView
from annotation.views.theme import Theme

if TYPE_CHECKING:
    from annotation.desk.desk import Desk

#: Parts in the order in which the view of a label names them.
PARTS: tuple[str, ...] = ("stimulus", "gaze", "traces", "map")


class _Bell(QObject):
    """Carries a call from the decoding thread into the window's."""

    rung = Signal()


class ErPanel(QWidget):
    """Stimulus with gaze, traces and fixation map, each of which can be put away.

    What is visible is told to the desk, which stores it with each label.

    Parameters
    ----------
    desk : Desk
    texts : Texts
    theme : Theme
    """

    def __init__(self, desk: Desk, texts: Texts, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("er_panel")
        self.desk, self.texts = desk, texts
        bell = _Bell()
        # The thread holds the bell by this: one that it could ring after its end would take the process down.
        self.scene = EyeScene(desk, lambda: bell.rung.emit())
        bell.rung.connect(self.scene.refresh, Qt.ConnectionType.QueuedConnection)
        self.stimulus = StimulusView(self.scene, texts, theme)
        self.traces = TracesView(self.scene, texts, theme)
        self.map = FixationMapView(self.scene, texts, theme)
        self.buttons = {part: self._button() for part in (*PARTS, "velocity", "page")}
        self._lay_out()
        for part in PARTS:
            self.buttons[part].setChecked(True)
            self.buttons[part].toggled.connect(self._show_parts)
        self.buttons["velocity"].toggled.connect(self.traces.show_velocity)
        self.buttons["page"].toggled.connect(self.traces.show_page)
        texts.subscribe(self._say)
        self._say()
        self._show_parts()

    @property
    def shown(self) -> tuple[str, ...]:
        """What can be seen, as the view of a label names it; gaze lies on the stimulus."""
        on = [part for part in PARTS if self.buttons[part].isChecked()]
        return tuple(part for part in on if part != "gaze" or "stimulus" in on)

    def toggle(self, part: str) -> None:
        """Show a part or put it away, where its button can be pressed: gaze needs the stimulus."""
        self.buttons[part].click()

    def use_theme(self, theme: Theme) -> None:
        """Change the colours."""
        for view in (self.stimulus, self.traces, self.map):
            view.use_theme(theme)
        self._fit_rows()

    def end(self) -> None:
        """Stop decoding; the window calls it before the desk is closed. May be called again."""
        self.texts.unsubscribe(self._say)
        self.map.end()
        self.scene.close()

    def _button(self) -> QPushButton:
        button = QPushButton()
        button.setCheckable(True)
        # Keys belong to the label: a click here must not take Space and Enter away from it.
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        # Six of them stand in one row of a narrow column, also with large text.
        button.setStyleSheet("padding: 1px 7px; font-weight: normal;")
        return button

    def _lay_out(self) -> None:
        self._row, self._second_row = QHBoxLayout(), QHBoxLayout()
        self._of_traces = QWidget()
        self._of_traces.setObjectName("plain")
        pair = QHBoxLayout(self._of_traces)
        pair.setContentsMargins(0, 0, 0, 0)
        for layout in (self._row, self._second_row, pair):
            layout.setSpacing(4)
        for part in PARTS:
            self._row.addWidget(self.buttons[part])
        for part in ("velocity", "page"):
            pair.addWidget(self.buttons[part])
        for layout in (self._row, self._second_row):
            layout.addStretch(1)
        self._row.addWidget(self._of_traces)
        self.splitter = QSplitter(Qt.Orientation.Vertical)
        self.splitter.setChildrenCollapsible(False)
        for place, view in enumerate((self.stimulus, self.traces, self.map)):
            self.splitter.addWidget(view)
            self.splitter.setStretchFactor(place, (4, 3, 3)[place])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._row)
        layout.addLayout(self._second_row)
        layout.addWidget(self.splitter, 1)

    def minimumSizeHint(self) -> QSize:
        """Return a size that goes with a small laptop; the buttons make room for themselves."""
        return QSize(max(220, self._width_of(PARTS)), 300)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the buttons of the traces into a row of their own where one is too narrow."""
        self._fit_rows()

    def _width_of(self, names: Iterable[str]) -> int:
        return sum(self.buttons[name].sizeHint().width() + 4 for name in names)

    def _fit_rows(self) -> None:
        row = self._row if self._width_of(self.buttons) <= self.width() else self._second_row
        if row.indexOf(self._of_traces) < 0:
            (self._second_row if row is self._row else self._row).removeWidget(self._of_traces)
            row.addWidget(self._of_traces)

    def _show_parts(self) -> None:
        on = set(self.shown)
        self.stimulus.setVisible("stimulus" in on)
        self.stimulus.show_gaze("gaze" in on)
        self.traces.setVisible("traces" in on)
        self.map.setVisible("map" in on)
        self.buttons["gaze"].setEnabled("stimulus" in on)
        for part in ("velocity", "page"):
            self.buttons[part].setEnabled("traces" in on)
        self.desk.set_panels(("face", *self.shown))

    def _say(self) -> None:
        for part, button in self.buttons.items():
            button.setText(self.texts(f"er.{part}_button"))
            button.setToolTip(self.texts(f"er.{part}_tip"))
        self._fit_rows()
        self.traces.redraw()
        self.stimulus.update()
        self.map.update()


def build_er_panel(desk: Desk, texts: Texts, theme: Theme) -> ErPanel:
    """Return the column that the ER pass has beside the face."""
    return ErPanel(desk, texts, theme)
