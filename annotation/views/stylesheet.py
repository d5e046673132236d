"""The style sheet of every window, written from a palette."""

from __future__ import annotations

from collections.abc import Mapping

_FAMILIES = '"Segoe UI", "Noto Sans", "DejaVu Sans", "Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", sans-serif'


def stylesheet(c: Mapping[str, str], px: int) -> str:
    """Return the style sheet for colours `c` and plain text of `px` pixels."""
    pad = max(3, px // 3)
    return f"""
    QWidget {{ background: {c["background"]}; color: {c["text"]}; font-size: {px}px; font-family: {_FAMILIES}; }}
    QLabel, QCheckBox {{ background: transparent; }}
    QFrame#panel, QWidget#panel {{ background: {c["panel"]}; border: 1px solid {c["line"]}; border-radius: {pad}px; }}
    QWidget#plain {{ background: transparent; border: none; }}
    QLabel#title {{ font-size: {round(px * 1.7)}px; font-weight: bold; }}
    QLabel#big {{ font-size: {round(px * 1.25)}px; font-weight: bold; }}
    QLabel#strong {{ font-weight: bold; }}
    QLabel#dim {{ color: {c["dim"]}; }}
    QLabel#small {{ color: {c["dim"]}; font-size: {max(11, round(px * 0.86))}px; }}
    QLabel#good {{ color: {c["good"]}; font-weight: bold; }}
    QLabel#warn {{ color: {c["warn"]}; font-weight: bold; }}
    QLabel#bad {{ color: {c["bad"]}; font-weight: bold; }}
    QLabel#key {{ background: {c["raised"]}; border: 1px solid {c["edge"]}; border-radius: {pad - 1}px;
                  padding: 1px {pad}px; font-weight: bold; }}
    QPushButton, QToolButton {{ background: {c["raised"]}; border: 1px solid {c["edge"]}; border-radius: {pad}px;
                   padding: {max(2, pad // 2)}px {2 * pad}px; min-height: {round(px * 1.45)}px; }}
    QPushButton:hover, QToolButton:hover {{ background: {c["accent_soft"]}; border-color: {c["accent"]}; }}
    QPushButton:focus, QToolButton:focus {{ border: 2px solid {c["focus"]}; }}
    QPushButton:disabled, QToolButton:disabled {{ color: {c["faint"]}; background: {c["background"]};
                   border-color: {c["line"]}; }}
    QPushButton:checked {{ background: {c["accent"]}; color: {c["accent_text"]}; border-color: {c["accent"]};
                   font-weight: bold; }}
    QPushButton#go {{ background: {c["accent"]}; color: {c["accent_text"]}; border-color: {c["accent"]};
                   font-weight: bold; }}
    QPushButton#go:focus {{ border: 3px solid {c["focus"]}; }}
    QPushButton#go:disabled {{ background: {c["background"]}; color: {c["faint"]}; border-color: {c["line"]}; }}
    QLineEdit, QPlainTextEdit, QTextBrowser, QComboBox, QListWidget, QTableWidget, QKeySequenceEdit, QSpinBox {{
                   background: {c["raised"]}; border: 1px solid {c["edge"]}; border-radius: {pad // 2}px;
                   padding: {pad // 2}px {pad}px; selection-background-color: {c["accent"]};
                   selection-color: {c["accent_text"]}; }}
    QLineEdit, QComboBox {{ min-height: {round(px * 1.45)}px; }}
    QLineEdit:focus, QPlainTextEdit:focus, QTextBrowser:focus, QComboBox:focus, QListWidget:focus,
    QTableWidget:focus, QSpinBox:focus {{ border: 2px solid {c["focus"]}; }}
    QListWidget::item {{ padding: {pad}px; }}
    QListWidget::item:selected, QTableWidget::item:selected {{ background: {c["accent"]}; color: {c["accent_text"]}; }}
    QComboBox::drop-down {{ border: none; width: {2 * px}px; }}
    QComboBox::down-arrow {{ image: none; }}
    QComboBox QAbstractItemView {{ background: {c["raised"]}; color: {c["text"]};
                   selection-background-color: {c["accent"]}; selection-color: {c["accent_text"]}; }}
    QHeaderView::section {{ background: {c["background"]}; color: {c["dim"]}; border: none; padding: {pad}px; }}
    QCheckBox::indicator, QRadioButton::indicator {{ width: {px}px; height: {px}px; }}
    QCheckBox:focus, QRadioButton:focus {{ color: {c["focus"]}; }}
    QMenuBar {{ background: {c["background"]}; color: {c["text"]}; }}
    QMenuBar::item {{ padding: {pad // 2 + 1}px {2 * pad}px; background: transparent; }}
    QMenuBar::item:selected, QMenu::item:selected {{ background: {c["accent"]}; color: {c["accent_text"]}; }}
    QMenu {{ background: {c["panel"]}; color: {c["text"]}; border: 1px solid {c["edge"]}; }}
    QMenu::item {{ padding: {pad}px {5 * pad}px; }}
    QMenu::item:disabled {{ color: {c["faint"]}; }}
    QToolTip {{ background: {c["panel"]}; color: {c["text"]}; border: 1px solid {c["edge"]}; padding: {pad}px; }}
    QScrollArea {{ border: none; }}
    QScrollBar:vertical {{ background: {c["background"]}; width: {max(10, px * 2 // 3)}px; margin: 0; }}
    QScrollBar::handle:vertical {{ background: {c["edge"]}; border-radius: {pad}px; min-height: {2 * px}px; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ height: 0; width: 0; }}
    QSplitter::handle {{ background: {c["line"]}; }}
    """
