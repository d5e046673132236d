"""Fixation maps: where on the screen the eyes rested, and for how long.

References
----------
Le Meur and Baccino (2013), "Methods for comparing scanpaths and saliency maps:
strengths and weaknesses", Behavior Research Methods 45: a Gaussian of one degree
of visual angle, about the size of the fovea.
"""

from __future__ import annotations

import math

import numpy as np

from data_schema.signals.gaze import Float

#: Standard deviation of the Gaussian, degrees of visual angle (Le Meur and Baccino 2013).
SIGMA_DEG = 1.0


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
