"""A panel over the window that takes the keyboard until it is closed.

A window of its own would be at the mercy of the window manager: behind, on
another screen, or without the keyboard. While one is open the window's keys rest.
"""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, QRect, Qt, Signal
from qtpy.QtGui import QKeyEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QAbstractButton, QApplication, QFrame, QVBoxLayout, QWidget

from annotation.texts import Texts
from annotation.views.theme import Theme, label

#: Share of the window that shows through.
_DIM = 150


class Overlay(QWidget):
    """Lie over `parent`, with a framed panel in the middle.

    Parameters
    ----------
    parent : QWidget
        The window; followed when its size changes.
    texts : Texts
    theme : Theme
    share : tuple of float
        Largest share of the window's width and height that the panel takes.
    """

    closed = Signal()

    def __init__(self, parent: QWidget, texts: Texts, theme: Theme, share: tuple[float, float] = (0.9, 0.95)) -> None:
        super().__init__(parent)
        self.texts, self.theme, self._share = texts, theme, share
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground, False)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.panel = QFrame(self)
        self.panel.setObjectName("panel")
        self.title = label("", "big")
        self.column = QVBoxLayout(self.panel)
        self.column.setContentsMargins(18, 14, 18, 14)
        self.column.setSpacing(8)
        self.column.addWidget(self.title)
        self.hide()
        parent.installEventFilter(self)

    def first_focus(self) -> QWidget:
        """Return what gets the keyboard when it opens."""
        return self

    def open(self) -> None:
        """Show it and take the keyboard."""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.show()
        self.raise_()
        self.fit()
        self.first_focus().setFocus(Qt.FocusReason.OtherFocusReason)

    def shut(self) -> None:
        """Put it away and give the keyboard back."""
        if self.isHidden():
            return
        self.hide()
        window = self.parentWidget()
        if window is not None:
            window.setFocus(Qt.FocusReason.OtherFocusReason)
        self.closed.emit()

    def fit(self) -> None:
        """Lie over the whole window; the panel takes what it needs, up to its share."""
        window = self.parentWidget()
        if window is None:
            return
        self.setGeometry(window.rect())
        self.panel.ensurePolished()
        most = (round(window.width() * self._share[0]), round(window.height() * self._share[1]))
        width = min(most[0], self.panel.sizeHint().width())
        height = self.panel.sizeHint().height()
        if self.panel.layout().hasHeightForWidth():
            height = self.panel.layout().totalHeightForWidth(width)
        height = min(most[1], height)
        self.panel.setGeometry(QRect((window.width() - width) // 2, (window.height() - height) // 2, width, height))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the window's size."""
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self.fit()
        return False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Close on Escape, press the button in focus on Enter; no other key reaches the window below."""
        focused = QApplication.focusWidget()
        if event.key() == Qt.Key.Key_Escape:
            self.shut()
        # Qt gives Enter to buttons in dialogs only, and Space alone to all others.
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.isAutoRepeat()
        if is_enter and isinstance(focused, QAbstractButton) and self.isAncestorOf(focused):
            focused.click()
        event.accept()

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Keep Tab inside."""
        chain = [w for w in self.findChildren(QWidget) if w.isVisible() and w.isEnabled()
                 and w.focusPolicy() & Qt.FocusPolicy.TabFocus]  # fmt: skip
        if not chain:
            return True
        now = QApplication.focusWidget()
        place = chain.index(now) if now in chain else -1 if forward else 0
        chain[(place + (1 if forward else -1)) % len(chain)].setFocus(Qt.FocusReason.TabFocusReason)
        return True

    def paintEvent(self, event: QPaintEvent) -> None:
        """Darken what lies below."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self.theme.colour("screen", _DIM))
        painter.end()
