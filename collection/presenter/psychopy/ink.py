"""Draw a page into a picture: text that wraps in any script, and smooth shapes.

Everything is drawn once, at the screen's own resolution, and handed to the graphics
card as one picture. Text drawn by the card's libraries differs between machines, is
chosen by a font's name, and breaks Chinese only at spaces.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image, ImageFont

Color = tuple[int, int, int]
Point = tuple[float, float]

#: Of the screen between and behind everything: PsychoPy's (0, 0, 0), the middle of 8 bits.
GREY: Color = (128, 128, 128)
INK: Color = (18, 20, 24)
QUIET: Color = (32, 34, 38)
CARD: Color = (158, 160, 163)
CARD_EDGE: Color = (112, 114, 118)
WELL: Color = (206, 208, 211)
WELL_HOVER: Color = (228, 231, 235)
ACCENT: Color = (24, 72, 120)
ACCENT_HOVER: Color = (38, 98, 156)
ON_ACCENT: Color = (245, 247, 250)
FOCUS: Color = (24, 72, 120)
#: Shapes are drawn this many times larger and then made smaller, which smooths their edges.
_SMOOTH = 4
#: May not begin a line (closing punctuation, Chinese and Latin), may not end one (opening).
_NO_START = "，。、；：？！）】》」』”’…,.;:?!)]}%"
_NO_END = "（【《「『“‘([{"


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, origin top left."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Lower edge."""
        return self.top + self.height

    @property
    def center(self) -> Point:
        """Middle."""
        return self.left + self.width / 2, self.top + self.height / 2

    def holds(self, x: float, y: float) -> bool:
        """Tell whether a point lies inside."""
        return self.left <= x < self.right and self.top <= y < self.bottom

    def inset(self, by: float) -> Box:
        """Return the box made smaller on every side."""
        return Box(self.left + by, self.top + by, self.width - 2 * by, self.height - 2 * by)


class Ink:
    """Draw on a picture of the screen's size.

    Parameters
    ----------
    width, height : int
        Of the screen, pixels.
    font : Path
        Of all text.
    """

    def __init__(self, width: int, height: int, font: Path) -> None:
        self.width = width
        self.height = height
        self.font_file = font
        #: One unit is a pixel of a screen of 1080 lines; 4:3 screens are measured by their width.
        self.unit = min(height / 1080.0, width / 1440.0)

    def sheet(self) -> Image.Image:
        """Return an empty page."""
        from PIL import Image

        return Image.new("RGB", (self.width, self.height), GREY)

    # ------------------------------------------------------------------ text

    def font(self, size: float) -> ImageFont.FreeTypeFont:
        """Return the font in a size given in units."""
        return _font(str(self.font_file), max(8, round(size * self.unit)))

    def line_height(self, size: float) -> float:
        """Distance of two lines, pixels."""
        return size * self.unit * 1.42

    def text_width(self, text: str, size: float) -> float:
        """Width of one line, pixels."""
        return float(self.font(size).getlength(text))

    def wrap(self, text: str, size: float, width: float) -> list[str]:
        """Break a text into lines that fit; empty lines stay."""
        font = self.font(size)
        lines: list[str] = []
        for paragraph in text.split("\n"):
            line = ""
            for piece in _pieces(paragraph):
                if line and font.getlength((line + piece).rstrip()) > width:
                    lines.append(line.rstrip())
                    piece = piece.lstrip()
                    line = ""
                while font.getlength(piece.rstrip()) > width and len(piece) > 1:
                    fit = _longest_fit(font, piece, width)
                    lines.append(piece[:fit])
                    piece = piece[fit:]
                line += piece
            lines.append(line.rstrip())
        return lines

    def text_height(self, text: str, size: float, width: float) -> float:
        """Height of a wrapped text, pixels; an empty line takes half a line."""
        return sum(self.advance(line, size) for line in self.wrap(text, size, width))

    def advance(self, line: str, size: float) -> float:
        """Height that a line takes, pixels; an empty one takes half of one."""
        return self.line_height(size) * (1.0 if line else 0.55)

    def text(
        self,
        picture: Image.Image,
        text: str,
        box: Box,
        size: float,
        *,
        color: Color = INK,
        align: str = "left",
        middle: bool = False,
    ) -> float:
        """Write a wrapped text into a box; returns the height that it takes, pixels."""
        from PIL import ImageDraw

        draw = ImageDraw.Draw(picture)
        font = self.font(size)
        lines = self.wrap(text, size, box.width)
        height = sum(self.advance(line, size) for line in lines)
        y = box.top + (box.height - height) / 2 if middle else box.top
        for line in lines:
            spare = box.width - font.getlength(line)
            x = box.left + (spare / 2 if align == "center" else spare if align == "right" else 0.0)
            # Anchored at the middle of the line ("lm"): fonts differ in what lies above their letters.
            draw.text((round(x), round(y + self.line_height(size) / 2)), line, font=font, fill=color, anchor="lm")
            y += self.advance(line, size)
        return height

    # ---------------------------------------------------------------- shapes

    def tile(self, picture: Image.Image, box: Box, paint: Any) -> None:
        """Paint into a box with smooth edges: `paint(draw, scale)` gets a canvas whose pixels are `scale` times finer."""
        from PIL import Image, ImageDraw

        left, top = round(box.left), round(box.top)
        width, height = max(1, round(box.width)), max(1, round(box.height))
        area = (left, top, left + width, top + height)
        large = picture.crop(area).resize((width * _SMOOTH, height * _SMOOTH), Image.Resampling.NEAREST)
        paint(ImageDraw.Draw(large), float(_SMOOTH))
        picture.paste(large.resize((width, height), Image.Resampling.BOX), (left, top))

    def panel(
        self, picture: Image.Image, box: Box, fill: Color, *, edge: Color | None = None, radius: float = 14.0
    ) -> None:
        """Draw a rectangle with round corners; only the corners need smoothing."""
        from PIL import ImageDraw

        left, top = round(box.left), round(box.top)
        right, bottom = left + max(1, round(box.width)), top + max(1, round(box.height))
        rim = max(1, round(2.0 * self.unit)) if edge is not None else 0
        # One pixel is left between two corners: Pillow refuses a rectangle without any.
        corner = min(round(radius * self.unit), (right - left - 1) // 2, (bottom - top - 1) // 2)
        draw = ImageDraw.Draw(picture)
        border = edge or fill
        draw.rectangle((left + corner, top, right - 1 - corner, bottom - 1), fill=border)
        draw.rectangle((left, top + corner, right - 1, bottom - 1 - corner), fill=border)
        draw.rectangle((left + corner, top + rim, right - 1 - corner, bottom - 1 - rim), fill=fill)
        draw.rectangle((left + rim, top + corner, right - 1 - rim, bottom - 1 - corner), fill=fill)
        for x, y, dx, dy in (
            (left, top, 0, 0),
            (right - corner, top, -1, 0),
            (left, bottom - corner, 0, -1),
            (right - corner, bottom - corner, -1, -1),
        ):
            self._corner(picture, (x, y), corner, (dx, dy), fill, border, rim)

    def _corner(
        self,
        picture: Image.Image,
        at: tuple[int, int],
        side: int,
        shift: tuple[int, int],
        fill: Color,
        edge: Color,
        rim: int,
    ) -> None:
        if side < 1:
            return

        def paint(draw: Any, scale: float) -> None:
            r = side * scale
            low_x, low_y = shift[0] * r, shift[1] * r
            draw.ellipse((low_x, low_y, low_x + 2 * r - 1, low_y + 2 * r - 1), fill=edge)
            inner = rim * scale
            draw.ellipse(
                (low_x + inner, low_y + inner, low_x + 2 * r - 1 - inner, low_y + 2 * r - 1 - inner), fill=fill
            )

        self.tile(picture, Box(at[0], at[1], side, side), paint)

    def disc(
        self,
        picture: Image.Image,
        center: Point,
        radius: float,
        fill: Color,
        *,
        edge: Color | None = None,
        rim: float = 2.5,
    ) -> None:
        """Draw a circle; `radius` in pixels."""
        side = 2 * radius + 2
        box = Box(center[0] - side / 2, center[1] - side / 2, side, side)

        def paint(draw: Any, scale: float) -> None:
            low, high = scale, (side - 1) * scale
            line = max(1, round(rim * self.unit * scale)) if edge is not None else 0
            draw.ellipse((low, low, high, high), fill=fill, outline=edge, width=line)

        self.tile(picture, box, paint)


@lru_cache(maxsize=32)
def _font(path: str, pixels: int) -> ImageFont.FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(path, pixels)


def _longest_fit(font: ImageFont.FreeTypeFont, text: str, width: float) -> int:
    fit = 1
    while fit < len(text) and font.getlength(text[: fit + 1]) <= width:
        fit += 1
    return fit


def _pieces(text: str) -> Sequence[str]:
    """Cut a text where a line may end: after a space, and on both sides of an ideograph."""
    pieces: list[str] = []
    for letter in text:
        joins = bool(pieces) and (
            letter in _NO_START
            or pieces[-1][-1] in _NO_END
            or not (pieces[-1][-1].isspace() or _is_wide(letter) or _is_wide(pieces[-1][-1]))
            or (letter.isspace() and not pieces[-1].isspace())
        )
        if joins:
            pieces[-1] += letter
        else:
            pieces.append(letter)
    return pieces


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in {"W", "F"}
