"""Fixation maps: where on the screen the eyes rested, and for how long.

References
----------
Le Meur and Baccino (2013), "Methods for comparing scanpaths and saliency maps:
strengths and weaknesses", Behavior Research Methods 45: a Gaussian of one degree
of visual angle, about the size of the fovea.
Smith and van der Walt (2015), "A better default colormap for Matplotlib", SciPy 2015:
the shades.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from data_schema.signals.gaze import Float, Int

#: Standard deviation of the Gaussian, degrees of visual angle (Le Meur and Baccino 2013).
SIGMA_DEG = 1.0
#: Shades of a drawn map from low to high: matplotlib's "inferno" (Smith and van der Walt 2015, CC0), whose lightness
#: rises evenly, so that it reads the same with any colour vision and in grey.
_SHADES = np.array(
    [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]], dtype=np.float64
)


def _cell_shares(centre: Float, sigma: float, n_cells: int) -> Float:
    """Return the share of a Gaussian that falls into each of `n_cells` cells of [0, 1], shape (m, n_cells)."""
    edges = np.linspace(0.0, 1.0, n_cells + 1)
    z = (edges[None, :] - centre[:, None]) / (sigma * math.sqrt(2.0))
    cumulative = np.array([math.erf(value) for value in z.ravel()]).reshape(z.shape)
    return np.asarray(np.diff(cumulative, axis=1) / 2.0)


def fixation_map(
    xy_norm: Float, duration_s: Float, sigma_norm: tuple[float, float], shape: tuple[int, int] = (32, 32)
) -> Float:
    """Draw fixations as a duration-weighted sum of Gaussians.

    Each cell holds the exact integral of the Gaussians over its area, so coarse
    maps are right too.

    Parameters
    ----------
    xy_norm : ndarray of float64, shape (m, 2)
        Fixations, share of the display area; those off the screen are left out.
    duration_s : ndarray of float64, shape (m,)
        Their durations, the weights.
    sigma_norm : tuple of float
        Standard deviation in x and y, share of the display area; see
        ``ScreenGeometry.deg_to_norm(SIGMA_DEG)``.
    shape : tuple of int
        Rows and columns.

    Returns
    -------
    ndarray of float64, shape `shape`
        Row 0 is the top of the screen. Sums to 1, or is all 0 where no fixation
        is on the screen.
    """
    xy = np.asarray(xy_norm, dtype=np.float64).reshape(-1, 2)
    weights = np.asarray(duration_s, dtype=np.float64).reshape(-1)
    with np.errstate(invalid="ignore"):
        on_screen = np.isfinite(xy).all(axis=1) & (xy >= 0).all(axis=1) & (xy <= 1).all(axis=1) & (weights > 0)
    if not on_screen.any():
        return np.zeros(shape)
    columns = _cell_shares(xy[on_screen, 0], sigma_norm[0], shape[1])
    rows = _cell_shares(xy[on_screen, 1], sigma_norm[1], shape[0])
    drawn = np.einsum("m,mr,mc->rc", weights[on_screen], rows, columns)
    return np.asarray(drawn / drawn.sum())


class MovingMap:
    """The fixation map of a window of time that moves along, such as of the last second.

    A fixation weighs as much as of it lies in the window, so that it fades in and out.

    Parameters
    ----------
    t_start_us, t_end_us : ndarray of int64, shape (m,)
        Fixations, of one person or of many on a common time.
    xy_norm : ndarray of float64, shape (m, 2)
        Their places; those outside 0 to 1 or not finite are left out.
    sigma_norm : tuple of float
        Standard deviation in x and y, as the places.
    shape : tuple of int
        Rows and columns.
    """

    def __init__(
        self,
        t_start_us: Int,
        t_end_us: Int,
        xy_norm: Float,
        sigma_norm: tuple[float, float],
        shape: tuple[int, int] = (90, 160),
    ) -> None:
        xy = np.asarray(xy_norm, dtype=np.float64).reshape(-1, 2)
        with np.errstate(invalid="ignore"):
            inside = np.isfinite(xy).all(axis=1) & (xy >= 0).all(axis=1) & (xy <= 1).all(axis=1)
        self._start, self._end = np.asarray(t_start_us)[inside], np.asarray(t_end_us)[inside]
        self._columns = _cell_shares(xy[inside, 0], sigma_norm[0], shape[1])
        self._rows = _cell_shares(xy[inside, 1], sigma_norm[1], shape[0])
        self.shape = shape

    def between(self, t0_us: int, t1_us: int) -> Float:
        """Return the seconds spent in each cell between two times, shape `shape`."""
        weights = np.clip(np.minimum(self._end, t1_us) - np.maximum(self._start, t0_us), 0, None) / 1e6
        used = weights > 0
        drawn = np.einsum("mr,mc->rc", self._rows[used] * weights[used, None], self._columns[used])
        return np.asarray(drawn, dtype=np.float64)


def map_image(fixation_map: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.uint8]:
    """Return a fixation map as an image that lets through what lies below where nobody looked.

    Parameters
    ----------
    fixation_map : ndarray of float, shape (height, width)
        0 to 1.

    Returns
    -------
    ndarray of uint8, shape (height, width, 4)
        Red, green, blue and opacity.
    """
    value = np.clip(np.nan_to_num(fixation_map.astype(np.float64)), 0.0, 1.0)
    place = np.linspace(0.0, 1.0, len(_SHADES))
    image = np.empty((*value.shape, 4), dtype=np.uint8)
    for channel in range(3):
        image[..., channel] = np.interp(value, place, _SHADES[:, channel]).round()
    # The square root makes short looks visible; nothing is opaque, since one has to see at what they looked.
    image[..., 3] = (np.sqrt(value) * 215).round()
    return image
