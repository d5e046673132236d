"""Which face is followed: the participant's, through losses, passers-by and returns."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from data_schema.signals.faces import FaceTracker, TrackedFace

sys.path.insert(0, str(Path(__file__).parent))
from scenes import KnownDetector, scene

STEP_US = 200_000


def centre_x(face: TrackedFace) -> float:
    return face.box_px[0] + face.box_px[2] / 2


def test_the_largest_face_is_taken_at_the_start():
    detector = KnownDetector()
    detector.faces = [(120, 180, 60), (420, 180, 130)]
    tracker = FaceTracker(detector)
    face = tracker.update(scene((120, 180, 60), (420, 180, 130)), 0)
    assert abs(centre_x(face) - 420) < 1
    assert face.detected
    assert tracker.n_faces == 2


def test_a_passer_by_is_never_followed_however_long_the_participant_is_missed():
    """A smaller face crosses the picture while the participant looks away from the detector."""
    detector = KnownDetector()
    tracker = FaceTracker(detector)
    home, found = (420.0, 180.0, 130.0), []
    for i in range(40):
        walker = (40.0 + 14 * i, 120.0, 70.0)
        away = 8 <= i < 30
        detector.faces = [walker] if away else [home, walker]
        # The participant's place is empty while away, so following is lost as well.
        picture = scene(home, walker) if not away else scene((-200, -200, 10), walker)
        found.append(tracker.update(picture, i * STEP_US))
    assert all(found[i] is not None and abs(centre_x(found[i]) - 420) < 20 for i in [*range(8), *range(31, 40)])
    assert all(found[i] is None for i in range(9, 30))


def test_a_second_person_nearby_and_as_large_does_not_take_over():
    """Two faces cross the detector's order; continuity in place decides, not the order or the size."""
    detector = KnownDetector()
    tracker = FaceTracker(detector)
    for i in range(20):
        me, other = (250.0 + i, 180.0, 110.0), (480.0 - i, 180.0, 125.0)
        detector.faces = [me] if i == 0 else [other, me]
        face = tracker.update(scene(me, other), i * STEP_US)
        assert abs(centre_x(face) - me[0]) < 8


def test_a_face_that_leaves_and_returns_is_the_same_one():
    detector = KnownDetector()
    tracker = FaceTracker(detector)
    seen = []
    for i in range(30):
        gone = 10 <= i < 20
        place = (300.0, 180.0, 120.0) if i < 10 else (360.0, 170.0, 110.0)
        detector.faces = [] if gone else [place]
        picture = scene(background=1) if gone else scene(place)
        seen.append(tracker.update(picture, i * STEP_US) is not None)
    assert seen == [True] * 10 + [False] * 10 + [True] * 10


def test_points_that_stick_to_the_background_are_given_up():
    """The face goes, the flow finds something at its place: likeness with the face tells."""
    detector = KnownDetector()
    tracker = FaceTracker(detector)
    detector.faces = [(300.0, 180.0, 120.0)]
    face = tracker.update(scene((300, 180, 120)), 0)
    detector.faces = []
    covered = scene((300, 180, 120))
    left, top = int(face.box_px[0]), int(face.box_px[1])
    covered[top : top + 120, left : left + 120] = 255 - covered[top : top + 120, left : left + 120]
    assert tracker.update(covered, STEP_US) is None


def test_a_new_clip_starts_without_memory():
    detector = KnownDetector()
    tracker = FaceTracker(detector)
    detector.faces = [(300.0, 180.0, 120.0)]
    tracker.update(scene((300, 180, 120)), 0)
    tracker.reset()
    detector.faces = [(100.0, 100.0, 50.0)]
    face = tracker.update(scene((100, 100, 50)), STEP_US)
    assert abs(centre_x(face) - 100) < 1


def test_time_that_stands_still_or_runs_back_does_no_harm():
    detector = KnownDetector()
    detector.faces = [(300.0, 180.0, 120.0)]
    tracker = FaceTracker(detector)
    picture = scene((300, 180, 120))
    for t_us in (1_000_000, 1_000_000, 900_000, 2_000_000):
        face = tracker.update(picture, t_us)
        assert np.isfinite(face.points_px).all()
