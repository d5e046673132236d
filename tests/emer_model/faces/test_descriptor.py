"""The descriptor: features of faces without training or download."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from emer_model.faces.descriptor import WIDTH, describe_faces


def drawn(n: int, px: int, seed: int = 0) -> np.ndarray:
    """Pictures with a few soft shapes, uint8 (n, px, px, 3)."""
    coarse = np.random.default_rng(seed).integers(60, 190, (n, 9, 9, 3), dtype=np.uint8)
    return np.stack([cv2.resize(picture, (px, px), interpolation=cv2.INTER_CUBIC) for picture in coarse])


def mouth(corners_px: float, seed: int) -> np.ndarray:
    """A face of noise and a dark curve whose corners are raised by so many pixels of 112."""
    rng = np.random.default_rng(seed)
    picture = np.full((112, 112, 3), (200, 160, 140), dtype=np.float32) + rng.normal(0, 4, (112, 112, 1))
    x = np.arange(36, 77)
    y = 90 - corners_px * ((x - 56) / 20.0) ** 2 + rng.normal(0, 1)
    for a, b in zip(x, y, strict=True):
        picture[int(b) - 1 : int(b) + 2, a] *= 0.5
    return np.clip(picture * rng.uniform(0.7, 1.2), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("px", [28, 56, 112, 224])
def test_faces_of_any_size_are_described_by_finite_numbers(px: int) -> None:
    features = describe_faces(drawn(3, px))
    assert features.shape == (3, WIDTH)
    assert WIDTH <= 600
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert np.abs(features).max() < 8


def test_even_pictures_and_none_at_all_are_described() -> None:
    even = np.stack([np.full((112, 112, 3), level, dtype=np.uint8) for level in (0, 128, 255)])
    features = describe_faces(even)
    assert np.isfinite(features).all()
    assert not features[:, :504].any()  # no edge, no pattern
    assert np.allclose(features[:, 504:507], np.array([0, 128, 255])[:, None] / 255)
    assert describe_faces(even[:0]).shape == (0, WIDTH)


def test_a_picture_is_described_the_same_alone_and_among_others() -> None:
    faces = drawn(70, 56)
    together = describe_faces(faces)
    assert np.array_equal(together, describe_faces(faces))
    for i in (0, 31, 32, 69):
        assert np.array_equal(describe_faces(faces[i : i + 1])[0], together[i])


def test_size_and_brightness_of_a_picture_change_little_of_what_it_shows() -> None:
    faces = drawn(8, 224)
    small = np.stack([cv2.resize(face, (56, 56), interpolation=cv2.INTER_AREA) for face in faces])
    bright = np.clip(faces.astype(np.float32) * 1.25 + 6, 0, 255).astype(np.uint8)
    own = describe_faces(faces)[:, :504]
    between = np.linalg.norm(own - np.roll(own, 1, axis=0), axis=1).mean()
    for changed in (small, bright):
        assert np.linalg.norm(describe_faces(changed)[:, :504] - own, axis=1).mean() < 0.25 * between


def test_a_linear_model_reads_a_mouth_and_a_pattern_of_colours() -> None:
    raised = np.stack([mouth(side * 4.0, seed) for seed in range(60) for side in (-1, 1)])
    which = np.tile([0, 1], 60)
    features = describe_faces(raised)
    model = LogisticRegression(C=0.1, max_iter=200).fit(features[:60], which[:60])
    assert model.score(features[60:], which[60:]) > 0.95

    rng = np.random.default_rng(0)
    blocks = rng.integers(40, 216, (7, 7, 7, 3))
    kind = np.arange(140) % 7
    pictures = blocks[kind].repeat(8, axis=1).repeat(8, axis=2) + rng.normal(0, 60, (140, 56, 56, 1))
    features = describe_faces(np.clip(pictures + rng.normal(0, 25, (140, 1, 1, 1)), 0, 255).astype(np.uint8))
    model = LogisticRegression(C=0.1, max_iter=200).fit(features[:70], kind[:70])
    assert model.score(features[70:], kind[70:]) > 0.95
