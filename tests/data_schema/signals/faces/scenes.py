"""Drawn scenes with faces whose place is known, and a detector that knows it: tests of what follows a face."""

from __future__ import annotations

import cv2
import numpy as np

from data_schema.signals.faces import ARCFACE_POINTS_PX, Face

SIZE = (640, 360)


class KnownDetector:
    """Finds the faces that the test says are there; counts how often it was asked."""

    name, version, licence, model_licence, width_px = "known", "1", "none", "none", 640

    def __init__(self) -> None:
        self.calls = 0
        self.faces: list[tuple[float, float, float]] = []

    def detect(self, image: np.ndarray) -> list[Face]:
        self.calls += 1
        scale = image.shape[1] / SIZE[0]
        return [face_at(*(value * scale for value in place)) for place in self.faces]

    def close(self) -> None:
        pass


def face_at(x: float, y: float, side: float) -> Face:
    """Return a face whose box has this centre and side."""
    corner = np.array([x - side / 2, y - side / 2])
    return Face((*corner, side, side), 0.99, ARCFACE_POINTS_PX * (side / 112.0) + corner)


def scene(*places: tuple[float, float, float], background: int = 0) -> np.ndarray:
    """Draw a textured background with textured patches at (x, y, side); equal patches look alike in every picture."""
    width, height = SIZE
    rng = np.random.default_rng(background)
    image = cv2.resize(rng.integers(60, 120, (30, 50, 3), dtype=np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)
    for number, (x, y, side) in enumerate(places):
        texture = np.random.default_rng(100 + number).integers(0, 256, (14, 14, 3), dtype=np.uint8)
        patch = cv2.resize(texture, (112, 112), interpolation=cv2.INTER_CUBIC)
        scale = side / 112.0
        matrix = np.array([[scale, 0, x - side / 2], [0, scale, y - side / 2]])
        cv2.warpAffine(patch, matrix, SIZE, dst=image, borderMode=cv2.BORDER_TRANSPARENT)
    return image
