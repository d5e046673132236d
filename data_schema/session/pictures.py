"""A decoded frame that converts itself only as far as somebody looks at it.

Most of a frame's looks need its luma alone, which lies there as a plane; converting
to RGB waits until colours are asked for, and shrinks in the same step. The methods are
those of ``data_schema.signals.faces.Picture``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

#: Formats whose first plane is the luma, a byte a pixel.
_LUMA_FIRST = frozenset(
    {"yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuvj420p", "yuvj422p", "yuvj444p", "yuvj440p", "nv12", "nv21", "gray"}
)
#: Formats that always use the full range of luma; in the others the frame's own mark decides.
_FULL_RANGE_FORMATS = frozenset({"yuvj420p", "yuvj422p", "yuvj444p", "yuvj440p", "gray"})
#: AVCOL_RANGE_JPEG in libavutil/pixfmt.h.
_FULL_RANGE = 2
#: From video's 16 to 235 to the whole byte (ITU-R BT.601, BT.709).
_WIDENED: Pixels = np.clip(np.rint((np.arange(256) - 16) * (255.0 / 219.0)), 0, 255).astype(np.uint8)
#: AVCOL_SPC of libavutil/pixfmt.h: unspecified, BT.470BG and SMPTE 170M, which share BT.601's matrix; libswscale takes it for
#: unspecified, too.
_BT601 = frozenset({2, 5, 6})


class FramePicture:
    """A picture over a decoded frame.

    Parameters
    ----------
    frame : av.VideoFrame
        Must not be changed by its decoder afterwards; PyAV hands out frames of their own.
    turned : bool
        Turn it as its display matrix says (a telephone held upright).
    """

    def __init__(self, frame: Any, turned: bool = True) -> None:
        self.frame = frame
        # Counter-clockwise degrees; numpy turns that way, too.
        self._quarters = round(int(frame.rotation) / 90) % 4 if turned else 0
        self._full: Pixels | None = None
        self._small: Pixels | None = None

    @property
    def width_px(self) -> int:
        """Width as shown."""
        return int(self.frame.height if self._quarters % 2 else self.frame.width)

    @property
    def height_px(self) -> int:
        """Height as shown."""
        return int(self.frame.width if self._quarters % 2 else self.frame.height)

    def grey(self, width_px: int) -> Pixels:
        """Return the luma, 0 black to 255 white, shrunk to `width_px` columns if it is wider.

        Returns
        -------
        ndarray of uint8, shape (height, width)
        """
        plane, limited = self._luma()
        scale = width_px / self.width_px
        if scale < 1.0:
            plane = self._small_luma(plane, (_even(plane.shape[1] * scale), _even(plane.shape[0] * scale)))
        return self._turn(_widened(plane) if limited else plane)

    def rgb(self, width_px: int | None = None) -> Pixels:
        """Return the picture, shrunk to `width_px` columns if it is wider.

        Returns
        -------
        ndarray of uint8, shape (height, width, 3)
        """
        if width_px is None or width_px >= self.width_px:
            if self._full is None:
                self._full = self._turn(self.frame.to_ndarray(format="rgb24"))
            return self._full
        scale = width_px / self.width_px
        size = _even(self.frame.width * scale), _even(self.frame.height * scale)
        if self._plain_colours:
            y, u, v = self._planes()
            half = (size[0] // 2, size[1] // 2)
            return self._turn(_to_rgb(self._small_luma(y, size), _shrunk(u, half), _shrunk(v, half)))
        return self._turn(self.frame.reformat(*size, format="rgb24", interpolation="AREA").to_ndarray())

    def grey_region(self, left: int, top: int, right: int, bottom: int) -> Pixels:
        """Return the luma of a rectangle inside the picture, shape (bottom - top, right - left)."""
        plane, limited = self._luma()
        region = np.ascontiguousarray(self._turn(plane)[top:bottom, left:right])
        return _widened(region) if limited else region

    def rgb_region(self, left: int, top: int, right: int, bottom: int) -> Pixels:
        """Return a rectangle inside the picture, shape (bottom - top, right - left, 3)."""
        if self._full is not None or self._quarters or not self._plain_colours:
            return np.ascontiguousarray(self.rgb()[top:bottom, left:right])
        # The colours lie in blocks of 2x2 px: take whole blocks, cut afterwards.
        x, y = left // 2, top // 2
        right_half, bottom_half = -(-right // 2), -(-bottom // 2)
        luma, *colours = self._planes()
        region = _to_rgb(
            np.ascontiguousarray(luma[2 * y : 2 * bottom_half, 2 * x : 2 * right_half]),
            *(plane[y:bottom_half, x:right_half] for plane in colours),
        )
        return np.ascontiguousarray(region[top - 2 * y : bottom - 2 * y, left - 2 * x : right - 2 * x])

    @property
    def _plain_colours(self) -> bool:
        """Whether the frame is what our recorder writes: 4:2:0, limited range, the colours of BT.601 or not said."""
        frame = self.frame
        return (
            frame.format.name == "yuv420p"
            and int(frame.colorspace) in _BT601
            and int(frame.color_range) != _FULL_RANGE
            and frame.width % 2 == 0
            and frame.height % 2 == 0
        )

    def _planes(self) -> tuple[Pixels, Pixels, Pixels]:
        y, u, v = (
            np.frombuffer(plane, dtype=np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
            for plane in self.frame.planes
        )
        return y, u, v

    def _small_luma(self, plane: Pixels, size: tuple[int, int]) -> Pixels:
        """Shrink the luma, once a size: following and detecting look at the same."""
        if self._small is None or self._small.shape != size[::-1]:
            self._small = _shrunk(plane, size)
        return self._small

    def _luma(self) -> tuple[Pixels, bool]:
        """Return the luma as decoded, not turned, and whether it is limited to 16 to 235."""
        frame, name = self.frame, self.frame.format.name
        if name not in _LUMA_FIRST:
            grey: Pixels = frame.to_ndarray(format="gray")
            return grey, False
        plane = frame.planes[0]
        rows: Pixels = np.frombuffer(plane, dtype=np.uint8).reshape(-1, plane.line_size)
        full = name in _FULL_RANGE_FORMATS or int(frame.color_range) == _FULL_RANGE
        return rows[: frame.height, : frame.width], not full

    def _turn(self, pixels: Pixels) -> Pixels:
        return np.ascontiguousarray(np.rot90(pixels, self._quarters)) if self._quarters else pixels


# OpenCV is loaded where it works: a window that only shows frames opens sooner without it.


def _widened(luma: Pixels) -> Pixels:
    import cv2

    return np.asarray(cv2.LUT(luma, _WIDENED), dtype=np.uint8)


def _to_rgb(y: Pixels, u: Pixels, v: Pixels) -> Pixels:
    """Convert planes of 4:2:0 in limited range (BT.601): a third of the time that libswscale takes for a whole picture."""
    import cv2

    return np.asarray(cv2.cvtColorTwoPlane(y, cv2.merge([u, v]), cv2.COLOR_YUV2RGB_NV12), dtype=np.uint8)


def _shrunk(plane: Pixels, size: tuple[int, int]) -> Pixels:
    import cv2

    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _even(pixels: float) -> int:
    return max(2, 2 * round(pixels / 2))
