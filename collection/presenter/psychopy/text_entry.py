"""A page with a field to write into.

Words arrive as the operating system's input method composed them, through the same
event of the window that PsychoPy's own ``TextBox2`` listens to; so what works there
works here: Chinese by an input method that commits finished words to the window. The
words while they are being composed, and the list of candidates, are drawn by the input
method itself, over or beside a window that fills the screen, or not at all. ``TextBox2``
is not used for drawing: it finds fonts by name, asks a server on the internet for one
that it does not have, and breaks Chinese lines at spaces alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collection.presenter.psychopy.ink import ACCENT, CARD_EDGE, INK, QUIET, WELL_HOVER, Box, Ink
from collection.presenter.psychopy.input import Does, Event
from collection.presenter.psychopy.page import BODY, HINT, LABEL, Page, button_at_bottom
from collection.presenter.psychopy.question_layout import Frame
from collection.protocol.steps import Item

if TYPE_CHECKING:
    from PIL import Image

#: Characters that an answer may have: the column `text` of ``/responses/texts`` holds so many.
MAX_CHARACTERS = 1000
#: How many are left is said from here on.
_SAY_LEFT = 150


class TextEntryPage(Page):
    """Ask for a few words; an empty answer is an answer.

    Parameters
    ----------
    item : Item
        Of kind text.
    frame : Frame
        The words around it.
    max_characters : int
        Of the answer.

    Attributes
    ----------
    text : str
        What stands in the field.
    t_typed_us : int
        Host clock of the last change; 0 if there was none.
    """

    def __init__(self, ink: Ink, item: Item, frame: Frame, max_characters: int = MAX_CHARACTERS) -> None:
        super().__init__(ink)
        self.item = item
        self.text = ""
        self.t_typed_us = 0
        self._caret = 0
        self._frame = frame
        self._max_characters = max_characters
        self.button = button_at_bottom(ink, frame.button)
        unit = ink.unit
        width = min(1240 * unit, ink.width * 0.86)
        left = (ink.width - width) / 2
        height = ink.text_height(item.prompt, BODY + 4, width)
        self._prompt = Box(left, 150 * unit, width, height)
        top = self._prompt.bottom + 40 * unit
        self._field = Box(left, top, width, min(360 * unit, self.button.box.top - top - 60 * unit))

    def handle(self, event: Event) -> bool:
        """Take an event."""
        if event.does is Does.CLICK and self.button.box.holds(*self._pixels(event)):
            self.done = True
            return False
        if event.does is Does.TEXT:
            return self._insert(event.text, event.t_us)
        if event.does is Does.KEY:
            return self._edit(event.key, event.t_us)
        return super().handle(event)

    def button_center(self) -> tuple[float, float]:
        """Return where to click to go on, shares of the window."""
        x, y = self.button.box.center
        return x / self.ink.width, y / self.ink.height

    def _insert(self, text: str, t_us: int) -> bool:
        text = text[: self._max_characters - len(self.text)]
        if not text:
            return False
        self.text = self.text[: self._caret] + text + self.text[self._caret :]
        self._caret += len(text)
        self.t_typed_us = t_us
        return True

    def _edit(self, key: str, t_us: int) -> bool:
        before = (self.text, self._caret)
        if key == "backspace" and self._caret:
            self.text = self.text[: self._caret - 1] + self.text[self._caret :]
            self._caret -= 1
        elif key == "delete":
            self.text = self.text[: self._caret] + self.text[self._caret + 1 :]
        elif key == "enter":
            # A new line, as in every field of several lines; the button ends the page.
            return self._insert("\n", t_us)
        else:
            steps = {"left": -1, "right": 1, "home": -len(self.text), "end": len(self.text)}
            self._caret = min(len(self.text), max(0, self._caret + steps.get(key, 0)))
        if self.text != before[0]:
            self.t_typed_us = t_us
        return (self.text, self._caret) != before

    def _spots(self) -> list[Box]:
        return [self.button.box]

    def _paint_base(self, picture: Image.Image) -> None:
        ink, unit = self.ink, self.ink.unit
        ink.text(picture, self.item.prompt, self._prompt, BODY + 4)
        ink.panel(picture, self._field, WELL_HOVER, edge=CARD_EDGE)
        low = Box(self._field.left, ink.height - 76 * unit, self._field.width, 40 * unit)
        ink.text(picture, self._frame.hint, low, HINT, color=QUIET, align="center")
        if self._frame.progress:
            box = Box(self._field.left, self.button.box.top + 22 * unit, self._field.width, 40 * unit)
            ink.text(picture, self._frame.progress, box, HINT, color=QUIET, align="right")

    def _paint_state(self, picture: Image.Image) -> None:
        ink, unit = self.ink, self.ink.unit
        inside = self._field.inset(24 * unit)
        lines = ink.wrap(self.text, BODY, inside.width)
        before = ink.wrap(self.text[: self._caret], BODY, inside.width)
        height = ink.line_height(BODY)
        # Long texts scroll: the line with the caret is always to be seen.
        n_visible = max(1, int(inside.height // height))
        first = max(0, len(before) - n_visible)
        for i, line in enumerate(lines[first : first + n_visible]):
            ink.text(
                picture, line, Box(inside.left, inside.top + i * height, inside.width * 1.02, height), BODY, color=INK
            )
        x = inside.left + ink.text_width(before[-1], BODY)
        if self.text[: self._caret].endswith(" "):
            x += ink.text_width(" ", BODY)
        y = inside.top + (len(before) - 1 - first) * height
        ink.panel(picture, Box(x + 1, y + 4 * unit, max(2.0, 2.5 * unit), height - 8 * unit), ACCENT, radius=0)
        left = self._max_characters - len(self.text)
        if left < _SAY_LEFT and self._frame.text:
            below = Box(self._field.left, self._field.bottom + 8 * unit, self._field.width, 40 * unit)
            words = self._frame.text.format(n=left)
            ink.text(picture, words, below, LABEL - 4, color=QUIET, align="right")
        self.button.paint(ink, picture, hover=self._hovers(self.button.box))
