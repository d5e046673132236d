"""Bring a face to a square of 112 x 112 px, where its five points lie at fixed places.

References
----------
Deng et al. (2019), "ArcFace: Additive angular margin loss for deep face
recognition", CVPR: the five-point template of 112x112 crops.
Umeyama (1991), "Least-squares estimation of transformation parameters between two
point patterns", IEEE PAMI 13.
"""

from __future__ import annotations

import cv2
import numpy as np

from data_schema.signals.faces.pictures import AnyPicture, Image, Picture, as_picture
from data_schema.signals.gaze import Bool, Float

#: Where the eyes (viewer's left, right), the nose and the corners of the mouth lie
#: in an aligned crop of 112x112 px (Deng et al. 2019).
ARCFACE_POINTS_PX: Float = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
CROP_PX = 112
#: Bilinear sampling looks at two pixels a side: below this scale it skips some, so the region is shrunk by area first.
_SHRINK_BELOW = 0.67


def similarity_transform(source: Float, target: Float) -> Float:
    """Fit rotation, uniform scale and shift from one set of points to another.

    Parameters
    ----------
    source, target : ndarray of float64, shape (n, 2)

    Returns
    -------
    ndarray of float64, shape (2, 3)
        Least-squares matrix: target = matrix[:, :2] @ source + matrix[:, 2].

    References
    ----------
    Umeyama (1991); in the plane without reflection it is one complex division.
    """
    a = source[:, 0] + 1j * source[:, 1]
    b = target[:, 0] + 1j * target[:, 1]
    a_mean, b_mean = a.mean(), b.mean()
    centred = a - a_mean
    spread = float(np.vdot(centred, centred).real)
    turn = np.vdot(centred, b - b_mean) / spread if spread > 0 else 1.0 + 0j
    shift = b_mean - turn * a_mean
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]], dtype=np.float64)


def crop_transform(points_px: Float, size_px: int = CROP_PX) -> Float:
    """Return the matrix of shape (2, 3) from the picture to the aligned crop.

    Parameters
    ----------
    points_px : ndarray of float64, shape (5, 2)
        The face's points in the picture.
    size_px : int
        Side of the crop.
    """
    return similarity_transform(points_px, ARCFACE_POINTS_PX * (size_px / CROP_PX))


def align_face(picture: AnyPicture, points_px: Float, size_px: int = CROP_PX) -> Image:
    """Cut out a face so that its five points lie where the ArcFace template has them.

    Parameters
    ----------
    picture : Picture or ndarray of uint8, shape (height, width, 3)
    points_px : ndarray of float64, shape (5, 2)
    size_px : int
        Side of the crop.

    Returns
    -------
    ndarray of uint8, shape (size_px, size_px, 3)
        RGB, black where the crop leaves the picture.

    References
    ----------
    Deng et al. (2019).
    """
    return _cut(as_picture(picture), points_px, size_px, coloured=True)


def align_grey(picture: AnyPicture, points_px: Float, size_px: int = CROP_PX) -> Image:
    """Cut out the luma of a face as :func:`align_face` does, shape (size_px, size_px)."""
    return _cut(as_picture(picture), points_px, size_px, coloured=False)


def crop_corners(points_px: Float, size_px: int = CROP_PX) -> Float:
    """Return where the corners of the aligned crop lie in the picture, shape (4, 2)."""
    back = cv2.invertAffineTransform(crop_transform(points_px, size_px))
    corners = np.array([[0, 0], [size_px, 0], [0, size_px], [size_px, size_px]], dtype=np.float64)
    return np.asarray(corners @ back[:, :2].T + back[:, 2], dtype=np.float64)


def crop_inside(points_px: Float, width_px: int, height_px: int, size_px: int = CROP_PX) -> Bool:
    """Tell which pixels of an aligned crop lie inside the picture, shape (size_px, size_px)."""
    matrix = cv2.invertAffineTransform(crop_transform(points_px, size_px))
    y, x = np.mgrid[:size_px, :size_px]
    source_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    source_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    inside = (source_x >= 0) & (source_x <= width_px - 1) & (source_y >= 0) & (source_y <= height_px - 1)
    return np.asarray(inside, dtype=np.bool_)


def _cut(picture: Picture, points_px: Float, size_px: int, coloured: bool) -> Image:
    empty = np.zeros((size_px, size_px, 3) if coloured else (size_px, size_px), dtype=np.uint8)
    matrix = crop_transform(np.asarray(points_px, dtype=np.float64), size_px)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if not np.isfinite(matrix).all() or scale <= 0:
        return empty
    reached = crop_corners(points_px, size_px)
    margin = 2.0 + 2.0 / scale
    left, top = np.maximum(np.floor(reached.min(axis=0) - margin), 0).astype(int).tolist()
    right, bottom = np.ceil(reached.max(axis=0) + margin).astype(int).tolist()
    right, bottom = min(right, picture.width_px), min(bottom, picture.height_px)
    if right - left < 1 or bottom - top < 1:
        return empty
    region = picture.rgb_region if coloured else picture.grey_region
    piece = region(left, top, right, bottom)
    # Shrinking by a whole number is many times faster than by any, and the rest is left to the warp.
    times = max(1, round(1.0 / scale)) if scale < _SHRINK_BELOW else 1
    if times > 1 and min(piece.shape[:2]) >= times:
        height, width = piece.shape[0] // times, piece.shape[1] // times
        piece = np.asarray(
            cv2.resize(piece[: height * times, : width * times], (width, height), interpolation=cv2.INTER_AREA),
            dtype=np.uint8,
        )
    else:
        times = 1
    # Pixel centres lie at whole numbers: x in the picture = (x in the piece + 0.5) * times - 0.5 + left.
    shift = matrix[:, :2] @ (0.5 * times - 0.5 + np.array([left, top])) + matrix[:, 2]
    from_piece = np.column_stack([matrix[:, :2] * times, shift])
    crop = cv2.warpAffine(piece, from_piece, (size_px, size_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(crop, dtype=np.uint8)
