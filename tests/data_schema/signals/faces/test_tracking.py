from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose

from data_schema.signals.faces import (
    ARCFACE_POINTS_PX,
    Face,
    FaceTracker,
    MtcnnDetector,
    TrackingParameters,
    align_face,
    clip_faces,
    similarity_transform,
)


def read_video(path: Path, step: int) -> list[tuple[int, np.ndarray]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))[::step]
        return [(int(frame.time * 1e6), frame.to_ndarray(format="rgb24")) for frame in frames]


def numbered(frames: list[tuple[int, np.ndarray]]) -> list[tuple[int, int, np.ndarray]]:
    return [(number, t_us, image) for number, (t_us, image) in enumerate(frames)]


@pytest.fixture(scope="module")
def detector() -> MtcnnDetector:
    return MtcnnDetector()


def test_similarity_transform_recovers_a_known_one():
    rng = np.random.default_rng(0)
    points = rng.normal(0, 50, (5, 2))
    angle, scale, shift = 0.4, 0.37, np.array([12.0, -3.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = similarity_transform(points, points @ turn.T + shift)
    assert_allclose(matrix, np.column_stack([turn, shift]), atol=1e-9)


@pytest.mark.parametrize("scale", [0.9, 2.0, 5.0])
def test_alignment_brings_the_points_onto_the_template(scale):
    """Dots at five turned, scaled and shifted points come out where the template has them."""
    angle = np.radians(20)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = ARCFACE_POINTS_PX @ turn.T + [150.0 * scale, 100.0]
    size = int(400 * scale)
    grid_y, grid_x = np.mgrid[:size, :size]
    image = np.zeros((size, size, 3), dtype=np.uint8)
    for x, y in points:
        image[np.hypot(grid_x - x, grid_y - y) < 3 * scale] = 255
    crop = align_face(image, points)
    assert crop.shape == (112, 112, 3)
    _, _, _, centres = cv2.connectedComponentsWithStats((crop[:, :, 0] > 100).astype(np.uint8))
    found = centres[1:]
    assert len(found) == 5
    for point in ARCFACE_POINTS_PX:
        assert np.linalg.norm(found - point, axis=1).min() < 0.5


def test_real_face_is_found_in_every_frame_and_aligned(shared_data, detector):
    frames = read_video(shared_data / "face_video" / "single_face.mp4", 3)
    tracker = FaceTracker(detector)
    found = clip_faces(numbered(frames), tracker, range(len(frames)))
    assert found.mask.all() and found.rows["found"].all()
    assert tracker.n_detections <= len(frames) // 4
    for crop in found.crops[::6]:
        big = cv2.copyMakeBorder(cv2.resize(crop, (224, 224)), 60, 60, 60, 60, cv2.BORDER_REPLICATE)
        faces = detector.detect(big)
        assert faces
        points = (faces[0].points_px - 60) / 2
        assert np.linalg.norm(points - ARCFACE_POINTS_PX, axis=1).mean() < 4.0


@pytest.mark.parametrize("step", [2, 15])
def test_tracking_agrees_with_detecting_every_frame(shared_data, detector, step):
    frames = read_video(shared_data / "face_video" / "face_noface.mov", step)
    mask = clip_faces(numbered(frames), FaceTracker(detector)).rows["found"]
    dense = np.array([bool(detector.detect(image)) for _, image in frames])
    assert 0.3 < dense.mean() < 0.6
    assert (mask == dense).mean() >= 0.97
    assert not mask[-len(frames) // 3 :].any()  # the face has left the picture


@pytest.mark.parametrize("kind", ["black", "noise", "tiny"])
def test_no_face_is_no_face(detector, kind):
    rng = np.random.default_rng(0)
    images = {
        "black": np.zeros((360, 640, 3), dtype=np.uint8),
        "noise": rng.integers(0, 256, (360, 640, 3), dtype=np.uint8),
        "tiny": np.full((16, 24, 3), 128, dtype=np.uint8),
    }
    frames = [(i * 500_000, images[kind]) for i in range(3)]
    found = clip_faces(numbered(frames), FaceTracker(detector), range(4))
    assert found.crops.shape == (4, 112, 112, 3)
    assert not found.mask.any() and not found.rows["found"].any()
    assert not found.crops.any()


class StubDetector:
    """Finds a square patch at a place that the test sets; counts calls."""

    name, version, licence, model_licence, width_px = "stub", "1", "none", "none", 640

    def __init__(self) -> None:
        self.calls = 0
        self.visible = True

    def detect(self, image: np.ndarray) -> list[Face]:
        self.calls += 1
        if not self.visible:
            return []
        points = ARCFACE_POINTS_PX * 1.5 + [100.0, 50.0]
        return [Face((100.0, 50.0, 168.0, 168.0), 1.0, points)]

    def close(self) -> None:
        pass


def textured(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    return cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC)


def test_detection_is_sparse_and_short_misses_are_bridged():
    stub, image = StubDetector(), textured()
    tracker = FaceTracker(stub)
    for i in range(20):
        assert tracker.update(image, i * 100_000) is not None
    assert stub.calls == 3  # at 0, 0.7 and 1.4 s
    stub.visible = False
    found = [tracker.update(image, 2_000_000 + i * 100_000) is not None for i in range(15)]
    assert found[:7] == [True] * 7  # followed for 1.4 s after the last find
    assert not any(found[8:])


@pytest.mark.parametrize(("redetect_s", "n_calls"), [(0.05, 20), (0.5, 4), (9.0, 1)])
def test_how_often_the_detector_is_asked_is_a_setting(redetect_s, n_calls):
    stub, image = StubDetector(), textured()
    tracker = FaceTracker(stub, TrackingParameters(redetect_s=redetect_s))
    for i in range(20):
        tracker.update(image, i * 100_000)
    assert stub.calls == n_calls


@pytest.mark.parametrize(("coast_s", "n_followed"), [(0.0, 0), (0.95, 4)])
def test_how_long_a_missed_face_is_followed_is_a_setting(coast_s, n_followed):
    stub, image = StubDetector(), textured()
    tracker = FaceTracker(stub, TrackingParameters(redetect_s=0.05, coast_s=coast_s))
    tracker.update(image, 0)
    stub.visible = False
    assert sum(tracker.update(image, i * 200_000) is not None for i in range(1, 10)) == n_followed


def test_points_follow_a_moving_face():
    stub, image = StubDetector(), textured()
    tracker = FaceTracker(stub)
    first = tracker.update(image, 0)
    moved = np.roll(image, (3, 5), axis=(0, 1))
    second = tracker.update(moved, 100_000)
    assert stub.calls == 1
    assert_allclose(second.points_px - first.points_px, np.tile([5.0, 3.0], (5, 1)), atol=0.2)


def test_a_cut_to_another_picture_is_noticed():
    stub = StubDetector()
    tracker = FaceTracker(stub)
    tracker.update(textured(0), 0)
    tracker.update(textured(7), 100_000)
    assert stub.calls == 2
