"""Colours and sizes, light and dark.

Every meaning is told by a word, a shape or a place as well, never by colour
alone; the colours that tell curves and marks apart are those of Okabe and Ito,
darkened on white until they stand out (tests/annotation/test_theme.py measures it).

References
----------
Okabe and Ito (2008), "Color Universal Design", https://jfly.uni-koeln.de/color/.
W3C (2018), WCAG 2.1, success criteria 1.4.3 and 1.4.11.
"""

from __future__ import annotations

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFont, QPainter, QPaintEvent
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from annotation.settings import TEXT_SIZES
from annotation.views.palette import PALETTES
from annotation.views.stylesheet import stylesheet

#: As a number, which `QStyle.drawItemText` wants in both bindings.
_VCENTER = 0x80
#: Pixels of plain text at 100 %, before the system's own scaling.
BASE_PX = 14


class Theme:
    """What a window looks like.

    Parameters
    ----------
    name : {'light', 'dark'}
    text_percent : int
        Size of the text against the usual one, within `annotation.settings.TEXT_SIZES`.
    """

    def __init__(self, name: str = "light", text_percent: int = 100) -> None:
        self.name = name if name in PALETTES else "light"
        low, high = TEXT_SIZES
        self.text_percent = min(high, max(low, text_percent))

    @property
    def px(self) -> int:
        """Size of plain text, pixels."""
        return round(BASE_PX * self.text_percent / 100)

    @property
    def is_dark(self) -> bool:
        """Whether text is lighter than what it stands on."""
        return self.name == "dark"

    def hex(self, role: str) -> str:
        """Return a colour as ``#rrggbb``."""
        return PALETTES[self.name][role]

    def colour(self, role: str, alpha: int = 255) -> QColor:
        """Return a colour, see-through if `alpha` is below 255."""
        made = QColor(self.hex(role))
        made.setAlpha(alpha)
        return made

    def font(self, widget: QWidget, factor: float = 1.0, *, bold: bool = False) -> QFont:
        """Return the widget's font in a size relative to plain text."""
        font = QFont(widget.font())
        font.setPixelSize(max(9, round(self.px * factor)))
        font.setBold(bold)
        return font

    def stylesheet(self) -> str:
        """Return the style of a whole window."""
        return stylesheet(PALETTES[self.name], self.px)

    def draw_text(
        self,
        painter: QPainter,
        box: QRectF,
        text: str,
        role: str = "text",
        align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
    ) -> None:
        """Draw one line, cut with an ellipsis where it does not fit."""
        painter.setPen(self.colour(role))
        shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, max(0, int(box.width())))
        painter.drawText(box, align | Qt.AlignmentFlag.AlignVCenter, shown)


class ElidedLabel(QLabel):
    """One line that is cut with an ellipsis where the window has no room for it."""

    def minimumSizeHint(self) -> QSize:
        """Give way."""
        return QSize(3 * self.fontMetrics().averageCharWidth(), super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw as much as there is room for."""
        painter = QPainter(self)
        room = self.contentsRect()
        shown = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, room.width())
        self.style().drawItemText(
            painter, room, _VCENTER, self.palette(), self.isEnabled(), shown, self.foregroundRole()
        )
        painter.end()


def label(text: str = "", name: str = "", *, wrap: bool = False, elide: bool = False) -> QLabel:
    """Return a label of plain text: what comes from a study is never read as markup."""
    made = ElidedLabel(text) if elide else QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setObjectName(name)
    made.setWordWrap(wrap)
    if wrap:
        made.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
    return made
