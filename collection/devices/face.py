"""Draw the simulated participant's face.

The face is a public-domain photograph (``assets/LICENCE.txt``) that is warped to
an expression, placed with a little head motion, and given the light and noise of
a webcam. What each action does to the picture is computed once; a frame costs
one small warp of the face and one affine warp of the picture.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from collection.devices.face_actions import REGION, FloatArray, action_basis, action_weights
from collection.simulation.participant import Appearance
from data_schema.errors import DeviceError

Image = npt.NDArray[np.uint8]

_PHOTOGRAPH = "eileen_collins.jpg"
#: Point of the photograph that comes to the middle of the picture.
_ANCHOR = (238.0, 130.0)
#: Enlargement beyond filling the picture, so that head motion shows no border.
_MARGIN = 1.10
#: Noise of the sensor in grey levels; ours, near a webcam indoors.
_NOISE_SD = 1.5
_NOISE_OFFSET = 3
#: The map has both coordinates in one array.
_NO_SECOND_MAP: Any = None
#: Brightnesses that flicker, one grey level apart.
_LIGHT_LEVELS = 4
#: Largest motion of the head, share of the picture's height.
_LARGEST_SHIFT = 0.04
#: The noise field is larger than the picture and is taken at a random place for each frame.
_NOISE_SLACK = 64


@lru_cache(maxsize=1)
def load_photograph() -> Image:
    """Read the photograph, BGR, shape (288, 512, 3).

    Raises
    ------
    DeviceError
        If the file is missing from the installation.
    """
    source = resources.files("collection.devices") / "assets" / _PHOTOGRAPH
    try:
        data = np.frombuffer(source.read_bytes(), dtype=np.uint8)
    except OSError as error:
        raise DeviceError(
            f"The simulated camera's photograph is missing ({error}). Install the toolkit again."
        ) from error
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)


@lru_cache(maxsize=1)
def _basis() -> tuple[FloatArray, FloatArray]:
    return action_basis()


@lru_cache(maxsize=1)
def _shades() -> npt.NDArray[np.bool_]:
    """Tell which actions change the brightness."""
    return np.asarray(np.any(_basis()[1] != 0, axis=(1, 2)))


class FaceRenderer:
    """Draws one participant's face at one picture size.

    A canvas somewhat larger than the picture is kept. A change of expression
    redraws the face in it, a change of tilt or size all of it; a shift of the
    head takes the picture from another place, in whole pixels. Expressions, tilt
    and size are rounded to steps too small to see, so most frames redraw nothing.

    Parameters
    ----------
    appearance : Appearance
        How the face differs from the photograph.
    width_px, height_px : int
        Picture size.
    rng : numpy.random.Generator
        Source of the noise.
    noise : float
        Size of the sensor noise; 0 for none.
    """

    def __init__(
        self, appearance: Appearance, width_px: int, height_px: int, rng: np.random.Generator, noise: float = 1.0
    ) -> None:
        self.appearance = appearance
        self.width_px, self.height_px = width_px, height_px
        self._photograph = _dress(load_photograph(), appearance)
        self._picture = self._photograph.copy()
        x0, y0, x1, y1 = REGION
        grid_y, grid_x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
        self._grid = np.stack([grid_x, grid_y], axis=-1)
        self._weights: FloatArray | None = None
        self._posture: tuple[float, float] | None = None
        height, width = self._photograph.shape[:2]
        self._zoom = max(width_px / width, height_px / height) * _MARGIN * max(appearance.scale, 0.93)
        self._slack = max(4, round(_LARGEST_SHIFT * height_px))
        self._canvas = np.zeros((height_px + 2 * self._slack, width_px + 2 * self._slack, 3), dtype=np.uint8)
        self._rng = rng
        self._noise = _noise_fields(width_px, height_px, noise, rng)

    def draw(
        self,
        strengths: dict[str, float],
        *,
        eyes_closed: float = 0.0,
        shift: tuple[float, float] = (0.0, 0.0),
        roll_deg: float = 0.0,
        zoom: float = 1.0,
        light: float = 0.0,
    ) -> Image:
        """Draw one frame.

        Parameters
        ----------
        strengths : dict of str to float
            Intensity of each expression, 0 to 3.
        eyes_closed : float
            0 open to 1 closed.
        shift : tuple of float
            Motion of the head, shares of the picture's height, right and down; up to 0.04.
        roll_deg, zoom : float
            Tilt of the head and its size.
        light : float
            -1 darkest to 1 brightest, a flicker of some grey levels.

        Returns
        -------
        ndarray of uint8, shape (height_px, width_px, 3)
            BGR; a new array.
        """
        rounded = {emotion: round(intensity * 16) / 16 for emotion, intensity in strengths.items()}
        weights = action_weights(rounded, self.appearance.action_gains, round(eyes_closed * 4) / 4)
        posture = (round(roll_deg * 2) / 2, round(zoom * 100) / 100)
        changed = self._weights is None or bool(np.any(weights != self._weights))
        if changed:
            self._express(weights)
        if posture != self._posture:
            self._posture = posture
            self._place(whole=True)
        elif changed:
            self._place(whole=False)
        across, down = (int(np.clip(round(part * self.height_px), -self._slack, self._slack)) for part in shift)
        left, top = self._slack - across, self._slack - down
        frame = self._canvas[top : top + self.height_px, left : left + self.width_px]
        level = round((float(np.clip(light, -1.0, 1.0)) + 1.0) / 2.0 * (len(self._noise) - 1))
        x, y = (self._rng.random(2) * _NOISE_SLACK).astype(int)
        noise = self._noise[level][y : y + self.height_px, x : x + self.width_px]
        return np.asarray(cv2.add(frame, noise), dtype=np.uint8)

    def _express(self, weights: FloatArray) -> None:
        """Warp the face region of the photograph."""
        self._weights = weights
        x0, y0, x1, y1 = REGION
        displacement, log_gain = _basis()
        source = self._grid.copy()
        shading = np.zeros(log_gain.shape[1:], dtype=np.float32)
        # A sum over the few active actions is faster here than a product with all of them.
        for k in np.flatnonzero(weights):
            source -= weights[k] * displacement[k]
            if _shades()[k]:
                shading += weights[k] * log_gain[k]
        face = cv2.remap(self._photograph, source, _NO_SECOND_MAP, cv2.INTER_LINEAR)
        gain = np.minimum(np.exp(shading) * 128.0, 255.0).astype(np.uint8)
        self._picture[y0:y1, x0:x1] = cv2.multiply(face, cv2.merge([gain, gain, gain]), scale=1.0 / 128.0)

    def _place(self, *, whole: bool) -> None:
        """Draw the photograph, or its face alone, into the canvas."""
        roll_deg, zoom = self._posture if self._posture is not None else (0.0, 1.0)
        scale = self._zoom * zoom
        cos, sin = scale * np.cos(np.radians(roll_deg)), scale * np.sin(np.radians(roll_deg))
        flip = -1.0 if self.appearance.mirrored else 1.0
        turn = np.array([[flip * cos, -sin], [flip * sin, cos]])
        centre = np.array([0.5 * self.width_px, 0.46 * self.height_px]) + self._slack
        offset = centre - turn @ np.array(_ANCHOR)
        height, width = self._canvas.shape[:2]
        left, top, right, bottom = 0, 0, width, height
        if not whole:
            x0, y0, x1, y1 = REGION
            corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]]) @ turn.T + offset
            left, top = (int(v) for v in np.clip(np.floor(corners.min(axis=0)), 0, (width, height)))
            right, bottom = (int(v) for v in np.clip(np.ceil(corners.max(axis=0)), 0, (width, height)))
        matrix = np.column_stack([turn, offset - (left, top)])
        self._canvas[top:bottom, left:right] = cv2.warpAffine(
            self._picture,
            matrix,
            (right - left, bottom - top),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )


def _dress(photograph: Image, appearance: Appearance) -> Image:
    """Change hue, saturation and brightness to the participant's."""
    hsv = cv2.cvtColor(photograph, cv2.COLOR_BGR2HSV).astype(np.float32)
    # OpenCV's hue runs to 180.
    hsv[..., 0] = (hsv[..., 0] + appearance.hue_shift_deg / 2.0) % 180.0
    hsv[..., 1] = np.clip(hsv[..., 1] * appearance.saturation, 0, 255)
    hsv[..., 2] = np.clip(hsv[..., 2] * appearance.brightness * 0.97, 0, 255)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR), dtype=np.uint8)


def _noise_fields(width_px: int, height_px: int, size: float, rng: np.random.Generator) -> list[Image]:
    """Make one field of noise a level of light; they are added to the picture, so they are never negative."""
    shape = (height_px + _NOISE_SLACK, width_px + _NOISE_SLACK, 1)
    grey = rng.standard_normal(shape, dtype=np.float32) * (_NOISE_SD * size)
    fields = []
    for level in range(_LIGHT_LEVELS):
        field = np.clip(np.rint(grey + (_NOISE_OFFSET + level if size > 0 else 0)), 0, 30).astype(np.uint8)
        fields.append(np.repeat(field, 3, axis=2))
    return fields
