"""One line for what the annotator must know; without news it reminds of the keys."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtGui import QColor, QPainter, QPaintEvent
from qtpy.QtWidgets import QHBoxLayout, QWidget

from annotation.desk import state
from annotation.desk.desk import Desk
from annotation.texts import Texts
from annotation.views.label_panel import plain_button
from annotation.views.theme import Theme, label

#: Actions that the line reminds of while there is no news.
_HINTS = ("play", "step.forward", "commit", "undo", "flag", "keys")
_SIGNS = {"info": "i", "warning": "!", "error": "✗"}


class NoticeBar(QWidget):
    """Show the desk's notice, with a button that tries again where saving failed.

    Parameters
    ----------
    desk : Desk
    texts : Texts
    theme : Theme
    key_of : callable
        Returns the key of an action, as it is written on a keyboard.
    """

    def __init__(self, desk: Desk, texts: Texts, theme: Theme, key_of: Callable[[str], str]) -> None:
        super().__init__()
        self._desk, self._texts, self._theme, self._key_of = desk, texts, theme, key_of
        self.sign = label("", "big")
        self.words = label("", "", wrap=True)
        self._own = ""
        self.retry = plain_button(name="go")
        self.retry.clicked.connect(desk.retry)
        self.dismiss = plain_button()
        self.dismiss.clicked.connect(self._dismiss)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 3, 10, 3)
        row.setSpacing(10)
        row.addWidget(self.sign)
        row.addWidget(self.words, 1)
        row.addWidget(self.retry)
        row.addWidget(self.dismiss)
        for topic in (state.NOTICE, state.SAVING, state.PAGE):
            desk.subscribe(topic, self.refresh)
        texts.subscribe(self.refresh)
        self.refresh()

    @property
    def can_retry(self) -> bool:
        """Whether something waits to be saved."""
        return self._desk.saving is not state.Saving.SAVED

    @property
    def notice(self) -> state.Notice | None:
        """What is said: the window's own words first, then the desk's."""
        return state.Notice("error", "", self._own) if self._own else self._desk.notice

    def say(self, words: str) -> None:
        """Say something that the desk does not know of; empty takes it back."""
        self._own = words
        self.refresh()

    def _dismiss(self) -> None:
        self._own = ""
        self._desk.dismiss_notice()
        self.refresh()

    def refresh(self) -> None:
        """Read the desk."""
        notice, texts = self.notice, self._texts
        self.retry.setVisible(self.can_retry)
        self.retry.setText(f"{texts('notices.retry')}  {self._key_of('commit')}")
        self.dismiss.setVisible(notice is not None and not self.can_retry)
        self.dismiss.setText(texts("notices.dismiss"))
        self.sign.setVisible(notice is not None)
        self.words.setText(self._hints() if notice is None else self.written(notice))
        self.words.setObjectName("small" if notice is None else "strong")
        self.words.style().unpolish(self.words)
        self.words.style().polish(self.words)
        if notice is not None:
            self.sign.setText(_SIGNS.get(notice.level, "i"))
        self.setMinimumHeight(round(2.3 * self._theme.px))
        self.update()

    def written(self, notice: state.Notice) -> str:
        """Return a notice in the language of the window."""
        texts, values = self._texts, dict(notice.values)
        # What the desk names by word is written as the form writes it.
        if "fields" in values:
            values["fields"] = ", ".join(texts(f"fields.{name}") for name in values["fields"].split(","))
        if notice.text_id == "break_due":
            values["key"] = self._key_of("break")
        words = texts(f"notices.{notice.text_id}", **values) if notice.text_id else ""
        return f"{words} {notice.detail}".strip()

    def _hints(self) -> str:
        if self._desk.page is not state.Page.CLIP:
            return ""
        parts = [f"{self._key_of(action)}  {self._texts(f'keys.{action}')}" for action in _HINTS]
        return "      ".join(parts)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Fill the line with the colour of its level."""
        notice = self.notice
        painter = QPainter(self)
        roles = {"info": "accent_soft", "warning": "warn_soft", "error": "bad_soft"}
        if notice is not None:
            back: QColor = self._theme.colour(roles.get(notice.level, "accent_soft"))
            painter.fillRect(self.rect(), back)
            painter.fillRect(0, 0, 6, self.height(), self._theme.colour(_edge(notice.level)))
        painter.end()


def _edge(level: str) -> str:
    return {"warning": "warn", "error": "bad"}.get(level, "accent")
