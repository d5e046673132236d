"""Colours and sizes: dim, for a control room beside a dark one, and readable from one metre."""

from __future__ import annotations

from PyQt5.QtCore import QRectF, Qt
from PyQt5.QtGui import QColor, QFont, QPainter
from PyQt5.QtWidgets import QLabel, QSizePolicy, QWidget

BACKGROUND, PANEL, RAISED, LINE = "#121417", "#1a1d22", "#262b33", "#343b46"
TEXT, DIM, FAINT = "#c6cad1", "#8d95a1", "#5b6370"
GOOD, WARN, BAD = "#58a878", "#d9a441", "#e0524d"
ALARM_BACK, ALARM_TEXT, WARN_BACK = "#9c1f1f", "#ffffff", "#4a3a14"
ACCENT = "#4d86b8"
#: Of the eyes: told apart by the colour-blind as well (Okabe and Ito 2008, sky blue and orange).
EYE_COLOURS = {"left": "#56b4e9", "right": "#e69f00"}
LEVEL_COLOURS = {"good": GOOD, "note": ACCENT, "warning": WARN, "error": BAD, "running": ACCENT, "waiting": FAINT}
LEVEL_WORDS = {
    "good": "OK", "note": "NOTE", "warning": "CHECK", "error": "FAILED", "running": "running", "waiting": "waiting",
}  # fmt: skip

#: Lines of text that a window's height holds; the font follows from it.
_LINES = 50
_SMALLEST_PX, _LARGEST_PX = 13, 34


def text_px(width: int, height: int) -> int:
    """Return the size of plain text for a window of this size, pixels."""
    # A wide window on a low screen must not get letters that do not fit its height.
    return max(_SMALLEST_PX, min(_LARGEST_PX, height // _LINES, width // 88))


def stylesheet(px: int) -> str:
    """Return the style of the whole window for plain text of `px` pixels."""
    pad = max(3, px // 3)
    return f"""
    QWidget {{ background: {BACKGROUND}; color: {TEXT}; font-size: {px}px; font-family: "Segoe UI", "Noto Sans",
               "DejaVu Sans", "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; }}
    QLabel {{ background: transparent; }}
    QFrame#panel {{ background: {PANEL}; border: 1px solid {LINE}; border-radius: {pad}px; }}
    QFrame#panel QWidget {{ background: {PANEL}; }}
    QFrame#panel QLabel {{ background: transparent; }}
    QLabel#title {{ font-size: {round(px * 1.7)}px; font-weight: bold; }}
    QLabel#big {{ font-size: {round(px * 1.35)}px; font-weight: bold; }}
    QLabel#dim {{ color: {DIM}; }}
    QLabel#bad {{ color: {BAD}; }}
    QPushButton {{ background: {RAISED}; border: 1px solid {LINE}; border-radius: {pad}px;
                   padding: {pad}px {2 * pad}px; min-height: {round(px * 1.5)}px; }}
    QPushButton:hover {{ border-color: {DIM}; }}
    QPushButton:focus {{ border: 2px solid {ACCENT}; }}
    QPushButton:disabled {{ color: {FAINT}; background: {PANEL}; }}
    QPushButton#go {{ background: #1f4a33; border-color: {GOOD}; font-weight: bold; }}
    QPushButton#go:disabled {{ background: {PANEL}; border-color: {LINE}; color: {FAINT}; }}
    QPushButton#stop {{ background: #4a1f1f; border-color: {BAD}; }}
    QPushButton#stop:disabled {{ background: {PANEL}; border-color: {LINE}; color: {FAINT}; }}
    QFrame#panel QPushButton {{ background: {RAISED}; }}
    QFrame#panel QPushButton#stop {{ background: #4a1f1f; }}
    QFrame#panel QLineEdit {{ background: {RAISED}; }}
    QLineEdit, QPlainTextEdit, QComboBox {{ background: {RAISED}; border: 1px solid {LINE}; border-radius: {pad // 2}px;
                   padding: {pad // 2}px {pad}px; min-height: {round(px * 1.5)}px; selection-background-color: {ACCENT}; }}
    QLineEdit:focus, QPlainTextEdit:focus, QComboBox:focus {{ border: 2px solid {ACCENT}; }}
    QLineEdit[wrong="true"] {{ border: 2px solid {BAD}; }}
    QComboBox QAbstractItemView {{ background: {RAISED}; color: {TEXT}; selection-background-color: {ACCENT}; }}
    QRadioButton {{ spacing: {pad}px; padding-right: {2 * px}px; }}
    QRadioButton::indicator {{ width: {px}px; height: {px}px; border: 2px solid {DIM}; border-radius: {px // 2 + 2}px;
                   background: {RAISED}; }}
    QRadioButton::indicator:checked {{ background: {ACCENT}; border-color: {TEXT}; }}
    QRadioButton:focus {{ color: #ffffff; }}
    QRadioButton::indicator:focus {{ border-color: {ACCENT}; }}
    QScrollArea {{ border: none; }}
    QScrollBar:vertical {{ background: {BACKGROUND}; width: {px}px; }}
    QScrollBar::handle:vertical {{ background: {LINE}; border-radius: {pad}px; min-height: {2 * px}px; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ height: 0; }}
    """


def colour(name: str, alpha: int = 255) -> QColor:
    """Return a colour, see-through if `alpha` is below 255."""
    made = QColor(name)
    made.setAlpha(alpha)
    return made


def label(text: str = "", name: str = "", *, wrap: bool = False) -> QLabel:
    """Return a label of plain text: what comes from a session is never read as markup."""
    made = QLabel(text)
    made.setTextFormat(Qt.PlainText)
    made.setObjectName(name)
    made.setWordWrap(wrap)
    if wrap:
        made.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Minimum)
    return made


def scaled_font(widget: QWidget, factor: float, *, bold: bool = False) -> QFont:
    """Return the widget's font, larger or smaller."""
    font = QFont(widget.font())
    pixels = font.pixelSize() if font.pixelSize() > 0 else widget.fontInfo().pixelSize()
    font.setPixelSize(max(9, round(pixels * factor)))
    font.setBold(bold)
    return font


def draw_text(painter: QPainter, box: QRectF, text: str, name: str = TEXT, align: int = Qt.AlignLeft) -> None:
    """Draw one line, cut with an ellipsis where it does not fit."""
    painter.setPen(colour(name))
    shown = painter.fontMetrics().elidedText(text, Qt.ElideRight, max(0, int(box.width())))
    painter.drawText(box, int(align) | int(Qt.AlignVCenter), shown)
