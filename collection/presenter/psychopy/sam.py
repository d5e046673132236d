"""Self-assessment manikins for valence and arousal, drawn here from shapes.

The nine points and their meaning follow Bradley and Lang (1994), "Measuring emotion:
the Self-Assessment Manikin and the semantic differential", J. Behav. Ther. Exp.
Psychiatry 25. The pictures are our own: a bust whose mouth and brows tell how pleasant
it is, and a figure whose eyes and whose burst in the chest tell how excited it is. All
nine points have a picture of their own, so that none has to be read between two others.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from collection.presenter.psychopy.ink import INK, Color, Point
from data_schema.vocabularies import SAM_POINTS

if TYPE_CHECKING:
    from PIL import Image

_SKIN: Color = (226, 222, 214)
_SHIRT: Color = (150, 156, 166)
_BURST: Color = (186, 84, 36)
_LINE = 2.6
#: Figures are drawn this many times larger and then made smaller, which smooths their edges.
_FINE = 4
#: Scales that have a figure.
SAM_SCALES = ("valence", "arousal")


def manikin(scale: str, rating: int, side: int, background: Color) -> Image.Image:
    """Return the picture of one point.

    Parameters
    ----------
    scale : str
        ``valence`` (frown to smile) or ``arousal`` (calm to explosive).
    rating : int
        1 to 9.
    side : int
        Of the square picture, pixels.
    background : (int, int, int)
        Behind the figure.

    Raises
    ------
    ValueError
        If there is no figure for the scale or the rating is not on it.
    """
    if scale not in SAM_SCALES:
        raise ValueError(f"there is no manikin for '{scale}', only for {', '.join(SAM_SCALES)}")
    if not 1 <= rating <= SAM_POINTS:
        raise ValueError(f"a SAM rating lies between 1 and {SAM_POINTS}, got {rating}")
    return _drawn(scale, rating, max(8, side), background)


@lru_cache(maxsize=128)
def _drawn(scale: str, rating: int, side: int, background: Color) -> Image.Image:
    from PIL import Image, ImageDraw

    large = Image.new("RGB", (side * _FINE, side * _FINE), background)
    figure = _Figure(ImageDraw.Draw(large), side * _FINE / 100.0)
    (_valence if scale == "valence" else _arousal)(figure, rating)
    return large.resize((side, side), Image.Resampling.BOX)


class _Figure:
    """Shapes on a square of 100 by 100, origin top left."""

    def __init__(self, draw: Any, size: float) -> None:
        self._draw = draw
        self._size = size

    def _at(self, points: list[Point]) -> list[Point]:
        return [(x * self._size, y * self._size) for x, y in points]

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Color | None, line: float = _LINE) -> None:
        low, high = self._at([(x - rx, y - ry), (x + rx, y + ry)])
        self._draw.ellipse((*low, *high), fill=fill, outline=INK if line else None, width=round(line * self._size))

    def polygon(self, points: list[Point], fill: Color, line: float = _LINE) -> None:
        self._draw.polygon(self._at(points), fill=fill)
        if line:
            self.line([*points, points[0], points[1]], line)

    def line(self, points: list[Point], width: float = _LINE, color: Color = INK) -> None:
        ends = self._at(points)
        self._draw.line(ends, fill=color, width=max(1, round(width * self._size)), joint="curve")
        for x, y in (ends[0], ends[-1]):
            r = width * self._size / 2
            self._draw.ellipse((x - r, y - r, x + r, y + r), fill=color)


def _curve(start: Point, middle: Point, end: Point, n: int = 24) -> list[Point]:
    """Return points of a quadratic Bezier curve."""
    points = []
    for i in range(n + 1):
        t = i / n
        a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t**2
        points.append((a * start[0] + b * middle[0] + c * end[0], a * start[1] + b * middle[1] + c * end[1]))
    return points


def _shoulders(top: float, half_width: float) -> list[Point]:
    left = _curve((50 - half_width, 98), (50 - half_width, top), (38, top), 10)
    right = _curve((62, top), (50 + half_width, top), (50 + half_width, 98), 10)
    return left + right


def _valence(figure: _Figure, rating: int) -> None:
    """From a frown (1) over a straight mouth (5) to a smile (9)."""
    pleasant = (rating - 5) / 4.0
    figure.polygon(_shoulders(78, 34), _SHIRT)
    figure.ellipse(50, 44, 35, 36, _SKIN)
    for side in (-1, 1):
        # Cheeks lift the lower lid of a smile: its eyes are flatter than those of a frown.
        figure.ellipse(50 + side * 13, 36, 3.6, 4.6 - 1.6 * max(0.0, pleasant), INK, 0)
        # A frown lifts the inner ends of the brows, a smile the whole brow, in an arch.
        inner, outer = 26.0 - 5.0 * max(0.0, -pleasant), 26.0 + 2.0 * max(0.0, -pleasant)
        lift = 3.5 * max(0.0, pleasant)
        brow = _curve((50 + side * 7, inner - lift * 0.6), (50 + side * 13.5, (inner + outer) / 2 - 2 * lift),
                      (50 + side * 20, outer - lift * 0.6), 10)  # fmt: skip
        figure.line(brow, 2.6)
    corner, middle = 59.0 - 6.0 * pleasant, 59.0 + 15.0 * pleasant
    half = 14.0 + 4.0 * abs(pleasant)
    mouth = _curve((50 - half, corner), (50, middle), (50 + half, corner))
    if rating >= 8:
        figure.polygon([*mouth, (50 + half, corner)], (250, 250, 250))
    figure.line(mouth, 3.2)


def _arousal(figure: _Figure, rating: int) -> None:
    """From asleep on its feet (1) to bursting (9)."""
    excited = (rating - 1) / 8.0
    if excited > 0.45:
        _tremble(figure, excited)
    figure.polygon(_shoulders(50, 30), _SHIRT)
    figure.ellipse(50, 27, 22, 23, _SKIN)
    for side in (-1, 1):
        x, y = 50 + side * 8.5, 24.5
        if excited < 0.2:
            figure.line(_curve((x - 4, y), (x, y + 3.5 - 8 * excited), (x + 4, y)), 2.2)
        else:
            figure.ellipse(x, y, 2.4 + 3.6 * excited, 1.6 + 5.4 * excited, (250, 250, 250), 1.8)
            figure.ellipse(x, y, 1.9, min(2.2, 1.2 + 2 * excited), INK, 0)
    if excited < 0.55:
        figure.line([(44, 39), (56, 39)], 2.4)
    else:
        open_by = (excited - 0.45) * 8.0
        figure.ellipse(50, 40, 3.0 + open_by * 0.6, 1.0 + open_by, INK, 0)
    _burst(figure, excited)


def _burst(figure: _Figure, excited: float) -> None:
    """What goes on inside: a dot that grows into a jagged star, larger than the body at last."""
    outer = 2.6 + 23.0 * excited**1.25
    n = 6 + round(8 * excited)
    inner = outer * (0.92 - 0.42 * excited)
    points: list[Point] = []
    for i in range(2 * n):
        angle = math.pi * i / n - math.pi / 2
        # Every third ray is longer; a star of equal rays looks like a badge.
        reach = (outer if (i // 2) % 3 else outer * (1 + 0.22 * excited)) if i % 2 == 0 else inner
        points.append((50 + reach * math.cos(angle), 73 + reach * math.sin(angle) * 0.95))
    figure.polygon(points, _BURST, 1.4 if excited > 0.1 else 1.0)


def _tremble(figure: _Figure, excited: float) -> None:
    """Lines beside the body that shake."""
    n = 1 if excited < 0.8 else 2
    for side in (-1, 1):
        for k in range(n):
            x = 50 + side * (36 + 6.5 * k)
            wave = [(x + side * 1.8 * (-1) ** i, 56 + i * 5.0) for i in range(7 - k)]
            figure.line(wave, 1.8)
