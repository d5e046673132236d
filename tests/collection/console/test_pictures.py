"""Light, face and clip: what the console makes of pictures, with real decoding and the real detector."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from collection.console.clip_player import ClipPlayer
from collection.console.face_watch import FaceWatch
from collection.console.light import PictureState, PictureWatch, face_warning, light_warning, measure_light
from collection.devices.face import FaceRenderer
from collection.simulation.participant import SimulatedParticipant
from data_schema.study.placeholders import write_placeholder
from data_schema.study.sections import SimulationSection


def until(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


# ------------------------------------------------------------------------ light


def test_light_is_measured_on_the_face() -> None:
    grey = np.full((100, 200), 20, dtype=np.uint8)
    grey[20:80, 50:100] = 255
    face = (0.25, 0.2, 0.25, 0.6)
    assert measure_light(grey, face) == (255.0, 1.0, 0.0)
    mean, clipped, black = measure_light(grey, None)
    assert mean < 60
    assert clipped == pytest.approx(0.15)
    assert black == 0.0
    assert measure_light(grey, (1.2, 0.2, 0.1, 0.1))[0] == mean, "a box outside the picture counts as none"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (PictureState(120), ""),
        (PictureState(30), "too dark"),
        (PictureState(230), "too bright"),
        (PictureState(150, clipped_share=0.3), "no detail"),
    ],
)
def test_light_warnings(state: PictureState, words: str) -> None:
    assert (words in light_warning(state)) if words else light_warning(state) == ""


@pytest.mark.parametrize(
    ("face", "words"),
    [
        ((0.4, 0.2, 0.2, 0.5), ""),
        (None, "No face"),
        ((0.0, 0.2, 0.2, 0.5), "at the left"),
        ((0.85, 0.0, 0.2, 0.5), "at the right and top"),
        ((0.4, 0.4, 0.05, 0.1), "10%"),
    ],
)
def test_face_warnings(face: tuple[float, ...] | None, words: str) -> None:
    text = face_warning(PictureState(face=face, face_known=True))
    assert (words in text) if words else text == ""
    assert face_warning(PictureState(face=face, face_known=False)) == ""


def test_a_frozen_picture_is_told_from_a_still_participant() -> None:
    rng = np.random.default_rng(1)
    still = rng.integers(60, 180, (90, 160)).astype(np.uint8)
    watch = PictureWatch()
    for second in range(5):
        noisy = np.clip(still + rng.normal(0, 1.5, still.shape), 0, 255).astype(np.uint8)
        assert watch.look(noisy, None, False, float(second)).frozen_s == 0.0
    for second in range(5, 9):
        state = watch.look(noisy, None, False, float(second))
    assert state.frozen_s == 4.0


def test_the_absence_of_a_face_is_timed() -> None:
    watch, grey = PictureWatch(), np.zeros((9, 16), dtype=np.uint8)
    face = (0.3, 0.3, 0.3, 0.3)
    assert watch.look(grey, face, True, 10.0).no_face_s == 0.0
    assert watch.look(grey, None, True, 13.0).no_face_s == 3.0
    assert watch.look(grey, face, True, 14.0).no_face_s == 0.0


# ------------------------------------------------------------------------- face


def preview(light: float = 1.0, face: bool = True) -> bytes:
    looks = SimulatedParticipant(3, "P001", SimulationSection()).appearance
    image = FaceRenderer(looks, 480, 270, np.random.default_rng(3)).draw({"happiness": 1.0})
    image = np.clip(image * light, 0, 255).astype(np.uint8) if face else np.full_like(image, 90)
    return cv2.imencode(".jpg", image)[1].tobytes()


@pytest.fixture
def faces() -> Iterator[FaceWatch]:
    watch = FaceWatch()
    watch.start()
    yield watch
    watch.close()


def test_the_face_is_found_in_a_preview(faces: FaceWatch) -> None:
    found: dict[int, PictureState] = {}
    faces.put(1, preview(), 1.0)
    until(lambda: found.update(faces.results()) or 1 in found)
    state = found[1]
    assert state.face is not None
    x, y, width, height = state.face
    assert 0.3 < x + width / 2 < 0.7
    assert 0.2 < y + height / 2 < 0.7
    assert light_warning(state) == ""


def test_a_dark_or_empty_picture_is_said(faces: FaceWatch) -> None:
    found: dict[int, PictureState] = {}
    faces.put(1, preview(face=False), 1.0)
    faces.put(2, preview(light=0.12), 1.0)
    until(lambda: found.update(faces.results()) or len(found) == 2)
    assert found[1].face_known
    assert found[1].face is None
    assert not found[2].face_known, "the second camera need not see a face"
    assert "too dark" in light_warning(found[2])


def test_without_a_detector_light_is_still_judged() -> None:
    def broken() -> object:
        raise ImportError("no detector here")

    watch = FaceWatch(broken)
    watch.start()
    try:
        found: dict[int, PictureState] = {}
        watch.put(1, b"no picture at all", 0.5)
        until(lambda: not watch._jobs)
        watch.put(1, preview(), 1.0)
        until(lambda: found.update(watch.results()) or 1 in found)
        assert not found[1].face_known
        assert found[1].brightness > 60
        assert "no detector here" in watch.unavailable
    finally:
        watch.close()


# ------------------------------------------------------------------------- clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stimuli") / "joy-1.mp4"
    write_placeholder(path, emotion="happiness", number=1, duration_s=6.0)
    return path


@pytest.fixture
def player() -> Iterator[ClipPlayer]:
    player = ClipPlayer()
    player.start()
    yield player
    player.close()


def shown_at(player: ClipPlayer, clip: Path, clip_time_s: float) -> float:
    player.show(str(clip), clip_time_s)
    until(lambda: player.picture is not None and abs(player.picture.clip_time_s - clip_time_s) < 0.1)
    assert player.picture is not None
    assert player.picture.clip_time_s <= clip_time_s + 1e-6, "a picture that comes later was not on the screen yet"
    return player.picture.clip_time_s


def test_the_clip_follows_forwards_and_backwards(player: ClipPlayer, clip: Path) -> None:
    for clip_time_s in (0.0, 0.1, 0.5, 4.2, 1.0, 5.5):
        assert clip_time_s - shown_at(player, clip, clip_time_s) < 0.05
    assert player.picture is not None
    assert player.picture.image.shape[2] == 3


def test_the_right_picture_is_shown(player: ClipPlayer, clip: Path) -> None:
    import av

    shown_at(player, clip, 3.0)
    assert player.picture is not None
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time <= player.picture.clip_time_s + 1e-6:
                expected = frame
    small = expected.reformat(width=player.picture.image.shape[1], height=player.picture.image.shape[0], format="rgb24")
    difference = np.abs(small.to_ndarray().astype(int) - player.picture.image.astype(int)).mean()
    assert difference < 3.0


def test_a_missing_or_broken_clip_is_said_and_the_next_one_shown(
    player: ClipPlayer, clip: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"this is no video" * 100)
    for file in (tmp_path / "missing.mp4", broken):
        player.show(str(file), 0.0)
        until(lambda file=file: file.name in player.problem)
        assert player.picture is None
    shown_at(player, clip, 1.0)
    assert player.problem == ""
    player.stop()
    assert player.picture is None
