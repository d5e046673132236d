"""Pose against known rotations of a head, quality against known changes of a picture, light normalisation."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_schema.signals.faces import (
    ARCFACE_POINTS_PX,
    LIGHT_METHODS,
    ArrayPicture,
    align_face,
    head_pose,
    head_rotation,
    measure_quality,
    normalise_light,
)
from data_schema.signals.faces.pose import HEAD_POINTS_MM
from data_schema.study.sections import FacesSection


def seen_by_camera(
    yaw: float, pitch: float, roll: float, distance_mm: float = 600.0, focal_px: float = 1000.0
) -> np.ndarray:
    """Project the mean head's points by a pinhole camera."""
    points = HEAD_POINTS_MM @ head_rotation(yaw, pitch, roll).T + [0, 0, distance_mm]
    return focal_px * points[:, :2] / points[:, 2:] + [640, 360]


@pytest.mark.parametrize(("yaw_to", "pitch_to", "bounds"), [(30, 20, (1.1, 2.3, 1.1)), (60, 30, (1.7, 3.7, 3.3))])
def test_pose_of_known_rotations(yaw_to, pitch_to, bounds):
    errors = [
        np.abs(np.array(head_pose(seen_by_camera(yaw, pitch, roll))) - (yaw, pitch, roll))
        for yaw in np.linspace(-yaw_to, yaw_to, 7)
        for pitch in np.linspace(-pitch_to, pitch_to, 5)
        for roll in (-20, 0, 20)
    ]
    assert (np.max(errors, axis=0) <= bounds).all()


def test_signs_of_the_angles():
    """Nose to the viewer's right, nose up, head leaning clockwise: all positive, in pixels as drawn."""
    face = ARCFACE_POINTS_PX.copy()
    right, up = face.copy(), face.copy()
    right[2] += [8, 0]
    up[2] += [0, -8]
    still = np.array(head_pose(face))
    assert head_pose(right)[0] > still[0] + 8
    assert head_pose(up)[1] > still[1] + 8
    turn = np.radians(15)
    clockwise = face @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]).T
    assert abs(head_pose(clockwise)[2] - still[2] - 15) < 1


def test_noise_of_a_pixel_moves_pose_by_about_a_degree():
    rng = np.random.default_rng(0)
    still = seen_by_camera(0, 0, 0)
    angles = np.array([head_pose(still + rng.normal(0, 1, (5, 2))) for _ in range(200)])
    assert (angles.std(axis=0) < (1.5, 1.5, 0.8)).all()


def test_a_smile_hardly_nods():
    """Corners of the mouth go up and out by a tenth of the distance of the eyes."""
    face = seen_by_camera(0, 0, 0)
    eyes = np.linalg.norm(face[1] - face[0])
    smile = face.copy()
    smile[3] += [-0.1 * eyes, -0.1 * eyes]
    smile[4] += [0.1 * eyes, -0.1 * eyes]
    assert abs(head_pose(smile)[1] - head_pose(face)[1]) < 4


def test_points_that_are_no_face_have_no_pose():
    assert np.isnan(head_pose(np.full((5, 2), 7.0))).all()
    assert np.isnan(head_pose(np.full((5, 2), np.nan))).all()


@pytest.fixture(scope="module")
def face(shared_data):
    """A real face, its picture and where its points lie."""
    from data_schema.signals.faces import MtcnnDetector

    capture = cv2.VideoCapture(str(shared_data / "face_video" / "single_face.mp4"))
    image = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
    capture.release()
    return image, MtcnnDetector().detect(image)[0].points_px


def test_blur_lowers_sharpness_step_by_step(face):
    image, points = face
    values = [
        measure_quality(ArrayPicture(cv2.GaussianBlur(image, (0, 0), sigma) if sigma else image), points).sharpness
        for sigma in (0, 1, 2, 4)
    ]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0] / 4


def test_light_is_measured_on_the_face_alone(face):
    image, points = face
    plain = measure_quality(ArrayPicture(image), points)
    frame = image.copy()
    frame[:40] = 255
    frame[:, :60] = 0
    assert measure_quality(ArrayPicture(frame), points) == plain
    dark = measure_quality(ArrayPicture((image * 0.25).astype(np.uint8)), points)
    bright = measure_quality(ArrayPicture(np.clip(image * 3.0, 0, 255).astype(np.uint8)), points)
    assert dark.brightness == pytest.approx(plain.brightness / 4, abs=0.02)
    assert dark.contrast == pytest.approx(plain.contrast / 4, abs=0.01)
    assert bright.overexposed_share > 0.3 > plain.overexposed_share
    assert measure_quality(ArrayPicture(np.zeros_like(image)), points).underexposed_share == 1.0


def test_what_lies_outside_the_picture_counts_as_nothing(face):
    image, points = face
    left = int(points[:, 0].mean())
    half = measure_quality(ArrayPicture(np.ascontiguousarray(image[:, left:])), points - [left, 0])
    whole = measure_quality(ArrayPicture(image), points)
    assert half.underexposed_share == pytest.approx(whole.underexposed_share, abs=0.15)
    assert half.brightness == pytest.approx(whole.brightness, abs=0.15)
    gone = measure_quality(ArrayPicture(image), points + 5000)
    assert np.isnan(gone.brightness)
    assert np.isnan(gone.sharpness)


def test_the_settings_name_every_light_method():
    assert FacesSection.model_fields["light"].annotation.__args__ == LIGHT_METHODS


@pytest.mark.parametrize("method", LIGHT_METHODS[1:])
def test_normalised_light_is_evener_under_light_from_one_side(face, method):
    image, points = face
    crop = align_face(image, points)
    shade = np.linspace(0.35, 1.0, crop.shape[1])[None, :, None]
    lit = (crop * shade).astype(np.uint8)
    before = np.abs(lit.astype(int) - crop).mean()
    even, same = normalise_light(lit, method), normalise_light(crop, method)
    assert even.shape == crop.shape
    assert even.dtype == np.uint8
    assert np.abs(even.astype(int) - same).mean() < 0.8 * before
    flat = np.full((112, 112, 3), 90, dtype=np.uint8)
    assert normalise_light(flat, method).std() < 1.0


def test_light_none_is_the_crop_and_an_unknown_method_is_refused():
    crop = np.zeros((4, 4, 3), dtype=np.uint8)
    assert normalise_light(crop, "none") is crop
    with pytest.raises(ValueError, match="'magic' is not one of none"):
        normalise_light(crop, "magic")


@given(
    st.floats(-30, 30),
    st.floats(-20, 20),
    st.floats(-25, 25),
    st.floats(0.2, 4),
    st.tuples(st.floats(-900, 900), st.floats(-900, 900)),
)
@settings(max_examples=40, deadline=None)
def test_pose_depends_on_neither_place_nor_size(yaw, pitch, roll, scale, shift):
    """Moving and scaling the points changes nothing; turning them in the picture adds to roll alone."""
    points = seen_by_camera(yaw, pitch, 0)
    still = np.array(head_pose(points))
    assert np.allclose(head_pose(points * scale + shift), still, atol=0.02)
    turn = np.radians(roll)
    turned = points @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]).T
    assert np.allclose(head_pose(turned), still + [0, 0, roll], atol=0.05)


@given(st.floats(-40, 40), st.floats(0.7, 6), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_alignment_undoes_turn_and_size(angle, scale, seed):
    """A picture drawn from a crop by any similarity gives that crop back, also where it has to be shrunk."""
    rng = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(rng.integers(0, 256, (112, 112, 3), dtype=np.uint8), (0, 0), 4)
    crop = cv2.normalize(soft, None, 0, 255, cv2.NORM_MINMAX)
    turn = np.radians(angle)
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    size = int(112 * scale * 1.5) + 40
    shift = size / 2 - matrix @ [56, 56]
    picture = cv2.warpAffine(crop, np.column_stack([matrix, shift]), (size, size), flags=cv2.INTER_LINEAR)
    back = align_face(picture, ARCFACE_POINTS_PX @ matrix.T + shift)
    inner = slice(8, -8)
    assert np.abs(back[inner, inner].astype(int) - crop[inner, inner]).mean() < 4
