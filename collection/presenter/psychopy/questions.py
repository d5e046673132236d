"""A page of questions that share a scale: a table of ratings, rows of manikins, yes or no, or a list of words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from collection.presenter.psychopy.ink import (
    ACCENT,
    CARD,
    CARD_EDGE,
    FOCUS,
    INK,
    ON_ACCENT,
    QUIET,
    WELL,
    WELL_HOVER,
    Box,
    Ink,
)
from collection.presenter.psychopy.input import Does, Event
from collection.presenter.psychopy.page import BODY, HINT, LABEL, TITLE, Page, button_at_bottom
from collection.presenter.psychopy.question_layout import Frame, Option, QuestionLayout, point_words
from collection.presenter.psychopy.sam import SAM_SCALES, manikin
from collection.protocol.steps import Item, ItemKind

if TYPE_CHECKING:
    from PIL import Image

#: Most rows of one page, by kind of item. Fewer are easier to read; SAM shows valence above arousal.
MOST_ROWS = {ItemKind.RATING: 8, ItemKind.SAM: 2, ItemKind.YES_NO: 6, ItemKind.CHOICE: 1, ItemKind.TEXT: 1}


def group_items(items: Sequence[Item]) -> list[tuple[Item, ...]]:
    """Divide items into pages: neighbours that share kind, bounds and words stand together."""
    runs: list[list[Item]] = []
    for item in items:
        if runs and _is_like(runs[-1][0], item):
            runs[-1].append(item)
        else:
            runs.append([item])
    pages: list[tuple[Item, ...]] = []
    for run in runs:
        # Ten items make two pages of five, not one of eight and one of two.
        n_pages = -(-len(run) // MOST_ROWS[run[0].kind])
        size = -(-len(run) // n_pages)
        pages += [tuple(run[start : start + size]) for start in range(0, len(run), size)]
    return pages


def _is_like(one: Item, other: Item) -> bool:
    if one.kind is not other.kind:
        return False
    # Manikins have words of their own in each row.
    return one.kind is ItemKind.SAM or (one.low, one.high, one.labels) == (other.low, other.high, other.labels)


class QuestionsPage(Page):
    """Ask items that share a scale; nothing is chosen beforehand, every answer can be changed until going on.

    Parameters
    ----------
    items : tuple of Item
        Of one page, as `group_items` made it.
    frame : Frame
        The words around them.

    Attributes
    ----------
    chosen : list of (int, int) or None
        For each item the rating and when it was chosen (host microseconds).
    """

    def __init__(self, ink: Ink, items: tuple[Item, ...], frame: Frame) -> None:
        super().__init__(ink)
        self.items = items
        self.chosen: list[tuple[int, int] | None] = [None] * len(items)
        self._frame = frame
        self._focus = 0
        self._missing_shown = False
        self._kind = items[0].kind
        self.button = button_at_bottom(ink, frame.button)
        self._layout = QuestionLayout(ink, items, frame, self.button.box.top)

    # ---------------------------------------------------------------- events

    def handle(self, event: Event) -> bool:
        """Take an event."""
        if event.does is Does.CLICK:
            return self._click(*self._pixels(event), event.t_us)
        if event.does is Does.KEY:
            return self._key(event.key, event.t_us)
        return super().handle(event)

    @property
    def complete(self) -> bool:
        """Whether every item has an answer."""
        return all(answer is not None for answer in self.chosen)

    def option_center(self, row: int, rating: int) -> tuple[float, float]:
        """Return where to click for a rating, shares of the window."""
        option = next(option for option in self._layout.options[row] if option.rating == rating)
        x, y = option.box.center
        return x / self.ink.width, y / self.ink.height

    def button_center(self) -> tuple[float, float]:
        """Return where to click to go on, shares of the window."""
        x, y = self.button.box.center
        return x / self.ink.width, y / self.ink.height

    def _click(self, x: float, y: float, t_us: int) -> bool:
        if self.button.box.holds(x, y):
            return self._go_on()
        for row, options in enumerate(self._layout.options):
            for option in options:
                if option.box.holds(x, y):
                    first = self.chosen[row] is None
                    self._choose(row, option.rating, t_us)
                    # A key that is pressed next answers another line, and never overwrites what was just clicked.
                    self._focus = self._next_open(row, row + 1 if first else row)
                    return True
        return False

    def _next_open(self, row: int, otherwise: int) -> int:
        """Return the next line without an answer, below or else from the top; `otherwise` if there is none."""
        n = len(self.items)
        rows = (*range(row + 1, n), *range(row))
        return next((other for other in rows if self.chosen[other] is None), min(n - 1, otherwise))

    def _key(self, key: str, t_us: int) -> bool:
        if key in {"enter", "space"}:
            return self._go_on()
        if key in {"up", "down", "tab"}:
            if self._kind is ItemKind.CHOICE and key != "tab":
                return self._step(-1 if key == "up" else 1, t_us)
            step = -1 if key == "up" else 1
            self._focus = min(len(self.items) - 1, max(0, self._focus + step))
            return True
        if key in {"left", "right"}:
            return self._step(-1 if key == "left" else 1, t_us)
        if key.isdigit():
            return self._digit(int(key), t_us)
        return False

    def _digit(self, digit: int, t_us: int) -> bool:
        """Choose by a number: the one that stands at an answer."""
        for option in self._layout.options[self._focus]:
            if option.digit == digit:
                row = self._focus
                self._choose(row, option.rating, t_us)
                self._focus = self._next_open(row, row + 1)
                return True
        return False

    def _step(self, step: int, t_us: int) -> bool:
        """Choose the neighbour of what is chosen in the row in focus; the near end if nothing is."""
        options = self._layout.options[self._focus]
        answer = self.chosen[self._focus]
        if answer is None:
            is_yes_no = self._kind is ItemKind.YES_NO
            # Of two answers, the arrow points at the one that is meant.
            index = 0 if (step > 0) is not is_yes_no else len(options) - 1
        else:
            now = next(i for i, option in enumerate(options) if option.rating == answer[0])
            index = min(len(options) - 1, max(0, now + step))
        self._choose(self._focus, options[index].rating, t_us)
        return True

    def _choose(self, row: int, rating: int, t_us: int) -> None:
        self.chosen[row] = (rating, t_us)
        self._focus = row

    def _go_on(self) -> bool:
        if self.complete:
            self.done = True
            return False
        # Not a reproach: the first line without an answer is marked, and the rest stays as it is.
        self._focus = next(row for row, answer in enumerate(self.chosen) if answer is None)
        self._missing_shown = True
        return True

    def _spots(self) -> list[Box]:
        return [option.box for options in self._layout.options for option in options] + [self.button.box]

    # --------------------------------------------------------------- drawing

    def _paint_base(self, picture: Image.Image) -> None:
        ink, unit = self.ink, self.ink.unit
        if self._frame.title:
            ink.text(picture, self._frame.title, self._layout.title, TITLE - 4)
        if self._frame.text:
            ink.text(picture, self._frame.text, self._layout.text, LABEL + 2, color=QUIET)
        hint = Box(self._layout.left, ink.height - 76 * unit, self._layout.width, 40 * unit)
        ink.text(picture, self._frame.hint, hint, HINT, color=QUIET, align="center")
        if self._frame.progress:
            box = Box(self._layout.left, self.button.box.top + 22 * unit, self._layout.width, 40 * unit)
            ink.text(picture, self._frame.progress, box, HINT, color=QUIET, align="right")
        if self._kind is ItemKind.RATING:
            self._paint_head(picture)
        for row in range(len(self.items)):
            self._paint_row(picture, row, focus=False)

    def _paint_head(self, picture: Image.Image) -> None:
        """Write the words of the scale above its points."""
        ink, unit = self.ink, self.ink.unit
        labels = self.items[0].labels
        options = self._layout.options[0]
        bottom = self._layout.rows[0].top - 2 * unit
        if point_words(self.items[0]):
            for option, word in zip(options, labels, strict=True):
                size = LABEL - 2
                while size > 17 and len(ink.wrap(word, size, option.box.width - 8 * unit)) > 2:
                    size -= 1
                height = ink.text_height(word, size, option.box.width - 8 * unit)
                box = Box(option.box.left + 4 * unit, bottom - height, option.box.width - 8 * unit, height)
                ink.text(picture, word, box, size, color=INK, align="center")
        elif len(labels) == 2:
            left, right = options[0].box.left, options[-1].box.right
            half = (right - left) / 2
            top = bottom - ink.line_height(LABEL)
            ink.text(picture, labels[0], Box(left + 12 * unit, top, half, 0), LABEL)
            ink.text(picture, labels[1], Box(left + half, top, half - 12 * unit, 0), LABEL, align="right")

    def _paint_row(self, picture: Image.Image, row: int, *, focus: bool) -> None:
        ink, unit, item = self.ink, self.ink.unit, self.items[row]
        missing = self._missing_shown and self.chosen[row] is None and focus
        if self._kind is not ItemKind.CHOICE:
            edge = FOCUS if missing or (focus and len(self.items) > 1) else CARD
            ink.panel(picture, self._layout.rows[row].inset(3 * unit), CARD, edge=edge, radius=12)
        prompt = self._layout.prompts[row]
        if self._kind is ItemKind.SAM:
            ink.text(picture, item.prompt, prompt, BODY - 4, align="center", middle=True)
            self._paint_ends(picture, row)
        elif len(self.items) == 1:
            ink.text(picture, item.prompt, prompt, BODY + 4, align="center")
        else:
            size = BODY - 4
            while size > 20 and ink.text_height(item.prompt, size, prompt.width) > prompt.height - 8 * unit:
                size -= 1
            ink.text(picture, item.prompt, prompt, size, middle=True)
        for option in self._layout.options[row]:
            self._paint_option(picture, row, option)

    def _paint_ends(self, picture: Image.Image, row: int) -> None:
        ink, unit, item = self.ink, self.ink.unit, self.items[row]
        if len(item.labels) != 2:
            return
        options = self._layout.options[row]
        top = options[0].box.bottom + 2 * unit
        half = self._layout.rows[row].width / 2 - 24 * unit
        ink.text(picture, item.labels[0], Box(self._layout.rows[row].left + 24 * unit, top, half, 0), LABEL - 1)
        right = Box(self._layout.rows[row].center[0], top, half, 0)
        ink.text(picture, item.labels[1], right, LABEL - 1, align="right")

    def _paint_option(self, picture: Image.Image, row: int, option: Option) -> None:
        answer = self.chosen[row]
        selected = answer is not None and answer[0] == option.rating
        hover = self._hovers(option.box)
        paint = {ItemKind.SAM: self._paint_manikin, ItemKind.RATING: self._paint_point}.get(
            self._kind, self._paint_word
        )
        paint(picture, row, option, selected, hover)

    def _paint_point(self, picture: Image.Image, row: int, option: Option, selected: bool, hover: bool) -> None:
        ink = self.ink
        radius = min(30 * ink.unit, option.box.height * 0.36, option.box.width * 0.42)
        fill = ACCENT if selected else WELL_HOVER if hover else WELL
        ink.disc(picture, option.box.center, radius, fill, edge=ACCENT if selected or hover else CARD_EDGE)
        around = Box(option.box.center[0] - radius, option.box.center[1] - radius, 2 * radius, 2 * radius)
        color = ON_ACCENT if selected else INK
        ink.text(picture, str(option.rating), around, LABEL - 1, color=color, align="center", middle=True)

    def _paint_manikin(self, picture: Image.Image, row: int, option: Option, selected: bool, hover: bool) -> None:
        ink, unit = self.ink, self.ink.unit
        cell = option.box.inset(5 * unit)
        fill = ACCENT if selected else WELL_HOVER if hover else WELL
        ink.panel(picture, cell, fill, edge=ACCENT if selected or hover else CARD_EDGE, radius=12)
        side = min(cell.width - 16 * unit, cell.height - 52 * unit)
        figure = Box(cell.center[0] - side / 2, cell.top + 8 * unit, side, side)
        scale = self.items[row].scale
        if scale in SAM_SCALES:
            behind = WELL_HOVER if selected else fill
            ink.panel(picture, figure.inset(-3 * unit), behind, radius=10)
            drawn = manikin(scale, option.rating, round(side), behind)
            picture.paste(drawn, (round(figure.left), round(figure.top)))
        below = Box(cell.left, cell.bottom - 42 * unit, cell.width, 38 * unit)
        color = ON_ACCENT if selected else INK
        ink.text(picture, str(option.rating), below, LABEL - 1, color=color, align="center", middle=True)

    def _paint_word(self, picture: Image.Image, row: int, option: Option, selected: bool, hover: bool) -> None:
        ink = self.ink
        fill = ACCENT if selected else WELL_HOVER if hover else WELL
        ink.panel(picture, option.box, fill, edge=ACCENT if selected or hover else CARD_EDGE)
        color = ON_ACCENT if selected else INK
        word = f"{option.digit}   {option.word}" if option.digit is not None and option.digit < 10 else option.word
        inside = option.box.inset(14 * ink.unit)
        ink.text(picture, word, inside, BODY - 4, color=color, middle=True,
                 align="left" if self._kind is ItemKind.CHOICE else "center")  # fmt: skip

    def _paint_state(self, picture: Image.Image) -> None:
        self._paint_row(picture, self._focus, focus=True)
        for row, options in enumerate(self._layout.options):
            if row == self._focus:
                continue
            answer = self.chosen[row]
            for option in options:
                if self._hovers(option.box) or (answer is not None and answer[0] == option.rating):
                    self._paint_option(picture, row, option)
        if self._missing_shown and not self.complete:
            ink, unit = self.ink, self.ink.unit
            box = Box(self._layout.left, self.button.box.top + 22 * unit, self._layout.width, 40 * unit)
            ink.text(picture, self._frame.incomplete, box, HINT + 2)
        self.button.paint(self.ink, picture, hover=self._hovers(self.button.box), enabled=self.complete)
