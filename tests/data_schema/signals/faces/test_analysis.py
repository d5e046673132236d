"""Rows and crops of a clip in one pass: real faces, no faces, broken pictures."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from data_schema.session.pictures import FramePicture
from data_schema.signals.faces import (
    ARCFACE_POINTS_PX,
    FACE_FRAME_DTYPE,
    FaceTracker,
    MtcnnDetector,
    align_face,
    clip_faces,
    summarise_faces,
)
from tests.data_schema.signals.faces.scenes import KnownDetector, scene


@pytest.fixture(scope="module")
def detector() -> MtcnnDetector:
    return MtcnnDetector()


def lazily(path: Path, step: int) -> list[tuple[int, int, FramePicture]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))[::step]
    return [(step * i, int(frame.time * 1e6), FramePicture(frame)) for i, frame in enumerate(frames)]


def test_real_face_in_one_pass(shared_data, detector):
    frames = lazily(shared_data / "face_video" / "single_face.mp4", 6)
    found = clip_faces(frames, FaceTracker(detector), [0, 12, 13, 30])
    rows = found.rows
    assert rows["frame"].tolist() == list(range(0, 72, 6))
    assert rows["decoded"].all()
    assert rows["found"].all()
    assert 1 < rows["detected"].sum() < len(rows) / 2
    assert (rows["n_faces"] == 1).all()
    # A frame of crop_frames that never came is masked; the others lie on the template.
    assert found.crop_frames.tolist() == [0, 12, 13, 30]
    assert found.mask.tolist() == [True, True, False, True]
    for crop in found.crops[found.mask]:
        big = cv2.copyMakeBorder(cv2.resize(crop, (224, 224)), 60, 60, 60, 60, cv2.BORDER_REPLICATE)
        assert np.linalg.norm((detector.detect(big)[0].points_px - 60) / 2 - ARCFACE_POINTS_PX, axis=1).mean() < 4
    for name in FACE_FRAME_DTYPE.names:
        assert np.isfinite(rows[name].astype(float)).all(), name
    assert 60 < np.median(rows["size_px"]) < 110
    assert np.abs(rows["yaw_deg"]).max() < 10
    assert 0.3 < rows["brightness"].min() < rows["brightness"].max() < 0.7
    # The person smiles without nodding (seen in the pictures).
    assert np.ptp(rows["pitch_deg"]) < 15


def test_lazy_pictures_and_arrays_give_the_same(shared_data, detector):
    frames = lazily(shared_data / "face_video" / "single_face.mp4", 9)
    arrays = [(index, t_us, picture.rgb().copy()) for index, t_us, picture in frames]
    lazy = clip_faces(frames, FaceTracker(detector), [i for i, _, _ in frames])
    plain = clip_faces(arrays, FaceTracker(detector), [i for i, _, _ in arrays])
    assert np.abs(lazy.rows["points_px"] - plain.rows["points_px"]).max() < 3
    assert np.abs(lazy.rows["brightness"] - plain.rows["brightness"]).max() < 0.02
    assert np.abs(lazy.crops.astype(int) - plain.crops).mean() < 6


def test_a_crop_cut_later_from_the_row_is_the_same(shared_data, detector):
    path = shared_data / "face_video" / "single_face.mp4"
    found = clip_faces(lazily(path, 8), FaceTracker(detector), range(0, 72, 8))
    for row, crop, (_, _, picture) in zip(found.rows, found.crops, lazily(path, 8), strict=True):
        assert (align_face(picture, row["points_px"].astype(np.float64)) == crop).all()


def test_no_face_is_found_where_there_is_none(shared_data, detector):
    """The clip's second part shows letters and clouds (looked at by eye): no row may claim a face there."""
    frames = lazily(shared_data / "face_video" / "face_noface.mov", 4)
    rows = clip_faces(frames, FaceTracker(detector)).rows
    # The cut to the black picture lies at frame 72.
    assert rows["found"].tolist() == (rows["frame"] < 72).tolist()
    summary = summarise_faces(rows)
    assert summary.missing_share == pytest.approx((rows["frame"] >= 72).mean())
    assert summary.longest_loss_s == pytest.approx((rows["t_us"][-1] - rows["t_us"][rows["frame"] < 72][-1]) / 1e6)
    assert np.isnan(rows["points_px"][~rows["found"]]).all()


def wall() -> np.ndarray:
    y, x = np.mgrid[:360, :640]
    bricks = 120 + 40 * ((x // 40 + y // 20) % 2) + 10 * np.sin(x / 7)
    return np.repeat(bricks[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("kind", ["wall", "black", "white", "tiny"])
def test_pictures_without_a_face(detector, kind):
    image = {
        "wall": wall(),
        "black": np.zeros((360, 640, 3), np.uint8),
        "white": np.full((360, 640, 3), 255, np.uint8),
        "tiny": np.full((48, 64, 3), 90, np.uint8),
    }[kind]
    found = clip_faces([(i, i * 200_000, image) for i in range(4)], FaceTracker(detector), [0, 1])
    assert not found.rows["found"].any()
    assert found.rows["decoded"].all()
    assert not found.mask.any()
    assert not found.crops.any()
    assert summarise_faces(found.rows).missing_share == 1.0


@pytest.mark.parametrize("kind", ["grey", "small"])
def test_grey_and_small_videos_have_faces_too(shared_data, detector, kind):
    _, _, picture = lazily(shared_data / "face_video" / "single_face.mp4", 71)[0]
    image = picture.rgb()
    if kind == "grey":
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    else:
        image = cv2.resize(image[:, 140:500], (64, 48), interpolation=cv2.INTER_AREA)
    found = clip_faces([(0, 0, image)], FaceTracker(detector), [0])
    assert found.rows["found"].all()
    assert found.mask.all()


def test_frames_that_cannot_be_decoded_are_rows_without_a_face():
    detector = KnownDetector()
    place = (300.0, 180.0, 120.0)
    detector.faces = [place]
    frames = [(i, i * 200_000, None if i in (3, 4) else scene(place)) for i in range(8)]
    rows = clip_faces(frames, FaceTracker(detector)).rows
    assert rows["decoded"].tolist() == [i not in (3, 4) for i in range(8)]
    assert rows["found"].tolist() == rows["decoded"].tolist()
    summary = summarise_faces(rows)
    assert (summary.n_frames, summary.n_found, summary.n_undecoded) == (8, 6, 2)
    assert summary.longest_loss_s == pytest.approx(0.6)  # from frame 2 to frame 5


def test_others_in_the_picture_are_counted():
    detector = KnownDetector()
    detector.faces = [(300.0, 180.0, 120.0), (80.0, 80.0, 60.0)]
    rows = clip_faces([(7, 0, scene(*detector.faces)), (8, 200_000, None)], FaceTracker(detector)).rows
    assert rows["frame"].tolist() == [7, 8]
    assert int(rows["n_faces"][0]) == 2
    assert summarise_faces(rows).others_share == 0.5


def test_clips_without_frames_are_empty():
    found = clip_faces([], FaceTracker(KnownDetector()), [3])
    assert len(found.rows) == 0
    assert found.mask.tolist() == [False]
    assert np.isnan(summarise_faces(found.rows).missing_share)
