"""A page of questions that share a scale: a table of ratings, rows of manikins, yes or no, or a list of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from collection.presenter.psychopy.sam import SAM_SCALES, manikin
from collection.protocol.steps import Item, ItemKind

if TYPE_CHECKING:
    from PIL import Image

#: Most rows of one page, by kind of item. Fewer are easier to read; SAM shows valence above arousal.
MOST_ROWS = {ItemKind.RATING: 8, ItemKind.SAM: 2, ItemKind.YES_NO: 6, ItemKind.CHOICE: 1, ItemKind.TEXT: 1}


@dataclass(frozen=True)
class Frame:
    """The words around a page's questions."""

    title: str = ""
    text: str = ""
    hint: str = ""
    progress: str = ""
    button: str = ""
    yes: str = ""
    no: str = ""


@dataclass(frozen=True)
class _Option:
    rating: int
    box: Box
    word: str = ""


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
        self._rows: list[Box] = []
        self._options: list[list[_Option]] = []
        self._prompts: list[Box] = []
        self._lay_out()

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
        option = next(option for option in self._options[row] if option.rating == rating)
        x, y = option.box.center
        return x / self.ink.width, y / self.ink.height

    def button_center(self) -> tuple[float, float]:
        """Return where to click to go on, shares of the window."""
        x, y = self.button.box.center
        return x / self.ink.width, y / self.ink.height

    def _click(self, x: float, y: float, t_us: int) -> bool:
        if self.button.box.holds(x, y):
            return self._go_on()
        for row, options in enumerate(self._options):
            for option in options:
                if option.box.holds(x, y):
                    self._choose(row, option.rating, t_us)
                    return True
        return False

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
            ratings = [option.rating for option in self._options[self._focus]]
            rating = int(key)
            if rating in ratings:
                self._choose(self._focus, rating, t_us)
                self._focus = min(len(self.items) - 1, self._focus + 1)
                return True
        return False

    def _step(self, step: int, t_us: int) -> bool:
        """Choose the neighbour of what is chosen in the row in focus; the near end if nothing is."""
        options = self._options[self._focus]
        answer = self.chosen[self._focus]
        if answer is None:
            # Of two answers, the arrow points at the one that is meant.
            index = 0 if (step > 0) is not self._asks_yes_no else len(options) - 1
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
        return [option.box for options in self._options for option in options] + [self.button.box]

    # ---------------------------------------------------------------- layout

    def _lay_out(self) -> None:
        ink, unit = self.ink, self.ink.unit
        self._width = min(1640 * unit, ink.width * 0.94)
        self._left = (ink.width - self._width) / 2
        top = 48 * unit
        self._title_box = Box(self._left, top, self._width, 0)
        if self._frame.title:
            top += ink.text_height(self._frame.title, TITLE - 4, self._width) + 6 * unit
        self._text_box = Box(self._left, top, self._width, 0)
        if self._frame.text:
            top += ink.text_height(self._frame.text, LABEL + 2, self._width) + 14 * unit
        self._body = Box(self._left, top, self._width, self.button.box.top - 24 * unit - top)
        {
            ItemKind.SAM: self._lay_out_manikins,
            ItemKind.CHOICE: self._lay_out_list,
        }.get(self._kind, self._lay_out_table)()

    def _point_words(self, item: Item) -> tuple[str, ...]:
        return item.labels if len(item.labels) == item.high - item.low + 1 else ()

    def _lay_out_table(self) -> None:
        """A row an item: the question on the left, the points on the right; a single question stands above its scale."""
        ink, unit, body = self.ink, self.ink.unit, self._body
        single = len(self.items) == 1
        self._head = 66 * unit if self.items[0].labels and not self._asks_yes_no else 12 * unit
        share = 0.0 if single else 0.42
        scale_width = body.width * (1 - share) if not single else min(body.width, 1180 * unit)
        scale_left = body.right - scale_width if not single else (ink.width - scale_width) / 2
        prompt_width = body.width * share - 40 * unit if not single else min(body.width, 1240 * unit)
        if single:
            height = ink.text_height(self.items[0].prompt, BODY + 4, prompt_width)
            top = body.top + max(0.0, (body.height - height - self._head - 150 * unit) / 2)
            self._prompts = [Box((ink.width - prompt_width) / 2, top, prompt_width, height)]
            row_top, row_height = top + height + 30 * unit + self._head, 110 * unit
        else:
            row_height = min(108 * unit, (body.height - self._head) / len(self.items))
            spare = body.height - self._head - row_height * len(self.items)
            row_top = body.top + self._head + spare * 0.4
        self._head_top = row_top - self._head
        for row, item in enumerate(self.items):
            box = Box(body.left, row_top + row * row_height, body.width, row_height)
            if single:
                box = Box(scale_left, row_top, scale_width, row_height)
            else:
                self._prompts.append(Box(box.left + 22 * unit, box.top, prompt_width, box.height))
            self._rows.append(box)
            self._options.append(self._points_of(item, Box(scale_left, box.top, scale_width, row_height)))

    @property
    def _asks_yes_no(self) -> bool:
        return self._kind is ItemKind.YES_NO

    def _points_of(self, item: Item, box: Box) -> list[_Option]:
        if self._asks_yes_no:
            words = self._point_words(item) or (self._frame.no, self._frame.yes)
            width, gap = min(220 * self.ink.unit, box.width / 2.4), 30 * self.ink.unit
            left = box.center[0] - width - gap / 2
            inner = [Box(left + i * (width + gap), box.top, width, box.height).inset(0) for i in (0, 1)]
            pad = max(8 * self.ink.unit, (box.height - 74 * self.ink.unit) / 2)
            return [
                _Option(item.low + i, Box(b.left, b.top + pad, b.width, b.height - 2 * pad), words[i])
                for i, b in enumerate(inner)
            ]
        n = item.high - item.low + 1
        width = box.width / n
        return [_Option(item.low + i, Box(box.left + i * width, box.top, width, box.height)) for i in range(n)]

    def _lay_out_manikins(self) -> None:
        unit, body = self.ink.unit, self._body
        inside = Box(body.left + 14 * unit, body.top, body.width - 28 * unit, body.height)
        n = self.items[0].high - self.items[0].low + 1
        width = inside.width / n
        prompt_height, ends_height, gap = 58 * unit, 46 * unit, 16 * unit
        # A square figure and its number below; smaller where the screen is low.
        height = min(width + 40 * unit, body.height / len(self.items) - prompt_height - ends_height - gap)
        row_height = prompt_height + height + ends_height
        spare = body.height - (row_height + gap) * len(self.items)
        for row in range(len(self.items)):
            top = body.top + spare / 2 + row * (row_height + gap)
            prompt = Box(inside.left, top, inside.width, prompt_height)
            self._prompts.append(prompt)
            self._rows.append(Box(body.left, top, body.width, row_height))
            item = self.items[row]
            self._options.append(
                [_Option(item.low + i, Box(inside.left + i * width, prompt.bottom, width, height)) for i in range(n)]
            )

    def _lay_out_list(self) -> None:
        """One below the other, in two columns if there are many."""
        unit, body, item = self.ink.unit, self._body, self.items[0]
        words = self._point_words(item) or tuple(str(i) for i in range(item.low, item.high + 1))
        columns = 1 if len(words) <= 7 else 2
        rows = -(-len(words) // columns)
        prompt_height = self.ink.text_height(item.prompt, BODY + 4, body.width)
        height = min(86 * unit, (body.height - prompt_height - 30 * unit) / rows)
        top = body.top + (body.height - prompt_height - 30 * unit - height * rows) / 2
        self._prompts = [Box(body.left, top, body.width, prompt_height)]
        top += prompt_height + 30 * unit
        width = min(760 * unit, body.width / columns - 20 * unit)
        left = (self.ink.width - width * columns - 20 * unit * (columns - 1)) / 2
        self._rows = [Box(left, top, width * columns + 20 * unit * (columns - 1), height * rows)]
        self._options = [
            [
                _Option(
                    item.low + i,
                    Box(left + (i // rows) * (width + 20 * unit), top + (i % rows) * height, width, height - 10 * unit),
                    word,
                )
                for i, word in enumerate(words)
            ]
        ]

    # --------------------------------------------------------------- drawing

    def _paint_base(self, picture: Image.Image) -> None:
        ink, unit = self.ink, self.ink.unit
        if self._frame.title:
            ink.text(picture, self._frame.title, self._title_box, TITLE - 4)
        if self._frame.text:
            ink.text(picture, self._frame.text, self._text_box, LABEL + 2, color=QUIET)
        low = ink.height - 76 * unit
        ink.text(
            picture, self._frame.hint, Box(self._left, low, self._width, 40 * unit), HINT, color=QUIET, align="center"
        )
        if self._frame.progress:
            box = Box(self._left, self.button.box.top + 22 * unit, self._width, 40 * unit)
            ink.text(picture, self._frame.progress, box, HINT, color=QUIET, align="right")
        if self._kind is ItemKind.RATING:
            self._paint_head(picture)
        for row in range(len(self.items)):
            self._paint_row(picture, row, focus=False)

    def _paint_head(self, picture: Image.Image) -> None:
        """Write the words of the scale above its points."""
        ink, unit = self.ink, self.ink.unit
        labels = self.items[0].labels
        options = self._options[0]
        bottom = self._rows[0].top - 2 * unit
        if self._point_words(self.items[0]):
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
            ink.panel(picture, self._rows[row].inset(3 * unit), CARD, edge=edge, radius=12)
        prompt = self._prompts[row]
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
        for option in self._options[row]:
            self._paint_option(picture, row, option)

    def _paint_ends(self, picture: Image.Image, row: int) -> None:
        ink, unit, item = self.ink, self.ink.unit, self.items[row]
        if len(item.labels) != 2:
            return
        options = self._options[row]
        top = options[0].box.bottom + 2 * unit
        half = self._rows[row].width / 2 - 24 * unit
        ink.text(picture, item.labels[0], Box(self._rows[row].left + 24 * unit, top, half, 0), LABEL - 1)
        right = Box(self._rows[row].center[0], top, half, 0)
        ink.text(picture, item.labels[1], right, LABEL - 1, align="right")

    def _paint_option(self, picture: Image.Image, row: int, option: _Option) -> None:
        answer = self.chosen[row]
        selected = answer is not None and answer[0] == option.rating
        hover = self._hovers(option.box)
        paint = {ItemKind.SAM: self._paint_manikin, ItemKind.RATING: self._paint_point}.get(
            self._kind, self._paint_word
        )
        paint(picture, row, option, selected, hover)

    def _paint_point(self, picture: Image.Image, row: int, option: _Option, selected: bool, hover: bool) -> None:
        ink = self.ink
        radius = min(30 * ink.unit, option.box.height * 0.36, option.box.width * 0.42)
        fill = ACCENT if selected else WELL_HOVER if hover else WELL
        ink.disc(picture, option.box.center, radius, fill, edge=ACCENT if selected or hover else CARD_EDGE)
        around = Box(option.box.center[0] - radius, option.box.center[1] - radius, 2 * radius, 2 * radius)
        color = ON_ACCENT if selected else INK
        ink.text(picture, str(option.rating), around, LABEL - 1, color=color, align="center", middle=True)

    def _paint_manikin(self, picture: Image.Image, row: int, option: _Option, selected: bool, hover: bool) -> None:
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

    def _paint_word(self, picture: Image.Image, row: int, option: _Option, selected: bool, hover: bool) -> None:
        ink = self.ink
        fill = ACCENT if selected else WELL_HOVER if hover else WELL
        ink.panel(picture, option.box, fill, edge=ACCENT if selected or hover else CARD_EDGE)
        color = ON_ACCENT if selected else INK
        word = (
            f"{option.rating}   {option.word}" if self._kind is ItemKind.CHOICE and option.rating < 10 else option.word
        )
        inside = option.box.inset(14 * ink.unit)
        ink.text(picture, word, inside, BODY - 4, color=color, middle=True,
                 align="left" if self._kind is ItemKind.CHOICE else "center")  # fmt: skip

    def _paint_state(self, picture: Image.Image) -> None:
        self._paint_row(picture, self._focus, focus=True)
        for row, options in enumerate(self._options):
            if row == self._focus:
                continue
            answer = self.chosen[row]
            for option in options:
                if self._hovers(option.box) or (answer is not None and answer[0] == option.rating):
                    self._paint_option(picture, row, option)
        self.button.paint(self.ink, picture, hover=self._hovers(self.button.box), enabled=self.complete)
