"""The frame number that the simulated camera writes into its picture.

A strip of black and white cells along the lower edge: 24 bits of the number,
most significant first, then 8 bits of a check. Cells are large enough to
survive H.264. A test, or anyone who doubts that a player shows the right frame,
reads the number back.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

_NUMBER_BITS = 24
_CHECK_BITS = 8
_BITS = _NUMBER_BITS + _CHECK_BITS
#: Below that H.264 blurs the cells into each other.
_SMALLEST_CELL_PX = 6


def cell_px(width_px: int, height_px: int) -> int:
    """Return the side of a cell for a picture size; 0 if the picture is too small for the strip."""
    cell = min(max(height_px // 36, 8), width_px // (_BITS + 2))
    return cell if cell >= _SMALLEST_CELL_PX else 0


def write_frame_number(image: Image, number: int) -> None:
    """Write `number` (0 to 2^24 - 1, larger ones wrap) into the lower left of `image`, in place."""
    height_px, width_px = image.shape[:2]
    cell = cell_px(width_px, height_px)
    if not cell:
        return
    value = number % (1 << _NUMBER_BITS)
    word = (value << _CHECK_BITS) | _check(value)
    bits = (word >> np.arange(_BITS - 1, -1, -1)) & 1
    # Not quite black and white: limited-range video has room for overshoot then.
    row = np.repeat(np.where(bits, 235, 16).astype(np.uint8), cell)
    image[height_px - cell :, : _BITS * cell] = row[None, :, None]


def read_frame_number(image: Image) -> int | None:
    """Read the number back.

    Parameters
    ----------
    image : ndarray of uint8, shape (height, width, 3)
        A picture of the simulated camera, RGB or BGR, in its original size.

    Returns
    -------
    int or None
        None if there is no strip or its check fails.
    """
    height_px, width_px = image.shape[:2]
    cell = cell_px(width_px, height_px)
    if not cell:
        return None
    inset = max(1, cell // 4)
    strip = image[height_px - cell + inset : height_px - inset, : _BITS * cell].mean(axis=(0, 2))
    level = strip.reshape(_BITS, cell)[:, inset:-inset].mean(axis=1)
    word = 0
    for bit in level > 128:
        word = (word << 1) | int(bit)
    value, check = word >> _CHECK_BITS, word & ((1 << _CHECK_BITS) - 1)
    return value if check == _check(value) else None


def _check(value: int) -> int:
    # Not zero for zero, so that a black edge is no frame 0.
    return (value ^ (value >> 8) ^ (value >> 16) ^ 0xA5) & 0xFF
