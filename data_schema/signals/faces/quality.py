"""How well a face can be seen: its size, sharpness and light.

All but the size are measured on the aligned luma of 112x112 px, inside the ellipse of
the face, so that neither the distance from the camera nor the background decides. They
describe the picture, not the person: compare within one camera.

References
----------
Pech-Pacheco et al. (2000), "Diatom autofocusing in brightfield microscopy: a
comparative study", ICPR: variance of the Laplacian; Pertuz et al. (2013), "Analysis of
focus measure operators for shape-from-focus", Pattern Recognition 46: compared with
others.
Peli (1990), "Contrast in complex images", Journal of the Optical Society of America A
7: root-mean-square contrast.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from data_schema.signals.faces.alignment import CROP_PX, align_grey, crop_corners, crop_inside
from data_schema.signals.faces.pictures import Image, Picture
from data_schema.signals.gaze import Bool, Float

#: Luma at and below which a pixel counts as under-exposed, at and above which as over-exposed; our choice: the outer
#: 4 % of the range at either end, where an 8-bit camera shows no detail.
UNDEREXPOSED, OVEREXPOSED = 10, 245


@dataclass(frozen=True)
class FaceQuality:
    """How well one face can be seen.

    Parameters
    ----------
    sharpness : float
        Variance of the Laplacian of the aligned luma (grey levels squared, 0 to 255 each): small is blurred.
    brightness : float
        Mean luma, 0 black to 1 white.
    contrast : float
        Standard deviation of the luma, 0 to 0.5.
    underexposed_share, overexposed_share : float
        Share of the face's pixels that are nearly black or nearly white, 0 to 1.
    """

    sharpness: float
    brightness: float
    contrast: float
    underexposed_share: float
    overexposed_share: float


def eye_distance_px(points_px: Float) -> float:
    """Return the distance of the eyes in pixels."""
    return float(np.linalg.norm(np.asarray(points_px[1], dtype=np.float64) - points_px[0]))


def measure_quality(picture: Picture, points_px: Float) -> FaceQuality:
    """Measure sharpness and light of the face in a picture; NaN where none of it lies inside."""
    crop = align_grey(picture, points_px)
    seen = _ellipse()
    if _leaves(points_px, picture):
        seen = seen & crop_inside(points_px, picture.width_px, picture.height_px)
    return quality_of_crop(crop, seen)


def quality_of_crop(crop: Image, seen: Bool | None = None) -> FaceQuality:
    """Measure an aligned crop.

    Parameters
    ----------
    crop : ndarray of uint8, shape (112, 112)
        Luma.
    seen : ndarray of bool, shape (112, 112), optional
        Pixels that belong to the face; by default those in its ellipse.
    """
    inside = _ellipse() if seen is None else seen
    levels = crop[inside]
    if levels.size == 0:
        return FaceQuality(*[float("nan")] * 5)
    # One pixel less on each side, where the Laplacian looks beyond what is seen.
    inner = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0).astype(bool)
    edges = cv2.Laplacian(crop, cv2.CV_16S)[inner]
    return FaceQuality(
        sharpness=float(edges.var()) if edges.size else float("nan"),
        brightness=float(levels.mean()) / 255.0,
        contrast=float(levels.std()) / 255.0,
        underexposed_share=float((levels <= UNDEREXPOSED).mean()),
        overexposed_share=float((levels >= OVEREXPOSED).mean()),
    )


@lru_cache(maxsize=1)
def _ellipse() -> Bool:
    """Return the face in an aligned crop: from the brows to the chin, without hair and background."""
    y, x = np.mgrid[:CROP_PX, :CROP_PX]
    mask = ((x - 56) / 38) ** 2 + ((y - 68) / 46) ** 2 <= 1
    mask.setflags(write=False)
    return np.asarray(mask, dtype=np.bool_)


def _leaves(points_px: Float, picture: Picture) -> bool:
    """Tell whether the crop reaches over the edge of the picture."""
    corners = crop_corners(points_px)
    size = np.array([picture.width_px, picture.height_px])
    return bool((corners < 0).any() or (corners > size - 1).any())
