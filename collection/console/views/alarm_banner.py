"""Alarms: errors big and red with what to do, warnings amber, and a beep that can be muted."""

from __future__ import annotations

from collections.abc import Callable

from PyQt5.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from collection.console.alarms import Alarm
from collection.console.keys import KEY_BY_ACTION
from collection.console.messages import ERROR
from collection.console.model import ALARMS, ConsoleModel
from collection.console.views import theme

BEEP_EVERY_S = 2.0
_MOST_ERRORS, _MOST_WARNINGS = 3, 2


class AlarmBanner(QWidget):
    """Show what is wrong now, the worst first.

    Parameters
    ----------
    model : ConsoleModel
    beep : callable
        Makes the system's sound.
    """

    def __init__(self, model: ConsoleModel, beep: Callable[[], None]) -> None:
        super().__init__()
        self._model = model
        self._beep = beep
        self._muted: set[str] = set()
        self._beeped_s = 0.0
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(3)
        self._shown: list[Alarm] = []
        model.subscribe(ALARMS, self.refresh)
        self.refresh()

    @property
    def texts(self) -> list[str]:
        """What can be read now."""
        return [label.text() for label in self.findChildren(QLabel)]

    def mute(self) -> None:
        """Silence the alarms that hold now; a new one beeps again."""
        self._muted |= {alarm.key for alarm in self._errors}
        self.refresh()

    @property
    def _errors(self) -> list[Alarm]:
        return [alarm for alarm in self._model.alarms if alarm.level == ERROR]

    @property
    def sounding(self) -> bool:
        """True while an alarm beeps."""
        return any(alarm.key not in self._muted for alarm in self._errors)

    def tick(self) -> None:
        """Beep if it is time; call it many times a second."""
        now_s = self._model.now_s()
        if self.sounding and now_s - self._beeped_s >= BEEP_EVERY_S:
            self._beeped_s = now_s
            self._beep()

    def refresh(self) -> None:
        """Build the lines anew."""
        # What is over may sound again when it comes back.
        self._muted &= {alarm.key for alarm in self._model.alarms}
        while self._column.count():
            item = self._column.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.hide()
                widget.setParent(None)
                widget.deleteLater()
        errors = self._errors
        others = [alarm for alarm in self._model.alarms if alarm.level != ERROR]
        for alarm in errors[:_MOST_ERRORS]:
            self._column.addWidget(self._error(alarm))
        for alarm in others[:_MOST_WARNINGS]:
            self._column.addWidget(_warning(f"{alarm.text}  {alarm.remedy}"))
        hidden = len(errors[_MOST_ERRORS:]) + len(others[_MOST_WARNINGS:])
        if hidden:
            self._column.addWidget(_warning(f"and {hidden} more"))
        self.setVisible(bool(self._model.alarms))

    def _error(self, alarm: Alarm) -> QFrame:
        box = QFrame()
        box.setObjectName("alarm")
        box.setStyleSheet(
            f"QFrame#alarm {{ background: {theme.ALARM_BACK}; border-radius: 6px; }} "
            f"QFrame#alarm QLabel {{ color: {theme.ALARM_TEXT}; }}"
        )
        column = QVBoxLayout(box)
        column.setContentsMargins(12, 4, 12, 6)
        column.setSpacing(0)
        column.addWidget(theme.label(alarm.text, "title", wrap=True))
        muted = "   (muted)" if alarm.key in self._muted else f"   (mute: {KEY_BY_ACTION['mute'].sequences[0]})"
        column.addWidget(theme.label(f"{alarm.remedy}{muted}".strip(), wrap=True))
        return box


def _warning(text: str) -> QLabel:
    line = theme.label(text, wrap=True)
    line.setStyleSheet(
        f"background: {theme.WARN_BACK}; color: {theme.WARN}; border-radius: 4px; padding: 2px 12px;"
    )  # fmt: skip
    return line
