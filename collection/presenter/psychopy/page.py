"""Pages: a picture that depends on what the participant did, and nothing else.

A page knows no window. It is given events and says whether its picture changed, so the
same code answers to a mouse, to a keyboard and to the scripted participant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from collection.presenter.psychopy.ink import (
    ACCENT,
    ACCENT_HOVER,
    CARD_EDGE,
    INK,
    ON_ACCENT,
    QUIET,
    WELL,
    WELL_HOVER,
    Box,
    Ink,
)
from collection.presenter.psychopy.input import Does, Event

if TYPE_CHECKING:
    from PIL import Image

#: Sizes of text, in units (pixels of a screen of 1080 lines). 32 units are 0.9 degrees at 65 cm on a 24-inch screen.
TITLE, BODY, LABEL, HINT = 46.0, 34.0, 26.0, 25.0
#: Reading width: longer lines are hard to follow.
_COLUMN = 1240.0


@dataclass(frozen=True)
class Button:
    """Something to click on."""

    box: Box
    label: str
    #: A main button is filled; a quiet one is not.
    main: bool = True

    def paint(self, ink: Ink, picture: Image.Image, *, hover: bool = False, enabled: bool = True) -> None:
        """Draw the button."""
        if self.main and enabled:
            ink.panel(picture, self.box, ACCENT_HOVER if hover else ACCENT)
        else:
            ink.panel(picture, self.box, WELL_HOVER if hover and enabled else WELL, edge=CARD_EDGE)
        color = ON_ACCENT if self.main and enabled else INK if enabled else CARD_EDGE
        ink.text(picture, self.label, self.box.inset(8 * ink.unit), BODY - 2, color=color, align="center", middle=True)


def button_at_bottom(ink: Ink, label: str, *, shift: float = 0.0, main: bool = True) -> Button:
    """Return a button in the middle of the lower edge, moved by `shift` units."""
    width = max(260 * ink.unit, ink.text_width(label, BODY) + 90 * ink.unit)
    height = 78 * ink.unit
    left = (ink.width - width) / 2 + shift * ink.unit
    return Button(Box(left, ink.height - 176 * ink.unit, width, height), label, main)


class Page:
    """What all pages have.

    Parameters
    ----------
    ink : Ink
        Draws.
    """

    def __init__(self, ink: Ink) -> None:
        self.ink = ink
        #: True once the participant is through with the page.
        self.done = False
        self._base: Image.Image | None = None
        self._mouse = (-1.0, -1.0)

    def handle(self, event: Event) -> bool:
        """Take an event; returns whether the picture changed."""
        if event.does is Does.MOVE:
            return self._move(event)
        return False

    def picture(self) -> Image.Image:
        """Return the page as it looks now."""
        if self._base is None:
            self._base = self.ink.sheet()
            self._paint_base(self._base)
        picture = self._base.copy()
        self._paint_state(picture)
        return picture

    # ------------------------------------------------------ for subclasses

    def _paint_base(self, picture: Image.Image) -> None:
        """Draw what never changes."""

    def _paint_state(self, picture: Image.Image) -> None:
        """Draw what depends on what was done."""

    def _spots(self) -> list[Box]:
        """Return what lights up under the mouse."""
        return []

    def _move(self, event: Event) -> bool:
        before = self._spot_at(*self._mouse)
        self._mouse = self._pixels(event)
        return self._spot_at(*self._mouse) != before

    def _spot_at(self, x: float, y: float) -> int:
        return next((i for i, box in enumerate(self._spots()) if box.holds(x, y)), -1)

    def _hovers(self, box: Box) -> bool:
        return box.holds(*self._mouse)

    def _pixels(self, event: Event) -> tuple[float, float]:
        return event.x * self.ink.width, event.y * self.ink.height


class TextPage(Page):
    """A text in the middle of the screen, ended with a click, the space bar or Enter, if it can be ended at all.

    Parameters
    ----------
    text : str
        Paragraphs are divided by empty lines.
    button : str
        Label of the button; empty for a page that the participant cannot end.
    hint : str
        Small line below the button.
    """

    def __init__(self, ink: Ink, text: str, button: str = "", hint: str = "") -> None:
        super().__init__(ink)
        self._text = text.strip()
        self._hint = hint
        self.button = button_at_bottom(ink, button) if button else None

    def handle(self, event: Event) -> bool:
        """Take an event; a click anywhere ends the page: there is nothing else to click on."""
        ends = event.does is Does.CLICK or (event.does is Does.KEY and event.key in {"space", "enter"})
        if ends and self.button is not None:
            self.done = True
            return False
        return super().handle(event)

    def _spots(self) -> list[Box]:
        return [self.button.box] if self.button else []

    def _paint_base(self, picture: Image.Image) -> None:
        ink = self.ink
        width = min(_COLUMN * ink.unit, ink.width * 0.86)
        room = ink.height - (300 if self.button else 120) * ink.unit
        size = _size_that_fits(ink, self._text, BODY + 4, width, room)
        top = 60 * ink.unit
        height = ink.text_height(self._text, size, width)
        box = Box((ink.width - width) / 2, top + max(0.0, room - height) / 2, width, height)
        lines = ink.wrap(self._text, size, width)
        # One or two lines stand in the middle; paragraphs are read from the left.
        ink.text(picture, self._text, box, size, align="center" if len(lines) <= 2 else "left")
        if self._hint:
            below = Box(0, ink.height - 80 * ink.unit, ink.width, 40 * ink.unit)
            ink.text(picture, self._hint, below, HINT, color=QUIET, align="center")

    def _paint_state(self, picture: Image.Image) -> None:
        if self.button is not None:
            self.button.paint(self.ink, picture, hover=self._hovers(self.button.box))


class DecisionPage(Page):
    """A question with two answers; neither is chosen beforehand and Enter alone decides nothing.

    Parameters
    ----------
    question, text : str
        The question, and what there is to say about it.
    yes, no : str
        Labels; `no` stands on the right and is the main button: the one that changes nothing.
    """

    def __init__(self, ink: Ink, question: str, text: str, yes: str, no: str) -> None:
        super().__init__(ink)
        self._question, self._text = question, text
        self._chosen: bool | None = None
        self.answer: bool | None = None
        unit = ink.unit
        width, height, gap, top = 330 * unit, 92 * unit, 60 * unit, ink.height * 0.62
        middle = ink.width / 2
        self.yes = Button(Box(middle - gap / 2 - width, top, width, height), yes, main=False)
        self.no = Button(Box(middle + gap / 2, top, width, height), no)

    def handle(self, event: Event) -> bool:
        """Take an event: a click decides; arrows choose and Enter confirms; Escape is no."""
        if event.does is Does.CLICK:
            x, y = self._pixels(event)
            for button, answer in ((self.yes, True), (self.no, False)):
                if button.box.holds(x, y):
                    self._decide(answer)
            return False
        if event.does is Does.KEY:
            if event.key in {"left", "right"}:
                self._chosen = event.key == "left"
                return True
            if event.key == "enter" and self._chosen is not None:
                self._decide(self._chosen)
            elif event.key == "escape":
                self._decide(False)
            return False
        return super().handle(event)

    def _decide(self, answer: bool) -> None:
        self.answer = answer
        self.done = True

    def _spots(self) -> list[Box]:
        return [self.yes.box, self.no.box]

    def _paint_base(self, picture: Image.Image) -> None:
        ink = self.ink
        width = min(1100 * ink.unit, ink.width * 0.86)
        box = Box((ink.width - width) / 2, ink.height * 0.24, width, 100)
        height = ink.text(picture, self._question, box, TITLE, align="center")
        below = Box(box.left, box.top + height + 24 * ink.unit, width, 100)
        ink.text(picture, self._text, below, BODY - 4, color=QUIET, align="center")

    def _paint_state(self, picture: Image.Image) -> None:
        for button, answer in ((self.yes, True), (self.no, False)):
            if self._chosen is answer:
                rim = button.box.inset(-9 * self.ink.unit)
                self.ink.panel(picture, rim, (128, 128, 128), edge=ACCENT, radius=20)
            button.paint(self.ink, picture, hover=self._hovers(button.box))


def _size_that_fits(ink: Ink, text: str, size: float, width: float, height: float) -> float:
    """Return the largest size, down to 20 units, at which a text fits its room."""
    while size > 20 and ink.text_height(text, size, width) > height:
        size -= 1.0
    return size
