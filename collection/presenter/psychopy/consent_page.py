"""The page on which the participant decides about each scope of the consent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collection.presenter.psychopy.ink import ACCENT, CARD, CARD_EDGE, INK, ON_ACCENT, QUIET, WELL, WELL_HOVER, Box, Ink
from collection.presenter.psychopy.input import Does, Event
from collection.presenter.psychopy.page import HINT, LABEL, TITLE, Page, button_at_bottom

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class ConsentWords:
    """The words around the decisions."""

    title: str
    text: str
    agree: str
    disagree: str
    confirm: str
    incomplete: str


class ConsentPage(Page):
    """One decision a scope; nothing is chosen beforehand, and both answers look alike.

    Parameters
    ----------
    scopes : sequence of (str, str)
        Scope and its question.
    words : ConsentWords
        The rest.

    Attributes
    ----------
    decisions : dict of str to bool
        What was decided so far.
    """

    def __init__(self, ink: Ink, scopes: Sequence[tuple[str, str]], words: ConsentWords) -> None:
        super().__init__(ink)
        self.scopes = tuple(scopes)
        self.decisions: dict[str, bool] = {}
        self._words = words
        self._focus = 0
        self._asked = False
        self.button = button_at_bottom(ink, words.confirm)
        self._lay_out()

    def _lay_out(self) -> None:
        ink, unit = self.ink, self.ink.unit
        width = min(1560 * unit, ink.width * 0.92)
        left = (ink.width - width) / 2
        self._column = Box(left, 52 * unit, width, 0)
        answer_width = 300 * unit
        self._text_width = width - answer_width - 96 * unit
        top = self._column.top + ink.line_height(TITLE) + 8 * unit
        self._text_top = top
        top += ink.text_height(self._words.text, LABEL + 3, width) + 24 * unit
        room = self.button.box.top - 24 * unit - top
        self._size = LABEL + 5
        gap = 16 * unit
        # Four scopes come closer together before their letters become smaller.
        least = max(116 * unit, min(150 * unit, room / len(self.scopes) - gap))
        while True:
            heights = [
                max(least, ink.text_height(text, self._size, self._text_width) + 48 * unit) for _, text in self.scopes
            ]
            if sum(heights) + gap * len(heights) <= room or self._size <= 18:
                break
            self._size -= 1
        self._rows: list[Box] = []
        self._answers: list[tuple[Box, Box]] = []
        for height in heights:
            row = Box(left, top, width, height)
            half = (height - 36 * unit) / 2
            x = row.right - answer_width - 28 * unit
            self._rows.append(row)
            self._answers.append(
                (
                    Box(x, row.top + 14 * unit, answer_width, half),
                    Box(x, row.top + 22 * unit + half, answer_width, half),
                )
            )
            top += height + gap

    def answer_center(self, scope: str, agree: bool) -> tuple[float, float]:
        """Return where to click for a decision, shares of the window."""
        row = next(i for i, (name, _) in enumerate(self.scopes) if name == scope)
        x, y = self._answers[row][0 if agree else 1].center
        return x / self.ink.width, y / self.ink.height

    def button_center(self) -> tuple[float, float]:
        """Return where to click to confirm, shares of the window."""
        x, y = self.button.box.center
        return x / self.ink.width, y / self.ink.height

    @property
    def complete(self) -> bool:
        """Whether each scope is decided."""
        return len(self.decisions) == len(self.scopes)

    def handle(self, event: Event) -> bool:
        """Take an event: clicks, or up and down to a line, 1 or left to agree, 2 or right not to, Enter to confirm."""
        if event.does is Does.CLICK:
            x, y = self._pixels(event)
            if self.button.box.holds(x, y):
                return self._confirm()
            for row, (yes, no) in enumerate(self._answers):
                if yes.holds(x, y) or no.holds(x, y):
                    return self._decide(row, yes.holds(x, y))
            return False
        if event.does is Does.KEY:
            if event.key in {"up", "down", "tab"}:
                self._focus = min(len(self.scopes) - 1, max(0, self._focus + (-1 if event.key == "up" else 1)))
                return True
            if event.key in {"1", "left", "2", "right"}:
                return self._decide(self._focus, event.key in {"1", "left"})
            if event.key == "enter":
                return self._confirm()
            return False
        return super().handle(event)

    def _decide(self, row: int, agree: bool) -> bool:
        self.decisions[self.scopes[row][0]] = agree
        self._focus = row
        return True

    def _confirm(self) -> bool:
        if self.complete:
            self.done = True
            return False
        self._asked = True
        self._focus = next(i for i, (scope, _) in enumerate(self.scopes) if scope not in self.decisions)
        return True

    def _spots(self) -> list[Box]:
        return [box for pair in self._answers for box in pair] + [self.button.box]

    def _paint_base(self, picture: Image.Image) -> None:
        ink = self.ink
        ink.text(picture, self._words.title, self._column, TITLE)
        below = Box(self._column.left, self._text_top, self._column.width, 0)
        ink.text(picture, self._words.text, below, LABEL + 3, color=QUIET)

    def _paint_state(self, picture: Image.Image) -> None:
        ink, unit = self.ink, self.ink.unit
        for row, (scope, text) in enumerate(self.scopes):
            box = self._rows[row]
            ink.panel(picture, box, CARD, edge=ACCENT if row == self._focus else CARD)
            inside = Box(box.left + 28 * unit, box.top, self._text_width, box.height)
            ink.text(picture, text, inside, self._size, middle=True)
            for answer, label, value in (
                (self._answers[row][0], self._words.agree, True),
                (self._answers[row][1], self._words.disagree, False),
            ):
                selected = self.decisions.get(scope) is value
                fill = ACCENT if selected else WELL_HOVER if self._hovers(answer) else WELL
                ink.panel(picture, answer, fill, edge=ACCENT if selected else CARD_EDGE, radius=10)
                color = ON_ACCENT if selected else INK
                ink.text(picture, label, answer.inset(6 * unit), LABEL, color=color, align="center", middle=True)
        if self._asked and not self.complete:
            low = Box(self._column.left, ink.height - 76 * unit, self._column.width, 40 * unit)
            ink.text(picture, self._words.incomplete, low, HINT + 2, align="center")
        self.button.paint(ink, picture, hover=self._hovers(self.button.box), enabled=self.complete)
