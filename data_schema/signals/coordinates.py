"""From places on the screen to places on the stimulus that stood on it.

A stimulus fills the screen as far as its shape allows and stands in the middle, as
the presenter shows it. A gaze point beside it looked at the grey around it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from data_schema.signals.gaze import Float

#: Left, top, width and height, shares of the screen.
Box = tuple[float, float, float, float]
WHOLE_SCREEN: Box = (0.0, 0.0, 1.0, 1.0)


def stimulus_box_norm(screen_px: tuple[int, int], stimulus_px: tuple[int, int]) -> Box:
    """Return where a stimulus stood: as large as fits, its own shape kept, in the middle.

    Parameters
    ----------
    screen_px, stimulus_px : tuple of int
        Width and height; of the stimulus as it is seen, its pixels made square.

    Returns
    -------
    tuple of float
        Left, top, width and height, shares of the screen.
    """
    scale = min(screen_px[0] / stimulus_px[0], screen_px[1] / stimulus_px[1])
    width, height = stimulus_px[0] * scale / screen_px[0], stimulus_px[1] * scale / screen_px[1]
    return ((1.0 - width) / 2.0, (1.0 - height) / 2.0, width, height)


def screen_to_stimulus(xy_norm: npt.ArrayLike, box: Box) -> Float:
    """Convert shares of the screen to shares of the stimulus.

    Parameters
    ----------
    xy_norm : array_like, shape (..., 2)
        x right, y down, (0, 0) at the top left of the screen.
    box : tuple of float
        From :func:`stimulus_box_norm`.

    Returns
    -------
    ndarray of float64, shape (..., 2)
        Below 0 or above 1 beside the stimulus.
    """
    place: Float = np.asarray(xy_norm, dtype=np.float64) - np.array(box[:2])
    shares: Float = np.divide(place, np.array(box[2:]))
    return shares


def stimulus_to_screen(xy_norm: npt.ArrayLike, box: Box) -> Float:
    """Convert shares of the stimulus to shares of the screen; undoes :func:`screen_to_stimulus`."""
    place: Float = np.multiply(np.asarray(xy_norm, dtype=np.float64), np.array(box[2:]))
    shares: Float = np.add(place, np.array(box[:2]))
    return shares


def sigma_on_stimulus(sigma_norm: tuple[float, float], box: Box) -> tuple[float, float]:
    """Convert a width in shares of the screen, such as of a visual angle, to shares of the stimulus."""
    return sigma_norm[0] / box[2], sigma_norm[1] / box[3]
