"""One picture of a video, as the analysis of faces wants to see it.

Following a face needs a small grey picture, detecting one a small coloured picture,
and a crop the few pixels of the face. A decoded frame can give each of them without
converting the whole picture to RGB, so the analysis asks for what it needs and
leaves to the picture how to get it. ``data_schema.session.pictures`` has the decoded
frame, :class:`ArrayPicture` the picture that is an array already.
"""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


class Picture(Protocol):
    """What the analysis asks of a picture."""

    @property
    def width_px(self) -> int:
        """Width as shown."""
        ...

    @property
    def height_px(self) -> int:
        """Height as shown."""
        ...

    def grey(self, width_px: int) -> Image:
        """Return the luma, 0 black to 255 white, shrunk to `width_px` columns if it is wider."""
        ...

    def rgb(self, width_px: int | None = None) -> Image:
        """Return the picture of shape (height, width, 3), shrunk to `width_px` columns if it is wider."""
        ...

    def grey_region(self, left: int, top: int, right: int, bottom: int) -> Image:
        """Return the luma of a rectangle inside the picture, 0 black to 255 white."""
        ...

    def rgb_region(self, left: int, top: int, right: int, bottom: int) -> Image:
        """Return a rectangle inside the picture, shape (bottom - top, right - left, 3)."""
        ...


class ArrayPicture:
    """A picture that is an array.

    Parameters
    ----------
    image : ndarray of uint8, shape (height, width, 3) or (height, width)
        RGB, or grey.

    Raises
    ------
    ValueError
        If it has another shape or type.
    """

    def __init__(self, image: Image) -> None:
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
            raise ValueError(
                f"a picture is uint8 of shape (height, width, 3), got {image.dtype} of shape {image.shape}"
            )
        self._image = image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)

    @property
    def width_px(self) -> int:
        """Width in pixels."""
        return int(self._image.shape[1])

    @property
    def height_px(self) -> int:
        """Height in pixels."""
        return int(self._image.shape[0])

    def grey(self, width_px: int) -> Image:
        """Return the luma, shrunk."""
        return _to_grey(self.rgb(width_px))

    def rgb(self, width_px: int | None = None) -> Image:
        """Return the array, shrunk."""
        return self._image if width_px is None else shrink(self._image, width_px / self.width_px)

    def grey_region(self, left: int, top: int, right: int, bottom: int) -> Image:
        """Return the luma of a rectangle."""
        return _to_grey(self.rgb_region(left, top, right, bottom))

    def rgb_region(self, left: int, top: int, right: int, bottom: int) -> Image:
        """Return a rectangle."""
        return np.ascontiguousarray(self._image[top:bottom, left:right])


#: Either form of a picture.
AnyPicture = Picture | Image


def as_picture(picture: AnyPicture) -> Picture:
    """Wrap an array; a picture stays as it is."""
    return ArrayPicture(picture) if isinstance(picture, np.ndarray) else picture


def shrink(image: Image, scale: float) -> Image:
    """Return an array of pixels scaled down by `scale`, each the mean of what it covers (1 or more: unchanged)."""
    if scale >= 1.0:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _to_grey(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
