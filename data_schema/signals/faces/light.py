"""Take differences of light out of aligned crops, where ``[faces] light`` asks for it.

References
----------
Zuiderveld (1994), "Contrast limited adaptive histogram equalization", Graphics Gems
IV.
Tan & Triggs (2010), "Enhanced local texture feature sets for face recognition under
difficult lighting conditions", IEEE Transactions on Image Processing 19, section II.
"""

from __future__ import annotations

import cv2
import numpy as np

from data_schema.signals.faces.pictures import Image

#: What ``[faces] light`` takes.
LIGHT_METHODS: tuple[str, ...] = ("none", "equalise", "clahe", "tan-triggs")
#: Limit and tiles of CLAHE: the limit of OpenCV's own examples; tiles of 28 px, about the size of an eye region.
_CLIP_LIMIT, _TILES = 2.0, (4, 4)
#: Tan & Triggs (2010), table I: gamma, the two Gaussians (pixels), exponent and threshold of the contrast equalisation.
_GAMMA, _INNER_PX, _OUTER_PX, _ALPHA, _TAU = 0.2, 1.0, 2.0, 0.1, 10.0


def normalise_light(crop: Image, method: str) -> Image:
    """Return a crop with its light normalised.

    Parameters
    ----------
    crop : ndarray of uint8, shape (height, width, 3)
        RGB.
    method : str
        ``none``: as it is. ``equalise``: the luma's histogram made flat over the whole crop, colours kept. ``clahe``:
        the same in tiles with limited contrast (Zuiderveld 1994), which evens out light from one side. ``tan-triggs``:
        gamma, difference of Gaussians and contrast equalisation (Tan & Triggs 2010); grey, without colour or shading.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)

    Raises
    ------
    ValueError
        If the method is unknown.
    """
    if method == "none":
        return crop
    if method == "tan-triggs":
        return np.repeat(_tan_triggs(crop)[:, :, None], 3, axis=2)
    if method not in LIGHT_METHODS:
        raise ValueError(f"light normalisation '{method}' is not one of {', '.join(LIGHT_METHODS)}")
    luma, red, blue = cv2.split(cv2.cvtColor(crop, cv2.COLOR_RGB2YCrCb))
    even = cv2.equalizeHist(luma) if method == "equalise" else cv2.createCLAHE(_CLIP_LIMIT, _TILES).apply(luma)
    return np.asarray(cv2.cvtColor(cv2.merge([even, red, blue]), cv2.COLOR_YCrCb2RGB), dtype=np.uint8)


def _tan_triggs(crop: Image) -> Image:
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    bent = np.power(grey, _GAMMA)
    edges = cv2.GaussianBlur(bent, (0, 0), _INNER_PX) - cv2.GaussianBlur(bent, (0, 0), _OUTER_PX)
    for limit in (np.inf, _TAU):
        size = float(np.mean(np.minimum(np.abs(edges), limit) ** _ALPHA)) ** (1.0 / _ALPHA)
        if size <= 1e-12:
            return np.full(grey.shape, 128, dtype=np.uint8)
        edges = edges / size
    return np.asarray(np.rint(127.5 + 127.5 * np.tanh(edges / _TAU)), dtype=np.uint8)
