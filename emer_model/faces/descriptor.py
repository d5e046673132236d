"""Features of a face picture that need neither training nor a download.

Two views of an aligned face: where its edges run (histograms of oriented gradients, which follow brows, lids and mouth),
and a thumbnail of its light and colour (which follows shading, and any pattern that has no edges of its own). Both are
indifferent to brightness and contrast of the whole picture; six numbers at the end say what those were.

On a thousand clips a linear model on these features is hard to beat by a network trained from scratch, and it takes a
millisecond a picture (``python -m benchmarks face_features``).

References
----------
Dalal and Triggs (2005), "Histograms of oriented gradients for human detection", CVPR: votes shared between neighbouring
bins and cells, square-root compression, local normalisation with a ceiling. Signed gradients are ours: whether a mouth is
darker or brighter than the skin around it matters here.
"""

from __future__ import annotations

import numpy as np

#: Grows when the same picture would give other numbers.
DESCRIPTOR_VERSION = "1"
#: Side of the smallest picture taken: below, cells of the histograms have no pixels of their own.
SMALLEST_PX = 16

#: All pictures are looked at in this size. Ours, as are the next five: chosen on simulated faces and on coloured patterns,
#: strong and weak, where unsigned gradients, 7 by 7 cells, and local binary patterns were no better.
_SIDE_PX = 48
_CELLS = 6
_DIRECTIONS = 8
_LIGHT_CELLS = 12
_COLOUR_CELLS = 6
#: Largest share of a direction after normalisation, and the edge strength below which a cell counts as smooth (grey
#: levels after the square root, a pixel).
_CEILING, _SMOOTH = 0.6, 4.0
#: Grey levels added to the contrast of a thumbnail, so that noise of an even picture is not blown up.
_LEAST_CONTRAST = 8.0
#: Weights of red, green and blue in lightness (ITU-R BT.601).
_LIGHTNESS = (0.299, 0.587, 0.114)
_AT_ONCE = 32

#: Features of a picture.
WIDTH = _CELLS**2 * _DIRECTIONS + _LIGHT_CELLS**2 + 2 * _COLOUR_CELLS**2 + 6


def describe_faces(images: np.ndarray) -> np.ndarray:
    """Describe pictures of aligned faces. A picture's numbers do not depend on the others, to the last bit.

    Parameters
    ----------
    images : ndarray of uint8, shape (N, H, W, 3)
        RGB, of any size from `SMALLEST_PX`.

    Returns
    -------
    ndarray of float32, shape (N, WIDTH)
        288 gradient votes (rows, columns, directions), 144 lightnesses (rows, columns), 72 colour differences
        (rows, columns, red and blue against green), mean and spread of red, green and blue.
    """
    features = np.empty((len(images), WIDTH), dtype=np.float32)
    for start in range(0, len(images), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        pictures = _resize(images[part])  # (n, 48, 48, 3)
        features[part] = np.concatenate([_gradients(pictures), _thumbnail(pictures)], axis=1)
    return features


def _resize(images: np.ndarray) -> np.ndarray:
    """Bring pictures to (n, 48, 48, 3), float32."""
    side = (_SIDE_PX, _SIDE_PX)
    if images.shape[1:3] == side:
        return images.astype(np.float32)
    import cv2  # 25 MB, and not needed where the cache has the features

    way = cv2.INTER_AREA if min(images.shape[1:3]) > _SIDE_PX else cv2.INTER_LINEAR
    return np.stack([cv2.resize(np.ascontiguousarray(image), side, interpolation=way) for image in images]).astype(
        np.float32
    )


def _gradients(pictures: np.ndarray) -> np.ndarray:
    """Count in which direction brightness grows, cell by cell; (n, 48, 48, 3) to (n, 288)."""
    red, green, blue = (pictures[..., i] * np.float32(_LIGHTNESS[i]) for i in range(3))
    light = np.sqrt(red + green + blue)  # (n, 48, 48)
    padded = np.pad(light, ((0, 0), (1, 1), (1, 1)), mode="edge")
    dx = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    dy = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    strength = np.hypot(dx, dy)[..., None]
    direction = np.mod(np.arctan2(dy, dx) / (2 * np.pi), 1.0)[..., None] * _DIRECTIONS  # (n, 48, 48, 1)
    away = np.abs(direction - np.arange(_DIRECTIONS, dtype=np.float32))
    votes = np.maximum(1.0 - np.minimum(away, _DIRECTIONS - away), 0.0) * strength  # (n, 48, 48, 8)

    # A pixel votes in the cells around it, by its distance from their centres. One product a picture, whatever the batch.
    shares = _cell_shares()  # (6, 48)
    n = len(pictures)
    by_row = shares @ votes.reshape(n, _SIDE_PX, -1)  # (n, 6, 48 * 8)
    by_column = by_row.reshape(n, _CELLS, _SIDE_PX, _DIRECTIONS).swapaxes(1, 2).reshape(n, _SIDE_PX, -1)
    cells = (shares @ by_column).reshape(n, _CELLS, _CELLS, _DIRECTIONS).swapaxes(1, 2)  # (n, row, column, 8)

    energy = np.pad((cells**2).sum(axis=3), ((0, 0), (1, 1), (1, 1)), mode="edge")  # (n, 8, 8)
    around = sum(energy[:, i : i + _CELLS, j : j + _CELLS] for i in range(3) for j in range(3)) / 9.0  # (n, 6, 6)
    return np.minimum(cells / np.sqrt(around + _SMOOTH**2)[..., None], _CEILING).reshape(n, -1)


def _cell_shares() -> np.ndarray:
    """Return how much of a vote at each pixel a cell gets, float32 (6, 48)."""
    size = _SIDE_PX / _CELLS
    centres = (np.arange(_CELLS) + 0.5) * size - 0.5
    distance = np.abs(np.arange(_SIDE_PX) - centres[:, None]) / size
    return np.maximum(1.0 - distance, 0.0).astype(np.float32)


def _thumbnail(pictures: np.ndarray) -> np.ndarray:
    """Reduce (n, 48, 48, 3) to lightness and colour of few cells, and what the whole picture is like; (n, 222)."""
    n = len(pictures)
    small = _average(pictures, _LIGHT_CELLS)  # (n, 12, 12, 3)
    mean, spread = small.mean(axis=(1, 2), keepdims=True), small.std(axis=(1, 2), keepdims=True)  # (n, 1, 1, 3)
    contrast = small.std(axis=(1, 2, 3), keepdims=True) + _LEAST_CONTRAST
    relative = (small - mean) / contrast
    coarse = _average(relative, _COLOUR_CELLS)  # (n, 6, 6, 3)
    colour = coarse[..., [0, 2]] - coarse[..., [1]]
    whole = np.concatenate([mean, spread], axis=3) / 255.0
    return np.concatenate([part.reshape(n, -1) for part in (relative.mean(axis=3), colour, whole)], axis=1)


def _average(maps: np.ndarray, cells: int) -> np.ndarray:
    """Average (n, h, w, k) over a grid of cells; (n, cells, cells, k)."""
    n, height, width, channels = maps.shape
    return maps.reshape(n, cells, height // cells, cells, width // cells, channels).mean(axis=(2, 4))
