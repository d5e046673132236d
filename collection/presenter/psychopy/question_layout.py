"""Where the questions of a page stand: prompts, rows and the places of the answers."""

from __future__ import annotations

from dataclasses import dataclass

from collection.presenter.psychopy.ink import Box, Ink
from collection.presenter.psychopy.page import BODY, LABEL, TITLE
from collection.protocol.steps import Item, ItemKind


@dataclass(frozen=True)
class Frame:
    """The words around a page's questions."""

    title: str = ""
    text: str = ""
    hint: str = ""
    progress: str = ""
    button: str = ""
    incomplete: str = ""
    yes: str = ""
    no: str = ""


@dataclass(frozen=True)
class Option:
    """One answer that can be chosen, and where.

    Parameters
    ----------
    rating : int
        What is stored.
    box : Box
        Its place.
    word : str
        What stands there, where that is not the rating itself.
    digit : int
        The key that chooses it, as it is written there: the rating where numbers stand on the page, else
        the place of the answer counted from the left, or from above, from 1.
    """

    rating: int
    box: Box
    word: str
    digit: int


def point_words(item: Item) -> tuple[str, ...]:
    """Return the words of an item's points, one each; empty if it has words for its ends alone."""
    return item.labels if len(item.labels) == item.high - item.low + 1 else ()


def _numbered(rating: int, box: Box) -> Option:
    """Return an answer at which its rating stands."""
    return Option(rating, box, "", rating)


class QuestionLayout:
    """Places, in pixels, of everything on a page of questions.

    Parameters
    ----------
    ink : Ink
        Knows the screen and measures text.
    items : tuple of Item
        Of one kind.
    frame : Frame
        The words around them.
    bottom : float
        Where the room for questions ends.

    Attributes
    ----------
    title, text : Box
        Of the words above.
    rows, prompts : list of Box
        One an item.
    options : list of list of Option
        The answers of each item.
    left, width : float
        Of the page's column.
    """

    def __init__(self, ink: Ink, items: tuple[Item, ...], frame: Frame, bottom: float) -> None:
        self._ink, self._items, self._frame = ink, items, frame
        self._kind = items[0].kind
        self.rows: list[Box] = []
        self.options: list[list[Option]] = []
        self.prompts: list[Box] = []
        unit = ink.unit
        self.width = min(1640 * unit, ink.width * 0.94)
        self.left = (ink.width - self.width) / 2
        top = 48 * unit
        self.title = Box(self.left, top, self.width, 0)
        if self._frame.title:
            top += ink.text_height(self._frame.title, TITLE - 4, self.width) + 6 * unit
        self.text = Box(self.left, top, self.width, 0)
        if self._frame.text:
            top += ink.text_height(self._frame.text, LABEL + 2, self.width) + 14 * unit
        self._body = Box(self.left, top, self.width, bottom - 24 * unit - top)
        {
            ItemKind.SAM: self._lay_out_manikins,
            ItemKind.CHOICE: self._lay_out_list,
        }.get(self._kind, self._lay_out_table)()

    def _lay_out_table(self) -> None:
        """A row an item: the question on the left, the points on the right; a single question stands above its scale."""
        ink, unit, body = self._ink, self._ink.unit, self._body
        single = len(self._items) == 1
        self._head = 66 * unit if self._items[0].labels and not self._is_yes_no else 12 * unit
        share = 0.0 if single else 0.42
        scale_width = body.width * (1 - share) if not single else min(body.width, 1180 * unit)
        scale_left = body.right - scale_width if not single else (ink.width - scale_width) / 2
        prompt_width = body.width * share - 40 * unit if not single else min(body.width, 1240 * unit)
        if single:
            height = ink.text_height(self._items[0].prompt, BODY + 4, prompt_width)
            top = body.top + max(0.0, (body.height - height - self._head - 150 * unit) / 2)
            self.prompts = [Box((ink.width - prompt_width) / 2, top, prompt_width, height)]
            row_top, row_height = top + height + 30 * unit + self._head, 110 * unit
        else:
            row_height = min(108 * unit, (body.height - self._head) / len(self._items))
            spare = body.height - self._head - row_height * len(self._items)
            row_top = body.top + self._head + spare * 0.4
        for row, item in enumerate(self._items):
            box = Box(body.left, row_top + row * row_height, body.width, row_height)
            if single:
                box = Box(scale_left, row_top, scale_width, row_height)
            else:
                self.prompts.append(Box(box.left + 22 * unit, box.top, prompt_width, box.height))
            self.rows.append(box)
            self.options.append(self._points_of(item, Box(scale_left, box.top, scale_width, row_height)))

    @property
    def _is_yes_no(self) -> bool:
        return self._kind is ItemKind.YES_NO

    def _points_of(self, item: Item, box: Box) -> list[Option]:
        if self._is_yes_no:
            words = point_words(item) or (self._frame.no, self._frame.yes)
            width, gap = min(220 * self._ink.unit, box.width / 2.4), 30 * self._ink.unit
            left = box.center[0] - width - gap / 2
            inner = [Box(left + i * (width + gap), box.top, width, box.height) for i in (0, 1)]
            pad = max(8 * self._ink.unit, (box.height - 74 * self._ink.unit) / 2)
            return [
                Option(item.low + i, Box(b.left, b.top + pad, b.width, b.height - 2 * pad), words[i], i + 1)
                for i, b in enumerate(inner)
            ]
        n = item.high - item.low + 1
        width = box.width / n
        return [_numbered(item.low + i, Box(box.left + i * width, box.top, width, box.height)) for i in range(n)]

    def _lay_out_manikins(self) -> None:
        unit, body = self._ink.unit, self._body
        inside = Box(body.left + 14 * unit, body.top, body.width - 28 * unit, body.height)
        n = self._items[0].high - self._items[0].low + 1
        width = inside.width / n
        prompt_height, ends_height, gap = 58 * unit, 46 * unit, 16 * unit
        # A square figure and its number below; smaller where the screen is low.
        height = min(width + 40 * unit, body.height / len(self._items) - prompt_height - ends_height - gap)
        row_height = prompt_height + height + ends_height
        spare = body.height - (row_height + gap) * len(self._items)
        for row in range(len(self._items)):
            top = body.top + spare / 2 + row * (row_height + gap)
            prompt = Box(inside.left, top, inside.width, prompt_height)
            self.prompts.append(prompt)
            self.rows.append(Box(body.left, top, body.width, row_height))
            item = self._items[row]
            self.options.append(
                [_numbered(item.low + i, Box(inside.left + i * width, prompt.bottom, width, height)) for i in range(n)]
            )

    def _lay_out_list(self) -> None:
        """One below the other, in two columns if there are many."""
        unit, body, item = self._ink.unit, self._body, self._items[0]
        words = point_words(item) or tuple(str(i) for i in range(item.low, item.high + 1))
        columns = 1 if len(words) <= 7 else 2
        rows = -(-len(words) // columns)
        prompt_height = self._ink.text_height(item.prompt, BODY + 4, body.width)
        height = min(86 * unit, (body.height - prompt_height - 30 * unit) / rows)
        top = body.top + (body.height - prompt_height - 30 * unit - height * rows) / 2
        self.prompts = [Box(body.left, top, body.width, prompt_height)]
        top += prompt_height + 30 * unit
        width = min(760 * unit, body.width / columns - 20 * unit)
        left = (self._ink.width - width * columns - 20 * unit * (columns - 1)) / 2
        self.rows = [Box(left, top, width * columns + 20 * unit * (columns - 1), height * rows)]
        self.options = [
            [
                Option(
                    item.low + i,
                    Box(left + (i // rows) * (width + 20 * unit), top + (i % rows) * height, width, height - 10 * unit),
                    word,
                    i + 1,
                )
                for i, word in enumerate(words)
            ]
        ]
