"""Measure the screen from gaze that a file holds twice: as share of the display area and in millimetres.

A wrong resolution or a wrong size in ``study.toml`` scales all angles and maps, and shows nowhere else.
"""

from __future__ import annotations

import numpy as np

from data_schema.importers.text import Float

#: Sizes that differ by less agree: people measure screens with rulers.
_TOLERANCE = 0.03
#: Gaze must wander this far (standard deviation, share of the display area) on both axes to measure the screen.
_MIN_SPREAD = 0.02
#: Where millimetres lie further from a plane through the shares (root mean square), the columns speak of different things.
_MAX_RESIDUAL_MM = 5.0
_MIN_SAMPLES = 100
#: Gaze further from the screen's middle than this share of the screen is none: trackers see little beyond the edges.
_FAR = 2.0


class ScreenMeasure:
    """Fit millimetres as a plane over shares of the display area, in one pass and flat memory."""

    def __init__(self) -> None:
        self._inputs = np.zeros((3, 3))
        self._products = np.zeros((3, 3))
        self._squares = np.zeros(3)
        self._n_seen = self._n_far = 0

    def add(self, gaze_norm: Float, gaze_mm: Float) -> None:
        """Take samples of one eye, shapes (n, 2) and (n, 3); those that are NaN are passed over."""
        seen = np.isfinite(gaze_norm).all(axis=1)
        self._n_seen += int(seen.sum())
        self._n_far += int(np.count_nonzero((np.abs(gaze_norm[seen] - 0.5) > _FAR).any(axis=1)))
        seen &= np.isfinite(gaze_mm).all(axis=1)
        inputs = np.column_stack([np.ones(int(seen.sum())), gaze_norm[seen] - 0.5])
        self._inputs += inputs.T @ inputs
        self._products += inputs.T @ gaze_mm[seen]
        self._squares += np.einsum("ni,ni->i", gaze_mm[seen], gaze_mm[seen])

    @property
    def is_off_screen(self) -> bool:
        """Tell whether most of the gaze lies where no screen is: the numbers are in another unit than they are said to be in."""
        return self._n_seen >= _MIN_SAMPLES and 2 * self._n_far > self._n_seen

    def size_mm(self) -> tuple[float, float] | None:
        """Return width and height of the display area in mm; None where the gaze does not tell."""
        n = float(self._inputs[0, 0])
        if n < _MIN_SAMPLES:
            return None
        mean = self._inputs[0, 1:] / n
        spread = self._inputs[1:, 1:] / n - np.outer(mean, mean)
        if float(np.linalg.eigvalsh(spread)[0]) < _MIN_SPREAD**2:
            return None
        slopes = np.linalg.solve(self._inputs, self._products)
        residual = float((self._squares - np.einsum("ij,ij->j", slopes, self._products)).sum()) / n
        if residual > _MAX_RESIDUAL_MM**2:
            return None
        width, height = np.linalg.norm(slopes[1:], axis=1)
        return float(width), float(height)

    def contradiction(self, width_mm: float, height_mm: float) -> str:
        """Say how the file contradicts a screen's size; empty where it does not, or does not tell."""
        size = self.size_mm()
        if size is None:
            return ""
        agree = all(abs(own / said - 1.0) <= _TOLERANCE for own, said in zip(size, (width_mm, height_mm), strict=True))
        return "" if agree else f"{size[0]:.0f}x{size[1]:.0f} mm"
