"""A covered face is gone: no detector finds it, and nothing of it is in the bytes."""

from __future__ import annotations

import av
import numpy as np
import pytest

from data_schema.signals.faces import FaceTracker, MtcnnDetector, blur_faces, clip_faces, cover_video, rows_around
from data_schema.signals.faces.covering import head_box
from tests.data_schema.signals.faces.scenes import KnownDetector, scene


@pytest.fixture(scope="module")
def real(shared_data):
    """Frames of a real face, and the rows of every sixth of them."""
    with av.open(str(shared_data / "face_video" / "single_face.mp4")) as container:
        frames = [(int(frame.time * 1e6), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    looked_at = [(i, t_us, image) for i, (t_us, image) in enumerate(frames)][::6]
    return frames, clip_faces(looked_at, FaceTracker(MtcnnDetector())).rows


def test_no_detector_finds_a_covered_face(real):
    """In every frame, analysed or between two analysed ones, at whatever size and confidence."""
    frames, rows = real
    eager = MtcnnDetector(width_px=640, min_face_share=0.06, min_confidence=0.6)
    last = rows["frame"][-1]
    for t_us, image in frames[: last + 1 : 7]:
        covered = blur_faces(image, rows_around(rows, t_us))
        assert eager.detect(image)
        assert not eager.detect(covered)
        # What lies beside the head stays.
        assert (covered[:, :100] == image[:, :100]).all()
        assert (covered == image).all(axis=2).mean() > 0.35


def test_nothing_below_the_cover_reaches_the_result(real):
    """Two different heads at one place give the same bytes, so no landmark can be computed back."""
    frames, rows = real
    image = frames[0][1]
    left, top, right, bottom = (int(value) for value in head_box(rows[0]))
    other = image.copy()
    noise = np.random.default_rng(0).integers(
        0, 256, other[max(top, 0) + 1 : bottom, left + 1 : right].shape, dtype=np.uint8
    )
    other[max(top, 0) + 1 : bottom, left + 1 : right] = noise
    assert (blur_faces(image, rows[0]) == blur_faces(other, rows[0])).all()
    covered = blur_faces(image, rows[0])[max(top, 0) : bottom, left:right]
    assert len(np.unique(covered.reshape(-1, 3), axis=0)) == 1


def test_the_whole_head_is_covered(real):
    """Hair, ears and chin of the first frame, as seen by eye in the 640x360 picture: x 212 to 378, y 40 to 300."""
    _, rows = real
    left, top, right, bottom = head_box(rows[0])
    assert left < 212
    assert top < 40
    assert right > 378
    assert bottom > 300


def rows_of(places: list[tuple[float, float, float] | None], others: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    detector, pictures = KnownDetector(), []
    tracker = FaceTracker(detector)
    rows = []
    for i, place in enumerate(places):
        detector.faces = ([] if place is None else [place]) + [(40.0, 40.0, 40.0)] * others * (place is not None)
        picture = scene(background=1) if place is None else scene(place)
        tracker.reset()
        rows.append(clip_faces([(i, i * 200_000, picture)], tracker).rows[0])
        pictures.append(picture)
    return pictures, np.stack(rows)


def test_the_way_between_two_sightings_is_covered():
    pictures, rows = rows_of([(150, 180, 60), None, (450, 180, 60)])
    covered = blur_faces(pictures[1], rows_around(rows, 200_000))
    assert (covered[180, 120:480] == 128).all()
    # A frame between the first two analysed ones as well.
    assert len(rows_around(rows, 100_000)) == 3


@pytest.mark.parametrize("t_us", [0, 200_000, 2_800_000])
def test_where_no_one_knows_everything_is_covered(t_us):
    """Before the first sighting, after the last, and in a gap that is too long."""
    pictures, rows = rows_of([None, (150, 180, 60), (160, 180, 60), None])
    rows["t_us"] = [0, 300_000, 400_000, 3_000_000]
    assert len(rows_around(rows, t_us)) == 0
    assert (blur_faces(pictures[1], rows_around(rows, t_us)) == 128).all()
    late = rows.copy()
    late["t_us"] = [0, 300_000, 4_000_000, 5_000_000]
    assert len(rows_around(late, 2_000_000)) == 0


def test_a_second_person_covers_everything():
    pictures, rows = rows_of([(300, 180, 60)], others=1)
    assert (blur_faces(pictures[0], rows) == 128).all()


def test_somebody_else_seen_while_the_participant_is_lost_covers_everything():
    pictures, rows = rows_of([(150, 180, 60), (160, 180, 60), (170, 180, 60)])
    rows["found"][1], rows["n_faces"][1] = False, 1
    assert (blur_faces(pictures[1], rows_around(rows, 200_000)) == 128).all()


def test_the_detectors_next_look_decides_on_the_frames_before_it():
    """Who came in between two looks of the detector is known at the second."""
    pictures, rows = rows_of([(150, 180, 60)] * 5)
    rows["detected"] = [True, False, False, False, True]
    rows["n_faces"] = [1, 1, 1, 1, 2]
    assert (blur_faces(pictures[2], rows_around(rows, 400_000)) == 128).all()


def test_a_small_face_in_the_background_is_not_left(real):
    """Too small for the analysis, found in the covered picture: the spans in which it is there are grey, the others not."""
    frames, rows = real
    small = frames[0][1][60:300:4, 200:390:4]
    height, width, _ = small.shape
    shown = []
    for number, (t_us, image) in enumerate(frames[:66:3]):
        picture = image.copy()
        if number >= 12:
            picture[30 : 30 + height, 520 : 520 + width] = small
        shown.append((t_us, picture))
    out = list(cover_video(shown, [rows], check_s=0.5))
    assert [t_us for t_us, _ in out] == [t_us for t_us, _ in shown]
    grey = [bool((picture == 128).all()) for _, picture in out]
    assert grey[12:] == [True] * 10
    assert not any(grey[:8])
    for (_, covered), (_, picture) in list(zip(out, shown, strict=True))[:8]:
        assert (covered[:, :100] == picture[:, :100]).all()


def test_outside_the_clips_everything_is_covered():
    pictures, rows = rows_of([(150, 180, 60), (160, 180, 60)])
    times = [-400_000, 0, 100_000, 900_000]
    out = [picture for _, picture in cover_video([(t_us, pictures[0]) for t_us in times], [rows], KnownDetector())]
    assert [bool((picture == 128).all()) for picture in out] == [True, False, False, True]
