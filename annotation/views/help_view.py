"""The help page: what the questions and scales mean, and how to work."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeyEvent, QTextBlockFormat, QTextCursor, QTextTable
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QTextBrowser, QWidget

from annotation.texts import Texts
from annotation.texts.guide import help_markdown
from annotation.views.overlay import Overlay
from annotation.views.shortcuts import pressed_sequence, shown_key
from annotation.views.theme import Theme

#: Letters in a line, about: longer lines are hard to read (Bringhurst: 45 to 75).
_LINE_EM = 46
_LINE_PERCENT = 128
#: `QTextBlockFormat.LineHeightTypes.ProportionalHeight`; as a number, since Qt 5 wants one and Qt 6 takes one.
_PROPORTIONAL = 1


class HelpView(Overlay):
    """Show the help page over the window.

    Parameters
    ----------
    parent : QWidget
    texts : Texts
    theme : Theme
    key_of : callable
        Returns the key of an action, as it is written on a keyboard.
    """

    def __init__(self, parent: QWidget, texts: Texts, theme: Theme, key_of: Callable[[str], str]) -> None:
        super().__init__(parent, texts, theme, (0.94, 0.96))
        self._key_of = key_of
        self.page = QTextBrowser()
        self.page.setOpenLinks(False)
        self.page.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.close_button = QPushButton()
        self.close_button.setObjectName("go")
        self.close_button.clicked.connect(self.shut)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.close_button)
        self.column.addWidget(self.page, 1)
        self.column.addLayout(row)

    def first_focus(self) -> QWidget:
        """Let the arrows move the page."""
        return self.page

    def open(self) -> None:
        """Write the page with today's keys and language, and show its beginning."""
        self.title.setText(self.texts("help.title"))
        self.close_button.setText(f"{self.texts('help.close')}  Esc")
        self.page.setMarkdown(help_markdown(self.texts.language, self._key_of))
        self._space_out()
        window = self.parentWidget()
        self.page.setMinimumSize(
            min(_LINE_EM * self.theme.px, round(window.width() * 0.94) - 60), round(window.height() * 0.96) - 140
        )
        super().open()
        self.page.verticalScrollBar().setValue(0)

    def _space_out(self) -> None:
        """Give lines, paragraphs and cells air: Qt's Markdown sets them tightly."""
        px = self.theme.px
        document = self.page.document()
        document.setDocumentMargin(1.2 * px)
        cursor = QTextCursor(document)
        block = document.begin()
        while block.isValid():
            heading = block.blockFormat().headingLevel() > 0
            spaced = QTextBlockFormat()
            spaced.setLineHeight(_LINE_PERCENT, _PROPORTIONAL)
            in_table = QTextCursor(block).currentTable() is not None
            spaced.setTopMargin(1.3 * px if heading else 0.0)
            spaced.setBottomMargin(0.0 if in_table else 0.6 * px)
            cursor.setPosition(block.position())
            cursor.mergeBlockFormat(spaced)
            block = block.next()
        for table in document.rootFrame().childFrames():
            if isinstance(table, QTextTable):
                form = table.format()
                form.setCellPadding(0.45 * px)
                form.setCellSpacing(0)
                form.setBorderCollapse(True)
                form.setBorderBrush(self.theme.colour("line"))
                form.setBottomMargin(0.8 * px)
                table.setFormat(form)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Close with the key that opened it, too."""
        if shown_key(pressed_sequence(event)) == self._key_of("help"):
            self.shut()
        else:
            super().keyPressEvent(event)
